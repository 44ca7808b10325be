"""Voice to voice through the WebSocket: from the end of speech, and its confirmation, to the first audio."""

from __future__ import annotations

import asyncio

from bench.calls import TurnFigures, callers_at_once, fresh_server
from bench.figures import Figure, p50_p95

SERVERS = 2
CALLS_PER_SERVER = 2  # the shop has two compact cars: a third call would go another way


def measure() -> list[Figure]:
    return [
        figure for language in ("ja", "en") for figure in summary(language, asyncio.run(_turns(language)))
    ]


async def _turns(language: str) -> list[TurnFigures]:
    turns: list[TurnFigures] = []
    for _ in range(SERVERS if language == "ja" else 1):
        async with fresh_server("rentacar" if language == "ja" else f"rentacar-{language}") as server:
            turns += await callers_at_once(server.url, 1, language, CALLS_PER_SERVER)
    return turns


def summary(language: str, turns: list[TurnFigures]) -> list[Figure]:
    decided = [turn.decided_to_audio_ms for turn in turns if turn.decided_to_audio_ms is not None]
    heard = [turn.speech_to_audio_ms for turn in turns if turn.speech_to_audio_ms is not None]
    silence = [turn.silence_ms for turn in turns if turn.silence_ms is not None]
    unanswered = sum(turn.speech_to_audio_ms is None for turn in turns)
    if not heard:
        return [Figure(f"voice.{language}.unanswered_turns", unanswered, "turns", 0)]
    return [
        *p50_p95(f"voice.{language}.silence_awaited_ms", silence, "ms"),
        *p50_p95(f"voice.{language}.confirmed_to_audio_ms", decided, "ms", (50, 150)),
        *p50_p95(f"voice.{language}.speech_end_to_audio_ms", heard, "ms", (550, 900)),
        Figure(f"voice.{language}.unanswered_turns", unanswered, "turns", 0),
    ]
