"""The stock `openai` package talks to one real server process; every frame it gets is checked."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from tests.clients.line import broken_line
from tests.clients.place import KEY, Place
from tests.contract.breakages import Breakage, put
from tests.contract.manifest import rule
from tests.transports.webrtc.aiortc_peer import aiortc_peer

from kaiwa.audio.wav import house_audio_of
from kaiwa.testing.conformance import check_transcript

SPEECH = Path(__file__).parents[1] / "data" / "audio" / "en_whats_the_weather_like.wav"
SECOND_OF_SILENCE = bytes(48_000)
BYTES_PER_100_MS = 4_800
PATHS = ("/v1", "/openai/v1")
WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather_for_location",
    "description": "Get the weather for a location",
    "parameters": {
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": "The city and state e.g. San Francisco, CA"},
            "unit": {"type": "string", "enum": ["c", "f"]},
        },
        "required": ["location"],
    },
}
WEATHER_WITH_UNIT = WEATHER | {"parameters": WEATHER["parameters"] | {"required": ["location", "unit"]}}
WEATHER_RESULT = json.dumps(
    {"location": "東京", "temperature": 21, "unit": "c", "condition": "晴れ"}, ensure_ascii=False
)
TEXT_SESSION: Any = {"type": "realtime", "output_modalities": ["text"]}


@pytest.fixture
def port(local_server: Place) -> int:
    return int(local_server.plain.rpartition(":")[2])


class Heard:
    """The raw frames of a connection, and what the client library made of them."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.frames: list[bytes] = []

    async def until(self, name: str) -> list[Any]:
        """Receive until an event of this name came; return what came, as the library parsed it."""
        seen: list[Any] = []
        async with asyncio.timeout(15):
            while not seen or seen[-1].type != name:
                self.frames.append(await self.connection.recv_bytes())
                seen.append(self.connection.parse_event(self.frames[-1]))
        return seen


@asynccontextmanager
async def talking(port: int, path: str = "/v1", model: str = "gpt-realtime") -> AsyncIterator[Heard]:
    async with (
        AsyncOpenAI(api_key=KEY, base_url=f"http://127.0.0.1:{port}{path}") as client,
        client.realtime.connect(model=model) as connection,
    ):
        heard = Heard(connection)
        await heard.until("session.created")
        yield heard
    check_transcript(heard.frames)


def user_says(text: str) -> Any:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def words_of(events: list[Any]) -> str:
    ends = {"response.output_text.done": "text", "response.output_audio_transcript.done": "transcript"}
    return "".join(getattr(event, ends[event.type]) for event in events if event.type in ends)


def sound_of(events: list[Any]) -> bytes:
    return b"".join(base64.b64decode(e.delta) for e in events if e.type == "response.output_audio.delta")


def names_of(events: list[Any]) -> list[str]:
    return [event.type for event in events]


@pytest.mark.parametrize("path", PATHS)
async def test_a_japanese_text_turn_is_answered_in_text(port: int, path: str) -> None:
    async with talking(port, path) as heard:
        await heard.connection.session.update(session=TEXT_SESSION)
        await heard.until("session.updated")
        await heard.connection.conversation.item.create(item=user_says("こんにちは"))
        await heard.connection.response.create()
        events = await heard.until("response.done")
    assert events[-1].response.status == "completed"
    assert words_of(events).strip()
    assert not sound_of(events)


async def test_a_spoken_turn_is_heard_written_down_and_answered_aloud(port: int) -> None:
    detection: Any = {"type": "server_vad", "create_response": True, "interrupt_response": False}
    audio: Any = {"input": {"transcription": {"model": "whisper-1"}, "turn_detection": detection}}
    async with talking(port) as heard:
        await heard.connection.session.update(session={"type": "realtime", "audio": audio})
        await heard.until("session.updated")
        pcm = house_audio_of(SPEECH.read_bytes()) + SECOND_OF_SILENCE
        for at in range(0, len(pcm), BYTES_PER_100_MS):
            piece = base64.b64encode(pcm[at : at + BYTES_PER_100_MS]).decode()
            await heard.connection.input_audio_buffer.append(audio=piece)
        events = await heard.until("response.done")
    names = names_of(events)
    order = ("speech_started", "speech_stopped", "committed")
    places = [names.index(f"input_audio_buffer.{name}") for name in order]
    assert places == sorted(places)
    written = next(e for e in events if e.type == "conversation.item.input_audio_transcription.completed")
    assert "weather" in written.transcript.lower()
    assert events[-1].response.status == "completed"
    assert len(sound_of(events)) > 24_000
    assert words_of(events).strip()


@pytest.mark.parametrize("path", PATHS)
async def test_a_client_tool_is_called_and_its_result_is_spoken_of(port: int, path: str) -> None:
    async with talking(port, path) as heard:
        await heard.connection.session.update(session={"type": "realtime", "tools": [WEATHER]})
        await heard.until("session.updated")
        await heard.connection.conversation.item.create(item=user_says("東京の天気は？"))
        await heard.connection.response.create()
        events = await heard.until("response.done")
        call = events[-1].response.output[-1]
        assert (call.type, call.name) == ("function_call", "get_weather_for_location")
        arguments = json.loads(call.arguments)
        assert "東京" in arguments["location"]
        result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": WEATHER_RESULT}
        await heard.connection.conversation.item.create(item=result)
        await heard.connection.response.create()
        events = await heard.until("response.done")
    assert events[-1].response.status == "completed"
    assert any(word in words_of(events) for word in ("21", "二十一", "晴れ"))
    assert sound_of(events)


