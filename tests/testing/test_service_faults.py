"""Each fault of the stand-in, as a client meets it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from tests.testing.dialled import Dialled, dial, said, talking
from websockets.exceptions import ConnectionClosed, InvalidStatus

from kaiwa.testing.service import Faults, Service, running_service
from kaiwa.testing.service.faults import parse_faults

SHORT_S = 0.3


async def closing(peer: Dialled) -> tuple[int | None, str | None]:
    with pytest.raises(ConnectionClosed):
        while True:
            await peer.hear()
    return peer.socket.close_code, peer.socket.close_reason


async def status_of_dialling(service: Service, **options: Any) -> tuple[int, str | None]:
    with pytest.raises(InvalidStatus) as refused:
        async with dial(service, **options):
            pass
    return refused.value.response.status_code, refused.value.response.headers.get("retry-after")


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
async def test_an_http_status_is_given_before_the_upgrade(status: Any) -> None:
    async with running_service(faults=Faults(http_status=status, retry_after_s=7)) as service:
        assert await status_of_dialling(service) == (status, "7")


async def test_so_many_times_and_then_no_more() -> None:
    async with running_service(faults=Faults(http_status=503, times=2)) as service:
        for _ in range(2):
            assert (await status_of_dialling(service))[0] == 503
        async with talking(service) as peer:
            assert (await peer.hear())["type"] == "session.created"


async def test_a_fault_in_the_models_name_strikes_that_connection_alone() -> None:
    async with running_service() as service:
        assert await status_of_dialling(service, model="gpt-realtime@http_status=429,retry_after_s=3") == (
            429,
            "3",
        )
        async with talking(service) as peer:
            assert (await peer.hear())["type"] == "session.created"
        async with talking(service, "gpt-realtime@no_such_fault=1") as peer:
            assert (await peer.hear())["error"]["code"] == "invalid_model"


@pytest.mark.parametrize(("code", "close_code"), [("invalid_api_key", 3000), ("model_not_found", 4004)])
async def test_a_refusal_in_band(code: str, close_code: int) -> None:
    async with running_service(faults=Faults(refuse=code)) as service, talking(service) as peer:
        assert (await peer.hear())["error"]["code"] == code
        assert await closing(peer) == (close_code, f"invalid_request_error.{code}")


async def test_a_slow_connect() -> None:
    async with running_service(faults=Faults(connect_delay_s=60)) as service:
        with pytest.raises(TimeoutError):
            async with dial(service, open_timeout=SHORT_S):
                pass


async def test_a_session_expires() -> None:
    async with running_service(faults=Faults(expire_after_s=0.1)) as service, talking(service) as peer:
        assert (await peer.until("error"))[-1]["error"]["code"] == "session_expired"
        assert (await closing(peer))[0] == 1001


async def test_frames_come_late() -> None:
    async with running_service(faults=Faults(late_ms=100)) as service, talking(service) as peer:
        clock = asyncio.get_running_loop().time
        began = clock()
        await peer.begin_in_text()
        assert clock() - began >= 0.2


async def test_a_frame_that_is_no_json_and_an_event_nobody_knows_are_put_in_once() -> None:
    strange = Faults(malformed_after="session.created", unknown_after="response.*.delta")
    async with running_service(faults=strange) as service, talking(service) as peer:
        assert (await peer.hear())["type"] == "session.created"
        with pytest.raises(json.JSONDecodeError):
            json.loads(await peer.socket.recv())
        await peer.begin_in_text()
        await peer.ask("two words")
        await peer.until("response.output_text.delta")
        assert json.loads(await peer.socket.recv())["type"] == "stand_in.event_nobody_knows"
        await peer.until("response.done")


async def test_an_error_event_leaves_the_conversation_usable() -> None:
    faults = Faults(error_after="response.created")
    async with running_service(faults=faults) as service, talking(service) as peer:
        await peer.begin_in_text()
        events = await peer.answer_to("still here")
    error = next(event["error"] for event in events if event["type"] == "error")
    assert (error["type"], error["code"]) == ("server_error", "server_error")
    assert said(events) == "still here"


async def test_a_failed_response_and_a_failed_transcription() -> None:
    faults = Faults(fail_response="rate_limit_exceeded", fail_transcription="DeploymentNotFound")
    transcription: Any = {"transcription": {"model": "whisper-1"}, "turn_detection": None}
    async with running_service(faults=faults) as service, talking(service) as peer:
        await peer.send("session.update", session={"type": "realtime", "audio": {"input": transcription}})
        await peer.play(bytes(9600))
        await peer.send("input_audio_buffer.commit")
        failed = (await peer.until("conversation.item.input_audio_transcription.failed"))[-1]
        assert failed["error"]["code"] == "DeploymentNotFound"
        await peer.send("response.create")
        error = (await peer.until("response.done"))[-1]["response"]["status_details"]["error"]
        assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")


async def test_a_close_in_the_middle_of_a_response() -> None:
    faults = Faults(close_after="response.*.delta", close_code=1011)
    async with running_service(faults=faults) as service, talking(service) as peer:
        await peer.ask("never finished")
        assert (await closing(peer))[0] == 1011
        await service.sessions[0].ended.wait()
        assert service.sessions[0].close_code == 1011


async def test_a_reset_in_the_middle_of_a_response() -> None:
    faults = Faults(reset_after="response.*.delta")
    async with running_service(faults=faults) as service, talking(service) as peer:
        await peer.ask("never finished")
        with pytest.raises(ConnectionClosed) as lost:
            while True:
                await peer.hear()
        assert isinstance(lost.value.__cause__, ConnectionResetError)
        await service.sessions[0].ended.wait()


async def test_a_frozen_connection_is_silent_yet_open() -> None:
    faults, silent = Faults(freeze_after="session.created"), {"ping_interval": None, "close_timeout": 0.1}
    async with running_service(faults=faults) as service, talking(service, **silent) as peer:
        await peer.hear()
        await peer.ask("anybody there?")
        pong = await peer.socket.ping()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT_S):
                await peer.socket.recv()
        assert not pong.done()
        assert peer.socket.state.name == "OPEN"


async def test_reading_stalls_while_writing_goes_on() -> None:
    faults = Faults(read_frames=2)
    async with running_service(faults=faults) as service, talking(service, close_timeout=0.1) as peer:
        await peer.begin_in_text()
        await peer.ask("answered?")
        events = await peer.until("conversation.item.done")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT_S):
                while events[-1]["type"] != "response.done":
                    events.append(await peer.hear())


async def test_faults_can_be_changed_while_a_conversation_runs() -> None:
    async with running_service() as service, talking(service) as peer:
        await peer.begin_in_text()
        await peer.answer_to("fine")
        service.faults = Faults(fail_response="server_error")
        assert (await peer.answer_to("not fine"))[-1]["response"]["status"] == "failed"


async def test_faults_are_read_and_set_over_http() -> None:
    async with running_service() as service, aiohttp.ClientSession() as client:
        path = f"{service.url}/emulate/faults"
        async with client.put(path, json={"http_status": 500}) as answer:
            assert (await answer.json())["http_status"] == 500
        assert (await status_of_dialling(service))[0] == 500
        async with client.put(path, json={"http_status": 200}) as answer:
            assert answer.status == 400
        async with client.delete(path) as answer:
            assert (await answer.json())["http_status"] is None
        async with client.get(f"{service.url}/emulate/requests") as answer:
            shown = (await answer.json())["requests"]
    assert [request["status"] for request in shown] == [500]
    assert service.key not in json.dumps(shown)


@pytest.mark.parametrize("text", ["late_ms=soon", "nobody=1", "refuse=everything", "http_status=200"])
def test_faults_that_cannot_be_read_say_why(text: str) -> None:
    with pytest.raises(ValueError, match=r"late_ms|nobody|refuse|http_status|200|int"):
        parse_faults(text)
