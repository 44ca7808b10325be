"""C19: the relay to Azure OpenAI and OpenAI."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from tests.contract.breakages import Breakage, answered, asked, closing, drop, put, repeat, said, without
from tests.contract.desk import Desk, counted
from tests.contract.manifest import rule
from tests.relay.relay_desk import MEASURE, RelayDesk
from tests.relay.relayed import CLIENT_KEY, peer_of, relaying, settings_for
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from kaiwa.engines.realtime import RealtimeEngine, Upstreams
from kaiwa.events.relay import Forward, PassedFrame, UpstreamClosed, UpstreamRefused, UpstreamSaid
from kaiwa.runner import Bounds, converse
from kaiwa.server.metering import Meter, Totals
from kaiwa.session.budgeted import BudgetedSession, Wording
from kaiwa.session.relay.profile import RelayProfile
from kaiwa.session.relay.session import RelaySession
from kaiwa.testing.service import running_service
from kaiwa.tools.agent import Agent
from kaiwa.tools.toolbox import AgentToolBox
from kaiwa.transports.memory import MemoryTransport
from kaiwa.upstream.credentials import ApiKey
from kaiwa.upstream.realtime import openai_realtime
from kaiwa.upstream.realtime_pool import RealtimePool

OCTOBER = "preview-2024-10-01"


# --- keys --------------------------------------------------------------------------------------


class _Leak(Breakage):
    """What proves who kaiwa is goes out with something of the peer's, or not at all."""

    def __init__(self, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
        self.change = change


class _Through:
    """A credential whose headers a breakage may change."""

    def __init__(self, credential: Any, planted: Breakage | None) -> None:
        self._credential, self._planted = credential, planted

    async def headers(self) -> dict[str, str]:
        headers = await self._credential.headers()
        return self._planted.change(headers) if isinstance(self._planted, _Leak) else headers

    async def close(self) -> None:
        await self._credential.close()


@rule("K-294", broken_by=lambda: _Leak(lambda own: {**own, "Authorization": f"Bearer {CLIENT_KEY}"}))
@rule("K-294", broken_by=lambda: _Leak(lambda own: {**own, "Origin": "http://localhost:3000"}))
@rule("K-294", broken_by=lambda: _Leak(lambda own: {}))
async def test_the_service_sees_kaiwas_key_and_nothing_of_the_clients(planted: Breakage | None) -> None:
    async with running_service() as service:

        def through_the_breakage(answerer: Any) -> None:
            for target in answerer._upstreams.pool.targets:
                object.__setattr__(target, "credential", _Through(target.credential, planted))

        async with (
            relaying(settings_for(service), through_the_breakage) as address,
            peer_of(
                address,
                f"/openai/v1/realtime?model=gpt-realtime&api-key={CLIENT_KEY}",
                headers={"api-key": CLIENT_KEY},
                origin="http://localhost:3000",
                subprotocols=["realtime", f"openai-insecure-api-key.{CLIENT_KEY}"],
            ) as peer,
        ):
            await asyncio.wait_for(peer.socket.recv(), 10)
        upgrade = service.requests[-1]
        assert upgrade.header("api-key") == service.key
        assert service.records.places_of(CLIENT_KEY) == []
        assert upgrade.header("origin") is None and upgrade.header("sec-websocket-protocol") is None


# --- dialects ----------------------------------------------------------------------------------


def spoken_turn(desk: RelayDesk, **settings: Any) -> None:
    desk.update(**settings)
    desk.say("Hello")
    desk.respond()
    desk.service.answer("Hi", audio_ms=200)
    desk.hear()


@rule("K-295", broken_by=put("session.updated", "session.voice", {"audio": "ash"}))
@rule(
    "K-295",
    broken_by=said(
        lambda frame: [{**frame, "type": "response.output_audio.delta"}], r"response\.audio\.delta"
    ),
)
@rule("K-295", broken_by=put("response.done", "response.output.0.content.0.type", "output_audio"))
@rule("K-295", broken_by=without("response.done", "response.modalities"))
@rule("K-295", broken_by=asked(lambda told: [] if told.frame.type == "session.update" else [told], Forward))
def test_a_preview_client_speaks_to_a_ga_service(planted: Breakage | None) -> None:
    desk = RelayDesk(planted, dialect="preview")
    spoken_turn(desk, voice="ash", modalities=["text", "audio"], input_audio_format="g711_ulaw")
    config = desk.service.session.config
    assert (
        config.audio.output.voice == "ash" and config.audio.input.format.__struct_config__.tag == "audio/pcmu"
    )
    session = desk.last("session.updated")["session"]
    assert session["voice"] == "ash" and session["input_audio_format"] == "g711_ulaw"
    assert {"response.audio.delta", "response.audio_transcript.delta"} <= set(desk.types)
    assert not any("output_audio" in kind for kind in desk.types)
    done = desk.last("response.done")["response"]
    assert sorted(done.get("modalities", [])) == ["audio", "text"]
    assert [part["type"] for part in done["output"][0]["content"]] == ["audio"]
    parts = [
        part["type"] for frame in desk.of("conversation.item.created") for part in frame["item"]["content"]
    ]
    assert set(parts) <= {"input_text", "audio"}


@rule(
    "K-295",
    broken_by=said(
        lambda frame: [{**frame, "type": "response.audio.delta"}], r"response\.output_audio\.delta"
    ),
)
@rule("K-295", broken_by=put("session.updated", "session.audio", None))
@rule("K-295", broken_by=put("response.done", "response.output.0.content.0.type", "audio"))
def test_a_ga_client_speaks_to_a_preview_service(planted: Breakage | None) -> None:
    desk = RelayDesk(planted, behind="preview")
    spoken_turn(desk, audio={"output": {"voice": "ash"}})
    assert desk.service.session.config.audio.output.voice == "ash"
    assert desk.last("session.updated")["session"]["audio"] is not None
    assert desk.last("session.updated")["session"]["audio"]["output"]["voice"] == "ash"
    assert {"conversation.item.added", "conversation.item.done", "response.output_audio.delta"} <= set(
        desk.types
    )
    assert not {"response.audio.delta", "conversation.item.created"} & set(desk.types)
    assert desk.last("response.done")["response"]["output"][0]["content"][0]["type"] == "output_audio"


@rule(
    "K-296",
    broken_by=said(
        lambda frame: [{**frame, "type": "conversation.item.added"}], r"conversation\.item\.created"
    ),
)
@rule("K-296", broken_by=repeat("conversation.item.created"))
@rule("K-296", broken_by=without("conversation.item.created", "item.object"))
@rule(
    "K-296",
    broken_by=said(
        lambda frame: [frame, {"type": "conversation.item.done", "event_id": "e"}], "response.done"
    ),
)
@rule(
    "K-296",
    broken_by=said(
        lambda frame: [frame, {"type": "conversation.item.retrieved", "event_id": "e"}], "response.done"
    ),
)
def test_items_become_what_an_old_preview_client_knows(planted: Breakage | None) -> None:
    desk = RelayDesk(planted, dialect=OCTOBER)
    spoken_turn(desk, modalities=["text", "audio"])
    user = desk.service.of("conversation.item.added")[0]["item"]
    desk.send({"type": "conversation.item.retrieve", "item_id": user["id"]})
    assert len(desk.service.of("conversation.item.retrieved")) == 1
    created = desk.of("conversation.item.created")
    assert len(created) == len({frame["item"]["id"] for frame in created}) == 2
    assert all(frame["item"].get("object") == "realtime.item" for frame in created)
    unknown = {"conversation.item.added", "conversation.item.done", "conversation.item.retrieved"}
    assert not unknown & set(desk.types)


UNKNOWN = '{"type": "response.smell.delta", "event_id": "event_1", "smell": {"of": "roses"}}'


@rule("K-297", broken_by=drop(r"response\.smell\.delta"))
@rule("K-297", broken_by=without(r"response\.smell\.delta", "smell.of"))
def test_an_event_nobody_knows_reaches_a_ga_client_whole(planted: Breakage | None) -> None:
    desk = RelayDesk(planted)
    desk._strict = False
    desk.hear_text(UNKNOWN)
    assert (
        desk.last("response.smell.delta") == json.loads(UNKNOWN) if desk.of("response.smell.delta") else False
    )


class _SmellsThrough(Breakage):
    def from_engine(self, event: Any) -> list[Any]:
        if isinstance(event, UpstreamSaid) and event.type == "response.smell.delta":
            known = {"type": "input_audio_buffer.cleared", "event_id": "event_1"}
            return [UpstreamSaid(type="input_audio_buffer.cleared", body=known)]
        return [event]


@rule("K-297", broken_by=_SmellsThrough)
def test_an_event_nobody_knows_does_not_reach_a_strict_preview_client(planted: Breakage | None) -> None:
    desk = RelayDesk(planted, dialect=OCTOBER)
    desk.hear_text(UNKNOWN)
    assert desk.types == ["session.created"]


# --- ids ---------------------------------------------------------------------------------------


def _anonymous(command: Forward) -> list[Forward]:
    body = dict(command.frame.body or json.loads(command.frame.frame or "{}"))
    body["event_id"] = "another"
    return [Forward(frame=PassedFrame(type=command.frame.type, body=body))]


@rule("K-298", broken_by=asked(_anonymous, Forward))
@rule("K-298", broken_by=put("error", "error.event_id", None))
@pytest.mark.parametrize("dialect", ["ga", "preview"])
@pytest.mark.parametrize("behind", ["ga", "preview"])
@pytest.mark.parametrize("tools", [(), (MEASURE,)])
def test_errors_name_the_clients_own_event(
    planted: Breakage | None, dialect: Any, behind: Any, tools: Any
) -> None:
    desk = RelayDesk(planted, dialect=dialect, behind=behind, tools=tools)
    kind = {"type": "realtime"} if dialect == "ga" else {}
    desk.send({"type": "response.cancel"}, event_id="mine-1")
    desk.send(
        {"type": "session.update", "session": {**kind, "tool_choice": {"type": "odd"}, "tools": []}},
        event_id="mine-2",
    )
    desk.send({"type": "conversation.item.delete", "item_id": "nobody"}, event_id="mine-3")
    ids = [frame["error"]["event_id"] for frame in desk.of("error")]
    assert ids == ["mine-1", "mine-2", "mine-3"]


# --- endings -----------------------------------------------------------------------------------


@rule("K-299", broken_by=put("error", "error.code", "server_error"))
@rule("K-299", broken_by=drop("error"))
@rule("K-299", broken_by=repeat("error"))
@rule("K-299", broken_by=closing(1000))
@pytest.mark.parametrize(
    ("event", "code", "close_code"),
    [
        (UpstreamRefused(status=401), "invalid_api_key", 3000),
        (UpstreamRefused(status=403), "insufficient_permissions", 3000),
        (UpstreamRefused(status=404), "model_not_found", 4004),
        (UpstreamRefused(code="missing_model"), "missing_model", 4000),
        (UpstreamClosed(code=4000, reason="invalid_request_error.invalid_model"), "invalid_request_error.invalid_model", 4000),
        (UpstreamClosed(code=1006), "upstream_closed", 1011),
    ],
)  # fmt: skip
def test_what_the_service_refuses_or_closes_is_told_as_it_would_tell_it(
    planted: Breakage | None, event: Any, code: str, close_code: int
) -> None:
    desk = RelayDesk(planted, greets=isinstance(event, UpstreamClosed))
    desk.hear(event)
    assert [frame["error"]["code"] for frame in desk.of("error")] == [code]
    assert desk.hung is not None and desk.hung[0] == close_code


@rule("K-301", broken_by=drop("error"))
@rule("K-301", broken_by=repeat("error"))
@rule("K-301", broken_by=put("error", "error.code", "server_error"))
@rule("K-301", broken_by=closing(1011))
@pytest.mark.parametrize("told", [True, False])
def test_the_end_of_the_services_session_is_told_as_expired(planted: Breakage | None, told: bool) -> None:
    desk = RelayDesk(planted)
    message = "Your session hit the maximum duration of 60 minutes."
    error = {
        "type": "invalid_request_error",
        "code": "session_expired",
        "message": message,
        "param": None,
        "event_id": None,
    }
    if told:
        desk.hear_text(json.dumps({"type": "error", "event_id": "event_x", "error": error}))
    desk.hear(UpstreamClosed(code=1001, reason=message))
    assert [frame["error"]["code"] for frame in desk.of("error")] == ["session_expired"]
    assert desk.hung == (1001, message)


# --- content twice -----------------------------------------------------------------------------


@rule("K-300", broken_by=without("response.content_part.added", "content"))
@rule("K-300", broken_by=without("response.content_part.done", "content"))
@rule("K-300", broken_by=put("response.content_part.done", "content", {"type": "text", "text": "else"}))
def test_what_azure_says_twice_a_ga_client_hears_twice(planted: Breakage | None) -> None:
    desk = RelayDesk(planted)
    desk._strict = False
    _say_parts_twice(desk)
    for kind in ("added", "done"):
        frame = desk.one(f"response.content_part.{kind}")
        assert frame.get("content") == frame["part"]


@rule(
    "K-300",
    broken_by=said(lambda frame: [{**frame, "content": frame["part"]}], "response.content_part.added"),
)
@rule(
    "K-300", broken_by=said(lambda frame: [{**frame, "content": frame["part"]}], "response.content_part.done")
)
def test_what_azure_says_twice_a_preview_client_hears_once(planted: Breakage | None) -> None:
    desk = RelayDesk(planted, dialect="preview")
    _say_parts_twice(desk)
    for kind in ("added", "done"):
        assert "content" not in desk.one(f"response.content_part.{kind}")


def _say_parts_twice(desk: RelayDesk) -> None:
    for kind in ("added", "done"):
        ids = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
        part = {"type": "text", "text": "" if kind == "added" else "Hi"}
        frame = {
            "type": f"response.content_part.{kind}",
            "event_id": f"event_{kind}",
            **ids,
            "part": part,
            "content": part,
        }
        desk.hear_text(json.dumps(frame))


# --- bounds ------------------------------------------------------------------------------------

PIECE = json.dumps({"type": "response.output_audio.delta", "event_id": "event_1", "delta": "A" * 256_000})
PIECES = 80


class _Unbounded(Breakage):
    """The relay keeps whatever the service pours out."""


class _Deaf(Breakage):
    """The service's pings are not answered."""


class _DeafUpstreams(Upstreams):
    async def dial(self, target: Any, model: Any, headers: Any = None) -> Any:
        self.deaf = aiohttp.ClientSession()
        return await self.deaf.ws_connect(target.url(model), autoping=False, max_msg_size=0)

    async def close(self) -> None:
        await self.deaf.close()


@asynccontextmanager
async def pouring(seen: dict[str, Any], patience_s: float) -> AsyncIterator[str]:
    """A service that says as much as it can, with a ping now and then."""

    async def pour(socket: ServerConnection) -> None:
        await socket.send(json.dumps(Desk().frames[0]))
        try:
            for number in range(PIECES):
                await socket.send(PIECE)
                if number % 10 == 0:
                    async with asyncio.timeout(patience_s):
                        await (await socket.ping())
        except TimeoutError:
            seen["unanswered"] = True
        except ConnectionClosed:
            seen["ended after"] = number
        seen["over"].set()

    async with serve(pour, "127.0.0.1", 0, compression=None, max_size=None, ping_interval=None) as server:
        yield f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


@rule("K-302", broken_by=_Unbounded)
@rule("K-302", broken_by=_Deaf)
async def test_a_client_that_reads_nothing_is_let_go_while_the_service_is_answered(
    planted: Breakage | None,
) -> None:
    seen: dict[str, Any] = {"over": asyncio.Event()}
    patience_s = 20.0 if planted is None else 1.0
    async with pouring(seen, patience_s) as url:
        pool = RealtimePool([openai_realtime("pouring", f"{url}/v1", ApiKey("key", bearer=True))])
        upstreams = _DeafUpstreams(pool) if isinstance(planted, _Deaf) else Upstreams(pool)
        session = RelaySession(RelayProfile(), ids=counted(), now=0.0)
        transport = MemoryTransport(capacity=2)  # full after two frames, and nobody takes them
        bounds = Bounds(outbox_bytes=2**40 if isinstance(planted, _Unbounded) else 4_000_000, close_s=0.1)
        box = AgentToolBox(Agent(name="plain", instructions=""))
        talk = asyncio.create_task(
            converse(session, transport, RealtimeEngine(upstreams, "m", frozenset()), box, bounds=bounds)
        )
        async with asyncio.timeout(30):
            await seen["over"].wait()
        ended = talk.done() or (await asyncio.wait({talk}, timeout=patience_s))[0]
        talk.cancel()
        await asyncio.gather(talk, return_exceptions=True)
        await upstreams.close()
    assert ended and talk.result() == "slow consumer"
    assert transport.closed is not None and transport.closed[0] == 1013
    assert "unanswered" not in seen and seen["ended after"] < PIECES - 1


# --- usage -------------------------------------------------------------------------------------


def _cheaper(event: Any) -> list[Any]:
    if event.type != "response.done":
        return [event]
    body = copy.deepcopy(event.body)
    body["response"]["usage"]["output_token_details"]["audio_tokens"] = 0
    return [UpstreamSaid(type=event.type, body=body)]


def _free(event: Any) -> list[Any]:
    return [] if event.type == "response.done" else [event]


@rule("K-303", broken_by=answered(_cheaper, UpstreamSaid))
@rule("K-303", broken_by=answered(_free, UpstreamSaid))
@pytest.mark.parametrize("dialect", ["ga", "preview"])
@pytest.mark.parametrize("behind", ["ga", "preview"])
def test_a_relayed_response_costs_what_a_local_one_costs(
    planted: Breakage | None, dialect: Any, behind: Any
) -> None:
    local, relayed, house = Desk(), RelayDesk(planted, dialect=dialect, behind=behind), Totals()
    here, there = Meter(house), Meter(house)
    for one in (local, relayed):
        one.session = BudgetedSession(one.session, Wording(), ids=counted())  # type: ignore[assignment]
        one.say("Hello")
        one.respond()
    local.answer("Hi there.", audio_ms=400)
    relayed.service.answer("Hi there.", audio_ms=400)
    relayed.hear()
    for meter, charges in ((here, local.charges), (there, relayed.charges)):
        for charge in charges:
            meter.charge(charge)
    assert here.totals == there.totals
    assert here.totals.responses == 1 and here.totals.audio_output_tokens > 0
    assert house.output_tokens == 2 * here.totals.output_tokens
