"""The relay on real sockets, before a stand-in of the service that can be made to fail."""

from __future__ import annotations

import asyncio
import base64
import json
import logging

import pytest
from azure.core.credentials import AccessToken
from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from tests.relay.relayed import CLIENT_KEY, Peer, impatient, peer_of, relaying, settings_for

from kaiwa.server.relay import RelayAnswerer, relay_from
from kaiwa.server.settings import Settings
from kaiwa.testing.service import Faults, Service, running_service
from kaiwa.testing.service.sockets import listening
from kaiwa.upstream.credentials import EntraToken

TEXT = {"type": "realtime", "output_modalities": ["text"]}


async def test_a_turn_of_words_goes_through_and_its_cost_is_logged(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="kaiwa.server")
    async with relaying(settings_for(service)) as address, peer_of(address) as peer:
        await peer.send("session.update", session=TEXT)
        await peer.say("Hello")
        assert (await peer.until("response.output_text.done"))["text"] == "Hello"
        usage = (await peer.until("response.done"))["response"]["usage"]
    closed = next(line for line in caplog.records if line.message == "session closed")
    assert (closed.responses, closed.input_tokens, closed.output_tokens) == (  # type: ignore[attr-defined]
        1,
        usage["input_tokens"],
        usage["output_tokens"],
    )


async def test_nothing_of_the_peers_upgrade_reaches_the_service(service: Service) -> None:
    path = f"/openai/v1/realtime?model=gpt-realtime&api-key={CLIENT_KEY}"
    async with (
        relaying(settings_for(service)) as address,
        peer_of(
            address,
            path,
            headers={"api-key": CLIENT_KEY, "X-Stainless-Lang": CLIENT_KEY},
            origin="http://localhost:3000",
            subprotocols=["realtime", f"openai-insecure-api-key.{CLIENT_KEY}"],
        ) as peer,
    ):
        await peer.until("session.created")
    assert service.records.places_of(CLIENT_KEY) == []
    upgrade = service.requests[-1]
    assert upgrade.header("api-key") == service.key
    assert upgrade.header("origin") is None and upgrade.header("sec-websocket-protocol") is None


@pytest.mark.parametrize(
    ("status", "code", "close_code"),
    [(401, "invalid_api_key", 3000), (403, "insufficient_permissions", 3000), (404, "model_not_found", 4004),
     (429, "rate_limit_exceeded", 1013), (500, "upstream_unavailable", 1011), (503, "upstream_unavailable", 1011)],
)  # fmt: skip
async def test_an_http_refusal_becomes_one_error_and_a_close(
    service: Service, status: int, code: str, close_code: int
) -> None:
    service.faults = Faults(http_status=status)  # type: ignore[arg-type]
    async with relaying(settings_for(service)) as address, peer_of(address) as peer:
        closed = await peer.end()
    assert [error["code"] for error in peer.errors] == [code]
    assert closed[0] == close_code
    assert service.key not in json.dumps(peer.heard) and service.url[7:] not in json.dumps(peer.heard)


async def test_a_refusal_in_band_is_told_in_our_words() -> None:
    async with running_service(flavour="openai") as service:
        settings = settings_for(
            service,
            azure_openai_endpoint=None,
            engine="relay",
            openai_api_key="wrong-key",
            openai_base_url=f"{service.url}/v1",
        )
        async with relaying(settings) as address, peer_of(address) as peer:
            closed = await peer.end()
    assert closed == (3000, "invalid_request_error.invalid_api_key")
    assert len(peer.errors) == 1 and "OPENAI_API_KEY" in peer.errors[0]["message"]


async def test_a_service_that_does_not_answer_is_given_up(service: Service) -> None:
    service.faults = Faults(connect_delay_s=60)
    async with relaying(settings_for(service), impatient(connect_s=0.2)) as address, peer_of(address) as peer:
        closed = await peer.end()
    assert [error["code"] for error in peer.errors] == ["upstream_timeout"] and closed[0] == 1011


