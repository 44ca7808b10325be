"""Calls of the demo caller to a server in a process of its own, as callers in processes of their own.

`python -m bench.calls URL LANGUAGE COUNT DELAY_S` makes calls one after another and prints their turns.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.corpus import spoken_lines
from kaiwa.cli.local_server import ServerProcess
from kaiwa.testing.caller import SimulatedCaller

DETECTION = {"type": "semantic_vad"}


@dataclass(frozen=True)
class TurnFigures:
    """Milliseconds; None when the turn had no answer. `silence_ms` is audio heard after the last speech."""

    line_id: str
    silence_ms: float | None
    decided_to_audio_ms: float | None
    speech_to_audio_ms: float | None


def session(language: str) -> dict[str, object]:
    transcription = {"model": "whisper-1", "language": language}
    return {
        "type": "realtime",
        "audio": {"input": {"transcription": transcription, "turn_detection": DETECTION}},
    }


async def one_call(url: str, language: str) -> list[TurnFigures]:
    call = await SimulatedCaller(url, spoken_lines(language), session=session(language)).run()
    return [
        TurnFigures(
            turn.line_id,
            None if turn.stopped_audio_ms is None else turn.stopped_audio_ms - turn.speech_end_s * 1000,
            turn.decided_to_audio_ms,
            turn.since_speech_ms(turn.first_audio_s),
        )
        for turn in call.turns
    ]


@asynccontextmanager
async def fresh_server(agent: str = "rentacar") -> AsyncGenerator[ServerProcess]:
    with TemporaryDirectory(prefix="kaiwa-bench-") as folder:
        async with ServerProcess(agent, Path(folder) / "bench.db") as server:
            yield server


async def callers_at_once(url: str, count: int, language: str = "ja", calls: int = 1) -> list[TurnFigures]:
    """Let `count` processes call at the same time, a little apart; return all their turns."""
    spread_s = 2.0 / count
    made = await asyncio.gather(
        *(_caller_process(url, language, calls, index * spread_s) for index in range(count))
    )
    return [turn for turns in made for turn in turns]


async def _caller_process(url: str, language: str, calls: int, delay_s: float) -> list[TurnFigures]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.calls", url, language, str(calls), str(delay_s),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"a caller failed with code {process.returncode}")
    return [TurnFigures(**turn) for turn in json.loads(out)]


async def _make_calls(url: str, language: str, calls: int, delay_s: float) -> list[TurnFigures]:
    await asyncio.sleep(delay_s)
    return [turn for _ in range(calls) for turn in await one_call(url, language)]


def main(arguments: Sequence[str]) -> None:
    url, language, calls, delay_s = arguments
    turns = asyncio.run(_make_calls(url, language, int(calls), float(delay_s)))
    print(json.dumps([vars(turn) for turn in turns]))


if __name__ == "__main__":
    main(sys.argv[1:])
