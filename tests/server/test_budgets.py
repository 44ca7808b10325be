"""A budget's end at the doors of a running house: a warning, polite last words, the field's code, every token booked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.server.running import InThisLoop, at_home, running
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from kaiwa.server.conversations import HostAnswerer
from kaiwa.testing.service import running_service
from kaiwa.testing.service.engine import ServiceEngine
from kaiwa.testing.service.script import Rule, Say, Script

LONG = " ".join(f"Sentence {number} of a long answer." for number in range(1, 41))
NEAR, SPENT = "Not much is left.", "We have to end here."
SCRIPT = Script(
    rules=(
        Rule(pattern=r"long", answers=(Say(text=LONG, pace_ms=3),)),
        Rule(pattern=r".*", answers=(Say(text=r"You said: \g<0>"),)),
    ),
)
DOORS = {
    "ga": "/v1/realtime?model=gpt-realtime&kaiwa_events=on",
    "preview": "/openai/realtime?api-version=2025-04-01-preview&deployment=gpt-realtime",
}


@asynccontextmanager
async def house(kind: str, directory: Path, policy: str = "", **given: Any) -> AsyncIterator[InThisLoop]:
    """A house whose callers have a budget: answers by script here, or by relay to a stand-in with the same."""
    file = directory / "policy.toml"
    file.write_text(f'default = "small"\n[policies.small]\n{policy}\n')
    words = {"budget_near_words": NEAR, "budget_spent_words": SPENT, "model_names": ("gpt-realtime",)}
    if kind == "scripted":
        settings = at_home(directory, policy=file, **words, **given)
        async with running(settings, HostAnswerer(settings, lambda _: ServiceEngine(SCRIPT))) as server:
            yield server
        return
    async with running_service(SCRIPT) as service:
        settings = at_home(
            directory,
            policy=file,
            azure_openai_endpoint=service.url,
            azure_openai_api_key=service.key,
            azure_openai_realtime_deployment="gpt-realtime",
            azure_openai_chat_deployment="chat",
            **words,
            **given,
        )
        async with running(settings, as_configured=True) as server:
            yield server


class Peer:
    """Hears all frames, and remembers how the socket ended."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[dict[str, Any]] = []

    async def ask(self, text: str) -> None:
        part = {"type": "input_text", "text": text}
        await self.send(
            "conversation.item.create", item={"type": "message", "role": "user", "content": [part]}
        )
        key = (
            "modalities"
            if "preview" in (self.socket.request.path if self.socket.request else "")
            else "output_modalities"
        )
        await self.send("response.create", response={key: ["text"]})

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def until(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while True:
                frame = json.loads(await self.socket.recv())
                self.frames.append(frame)
                if frame["type"] == kind:
                    return frame

    async def end(self) -> tuple[int, str]:
        try:
            await self.until("never")
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            return closed.rcvd.code, closed.rcvd.reason
        raise AssertionError("it does not end")

    def said(self) -> list[str]:
        """The texts of all messages, in order."""
        done = [frame["response"] for frame in self.frames if frame["type"] == "response.done"]
        items = [item for response in done for item in response["output"] if item["type"] == "message"]
        return [
            "".join(part.get("text") or part.get("transcript") or "" for part in item["content"])
            for item in items
        ]

    def used(self) -> int:
        done = [frame["response"] for frame in self.frames if frame["type"] == "response.done"]
        return sum(response["usage"]["total_tokens"] for response in done if response["usage"])


@asynccontextmanager
async def peer(server: InThisLoop, door: str = "ga") -> AsyncIterator[Peer]:
    async with connect(server.addresses[0].replace("http", "ws") + DOORS[door], compression=None) as socket:
        one = Peer(socket)
        await one.until("session.created")
        yield one


async def used_of(server: InThisLoop, per_day: int) -> int:
    """Return how many tokens are booked, once no session is open."""
    async with aiohttp.ClientSession(server.addresses[0]) as http, asyncio.timeout(20):
        while True:
            async with http.get("/api/status") as status:
                if (await status.json())["sessions"]["open"] == 0:
                    break
            await asyncio.sleep(0.02)
        async with http.post("/api/chat-stream", json={"prompt": "hello"}) as answer:
            return per_day - int(answer.headers["x-ratelimit-remaining-tokens"]) - 1  # its own first token


@pytest.mark.parametrize("kind", ["scripted", "relayed"])
@pytest.mark.parametrize("door", ["ga", pytest.param("preview", marks=pytest.mark.clients)])
async def test_a_caller_is_warned_once_and_then_taken_leave_of(tmp_path: Path, kind: str, door: str) -> None:
    async with house(kind, tmp_path, "tokens_per_day = 720", budget_near=0.3) as server:
        async with peer(server, door) as one:
            await one.ask("long")  # about 300 tokens
            await one.until("response.done")
            warning = await one.until("response.done")
            assert warning["response"]["metadata"]["about"] == "budget_near"
            await one.ask("long")
            assert await one.end() == (4029, "insufficient_quota.insufficient_quota")
            said = one.said()
            assert said[:2] == [LONG, NEAR] and said[-1] == SPENT and said.count(NEAR) == 1
            assert len(said) == 4 and LONG.startswith(said[2]) and len(said[2]) < len(LONG)
            error = next(frame["error"] for frame in reversed(one.frames) if frame["type"] == "error")
            assert error["code"] == "insufficient_quota" and "tokens_per_day" in error["message"]
            assert any(frame["type"] == "kaiwa.budget.spent" for frame in one.frames) == (door == "ga")
        async with connect(server.addresses[0].replace("http", "ws") + DOORS[door]) as socket:
            refused = json.loads(await socket.recv())
            assert refused["error"]["code"] == "insufficient_quota"


@pytest.mark.parametrize("kind", ["scripted", pytest.param("relayed", marks=pytest.mark.clients)])
async def test_a_session_has_a_budget_of_its_own_and_says_what_it_costs(tmp_path: Path, kind: str) -> None:
    prices = {"text_input": 1000, "text_input_cached": 1000, "text_output": 1000, "audio_output": 1000}
    async with house(kind, tmp_path, prices=prices, session_budget=0.2) as server:
        async with peer(server) as one:
            await one.ask("long")
            assert (await one.end())[0] == 4029
            assert one.said()[-1] == SPENT and NEAR not in one.said()
            costs = [frame for frame in one.frames if frame["type"] == "kaiwa.cost"]
            assert costs[-1]["money"] == pytest.approx(one.used() / 1000) and costs[-1]["currency"] == "USD"
            assert not costs[-1]["estimated"] and costs[0]["estimated"]
        async with peer(server) as another:
            await another.ask("hello")
            assert (await another.until("response.done"))["response"]["status"] == "completed"


@pytest.mark.parametrize("kind", ["scripted", "relayed"])
async def test_a_cut_socket_leaves_nothing_unbilled(tmp_path: Path, kind: str) -> None:
    async with house(kind, tmp_path, "tokens_per_day = 100000") as server:
        async with peer(server) as one:
            await one.ask("hello")
            await one.until("response.done")
            whole = one.used()
            await one.ask("long")
            while "".join(f.get("delta", "") for f in one.frames).count("Sentence") < 10:
                await one.until("response.output_text.delta")
            one.socket.transport.abort()
        heard = "".join(
            frame["delta"] for frame in one.frames if frame["type"] == "response.output_text.delta"
        )
        used = await used_of(server, 100_000)
        assert used >= whole + len(heard) // 4, "what was heard is paid"
        assert used < whole + len(LONG), "and not what never was"


async def test_readers_of_text_are_warned_behind_an_answer_and_told_why_it_ends(tmp_path: Path) -> None:
    async with (
        house("scripted", tmp_path, "tokens_per_day = 1100", budget_near=0.4) as server,
        aiohttp.ClientSession(server.addresses[0]) as http,
    ):

        async def asked(text: str, name: str, style: str = "typed") -> str:
            body = {"prompt": text, "conversation_id": name, "events": style}
            async with http.post("/api/chat-stream", json=body) as answer:
                return await answer.text()

        assert "notice" not in await asked("long", "a")  # 242 tokens
        assert NEAR[:-1] not in await asked("hello", "a", "plain")  # which reads those again
        assert NEAR[:-1] in await asked("hello", "b", "plain")
        assert NEAR[:-1] not in await asked("hello", "b", "plain"), "it is said once"
        assert "event: notice" in await asked("hello", "a")
        for number in range(9):
            if "error" in (ended := await asked("long", f"c{number}")):
                break
        assert "insufficient_quota" in ended and SPENT in ended
        async with http.post("/api/chat-stream", json={"prompt": "hello"}) as refused:
            assert refused.status == 429 and (await refused.json())["error"]["code"] == "insufficient_quota"
