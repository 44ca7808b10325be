"""The stand-in as a service: who is let in, what it hears, how it answers, what it remembers."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.testing.dialled import dial, said, talking
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from kaiwa.audio.wav import house_audio_of
from kaiwa.testing.conformance import check_transcript
from kaiwa.testing.service import Call, Rule, Say, Script, Service, running_service

SPEECH = Path(__file__).parents[1] / "data" / "audio" / "en_whats_the_weather_like.wav"
SECOND_OF_SILENCE = bytes(48_000)
WRITTEN_DOWN: Any = {
    "type": "realtime",
    "audio": {"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}},
}


async def refusal(socket: ClientConnection) -> tuple[str, int | None, str | None]:
    async with asyncio.timeout(10):
        error = json.loads(await socket.recv())
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    return error["error"]["code"], socket.close_code, socket.close_reason


# --- the door ------------------------------------------------------------------------------------


async def test_openai_refuses_a_wrong_key_after_the_upgrade(service: Service) -> None:
    async with dial(service, key="wrong") as socket:
        reason = "invalid_request_error.invalid_api_key"
        assert await refusal(socket) == ("invalid_api_key", 3000, reason)


async def test_openai_refuses_an_unknown_model_after_the_upgrade(service: Service) -> None:
    async with dial(service, "nobody") as socket:
        assert (await refusal(socket))[:2] == ("model_not_found", 4004)


async def test_openai_no_longer_speaks_the_older_shape(service: Service) -> None:
    async with dial(service, headers={"OpenAI-Beta": "realtime=v1"}) as socket:
        assert (await refusal(socket))[:2] == ("beta_api_shape_disabled", 4000)


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"key": "wrong"}, 401),
        ({"model": "nobody"}, 404),
        ({"model": "voice&api-version=2025-04-01-preview"}, 401),
    ],
)
async def test_azure_refuses_before_the_upgrade(
    service: Service, options: dict[str, str], status: int
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with dial(service, flavour="azure", **({"model": "voice"} | options)):
            pass
    assert refused.value.response.status_code == status
    assert service.requests[-1].status == status


@pytest.mark.parametrize("place", ["api-key header", "api-key query", "Authorization query"])
async def test_azure_finds_its_key_in_every_place(service: Service, place: str) -> None:
    url, headers = service.realtime_url("voice", flavour="azure"), {}
    if place == "api-key header":
        headers = {"api-key": service.key}
    elif place == "api-key query":
        url += f"&api-key={service.key}"
    else:
        url += f"&Authorization=Bearer%20{service.key}"
    async with talking(service, url=url, headers=headers, key="") as peer:
        assert (await peer.hear())["session"]["model"] == "gpt-realtime"


async def test_openai_does_not_know_azures_places_for_a_key(service: Service) -> None:
    async with dial(service, key="", headers={"api-key": service.key}) as socket:
        assert (await refusal(socket))[0] == "invalid_api_key"


async def test_a_browsers_key_stands_in_the_subprotocols(service: Service) -> None:
    offered: Any = ["realtime", f"openai-insecure-api-key.{service.key}"]
    async with talking(service, key="", subprotocols=offered) as peer:
        assert (await peer.hear())["type"] == "session.created"
        assert peer.socket.subprotocol == "realtime"


async def test_a_played_service_has_only_its_own_paths() -> None:
    async with running_service(flavour="azure") as service:
        with pytest.raises(InvalidStatus) as refused:
            async with dial(service, url=service.realtime_url(flavour="openai").replace("/openai", "")):
                pass
    assert refused.value.response.status_code == 404


# --- hearing and answering -----------------------------------------------------------------------


async def test_a_written_question_is_echoed_and_the_transcript_conforms(service: Service) -> None:
    async with talking(service) as peer:
        await peer.begin_in_text()
        assert said(await peer.answer_to("hello there, こんにちは")) == "hello there, こんにちは"
        await peer.until("rate_limits.updated")
    check_transcript(peer.frames)


@pytest.mark.parametrize("flavour", ["openai", "azure"])
async def test_a_wav_makes_a_turn_and_is_answered_aloud(flavour: Any) -> None:
    script = Script(hears=("What's the weather like?",))
    async with running_service(script, flavour=flavour) as service, talking(service) as peer:
        await peer.send("session.update", session=WRITTEN_DOWN)
        await peer.play(house_audio_of(SPEECH.read_bytes()) + SECOND_OF_SILENCE)
        events = await peer.until("rate_limits.updated")
    names = [event["type"] for event in events]
    assert names.count("input_audio_buffer.speech_started") == 1
    written = next(e for e in events if e["type"].endswith("input_audio_transcription.completed"))
    assert written["transcript"] == said(events) == "What's the weather like?"
    sound = b"".join(base64.b64decode(e["delta"]) for e in events if e["type"].endswith("output_audio.delta"))
    assert 1000 < len(sound) / 48 < 3000
    assert ("content" in next(e for e in events if e["type"] == "response.content_part.done")) == (
        flavour == "azure"
    )
    check_transcript(peer.frames)


async def test_a_transcription_session_writes_down_and_does_not_answer() -> None:
    async with running_service(Script(hears=("good morning",))) as service:
        url = f"{service.url}/v1/realtime?intent=transcription".replace("http", "ws", 1)
        async with talking(service, url=url) as peer:
            assert (await peer.hear())["session"]["type"] == "transcription"
            await peer.play(house_audio_of(SPEECH.read_bytes()) + SECOND_OF_SILENCE)
            events = await peer.until("conversation.item.input_audio_transcription.completed")
            assert events[-1]["transcript"] == "good morning"
            await peer.send("input_audio_buffer.clear")
            events += await peer.until("input_audio_buffer.cleared")
    assert not [event for event in events if event["type"].startswith("response.")]


async def test_silence_makes_no_turn(service: Service) -> None:
    async with talking(service) as peer:
        await peer.play(2 * SECOND_OF_SILENCE)
        await peer.send("input_audio_buffer.clear")
        assert [e["type"] for e in await peer.until("input_audio_buffer.cleared")] == [
            "session.created",
            "input_audio_buffer.cleared",
        ]


async def test_words_call_the_sessions_tool_and_its_output_is_spoken_of(service: Service) -> None:
    tool: Any = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
    async with talking(service) as peer:
        await peer.send(
            "session.update", session={"type": "realtime", "tools": [tool], "output_modalities": ["text"]}
        )
        done = (await peer.answer_to('call weather {"town": "Kyoto"}'))[-1]
        call = done["response"]["output"][0]
        assert (call["name"], json.loads(call["arguments"])) == ("weather", {"town": "Kyoto"})
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
        await peer.send("conversation.item.create", item=result)
        await peer.send("response.create")
        assert said(await peer.until("response.done")) == "The tool said: sunny"
    check_transcript(peer.frames)


async def test_a_response_can_be_told_to_fail(service: Service) -> None:
    async with talking(service) as peer:
        await peer.begin_in_text()
        done = (await peer.answer_to("fail rate_limit_exceeded"))[-1]["response"]
    assert done["status"] == "failed"
    assert done["status_details"]["error"]["code"] == "rate_limit_exceeded"


async def test_a_long_answer_is_cut_off_by_speech(service: Service) -> None:
    async with talking(service) as peer:
        await peer.ask("long answer please")
        await peer.until("response.output_audio.delta")
        await peer.play(house_audio_of(SPEECH.read_bytes()))
        events = await peer.until("response.done")
    assert events[-1]["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    check_transcript(peer.frames, complete=False)


async def test_a_short_allowance_of_tokens_leaves_the_answer_incomplete(service: Service) -> None:
    async with talking(service) as peer:
        await peer.send(
            "session.update",
            session={"type": "realtime", "output_modalities": ["text"], "max_output_tokens": 3},
        )
        done = (await peer.answer_to("one two three four five"))[-1]["response"]
    assert done["status"] == "incomplete"
    assert done["output"][0]["content"][0]["text"].split() == ["one", "two", "three"]


async def test_own_rules_come_with_two_calls_in_one_answer() -> None:
    both = Rule(pattern=".*both.*", answers=(Say(text="Wait."), Call(name="one"), Call(name="two")))
    async with running_service(Script(rules=(both,))) as service, talking(service) as peer:
        await peer.begin_in_text()
        output = (await peer.answer_to("do both"))[-1]["response"]["output"]
    assert [item.get("name", item["type"]) for item in output] == ["message", "one", "two"]
    check_transcript(peer.frames, complete=False)


async def test_one_seed_gives_one_transcript() -> None:
    async def frames() -> list[Any]:
        async with running_service(seed=7) as service, talking(service) as peer:
            await peer.ask("the same again")
            await peer.until("rate_limits.updated")
        return [json.loads(frame) for frame in peer.frames[1:]]

    assert await frames() == await frames()


# --- other requests and the record -----------------------------------------------------------------


async def test_an_ephemeral_key_opens_the_session_it_was_made_for(service: Service) -> None:
    wanted = {"session": {"type": "realtime", "model": "gpt-realtime", "instructions": "Be brief."}}
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {service.key}"}) as client,
        client.post(f"{service.url}/v1/realtime/client_secrets", json=wanted) as answer,
    ):
        minted = await answer.json()
    assert minted["value"].startswith("ek_")
    async with talking(service, key=minted["value"]) as peer:
        assert (await peer.hear())["session"]["instructions"] == "Be brief."


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"expires_after": {"anchor": "created_at", "seconds": 5}}, "invalid_value"),
        ({"session": {"type": "realtime", "model": "nobody"}}, "model_not_found"),
        ({"session": {"no": "type"}}, "missing_required_parameter"),
        ([], "invalid_json"),
    ],
)
async def test_an_ephemeral_key_that_cannot_be_made_is_refused(
    service: Service, body: Any, code: str
) -> None:
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {service.key}"}) as client,
        client.post(f"{service.url}/v1/realtime/client_secrets", json=body) as answer,
    ):
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, code)


async def test_models_are_listed_to_those_who_have_the_key(service: Service) -> None:
    async with aiohttp.ClientSession() as client:
        async with client.get(f"{service.url}/v1/models") as answer:
            assert answer.status == 401
        headers = {"api-key": service.key}
        async with client.get(f"{service.url}/openai/v1/models", headers=headers) as answer:
            assert "voice" in [entry["id"] for entry in (await answer.json())["data"]]


async def test_everything_received_is_kept_and_can_be_searched(service: Service) -> None:
    async with talking(service, headers={"X-Trace": "trace-of-a-client"}) as peer:
        await peer.begin_in_text()
        await peer.answer_to("a word from a client")
    await service.sessions[0].ended.wait()
    assert service.sessions[0].request.header("x-trace") == "trace-of-a-client"
    assert len(service.records.places_of("a word from a client")) == 1
    assert service.records.places_of("trace-of-a-client")
    assert service.records.places_of(service.key)
    assert not service.records.places_of("never said")


# --- the older shape, which Azure still speaks -----------------------------------------------------


@pytest.mark.parametrize("version", ["2025-04-01-preview", "2024-10-01-preview"])
async def test_azures_older_path_speaks_the_older_shape(service: Service, version: str) -> None:
    url = f"{service.url}/openai/realtime?api-version={version}&deployment=voice".replace("http", "ws", 1)
    async with dial(service, url=url, key="", headers={"api-key": service.key}) as socket:
        created = json.loads(await socket.recv())
        assert created["session"]["model"] == "gpt-realtime"
        assert set(created["session"]["modalities"]) == {"audio", "text"}
        for frame in (
            {"type": "session.update", "session": {"modalities": ["text"]}},
            {
                "type": "conversation.item.create",
                "item": {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "hi"}],
                },
            },
            {"type": "response.create"},
        ):
            await socket.send(json.dumps(frame))
        names = []
        async with asyncio.timeout(10):
            while "response.done" not in names:
                names.append(json.loads(await socket.recv())["type"])
    assert "response.text.delta" in names
    assert names.count("conversation.item.created") == 2
