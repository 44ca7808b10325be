"""`POST /v1/audio/transcriptions`: a recording is written down. Source: the OpenAI Audio API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from kaiwa.audio.wav import house_audio_of
from kaiwa.engines.speech_service import Segment, SpeechService
from kaiwa.errors import AudioFormatError, PeerError
from kaiwa.server import subtitles
from kaiwa.server.bodies import read_body
from kaiwa.server.speaking import no_speech_here, sse

MAX_UPLOAD_BYTES = 25 * 1024 * 1024
UPLOAD_S = 120.0
_BYTES_PER_S = 48_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """A recording as house audio, and how to write it down."""

    pcm: bytes
    language: str | None
    prompt: str | None
    form: str
    stream: bool
    logprobs: bool

    @property
    def seconds(self) -> float:
        return len(self.pcm) / _BYTES_PER_S


class Transcribing:
    """Answers with what `service` gives; there is none while another service answers for this house."""

    def __init__(self, service: Callable[[], SpeechService | None]) -> None:
        self._service = service

    async def __call__(self, request: Request) -> Response:
        service = self._service()
        if service is None:
            return no_speech_here()
        with ExitStack() as held:
            held.enter_context(service.place())
            wanted = await _read(request)
            segments = service.write_down(
                wanted.pcm, language=wanted.language, prompt=wanted.prompt, logprobs=wanted.logprobs
            )
            if wanted.stream:
                return _Streamed(segments, wanted, held.pop_all())
            return _told([segment async for segment in segments], wanted)


async def _read(request: Request) -> Wanted:
    """Return what the form asks for. Raises PeerError."""
    try:
        async with asyncio.timeout(UPLOAD_S):
            body = await read_body(request, MAX_UPLOAD_BYTES)
    except TimeoutError:
        raise PeerError("request_timeout", f"The upload took longer than {UPLOAD_S:.0f} s.") from None

    async def whole() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        async with Request(request.scope, whole).form(max_files=1) as form:
            return await _wanted(form)
    except HTTPException as error:
        raise PeerError("invalid_request", f"The form could not be read: {error.detail}") from None


async def _wanted(form: FormData) -> Wanted:
    upload = form.get("file")
    if not isinstance(upload, UploadFile):
        raise PeerError("missing_required_parameter", "Missing required parameter: 'file'.", param="file")
    container = _text(form, "response_format") or "json"
    if container not in subtitles.FORMATS:
        known = ", ".join(subtitles.FORMATS)
        text = f"Invalid value: '{container[:64]}'. This server writes down as: {known}."
        raise PeerError("unsupported_format", text, param="response_format")
    if "word" in form.getlist("timestamp_granularities[]"):
        text = "Timestamps of words are not known here; those of segments are."
        raise PeerError("unsupported_value", text, param="timestamp_granularities")
    data = await upload.read()
    pcm = await asyncio.to_thread(_house_audio, data, upload.filename or "")
    return Wanted(
        pcm,
        language=_text(form, "language"),
        prompt=_text(form, "prompt"),
        form=container,
        stream=_text(form, "stream") == "true",
        logprobs="logprobs" in form.getlist("include[]"),
    )


def _text(form: FormData, name: str) -> str | None:
    value = form.get(name)
    return value if isinstance(value, str) and value else None


def _house_audio(data: bytes, name: str) -> bytes:
    """Return mono PCM16 at 24 kHz from WAV, or from a file that is that already."""
    if name.lower().endswith(".pcm"):
        return data[: len(data) - len(data) % 2]
    try:
        return house_audio_of(data)
    except AudioFormatError as error:
        text = f"The file could not be read: {error}. Send 16-bit WAV, or .pcm (mono, 16 bits, 24 kHz)."
        raise PeerError("unsupported_format", text, param="file") from None


def _told(segments: Sequence[Segment], wanted: Wanted) -> Response:
    match wanted.form:
        case "text":
            return PlainTextResponse(subtitles.whole_text(segments) + "\n")
        case "srt":
            return PlainTextResponse(subtitles.as_srt(segments))
        case "vtt":
            return PlainTextResponse(subtitles.as_vtt(segments))
        case "verbose_json":
            return JSONResponse(subtitles.as_verbose_json(segments, wanted.seconds))
        case _:
            return JSONResponse(subtitles.as_json(segments, wanted.seconds, logprobs=wanted.logprobs))


async def _events(segments: AsyncIterator[Segment], wanted: Wanted) -> AsyncGenerator[bytes]:
    """Yield the words as they are known, a stretch at a time, and all of them at the end."""
    known: list[Segment] = []
    text = ""
    async for segment in segments:
        known.append(segment)
        before, text = text, subtitles.whole_text(known)
        yield sse("transcript.text.delta", delta=text[len(before) :])
    yield sse("transcript.text.done", text=text, usage=subtitles.usage_of(wanted.seconds))


class _Streamed(StreamingResponse):
    """Holds its place until the last words are said or the peer has left."""

    def __init__(self, segments: AsyncIterator[Segment], wanted: Wanted, held: ExitStack) -> None:
        self._events = _events(segments, wanted)
        self._held = held
        super().__init__(self._events, media_type="text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._held:
            async with aclosing(self._events):
                await super().__call__(scope, receive, send)