async def test_a_service_that_is_not_there_is_told(service: Service) -> None:
    settings = settings_for(service, azure_openai_endpoint="http://127.0.0.1:9")
    async with relaying(settings) as address, peer_of(address) as peer:
        closed = await peer.end()
    assert [error["code"] for error in peer.errors] == ["upstream_unreachable"] and closed[0] == 1011


class Source:
    """Gives the token that the stand-in knows, or refuses."""

    def __init__(self, broken: bool) -> None:
        self._broken = broken

    async def get_token(self, *scopes: str) -> AccessToken:
        if self._broken:
            raise RuntimeError("tenant 1234 says no")
        return AccessToken("token-of-entra", 2**40)

    async def close(self) -> None:
        """There is nothing to free."""


@pytest.mark.parametrize("broken", [False, True])
async def test_a_token_of_entra_opens_the_service(broken: bool) -> None:
    async with running_service(keys=("token-of-entra",)) as service:
        settings = settings_for(service, azure_openai_api_key=None)

        def with_source(answerer: RelayAnswerer) -> None:
            credential = answerer._upstreams.pool.targets[0].credential
            assert isinstance(credential, EntraToken)
            credential._make = lambda: Source(broken)

        async with relaying(settings, with_source) as address, peer_of(address) as peer:
            if broken:
                assert (await peer.end())[0] == 1011
                assert [error["code"] for error in peer.errors] == ["upstream_unauthorized"]
                assert "1234" not in json.dumps(peer.heard) and service.requests == []
            else:
                await peer.until("session.created")
                assert service.requests[-1].header("authorization") == "Bearer token-of-entra"
                assert service.requests[-1].header("api-key") is None


async def test_a_redirect_is_not_followed_with_the_key(service: Service) -> None:
    async def elsewhere(socket: WebSocket) -> None:
        await socket.send_denial_response(RedirectResponse(service.realtime_url("voice", flavour="azure")))

    app = Starlette(routes=[WebSocketRoute("/openai/v1/realtime", elsewhere)])
    async with listening(app) as port:
        settings = settings_for(service, azure_openai_endpoint=f"http://127.0.0.1:{port}")
        async with relaying(settings) as address, peer_of(address) as peer:
            await peer.end()
    assert [error["code"] for error in peer.errors] == ["upstream_unreachable"] and service.requests == []


@pytest.mark.parametrize(
    ("faults", "close_code"),
    [(Faults(close_after="session.created", close_code=1011), 1011),
     (Faults(close_after="session.created", close_code=4000), 4000),
     (Faults(reset_after="session.created"), 1011),
     (Faults(freeze_after="session.created"), 1011)],
)  # fmt: skip
async def test_a_loss_in_mid_session_is_told_once(service: Service, faults: Faults, close_code: int) -> None:
    service.faults = faults
    async with relaying(settings_for(service), impatient(ping_s=0.4)) as address, peer_of(address) as peer:
        await peer.until("session.created")
        closed = await peer.end()
    assert len(peer.errors) == 1 and closed[0] == close_code


async def test_expiry_reaches_the_peer_as_the_service_says_it(service: Service) -> None:
    service.faults = Faults(expire_after_s=0.3)
    async with relaying(settings_for(service)) as address, peer_of(address) as peer:
        closed = await peer.end()
    assert [error["code"] for error in peer.errors] == ["session_expired"] and closed[0] == 1001


async def test_unknown_and_broken_frames_of_the_service_do_no_harm(service: Service) -> None:
    service.faults = Faults(unknown_after="response.created", malformed_after="response.created")
    async with relaying(settings_for(service)) as address, peer_of(address) as peer:
        await peer.send("session.update", session=TEXT)
        await peer.say("Hello")
        await peer.until("response.done")
    assert "stand_in.event_nobody_knows" in [event["type"] for event in peer.heard]


