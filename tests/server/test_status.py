"""`GET /api/status` on a running house: who talks now, how long it took, what it cost, what went wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import SecretStr
from tests.gateway.raw_upstream import END, raw_upstream, sized
from tests.gateway.relaying import DONE, FINISH, USAGE, event, streamed, text
from tests.server.running import InThisLoop, at_home, running
from tests.server.test_traces import SCRIPT, SECRET, relay, speak, talking, until_answered, upstreams

from kaiwa.events.tools import ToolCall, ToolSettled
from kaiwa.server.conversations import HostAnswerer
from kaiwa.server.measures.conversations import Opened
from kaiwa.server.status.board import MOST_TOOLS, Board
from kaiwa.server.status.recent import KEPT, MOST_KINDS, Recent, Troubles
from kaiwa.testing.service.engine import ServiceEngine

PRICES = {"currency": "JPY", "models": {"gpt-4o": {"input": 1_000_000, "output": 2_000_000}}}
FAILS = [sized(b'{"error": {"code": "overloaded"}}', "503 Service Unavailable")]
WORKS = [*streamed(event(text("a"), FINISH, USAGE) + DONE), END]


async def status(server: InThisLoop, **headers: str) -> dict[str, Any]:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{server.addresses[0]}/api/status", headers=headers) as answer,
    ):
        assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
        return await answer.json()


async def test_what_goes_on_in_the_house_is_told(tmp_path: Path) -> None:
    async with raw_upstream(FAILS) as bad, raw_upstream(WORKS) as good:
        given = {"upstreams": upstreams(bad.port, good.port), "prices": PRICES, "max_sessions": 5}
        settings = at_home(tmp_path, **given)
        async with running(settings, HostAnswerer(settings, lambda agent: ServiceEngine(SCRIPT))) as server:
            await relay(server)
            async with talking(server) as socket:
                await speak(socket)
                await until_answered(socket, transcribed=True)
                during = await status(server)
            while (after := await status(server))["sessions"][
                "open"
            ]:  # the house hears of the end a little later
                pass

    (session,) = during["sessions"]["shown"]
    assert session["id"].startswith("sess_") and 0 <= session["age_s"] < 20 and session["waited_ms"] >= 0
    assert {name: session[name] for name in ("door", "agent", "model", "doing", "turns", "responses")} == {
        "door": "websocket",
        "agent": "weather",
        "model": "weather",
        "doing": "listening",
        "turns": 1,
        "responses": 2,
    }
    assert session["output_tokens"] > 0
    sessions = during["sessions"]
    assert (sessions["open"], sessions["most"], sessions["doors"]) == (1, 5, {"websocket": 1})
    timed = {one["step"]: one for one in during["latencies"]}
    spoken = ("recognition", "decision", "first_words", "first_sound", "answer")
    assert [timed[step]["count"] for step in spoken] == [1] * 5
    assert timed["decision"]["p50_ms"] == timed["decision"]["p95_ms"] == timed["decision"]["newest_ms"][0]
    (tool,) = during["tools"]["finished"]
    assert (tool["name"], tool["completed"], tool["failed"]) == ("get_weather", 1, 0)
    assert during["tools"]["running"] == 0
    relayed = during["relay"]
    assert relayed["ended"] == {"completed": 1} and relayed["running"] == 0
    assert [one["name"] for one in relayed["deployments"]] == ["tier-0", "tier-1"]
    cost = during["cost"]
    assert (cost["currency"], cost["total"]) == ("JPY", 9 + 2 * 3)
    assert [(one["model"], one["input_tokens"], one["cost"]) for one in cost["models"][:1]] == [
        ("gpt-4o", 9, 15.0)
    ]
    assert [(one["code"], one["where"], one["count"]) for one in during["errors"]] == [
        ("overloaded", "tier-0", 1)
    ]
    assert (during["not_ready"], during["traces"], during["uptime_s"] >= 0) == (None, None, True)
    assert after["sessions"]["shown"] == [] and after["latencies"] == during["latencies"]
    assert SECRET not in json.dumps([during, after])


async def test_only_who_may_administer_is_told(tmp_path: Path) -> None:
    async with running(at_home(tmp_path, api_key=SecretStr("of-the-house"))) as server:
        async with (
            aiohttp.ClientSession(server.addresses[0]) as http,
            http.get("/api/status") as no,
            http.get("/status") as page,
        ):
            assert (no.status, page.status) == (401, 200)
            assert "script-src 'self'" in page.headers["content-security-policy"]
        assert (await status(server, authorization="Bearer of-the-house"))["sessions"]["open"] == 0


def test_every_list_has_a_bound() -> None:
    recent, troubles, board = Recent(), Troubles(), Board()
    for number in range(3 * KEPT):
        recent.add(number / 1000)
        troubles.note(f"code-{number}", "relay", float(number))
    assert (recent.count, len(recent.newest_ms(10 * KEPT))) == (3 * KEPT, KEPT)
    assert recent.quantiles_ms(0.0, 1.0) == [2 * KEPT, 3 * KEPT - 1]
    newest = troubles.newest_first
    assert (len(newest), newest[0].code) == (MOST_KINDS, f"code-{3 * KEPT - 1}")
    live = board.opened(Opened("sess_1", "text", "desk", "desk", 0.0))
    for number in range(2 * MOST_TOOLS):
        call = ToolCall(call_id="call_1", name="x", arguments="{}", response_id="r")
        live.calling(call, f"tool-{number}", 1.0)
        assert live.doing == "working"
        live.called(call, f"tool-{number}", ToolSettled(call_id="call_1", output="", failed=True), 2.0)
    assert (len(board.calls), board.calls["tool-0"].failed) == (MOST_TOOLS, 1)
    assert live.doing == "listening"
    live.over("server_error.upstream_timeout", 3.0)
    assert (board.live, board.troubles.newest_first[0].code) == ({}, "upstream_timeout")
