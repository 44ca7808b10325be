"""How long an unrelated question waits for its answer while a slow tool runs, beside the same without one.

Voice through the real server: the caller asks for a search (or greets), then about the weather of six
cities, cutting every answer short. A server for every call, kinds in turn, so that a busy minute of the
machine touches all alike. Each answer is compared with the answer to the same question, at the same place of
the call beside it in which nothing runs; the ratio is the median of those.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.calls import session
from bench.figures import Figure, p50_p95, quantile
from kaiwa.cli.local_server import ServerProcess
from kaiwa.engines.speech.synthesis import LocalSynthesizer, Synthesizer
from kaiwa.testing.caller import CallerManners, SimulatedCaller, SpokenLine

ROUNDS = 2
AIM_RATIO = 1.2
# What computes in Python belongs into a process; the thread is measured to show why.
AIMED_AT = ("waiting", "process")
NOTHING = "nothing"
SEARCH = "音声認識について、資料を検索してください。"
GREETING = "こんにちは。"
CITIES = ("東京", "大阪", "名古屋", "福岡", "札幌", "仙台")
QUESTIONS = tuple(f"{city}の天気を教えてください。" for city in CITIES)
# What runs meanwhile: the agent that searches, and the first line.
KINDS = {
    NOTHING: ("waiting", GREETING),
    "waiting": ("waiting", SEARCH),
    "thread": ("threaded", SEARCH),
    "process": ("processed", SEARCH),
}
CUT_IN_MS = 900
_SILENCE = bytes(150 * 48)


def measure() -> list[Figure]:
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    waits: dict[str, list[list[float | None]]] = {kind: [] for kind in KINDS}
    voice = LocalSynthesizer()
    for turn in range(ROUNDS):
        for kind in _in_turn(turn):
            agent, first = KINDS[kind]
            lines = _lines(voice, (first, *QUESTIONS))
            waits[kind].append(await _answers(agent, lines, searching=first == SEARCH))
    return _figures(waits)


def _in_turn(turn: int) -> list[str]:
    """Return the kinds, forwards and backwards by turns: a machine that slows down favours none."""
    return list(KINDS) if turn % 2 == 0 else list(reversed(KINDS))


def _lines(voice: Synthesizer, texts: tuple[str, ...]) -> list[SpokenLine]:
    return [
        SpokenLine(
            f"line-{index}",
            text,
            _SILENCE + b"".join(voice.speak(text, language="ja")) + _SILENCE,
            interrupt_after_ms=CUT_IN_MS if index > 1 else None,
        )
        for index, text in enumerate(texts)
    ]


async def _answers(agent: str, lines: list[SpokenLine], *, searching: bool) -> list[float | None]:
    """Make one call; return for each question the milliseconds from its end to the first audio after it."""
    manners = CallerManners(tool_patience_s=0.2)
    with TemporaryDirectory(prefix="kaiwa-bench-") as folder:
        async with ServerProcess(f"bench.slow_agents:{agent}", Path(folder) / "bench.db") as server:
            url = server.url.split("?")[0] + "?model=slow"
            call = await SimulatedCaller(url, lines, session=session("ja"), manners=manners).run()
    heard_s = [turn.first_audio_s for turn in call.turns[1:] if turn.first_audio_s is not None]
    search = next((use for use in call.tools if use.name == "search_database"), None)
    settled_s = None if search is None else search.settled_s
    if searching != (search is not None) or (settled_s is not None and settled_s < heard_s[-1]):
        raise RuntimeError("the search did not run all through the questions")
    waits = [turn.since_speech_ms(turn.first_audio_s) for turn in call.turns[1:]]
    return waits + [None] * (len(lines) - 1 - len(waits))


def _figures(waits: dict[str, list[list[float | None]]]) -> list[Figure]:
    figures: list[Figure] = []
    for kind, calls in waits.items():
        values = [wait for call in calls for wait in call if wait is not None]
        name = f"slow_tool.{kind}"
        missed = sum(len(call) for call in calls) - len(values)
        figures += p50_p95(f"{name}.speech_end_to_audio_ms", values, "ms")
        figures.append(Figure(f"{name}.unanswered_turns", missed, "turns", 0))
        if kind != NOTHING:
            ratios = _ratios(waits[NOTHING], calls)
            aim = AIM_RATIO if kind in AIMED_AT else None
            note = f"{len(ratios)} pairs, p75 {quantile(ratios, 0.75):.2f}"
            figures.append(Figure(f"{name}.ratio", round(quantile(ratios, 0.5), 3), "", aim, note))
    return figures


def _ratios(without: list[list[float | None]], beside: list[list[float | None]]) -> list[float]:
    """Return how many times as long each question waited as the same question of the call beside it."""
    pairs = zip((w for call in without for w in call), (w for call in beside for w in call), strict=True)
    return [slow / usual for usual, slow in pairs if usual is not None and slow is not None]
