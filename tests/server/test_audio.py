"""Speech and transcription over HTTP, as the stock `openai` package asks for them; scripted models."""

from __future__ import annotations

import asyncio
import io
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import aiohttp
import openai
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI
from tests.server.running import at_home, running

from kaiwa.audio.wav import read_wav, write_wav
from kaiwa.engines.lanes import Lanes
from kaiwa.engines.recordings import LONGEST_MS, stretches
from kaiwa.engines.speech_service import SpeechService
from kaiwa.errors import ConfigError
from kaiwa.testing.service.sound import LevelEar
from kaiwa.testing.speech import CHUNK, ScriptedRecognizer, ScriptedSynthesizer, scripted_speech

KEY = "the-key-of-this-house"
LOUD = struct.pack("<h", 9000) * 24_000
QUIET = bytes(48_000)
TWO_SENTENCES = write_wav(LOUD + QUIET + LOUD)


class Levels:
    """Hears speech wherever it is loud."""

    def stream(self) -> Any:
        class Stream:
            def __init__(self) -> None:
                self._ear = LevelEar()

            def hear(self, pcm: bytes) -> list[tuple[int, float]]:
                return list(self._ear.hear(pcm, judging=True))

        return Stream()


class Desk:
    def __init__(
        self, address: str, recognizer: ScriptedRecognizer, synthesizer: ScriptedSynthesizer
    ) -> None:
        self.address = address
        self.recognizer = recognizer
        self.synthesizer = synthesizer
        self.client = AsyncOpenAI(api_key=KEY, base_url=f"{address}/v1", max_retries=0)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    recognizer, synthesizer = ScriptedRecognizer("Hello there."), ScriptedSynthesizer()
    lanes = Lanes()
    models = replace(scripted_speech(recognizer, synthesizer), vad=cast(Any, Levels()))
    service = SpeechService(models, lanes, most=1)
    async with running(at_home(tmp_path, api_key=KEY), speech=service) as server:
        desk = Desk(server.addresses[0], recognizer, synthesizer)
        async with desk.client:
            yield desk
    lanes.close()


async def test_a_text_is_spoken_as_pcm_while_it_is_made(desk: Desk) -> None:
    speaking = desk.client.audio.speech.with_streaming_response
    async with speaking.create(
        model="gpt-4o-mini-tts", voice="cedar", input="Hello.", response_format="pcm", speed=1.2
    ) as answer:
        assert answer.headers["content-type"] == "audio/pcm"
        assert b"".join([piece async for piece in answer.iter_bytes()]) == CHUNK
    assert desk.synthesizer.said == ["Hello."]


async def test_a_wav_file_can_be_read_though_its_length_was_not_known(desk: Desk) -> None:
    answer = await desk.client.audio.speech.create(
        model="tts-1", voice="alloy", input="こんにちは", response_format="wav"
    )
    wav = read_wav(answer.content)
    assert (wav.pcm, wav.rate_hz, wav.channels) == (CHUNK, 24_000, 1)


async def test_speech_comes_as_events_when_asked_for(desk: Desk) -> None:
    answer = await desk.client.audio.speech.create(
        model="gpt-4o-mini-tts", voice="marin", input="Hi.", response_format="pcm", stream_format="sse"
    )
    assert b"speech.audio.delta" in answer.content and b"speech.audio.done" in answer.content


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"response_format": "mp3"}, "response_format"),
        ({"voice": "nobody"}, "voice"),
        ({"speed": 4.0}, "speed"),
        ({"input": " "}, "input"),
        ({"input": "x" * 4097}, "input"),
    ],
)
async def test_what_cannot_be_spoken_is_named(desk: Desk, given: dict[str, Any], param: str) -> None:
    asked: dict[str, Any] = {"model": "tts-1", "voice": "alloy", "input": "Hi.", "response_format": "pcm"}
    with pytest.raises(openai.BadRequestError) as error:
        await desk.client.audio.speech.create(**(asked | given))
    assert error.value.param == param


async def test_a_voice_that_is_not_installed_is_told_before_the_answer_begins(desk: Desk) -> None:
    desk.synthesizer.error = ConfigError("speech", "no English voice is installed.", "apt-get install flite")
    with pytest.raises(openai.InternalServerError, match="voice"):
        await desk.client.audio.speech.create(
            model="tts-1", voice="alloy", input="Hi.", response_format="pcm"
        )


async def test_a_recording_is_written_down(desk: Desk) -> None:
    told = await desk.client.audio.transcriptions.create(
        model="whisper-1", file=("two.wav", TWO_SENTENCES), language="en", prompt="A greeting."
    )
    assert told.text == "Hello there. Hello there."
    assert desk.recognizer.asked == [{"language": "en", "prompt": "A greeting.", "logprobs": False}] * 2


async def test_segments_have_the_times_at_which_they_were_said(desk: Desk) -> None:
    told = await desk.client.audio.transcriptions.create(
        model="whisper-1", file=("two.wav", TWO_SENTENCES), response_format="verbose_json"
    )
    assert told.duration == 3.0 and told.segments is not None
    first, second = told.segments
    assert first.start == 0.0 and 1.0 <= first.end <= 1.5
    assert 1.5 <= second.start <= 2.0 and second.end == 3.0


