"""How long an unrelated question waits for its answer while a slow tool runs, beside the same without one.

Voice through the real server: the caller asks for a search (or greets), then about the weather of four
cities, cutting every answer short. A server for every call, kinds in turn, so that a busy minute of the
machine touches all alike.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.calls import session
from bench.figures import Figure, quantile
from kaiwa.cli.local_server import ServerProcess
from kaiwa.engines.speech.synthesis import LocalSynthesizer, Synthesizer
from kaiwa.testing.caller import CallerManners, SimulatedCaller, SpokenLine

ROUNDS = 2
AIM_RATIO = 1.2
SEARCH = "音声認識について、資料を検索してください。"
GREETING = "こんにちは。"
QUESTIONS = tuple(f"{city}の天気を教えてください。" for city in ("東京", "大阪", "名古屋", "福岡"))
# What runs meanwhile: the agent that searches, and the first line.
KINDS = {
    "nothing": ("waiting", GREETING),
    "waiting": ("waiting", SEARCH),
    "thread": ("threaded", SEARCH),
    "process": ("processed", SEARCH),
}
CUT_IN_MS = 900
_SILENCE = bytes(150 * 48)


def measure() -> list[Figure]:
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    waits: dict[str, list[float]] = {kind: [] for kind in KINDS}
    voice = LocalSynthesizer()
    for _ in range(ROUNDS):
        for kind, (agent, first) in KINDS.items():
            waits[kind] += await _answers(
                agent, _lines(voice, (first, *QUESTIONS)), searching=first == SEARCH
            )
    return [*_figures(waits)]


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


async def _answers(agent: str, lines: list[SpokenLine], *, searching: bool) -> list[float]:
    """Make one call; return the milliseconds from the end of each question to the first audio after it."""
    manners = CallerManners(tool_patience_s=0.2)
    with TemporaryDirectory(prefix="kaiwa-bench-") as folder:
        async with ServerProcess(f"bench.slow_agents:{agent}", Path(folder) / "bench.db") as server:
            url = server.url.split("?")[0] + "?model=slow"
            call = await SimulatedCaller(url, lines, session=session("ja"), manners=manners).run()
    answered = [(turn, turn.first_audio_s) for turn in call.turns[1:] if turn.first_audio_s is not None]
    search = next((use for use in call.tools if use.name == "search_database"), None)
    settled_s = None if search is None else search.settled_s
    if searching != (search is not None) or (settled_s is not None and settled_s < answered[-1][1]):
        raise RuntimeError("the search did not run all through the questions")
    return [wait for turn, heard_s in answered if (wait := turn.since_speech_ms(heard_s)) is not None]


def _figures(waits: dict[str, list[float]]) -> list[Figure]:
    usual = quantile(waits["nothing"], 0.5)
    figures: list[Figure] = []
    for kind, values in waits.items():
        middle = quantile(values, 0.5)
        figures.append(
            Figure(f"slow_tool.{kind}.speech_end_to_audio_ms", middle, "ms", None, f"n={len(values)}")
        )
        if kind != "nothing":
            figures.append(Figure(f"slow_tool.{kind}.ratio", round(middle / usual, 3), "", AIM_RATIO))
    return figures
