"""The job of a client program in Python: what is said in the turns, and how it waits. Knows no client.

Runs in the environments of the frameworks, which have neither kaiwa nor pytest.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

GREETING = "こんにちは"
THANKS = "ありがとう"
LONG_WISH = "long answer, please"
"""What the service's stand-in takes as the wish for a long answer; the embedded engine follows instructions."""
WEATHER_QUESTION = "東京の天気は？"
WEATHER_RESULT = {"location": "東京", "temperature": 21, "unit": "c", "condition": "晴れ"}
WEATHER_NAME = "get_weather_for_location"
WEATHER_DESCRIPTION = "Get the weather for a location"
PIECE_BYTES = 4_800
"""100 ms of PCM16 at 24 kHz."""
SILENT_PIECE = bytes(PIECE_BYTES)
MODEL = "gpt-realtime"

Saw = dict[str, Any]
Turns = Mapping[str, Callable[[], Awaitable[Saw]]]


def long_answer() -> str:
    """Instructions for an answer that is long enough to be stopped in the middle, and new to every cache."""
    first = random.randrange(1000, 9000)
    sentences = "".join(f"次は受付番号{first + n}番のお客様です。" for n in range(16))
    return f"次の文をそのまま言ってください：{sentences}"


class Job:
    """Where to call, with which key, and the recorded words."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.plain: str = given["plain"]
        self.secure: str = given["secure"]
        self.authority: str = given["authority"]
        self.key: str = given["key"]
        self.patience_s: float = given["patience_s"]
        self.sound = Path(given["speech"]).read_bytes()
        self.surfaces: list[str] = given["surfaces"]
        self.turns: list[str] = given["turns"]

    def pieces(self) -> Iterator[bytes]:
        """The words and the silence behind them, 100 ms at a time."""
        for at in range(0, len(self.sound), PIECE_BYTES):
            yield self.sound[at : at + PIECE_BYTES]


class Inbox:
    """What came and was not asked for yet; `until` takes it in order."""

    def __init__(self, job: Job) -> None:
        self._patience_s = job.patience_s
        self._queue: asyncio.Queue[Any] = asyncio.Queue()

    def put(self, value: Any) -> None:
        self._queue.put_nowait(value)

    async def until(self, what: str, fits: Callable[[Any], Any]) -> Any:
        """Return the first value that fits; what came before it is dropped. An exception is raised."""
        try:
            async with asyncio.timeout(self._patience_s):
                while True:
                    value = await self._queue.get()
                    if isinstance(value, Exception):
                        raise value
                    if fits(value):
                        return value
        except TimeoutError:
            raise TimeoutError(f"no {what} within {self._patience_s} s") from None


def perform(surfaces: Mapping[str, Callable[[Job], Turns]]) -> None:
    """Do the turns of the job on each of its surfaces; tell what each saw on standard output."""
    asyncio.run(_perform(surfaces, Job(json.load(sys.stdin))))


async def _perform(surfaces: Mapping[str, Callable[[Job], Turns]], job: Job) -> None:
    for surface in job.surfaces:
        for turn in job.turns:
            outcome: Saw
            try:
                outcome = {"saw": await surfaces[surface](job)[turn]()}
            except Exception as failure:  # noqa: BLE001 a client may fail in any way
                outcome = {"failed": f"{type(failure).__name__}: {failure}"}
            sys.stdout.write(json.dumps({"surface": surface, "turn": turn, **outcome}) + "\n")
            sys.stdout.flush()
            if "failed" in outcome:
                break