async def test_players_get_their_subtitles(desk: Desk) -> None:
    create = desk.client.audio.transcriptions.create
    srt = await create(model="whisper-1", file=("two.wav", TWO_SENTENCES), response_format="srt")
    vtt = await create(model="whisper-1", file=("two.wav", TWO_SENTENCES), response_format="vtt")
    text = await create(model="whisper-1", file=("two.wav", TWO_SENTENCES), response_format="text")
    assert str(srt).startswith("1\n00:00:00,000 --> 00:00:01,") and "\n\n2\n00:00:01," in str(srt)
    assert str(vtt).startswith("WEBVTT\n\n00:00:00.000 --> ")
    assert str(text) == "Hello there. Hello there.\n"


async def test_words_come_as_they_are_known(desk: Desk) -> None:
    events = await desk.client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=("two.wav", TWO_SENTENCES), stream=True
    )
    heard = [event async for event in events]
    assert [event.type for event in heard] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    assert "".join(event.delta for event in heard[:2]) == heard[2].text == "Hello there. Hello there."


async def test_the_probability_of_tokens_comes_when_asked_for(desk: Desk) -> None:
    told = await desk.client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=("two.wav", TWO_SENTENCES), include=["logprobs"]
    )
    assert told.logprobs and told.logprobs[0].token == "Hello there."


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"file": ("a.mp3", b"ID3" + bytes(100))}, "file"),
        ({"file": ("a.wav", b"")}, "file"),
        ({"response_format": "diarized_json"}, "response_format"),
        ({"timestamp_granularities": ["word"], "response_format": "verbose_json"}, "timestamp_granularities"),
    ],
)
async def test_what_cannot_be_written_down_is_named(desk: Desk, given: dict[str, Any], param: str) -> None:
    asked: dict[str, Any] = {"model": "whisper-1", "file": ("two.wav", TWO_SENTENCES)}
    with pytest.raises(openai.BadRequestError) as error:
        await desk.client.audio.transcriptions.create(**(asked | given))
    assert error.value.param == param


async def test_an_upload_beyond_measure_is_refused(desk: Desk) -> None:
    large = io.BytesIO(bytes(26 * 1024 * 1024))
    with pytest.raises(openai.APIStatusError) as error:
        await desk.client.audio.transcriptions.create(model="whisper-1", file=("a.pcm", large))
    assert error.value.status_code == 413


async def test_azures_addresses_serve_audio_too(desk: Desk) -> None:
    async with AsyncAzureOpenAI(
        api_key=KEY, azure_endpoint=desk.address, api_version="2025-04-01-preview"
    ) as client:
        told = await client.audio.transcriptions.create(model="whisper", file=("two.wav", TWO_SENTENCES))
        spoken = await client.audio.speech.create(
            model="tts", voice="alloy", input="Hi.", response_format="pcm"
        )
    assert told.text.startswith("Hello") and spoken.content == CHUNK


async def test_a_wrong_key_serves_nothing(desk: Desk) -> None:
    async with AsyncOpenAI(api_key="wrong", base_url=f"{desk.address}/v1") as client:
        with pytest.raises(openai.AuthenticationError):
            await client.audio.speech.create(model="tts-1", voice="alloy", input="Hi.")


async def test_models_are_listed_and_found_by_name(desk: Desk) -> None:
    listed = [model.id async for model in desk.client.models.list()]
    assert "kaiwa-local" in listed
    assert (await desk.client.models.retrieve("gpt-realtime")).id == "gpt-realtime"
    with pytest.raises(openai.NotFoundError):
        await desk.client.models.retrieve("nobody")


class Halting(ScriptedSynthesizer):
    """Says its first piece, and the next when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = threading.Event()

    def speak(self, text: str, **_: Any) -> Iterator[bytes]:
        yield CHUNK
        assert self.may_go_on.wait(10), "nobody let it go on"
        yield CHUNK


async def test_a_full_house_says_so_and_places_come_free_when_somebody_leaves(desk: Desk) -> None:
    asked: Any = {"model": "tts-1", "voice": "alloy", "input": "Hi.", "response_format": "pcm"}
    halting = Halting()
    desk.synthesizer.speak = halting.speak  # type: ignore[method-assign]
    async with asyncio.timeout(20), aiohttp.ClientSession() as http:
        one = await http.post(
            f"{desk.address}/v1/audio/speech", json=asked, headers={"authorization": f"Bearer {KEY}"}
        )
        assert await one.content.readexactly(len(CHUNK)) == CHUNK
        with pytest.raises(openai.InternalServerError):
            await desk.client.audio.speech.create(**asked)
        one.close()
        halting.may_go_on.set()
        while True:
            try:
                assert len((await desk.client.audio.speech.create(**asked)).content) == 2 * len(CHUNK)
                return
            except openai.InternalServerError:
                await asyncio.sleep(0.01)


async def test_where_no_speech_models_run_it_is_said(tmp_path: Path) -> None:
    async with (
        running(at_home(tmp_path)) as server,
        AsyncOpenAI(api_key="any", base_url=f"{server.addresses[0]}/v1", max_retries=0) as client,
    ):
        with pytest.raises(openai.InternalServerError, match="No speech models"):
            await client.audio.speech.create(model="tts-1", voice="alloy", input="Hi.")


def test_a_stretch_without_a_pause_is_cut_where_the_voice_is_weakest() -> None:
    frames = [(ms, 0.6 if ms == 25_600 else 0.9) for ms in range(32, 60_001, 32)]
    parts = stretches(frames, 60_000)
    assert parts[0].end_ms == 25_600
    assert all(part.end_ms - part.start_ms <= LONGEST_MS for part in parts)
    assert [part.start_ms for part in parts[1:]] == [part.end_ms for part in parts[:-1]]