async def test_the_next_deployment_stands_in(service: Service) -> None:
    async with running_service(faults=Faults(http_status=503)) as broken:
        entries = [
            {"endpoint": "http://127.0.0.1:9", "deployment": "voice", "api_key": "x", "name": "gone"},
            {"endpoint": broken.url, "deployment": "voice", "api_key": broken.key, "name": "ill"},
            {"endpoint": service.url, "deployment": "voice", "api_key": service.key, "name": "well"},
        ]
        async with relaying(settings_for(service, realtime_upstreams=entries)) as address:
            for _ in range(2):
                async with peer_of(address) as peer:
                    await peer.until("session.created")
        assert len(service.sessions) == 2 and len(broken.requests) == 1, "who failed just now rests"


async def test_an_agents_tool_runs_here_and_its_answer_is_the_services(service: Service) -> None:
    settings = settings_for(service, agent="weather", relay_session={"output_modalities": ["text"]})
    async with relaying(settings) as address, peer_of(address, "/v1/realtime?model=weather") as peer:
        created = await peer.until("session.created")
        assert created["session"]["tools"] == [] and created["session"]["instructions"]
        await peer.say('call get_weather {"city":"東京"}')
        await peer.until("response.done")
        spoken = await peer.until("response.output_text.done")
    assert spoken["text"].startswith("The tool said:") and "東京" in spoken["text"]
    assert not any("function_call" in json.dumps(event) for event in peer.heard)
    assert "get_weather" in [
        tool["name"] for tool in json.loads(service.sessions[0].received[0])["session"]["tools"]
    ]


@pytest.mark.parametrize(
    "path",
    ["/openai/realtime?api-version=2025-04-01-preview&deployment=gpt-4o-realtime-preview",
     "/openai/realtime?api-version=2024-10-01-preview&deployment=gpt-4o-realtime-preview"],
)  # fmt: skip
@pytest.mark.parametrize("upstream_version", [None, "2024-10-01-preview", "2025-04-01-preview"])
async def test_a_preview_peer_is_served_by_either_service(
    service: Service, path: str, upstream_version: str | None
) -> None:
    settings = settings_for(service, realtime_api_version=upstream_version)
    async with relaying(settings) as address, peer_of(address, path) as peer:
        await peer.send("session.update", session={"modalities": ["text", "audio"], "turn_detection": None})
        await peer.say("Hello")
        await peer.until("response.done")
    kinds = {event["type"] for event in peer.heard}
    assert {"conversation.item.created", "response.audio.delta", "response.audio_transcript.done"} <= kinds
    assert not any("output_audio" in kind or kind == "conversation.item.added" for kind in kinds)
    assert peer.errors == []


async def flood(peer: Peer, frames: int) -> int:
    """Append 64 KiB again and again; return how many were taken until nothing moved for a while."""
    audio, sent = base64.b64encode(bytes(48_000)).decode(), 0
    try:
        for _ in range(frames):
            async with asyncio.timeout(1):
                await peer.send("input_audio_buffer.append", audio=audio)
            sent += 1
    except TimeoutError:
        pass
    return sent


async def test_a_service_that_reads_slowly_slows_the_peer_down(service: Service) -> None:
    service.faults = Faults(read_frames=1)
    async with relaying(settings_for(service)) as address, peer_of(address) as peer:
        await peer.until("session.created")
        sent = await flood(peer, 1000)
        assert sent < 500, "the peer was held up before 64 MB"
        service.stopping.set()  # the service ends the conversation that it does not read
        await peer.end()


async def test_the_name_of_a_deployment_is_a_model_here_too(service: Service) -> None:
    async with (
        relaying(settings_for(service)) as address,
        peer_of(address, "/v1/realtime?model=voice") as peer,
    ):
        await peer.until("session.created")


async def test_a_transcription_is_relayed_as_one(service: Service) -> None:
    path = "/v1/realtime?intent=transcription"
    async with relaying(settings_for(service)) as address, peer_of(address, path) as peer:
        await asyncio.wait_for(peer.socket.recv(), 20)
    assert ("intent", "transcription") in service.requests[-1].query


async def test_without_a_service_this_machine_answers() -> None:
    assert relay_from(Settings(_env_file=None, openai_api_key="sk-lying-around")) is None  # type: ignore[call-arg,arg-type]
