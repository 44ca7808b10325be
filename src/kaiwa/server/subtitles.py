"""A written-down recording in the forms that players and clients read. Source: the OpenAI Audio API."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from kaiwa.engines.speech_service import Segment

FORMATS = ("json", "text", "srt", "verbose_json", "vtt")


def whole_text(segments: Sequence[Segment]) -> str:
    """Return all words; a space parts segments of languages that write spaces."""
    text = ""
    for segment in segments:
        apart = text and text[-1].isascii() and segment.words.text[:1].isascii()
        text += f"{' ' if apart else ''}{segment.words.text}"
    return text


def as_srt(segments: Sequence[Segment]) -> str:
    blocks = [
        f"{number}\n{_moment(one.start_ms, ',')} --> {_moment(one.end_ms, ',')}\n{one.words.text}\n"
        for number, one in enumerate(segments, 1)
    ]
    return "\n".join(blocks)


def as_vtt(segments: Sequence[Segment]) -> str:
    blocks = [
        f"{_moment(one.start_ms, '.')} --> {_moment(one.end_ms, '.')}\n{one.words.text}\n" for one in segments
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def as_json(segments: Sequence[Segment], seconds: float, *, logprobs: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"text": whole_text(segments), "usage": usage_of(seconds)}
    return told | {"logprobs": logprobs_of(segments)} if logprobs else told


def as_verbose_json(segments: Sequence[Segment], seconds: float) -> dict[str, Any]:
    """Return the words with their stretches. What the recogniser does not know of itself is left out."""
    return {
        "task": "transcribe",
        "language": segments[0].words.language if segments else "",
        "duration": round(seconds, 3),
        "text": whole_text(segments),
        "segments": [_verbose(number, one) for number, one in enumerate(segments)],
        "usage": usage_of(seconds),
    }


def usage_of(seconds: float) -> dict[str, Any]:
    return {"type": "duration", "seconds": math.ceil(seconds)}


def logprobs_of(segments: Sequence[Segment]) -> list[Any]:
    return [msgspec.to_builtins(one) for segment in segments for one in segment.words.logprobs or ()]


def _verbose(number: int, one: Segment) -> dict[str, Any]:
    return {
        "id": number,
        "seek": one.start_ms // 10,
        "start": one.start_ms / 1000,
        "end": one.end_ms / 1000,
        "text": one.words.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": one.words.confidence,
        "compression_ratio": 1.0,
        "no_speech_prob": one.words.no_speech_probability,
    }


def _moment(ms: int, point: str) -> str:
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{point}{ms:03}"
