"""What the house counts, on a running server: true to what happened, bounded in its labels, without anybody's words."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as some
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from tests.gateway.raw_upstream import CUT, END, raw_upstream
from tests.gateway.relaying import ANSWER, DONE, FINISH, USAGE, event, streamed, text
from tests.hub.bending import Bend
from tests.hub.house import open_house, until
from tests.hub.test_audiences import deaf_client
from tests.server.running import InThisLoop, at_home, running
from websockets.asyncio.client import connect

from kaiwa.gateway.ended import StreamEnded
from kaiwa.gateway.streams import Streams
from kaiwa.policy.memory import MemoryLedger
from kaiwa.policy.prices import FREE
from kaiwa.protocol.chat.usage import TokensCounted
from kaiwa.server.conversations import HostAnswerer
from kaiwa.server.directory import Directory
from kaiwa.server.logs import JsonFacts
from kaiwa.server.measures.house import Measures
from kaiwa.server.measures.hubs import HubCollector
from kaiwa.server.measures.labels import OTHER, SESSION_ENDINGS, Names, ending_of
from kaiwa.server.measures.lateness import Lateness
from kaiwa.server.measures.streams import StreamMeasures
from kaiwa.server.readiness import Readiness
from kaiwa.testing.service.engine import ServiceEngine
from kaiwa.testing.service.script import DEFAULT_RULES, Call, Rule, Script
from kaiwa.upstream.credentials import ApiKey
from kaiwa.upstream.pool.deployment import Deployment
from kaiwa.upstream.pool.pool import DeploymentPool

KEY = "the-key-of-this-house"
CHUNKS = "kaiwa_stream_chunk_lateness_seconds_count"
KEYED = {"authorization": f"Bearer {KEY}"}
SECRET = "words-that-nobody-else-may-read"
RULE = Rule(pattern="weather", answers=(Call(name="get_weather", arguments='{"city": "x"}'),))
SCRIPT = Script(rules=(RULE, *DEFAULT_RULES))
PAID = {"currency": "JPY", "models": {"gpt-4o": {"input": 1_000_000, "output": 2_000_000}}}
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Scraped:
    """One scrape. `of` is the value of a series; its labels are given as words."""

    def __init__(self, page: str) -> None:
        self.page = page
        families = list(text_string_to_metric_families(page))
        self.names = {family.name for family in families}
        self.samples: Samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    def of(self, name: str, **labels: str) -> float | None:
        return self.samples.get((name, frozenset(labels.items())))


async def scrape(server: InThisLoop) -> Scraped:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{server.addresses[0]}/metrics", headers=KEYED) as page,
    ):
        assert page.status == 200
        assert page.content_type == "text/plain"
        return Scraped(await page.text())


async def scraped_when(server: InThisLoop, true: Callable[[Scraped], bool]) -> Scraped:
    """Scrape until what a client saw has been written down too."""
    async with asyncio.timeout(20):
        while not true(scraped := await scrape(server)):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    return scraped


@asynccontextmanager
async def house(directory: Path, **more: Any) -> AsyncIterator[InThisLoop]:
    settings = at_home(directory, **{"api_key": KEY, **more})
    answerer = HostAnswerer(settings, lambda agent: ServiceEngine(SCRIPT))
    async with running(settings, answerer) as server:
        yield server


def behind(port: int, name: str = "near") -> str:
    return json.dumps([{"name": name, "base_url": f"http://127.0.0.1:{port}/v1", "models": ["gpt-4o"]}])


async def relay(server: InThisLoop, model: str = "gpt-4o") -> bytes:
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": SECRET}]}
    url = f"{server.addresses[0]}/v1/chat/completions"
    async with aiohttp.ClientSession() as http, http.post(url, json=body, headers=KEYED) as answer:
        return await answer.read()


async def chat(server: InThisLoop) -> None:
    url = f"{server.addresses[0]}/api/chat-stream"
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, json={"prompt": SECRET}, headers=KEYED) as answer,
    ):
        assert answer.status == 200
        await answer.read()


async def talk(server: InThisLoop, words: str) -> None:
    url = f"{server.addresses[0].replace('http', 'ws')}/v1/realtime?model=weather"
    async with asyncio.timeout(10), connect(url, additional_headers=KEYED, proxy=None) as socket:
        content = [{"type": "input_text", "text": words}]
        item = {"type": "message", "role": "user", "content": content}
        await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
        await socket.send(
            json.dumps({"type": "response.create", "response": {"output_modalities": ["text"]}})
        )
        async for frame in socket:
            said = json.loads(frame)
            if said["type"] == "response.done" and said["response"]["output"][-1]["type"] == "message":
                return


async def test_every_door_is_counted_as_it_was_used(tmp_path: Path) -> None:
    ends = [*streamed(event(text("a"), text("b"), FINISH, USAGE) + DONE), END]
    async with (
        raw_upstream(ends) as upstream,
        house(tmp_path, upstreams=behind(upstream.port), prices=PAID) as server,
    ):
        before = await scrape(server)
        assert b"[DONE]" in await relay(server)
        await chat(server)
        await talk(server, "weather")
        now = await scraped_when(
            server,
            lambda told: (
                told.of("kaiwa_sessions_ended_total", door="websocket", reason="peer_gone") == 1
                and told.of("kaiwa_sessions_ended_total", door="text", reason="peer_gone") == 1
            ),
        )

    who = {"model": "gpt-4o", "deployment": "near"}
    assert before.of("kaiwa_streams_ended_total", reason="completed", **who) is None
    assert now.of("kaiwa_streams_ended_total", reason="completed", **who) == 1
    assert now.of("kaiwa_stream_first_token_seconds_count", **who) == 1
    assert (
        0
        < (now.of("kaiwa_stream_first_token_seconds_sum", **who) or 0)
        <= (now.of("kaiwa_stream_seconds_sum", **who) or 0)
        < 5
    )
    assert now.of("kaiwa_stream_tokens_total", kind="input", model="gpt-4o") == 9
    assert now.of("kaiwa_stream_tokens_total", kind="output", model="gpt-4o") == 3
    assert now.of("kaiwa_stream_cost_total", currency="JPY", model="gpt-4o") == pytest.approx(9 + 2 * 3)
    assert now.of("kaiwa_streams_running") == 0
    assert now.of("kaiwa_pool_attempts_total", deployment="near", outcome="completed") == 1
    assert now.of("kaiwa_pool_breaker", deployment="near", state="closed") == 1
    assert now.of("kaiwa_pool_breaker", deployment="near", state="open") == 0

    for door in ("websocket", "text"):
        assert now.of("kaiwa_sessions_started_total", door=door) == 1
        assert now.of("kaiwa_sessions_open", door=door) == 0
        assert now.of("kaiwa_session_seconds_count", door=door) == 1
    # A response that calls the tool, and one that tells its result.
    assert now.of("kaiwa_responses_total", status="completed", door="websocket") == 2
    assert now.of("kaiwa_responses_total", status="completed", door="text") == 1
    assert now.of("kaiwa_response_first_output_seconds_count", door="text") == 1
    assert now.of("kaiwa_tool_calls_total", tool="get_weather", outcome="failed") == 1
    assert now.of("kaiwa_tool_call_seconds_count", tool="get_weather") == 1
    assert (now.of("kaiwa_session_tokens_total", kind="output", model="weather") or 0) > 0
    assert (now.of("process_resident_memory_bytes") or 0) > 10_000_000
    assert (now.of("process_open_fds") or 0) > 3


async def test_each_way_to_end_has_its_reason(tmp_path: Path) -> None:
    cut = streamed(event(text("a")), CUT)
    async with raw_upstream(cut) as upstream, house(tmp_path, upstreams=behind(upstream.port)) as server:
        await relay(server)
        await relay(server, "no-such-model")
        now = await scrape(server)
    assert (
        now.of("kaiwa_streams_ended_total", reason="upstream_cut_off", model="gpt-4o", deployment="near") == 1
    )
    assert now.of("kaiwa_streams_ended_total", reason="refused", model=OTHER, deployment="") == 1
    assert now.of("kaiwa_pool_attempts_total", deployment="near", outcome="cut") == 1


async def test_what_limits_refuse_is_counted_by_the_limit(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('default = "all"\n[policies.all]\nrequests_per_minute = 1\n')
    async with raw_upstream(ANSWER) as upstream:
        given = {"upstreams": behind(upstream.port), "policy": policy, "api_key": None}
        async with house(tmp_path, **given) as server:
            await relay(server)
            assert b"rate_limit_exceeded" in await relay(server)
            now = await scrape(server)
    assert now.of("kaiwa_limits_refused_total", kind="requests", per="minute") == 1


async def test_a_turn_is_timed_from_the_end_of_speech(tmp_path: Path) -> None:
    async with house(tmp_path) as server:
        url = f"{server.addresses[0].replace('http', 'ws')}/v1/realtime?model=gpt-realtime"
        async with asyncio.timeout(20), connect(url, additional_headers=KEYED, proxy=None) as socket:
            loud, quiet = b"\x00\x40\x00\xc0" * 12_000, b"\x00\x00" * 24_000
            for sound in (loud, quiet, quiet):
                await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": _base64(sound)}))
            async for frame in socket:
                if json.loads(frame)["type"] == "response.done":
                    break
        now = await scrape(server)
    assert now.of("kaiwa_turns_total", door="websocket") == 1
    for step in ("committed", "response", "first_output", "done"):
        assert now.of("kaiwa_turn_step_seconds_count", step=step, door="websocket") == 1, step
    first = now.of("kaiwa_turn_step_seconds_sum", step="first_output", door="websocket") or 0
    done = now.of("kaiwa_turn_step_seconds_sum", step="done", door="websocket") or 0
    assert 0 < first <= done < 20


async def test_a_hub_tells_who_is_there_and_who_was_dropped() -> None:
    registry = CollectorRegistry()
    async with open_house(Bend(), max_waiting_bytes=100_000) as home, home.socket() as reader:
        registry.register(HubCollector(lambda: [home.hub]))
        await reader.hello()
        assert (await reader.invoke("echo", "a"))["result"] == "a"
        async with deaf_client(home):
            await until(lambda: registry.get_sample_value("kaiwa_hub_clients") == 2, "both are there")
            for _ in range(400):
                home.hub.clients.all.send("told", "x" * 20_000)
                await reader.record()
            await until(
                lambda: registry.get_sample_value("kaiwa_hub_clients") == 1, "the deaf one is dropped"
            )
    assert registry.get_sample_value("kaiwa_hub_clients_came_total") == 2
    assert registry.get_sample_value("kaiwa_hub_invocations_total") == 1
    assert 400 < (registry.get_sample_value("kaiwa_hub_messages_sent_total") or 0) <= 800
    assert registry.get_sample_value("kaiwa_hub_slow_clients_total") == 1


async def test_only_who_may_administer_scrapes_and_without_keys_everybody_may(tmp_path: Path) -> None:
    async with house(tmp_path) as server, aiohttp.ClientSession(server.addresses[0]) as http:
        async with http.get("/metrics") as refused:
            assert refused.status == 401
        minted = {"scopes": ["chat"]}
        async with http.post("/api/tokens", json=minted, headers=KEYED) as made:
            token = (await made.json())["token"]
        async with http.get("/metrics", headers={"authorization": f"Bearer {token}"}) as refused:
            assert refused.status == 403
    spoken = {"accept": "application/openmetrics-text; version=1.0.0"}
    async with (
        house(tmp_path, api_key=None) as server,
        aiohttp.ClientSession(server.addresses[0]) as http,
        http.get("/metrics", headers=spoken) as page,
    ):
        assert (page.status, page.content_type) == (200, "application/openmetrics-text")
        assert (await page.text()).endswith("# EOF\n")


async def test_nobody_s_words_and_no_key_are_in_metrics_or_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "kaiwa")
    async with raw_upstream(ANSWER) as upstream, house(tmp_path, upstreams=behind(upstream.port)) as server:
        await relay(server)
        await chat(server)
        await talk(server, SECRET)
        page = (await scrape(server)).page
    lines = "\n".join(JsonFacts().format(line) for line in caplog.records)
    assert "session closed" in lines and "request relayed" in lines
    for told in (page, lines):
        assert SECRET not in told and KEY not in told
        assert "127.0.0.1" not in told


def stream_of(model: str, deployment: str = "near") -> StreamEnded:
    return StreamEnded(
        operation="chat/completions", model=model, deployment=deployment, reason="completed", status=200, streams=True,
        attempts=1, elapsed_s=1.0, first_token_s=0.5, events=3, used=TokensCounted(input=1, output=2), cost=5,
    )  # fmt: skip


@given(some.lists(some.text(), max_size=30), some.text())
def test_names_that_clients_make_up_make_no_series(models: list[str], deployment: str) -> None:
    registry = CollectorRegistry()
    known = Names(lambda: ["gpt-4o"])
    measures = StreamMeasures(registry, known, Names(lambda: ["near"]), FREE)
    for model in [*models, "gpt-4o"]:
        measures.ended(stream_of(model, deployment or "near"))
    values = {
        value
        for family in registry.collect()
        for sample in family.samples
        for label, value in sample.labels.items()
        if label in ("model", "deployment")
    }
    assert values <= {"gpt-4o", "near", OTHER}


@given(some.text())
def test_a_service_s_words_for_an_end_are_no_label(reason: str) -> None:
    assert ending_of(reason) in SESSION_ENDINGS


def test_the_ends_that_the_house_knows_have_their_words() -> None:
    assert ending_of("peer gone") == "peer_gone"
    assert ending_of("server_error.upstream_timeout") == "upstream_timeout"
    assert ending_of("Your session hit the maximum duration of 60 minutes.") == "session_expired"


async def test_a_loop_that_is_held_up_is_seen_and_streams_only_while_they_run() -> None:
    registry, running_now = CollectorRegistry(), 0
    with Lateness(registry, lambda: running_now).watched():
        async with asyncio.timeout(20):
            while not _sum(registry, "kaiwa_event_loop_lateness_seconds") >= 0.1:
                time.sleep(0.25)  # noqa: ASYNC251 - this is what is to be seen
                await asyncio.sleep(0)
        assert registry.get_sample_value(CHUNKS) == 0
        running_now = 1
        async with asyncio.timeout(20):
            while registry.get_sample_value(CHUNKS) == 0:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)


def _sum(registry: CollectorRegistry, name: str) -> float:
    return registry.get_sample_value(f"{name}_sum") or 0.0


def _base64(sound: bytes) -> str:
    return base64.b64encode(sound).decode()


async def test_a_house_is_ready_until_it_drains(tmp_path: Path) -> None:
    go = asyncio.Event()
    script = [*streamed(event(text("a")), go, event(FINISH) + DONE), END]
    async with (
        raw_upstream(script) as upstream,
        house(tmp_path, upstreams=behind(upstream.port), drain_s=10) as server,
        aiohttp.ClientSession(server.addresses[0]) as http,
    ):
        assert await ready(http) == (200, {"status": "ready"})
        stream = asyncio.create_task(relay(server))
        await upstream.request()
        draining = asyncio.create_task(server.config.app.state.drain())  # type: ignore[union-attr]
        async with asyncio.timeout(20):
            while (await ready(http))[0] == 200:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
        assert await ready(http) == (503, {"status": "not_ready", "reason": "draining"})
        go.set()
        assert b"[DONE]" in await stream
        await draining


async def ready(http: aiohttp.ClientSession) -> tuple[int, Any]:
    async with http.get("/readyz") as answer:
        return answer.status, await answer.json()


def test_a_house_that_only_relays_needs_somebody_to_relay_to() -> None:
    well, draining = True, False
    pool = DeploymentPool([deployment("a"), deployment("b")], chance=lambda: 0.0, wall=time.time)
    readiness = Readiness(pool, lambda: draining, lambda: well)
    assert readiness.why_not(0.0) == "starting"
    with readiness.loaded():
        assert readiness.why_not(0.0) is None
        well = False
        assert readiness.why_not(0.0) is None
        for member in pool.members:
            member.breaker.trip(0.0, 60.0, "the key is wrong")
        assert readiness.why_not(1.0) == "no_healthy_deployment"
        well = True
        assert readiness.why_not(1.0) is None
        draining = True
        assert readiness.why_not(1.0) == "draining"
    local = Readiness(pool, lambda: False, None)
    with local.loaded():
        assert local.why_not(1.0) is None


def deployment(name: str) -> Deployment:
    return Deployment(name, "compatible", "http://127.0.0.1:1/v1", ApiKey("none", bearer=True), {"m": "m"})


def measured(tmp_path: Path) -> Measures:
    pool = DeploymentPool([], chance=lambda: 0.0, wall=time.time)
    return Measures(at_home(tmp_path), Directory(at_home(tmp_path)), FREE, pool, Streams())


def test_several_houses_in_one_process_do_not_meet(tmp_path: Path) -> None:
    first, second = measured(tmp_path), measured(tmp_path)
    first.conversations.began("text")
    name, labels = "kaiwa_sessions_started_total", {"door": "text"}
    assert first.registry.get_sample_value(name, labels) == 1
    assert second.registry.get_sample_value(name, labels) is None


def test_the_page_names_every_metric_and_no_other(tmp_path: Path) -> None:
    measures = measured(tmp_path)
    measures.counted(MemoryLedger())
    measures.watch(lambda: ())
    page = (Path(__file__).parents[2] / "docs/metrics.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `(kaiwa_[a-z_]+)` \| (\w+) \|", page, re.M))
    families = [family for family in measures.registry.collect() if family.name.startswith("kaiwa_")]
    made = {one.name + ("_total" if one.type == "counter" else ""): one.type for one in families}
    assert told == made