async def test_a_required_choice_that_nobody_made_is_asked_for_before_the_call(port: int) -> None:
    async with talking(port) as heard:
        await heard.connection.session.update(session=TEXT_SESSION | {"tools": [WEATHER_WITH_UNIT]})
        await heard.connection.conversation.item.create(item=user_says("東京の天気は？"))
        await heard.connection.response.create()
        assert "摂氏" in words_of(await heard.until("response.done"))
        await heard.connection.conversation.item.create(item=user_says("摂氏でお願いします"))
        await heard.connection.response.create()
        call = (await heard.until("response.done"))[-1].response.output[-1]
    assert json.loads(call.arguments) == {"location": "東京", "unit": "c"}


async def test_an_unknown_item_is_an_error_and_the_conversation_goes_on(port: int) -> None:
    async with talking(port) as heard:
        await heard.connection.session.update(session=TEXT_SESSION)
        await heard.connection.conversation.item.delete(item_id="item_nobody", event_id="mine_1")
        error = (await heard.until("error"))[-1].error
        assert error.event_id == "mine_1"
        assert error.message
        await heard.connection.conversation.item.create(item=user_says("ありがとう"))
        await heard.connection.response.create()
        events = await heard.until("response.done")
    assert events[-1].response.status == "completed"


async def test_two_conversations_on_one_server_do_not_hear_each_other(port: int) -> None:
    async with talking(port) as one, talking(port) as other:
        for heard, words in ((one, "こんにちは"), (other, "ありがとう")):
            await heard.connection.session.update(session=TEXT_SESSION)
            await heard.connection.conversation.item.create(item=user_says(words))
            await heard.connection.response.create()
        first, second = await asyncio.gather(one.until("response.done"), other.until("response.done"))
    assert first[-1].response.id != second[-1].response.id
    assert first[-1].response.conversation_id != second[-1].response.conversation_id


@rule("K-304", broken_by=put("response.done", "response.status", "failed"))
async def test_a_call_is_made_attached_to_and_hung_up(local_server: Place, planted: Breakage | None) -> None:
    async with (
        aiortc_peer() as peer,
        AsyncOpenAI(api_key=KEY, base_url=f"http://{local_server.plain}/v1") as client,
        broken_line(local_server, planted or Breakage()) as line,
        AsyncOpenAI(api_key=KEY, base_url=f"http://{line.plain}/v1") as beside,
    ):
        session: Any = {"type": "realtime", "model": "gpt-realtime"}
        answer = await client.realtime.calls.create(sdp=await peer.offer(), session=session)
        await peer.accept(answer.text)
        async with asyncio.timeout(10):
            await peer.opened.wait()  # a call that is hung up before it came up is told nothing
        call_id = answer.response.headers["location"].rpartition("/")[2]
        async with asyncio.timeout(line.patience_s if planted else 30), connected(beside, call_id) as heard:
            await heard.connection.session.update(session=TEXT_SESSION)
            await heard.connection.conversation.item.create(item=user_says("こんにちは"))
            await heard.connection.response.create()
            events = await heard.until("response.done")
        await client.realtime.calls.hangup(call_id)
        async with asyncio.timeout(10):
            await peer.closed.wait()
    assert events[-1].response.status == "completed"
    assert words_of(events).strip()


@asynccontextmanager
async def connected(client: AsyncOpenAI, call_id: str) -> AsyncIterator[Heard]:
    async with client.realtime.connect(call_id=call_id) as connection:
        heard = Heard(connection)
        await heard.until("session.created")
        yield heard


class SyncHeard:
    """The same for the synchronous client."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.frames: list[bytes] = []

    def until(self, name: str) -> list[Any]:
        seen: list[Any] = []
        while not seen or seen[-1].type != name:
            self.frames.append(self.connection.recv_bytes())
            seen.append(self.connection.parse_event(self.frames[-1]))
            assert len(seen) < 1000, f"no {name} in {names_of(seen)[-20:]}"
        return seen


# How the package opens its socket is between it and websockets 17.
@pytest.mark.filterwarnings("ignore:connect\\(\\) must be used as a context manager:DeprecationWarning")
@pytest.mark.parametrize("path", PATHS)
def test_the_synchronous_client_has_a_text_turn_and_a_tool_turn(port: int, path: str) -> None:
    with (
        OpenAI(api_key=KEY, base_url=f"http://127.0.0.1:{port}{path}") as client,
        client.realtime.connect(model="gpt-realtime") as connection,
    ):
        heard = SyncHeard(connection)
        connection.session.update(session=TEXT_SESSION | {"tools": [WEATHER]})
        connection.conversation.item.create(item=user_says("こんにちは"))
        connection.response.create()
        assert words_of(heard.until("response.done")).strip()
        connection.conversation.item.create(item=user_says("東京の天気は？"))
        connection.response.create()
        call = heard.until("response.done")[-1].response.output[-1]
        assert call.name == "get_weather_for_location"
        result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": WEATHER_RESULT}
        connection.conversation.item.create(item=result)
        connection.response.create()
        answer = heard.until("response.done")
    assert any(word in words_of(answer) for word in ("21", "二十一", "晴れ"))
    check_transcript(heard.frames)
