"""Speech without a conversation: texts are spoken and recordings written down, in the conversations' lanes.

One piece at a time: a clause to speak, a stretch to recognise. So whoever talks to an agent waits for one
piece at most. Knows no HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from kaiwa.engines.lanes import Lanes, run_in
from kaiwa.engines.recordings import stretches
from kaiwa.engines.speech.models import SpeechModels
from kaiwa.engines.speech.recognition import Recognition
from kaiwa.errors import UpstreamError

MOST_AT_ONCE = 8
_BYTES_PER_MS = 48
_HEARD_AT_ONCE_MS = 2000


@dataclass(frozen=True, slots=True)
class Segment:
    """What was said in one stretch of a recording."""

    start_ms: int
    end_ms: int
    words: Recognition


class SpeechService:
    """Serves any number of callers over one set of models; `most` at once, the next is refused."""

    def __init__(self, speech: SpeechModels, lanes: Lanes, *, most: int = MOST_AT_ONCE) -> None:
        self._speech = speech
        self._lanes = lanes
        self._most = most
        self._inside = 0

    @contextmanager
    def place(self) -> Generator[None]:
        """Hold one of the places while the block lasts. Raises UpstreamError when all are taken."""
        if self._inside >= self._most:
            text = f"All {self._most} places for speech are taken. Try again later."
            raise UpstreamError("server_busy", text, retryable=True)
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    async def speak(self, text: str, *, voice: str, speed: float) -> AsyncIterator[bytes]:
        """Yield house audio as it is made. Raises ConfigError when the voice it takes is not installed."""
        chunks = self._speech.synthesizer.speak(text, voice=voice, speed=speed)
        while (chunk := await run_in(self._lanes.voice, lambda: next(chunks, None))) is not None:
            yield chunk

    async def write_down(
        self, pcm: bytes, *, language: str | None, prompt: str | None, logprobs: bool = False
    ) -> AsyncIterator[Segment]:
        """Yield what is said in house audio, stretch by stretch; nothing where nobody speaks."""
        for start_ms, end_ms in stretches(await self._activity(pcm), len(pcm) // _BYTES_PER_MS):
            piece = pcm[start_ms * _BYTES_PER_MS : end_ms * _BYTES_PER_MS]
            words = await run_in(
                self._lanes.recognition,
                lambda piece=piece: self._speech.recognizer.transcribe(
                    piece, language=language, prompt=prompt, logprobs=logprobs
                ),
            )
            if words.text:
                yield Segment(start_ms, end_ms, words)

    async def _activity(self, pcm: bytes) -> list[tuple[int, float]]:
        stream, frames = self._speech.vad.stream(), list[tuple[int, float]]()
        size = _HEARD_AT_ONCE_MS * _BYTES_PER_MS
        for at in range(0, len(pcm), size):
            piece = pcm[at : at + size]
            frames += await run_in(self._lanes.hearing, lambda piece=piece: stream.hear(piece))
        return frames
