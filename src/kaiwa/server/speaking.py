"""`POST /v1/audio/speech`: a text is spoken, and streamed as it is made. Source: the OpenAI Audio API."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from kaiwa.audio.wav import wav_head
from kaiwa.engines.speech.voices import DEFAULT_VOICE, voices
from kaiwa.engines.speech_service import SpeechService
from kaiwa.errors import ConfigError, PeerError
from kaiwa.events.config import CustomVoice
from kaiwa.events.value import Value
from kaiwa.protocol.realtime.shape import Tolerance
from kaiwa.server.bodies import fitted, read_json
from kaiwa.server.failures import failure

FORMATS = ("pcm", "wav")
_AS_NEWER_CLIENTS = Tolerance(unknown_keys=True)


class WantedSpeech(Value, kw_only=True):
    """What is to be said, and how. `model` and `instructions` are taken and make no difference."""

    model: str = ""
    input: Annotated[str, Meta(max_length=4096)]
    voice: str | CustomVoice = DEFAULT_VOICE
    instructions: str | None = None
    response_format: str | None = None
    speed: Annotated[float, Meta(ge=0.25, le=1.5)] = 1.0
    stream_format: Literal["audio", "sse"] = "audio"


class Speaking:
    """Answers with what `service` gives; there is none while another service answers for this house."""

    def __init__(self, service: Callable[[], SpeechService | None]) -> None:
        self._service = service

    async def __call__(self, request: Request) -> Response:
        service = self._service()
        if service is None:
            return no_speech_here()
        wanted = fitted(await read_json(request), WantedSpeech, tolerance=_AS_NEWER_CLIENTS)
        container = _checked(wanted)
        spoken = _spoken(service, wanted)
        try:
            # The first piece decides whether there is an answer at all.
            first = await anext(spoken, b"")
        except ConfigError:
            return failure(
                503, "voice_unavailable", "No voice for this text is installed.", type="server_error"
            )
        return _Streamed(_framed(first, spoken, wanted, container), spoken, wanted.stream_format, container)


def no_speech_here() -> Response:
    text = "No speech models run in this server; it relays conversations to another service."
    return failure(503, "speech_unavailable", text, type="server_error")


def _checked(wanted: WantedSpeech) -> str:
    """Return the container to answer with. Raises PeerError for one we cannot make, and an unknown voice."""
    name = wanted.voice.id if isinstance(wanted.voice, CustomVoice) else wanted.voice
    known = [voice.name for voice in voices()]
    if name.lower() not in known:
        text = f"Invalid value: '{name[:64]}'. The voices here are: {', '.join(known)}."
        raise PeerError("invalid_value", text, param="voice")
    if not wanted.input.strip():
        raise PeerError("invalid_value", "There is nothing to say: 'input' is empty.", param="input")
    # The API's own default is a format that is not made here; every player reads WAV.
    container = wanted.response_format or "wav"
    if container not in FORMATS:
        text = f"Invalid value: '{container[:64]}'. This server speaks as: {', '.join(FORMATS)}."
        raise PeerError("unsupported_format", text, param="response_format")
    return container


async def _spoken(service: SpeechService, wanted: WantedSpeech) -> AsyncGenerator[bytes]:
    voice = wanted.voice.id if isinstance(wanted.voice, CustomVoice) else wanted.voice
    with service.place():
        async for chunk in service.speak(wanted.input, voice=voice.lower(), speed=wanted.speed):
            yield chunk


async def _framed(
    first: bytes, rest: AsyncIterator[bytes], wanted: WantedSpeech, container: str
) -> AsyncGenerator[bytes]:
    begin = wav_head() if container == "wav" else b""
    if wanted.stream_format == "audio":
        yield begin + first
        async for chunk in rest:
            yield chunk
        return
    yield sse("speech.audio.delta", audio=base64.b64encode(begin + first).decode())
    async for chunk in rest:
        yield sse("speech.audio.delta", audio=base64.b64encode(chunk).decode())
    spent = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    yield sse("speech.audio.done", usage=spent)


def sse(kind: str, **fields: Any) -> bytes:
    """Return one server-sent event."""
    return b"data: " + msgspec.json.encode({"type": kind, **fields}) + b"\n\n"


class _Streamed(StreamingResponse):
    """A body that frees its place also when the peer leaves in the middle of it."""

    def __init__(
        self, body: AsyncGenerator[bytes], source: AsyncGenerator[bytes], stream_format: str, container: str
    ) -> None:
        kinds = {"pcm": "audio/pcm", "wav": "audio/wav"}
        super().__init__(body, media_type="text/event-stream" if stream_format == "sse" else kinds[container])
        self._body, self._source = body, source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._source), aclosing(self._body):
            await super().__call__(scope, receive, send)
