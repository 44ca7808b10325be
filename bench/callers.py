"""Many simulated callers at once, most of them struck by a fault: do all end as expected, and how soon?

A house in test mode relays to two deployments of the stand-in; the callers speak, cut in, pause and type over
a line with noise and losses, and each books one car. What is expected of each is judged from its own record,
and from the store once all are done.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import urlencode

import numpy as np

from bench.callers_desk import DATABASE
from bench.emulated import emulated
from bench.figures import Figure, load_now, quantile
from kaiwa.apps.rentacar.sqlite import SqliteReservations
from kaiwa.cli.local_server import ServerProcess
from kaiwa.testing.callers import Check, Performance, ScenarioCaller, render, run_load
from kaiwa.testing.callers.judging import failed, judge
from kaiwa.testing.callers.scenario import Scenario, read_scenario
from kaiwa.testing.callers.sounds import Sounds

SETTING: Final = "KAIWA_BENCH_CALLERS_S"
USUAL_S: Final = 60.0
CALLERS: Final = 20
SHARES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
WORDS: Final = " ".join(f"word{number}" for number in range(14))
_LONG_RUN_S: Final = 300.0
_TELL: Final = "tell me of your cars"


@dataclass(frozen=True)
class Trouble:
    """A fault, and what its caller may meet: errors that are told; whether it asks for its booking twice."""

    fault: str = ""
    errors: tuple[str, ...] = ()
    twice: bool = False

    @property
    def name(self) -> str:
        return self.fault.partition(";")[0].replace("-", "_") or "undisturbed"


TROUBLES: Final = (
    Trouble(),
    Trouble("upstream-reset"),
    Trouble("network-cut;at=5"),
    Trouble("tool-crash", twice=True),
    Trouble("upstream-busy"),
    Trouble("store-locked;for_s=1"),
    Trouble("upstream-expired;expire_after_s=3"),
    Trouble("network-late;late_ms=150;jitter_ms=50"),
    Trouble(),
    Trouble("upstream-cut"),
    Trouble("store-down", twice=True),
    Trouble("peer-garbage;at=2", errors=("invalid_json",)),
    Trouble("upstream-server-error"),
    Trouble("network-loss;share=0.03"),
    Trouble("tool-garbage", twice=True),
    Trouble("upstream-broken"),
    Trouble("network-slow-reader;bytes_per_s=200000"),
    Trouble("peer-flood;count=500"),
    Trouble("tool-slow;for_s=1"),
    Trouble("upstream-slow-connect;connect_delay_s=1"),
    Trouble("upstream-token-expired"),
    Trouble("store-slow;for_ms=50"),
    Trouble("upstream-reset;at=1;times=2"),
)
"""In this order, again and again. The number of ways to talk does not divide it, so each meets each."""
SILENT: Final = Trouble("upstream-silent")
"""It takes the service's pings 40 s: for long runs."""

_HEAD: Final = """
name = "{name}"
agent = "callers"
[caller]
turn_detection = "server_vad"
comes_back = true
reply_timeout_s = 60
tail_ms = 100
[line]
noise = "white"
noise_snr_db = 35
loss = 0.01
late_ms = 40
"""
_STEPS: Final = {
    "talks": """
[[step]]
say = "tell me of your cars"
[[step]]
pause_ms = 400
[[step]]
say = "thank you"
""",
    "cuts_in": """
[[step]]
say = "tell me of your cars"
[[step]]
say = "wait, please"
interrupt_after_ms = 900
""",
    "types": """
[[step]]
write = "tell me of your cars"
[[step]]
write = "thank you"
""",
    "types_on": """
[[step]]
write = "tell me of your cars"
""",
}
_BOOK: Final = """
[[step]]
id = "{id}"
write = "book {name} {day}"
"""
_CALL: Final = {"do": "call", "name": "book", "arguments": r'{"name": "\1", "day": \2}'}
SCRIPT: Final = {
    "hears": [_TELL, "thank you", "thank you", "thank you"],
    "rules": [
        {"pattern": r"book (\w+) (\d+)", "answers": [_CALL]},
        {"pattern": "tell.*", "answers": [{"do": "say", "text": WORDS, "pace_ms": 60}]},
        {"pattern": ".*", "answers": [{"do": "say", "text": "You are welcome."}]},
    ],
    "on_result": [{"do": "say", "text": r"The desk says \g<0>"}],
}


class Tone:
    """A voice for the stand-in, which hears by level: 60 ms a character."""

    def speak(self, text: str, **how: Any) -> Iterator[bytes]:
        samples = np.sin(np.arange(24_000 * 60 * len(text) // 1000) / 8) * 9000
        yield samples.astype("<i2").tobytes()


@dataclass
class Tally:
    """What became of the calls: by fault how long each waited at worst, and what was not as expected."""

    calls: Counter[str] = field(default_factory=Counter[str])
    worst_ms: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    back_ms: list[float] = field(default_factory=list[float])
    wrong: list[str] = field(default_factory=list[str])
    names: list[str] = field(default_factory=list[str])


def measure() -> list[Figure]:
    return asyncio.run(_measure(float(os.environ.get(SETTING, USUAL_S))))


async def _measure(seconds: float) -> list[Figure]:
    with TemporaryDirectory(prefix="kaiwa-bench-") as folder:
        database = Path(folder) / "callers.db"
        await SqliteReservations(database).reservations()  # makes the tables, which is no part of a call
        script = Path(folder) / "script.json"
        script.write_text(json.dumps(SCRIPT), encoding="utf-8")
        told = ("--script", str(script), "--seed")
        async with emulated(*told, "1") as first, emulated(*told, "2") as second:
            environment = _environment([first, second], database)
            async with ServerProcess("bench.callers_desk:agent", database, environment=environment) as house:
                tally = Tally()
                troubles = (*TROUBLES, SILENT) if seconds >= _LONG_RUN_S else TROUBLES
                calling = _Calling(house.port, troubles, tally)
                report = await run_load(calling.attempt, CALLERS, seconds)
        _check_bookings(tally, database)
    answers_ms = report.first_audio_ms + [one for one in report.first_text_ms if one >= 0]
    return _figures(seconds, tally, report.refused, answers_ms, report.silence_ms)


class _Calling:
    def __init__(self, port: int, troubles: Sequence[Trouble], tally: Tally) -> None:
        self._port, self._troubles, self._tally = port, troubles, tally
        self._sounds: dict[str, Sounds] = {}

    async def attempt(self, number: int) -> tuple[Performance, list[Check]]:
        trouble = self._troubles[number % len(self._troubles)]
        way = list(_STEPS)[number % len(_STEPS)]
        name = f"Caller{number}"
        scenario = scenario_of(way, trouble, name, number)
        sounds = self._sounds.setdefault(f"{way}{trouble.twice}", render(scenario, Tone()))
        query = urlencode({"model": "gpt-realtime", "kaiwa_fault": trouble.fault})
        url = f"ws://127.0.0.1:{self._port}/v1/realtime?{query}"
        done = await ScenarioCaller(scenario, url, sounds, seed=number).run()
        checks = judge(scenario, done, None)
        self._note(trouble, f"{name} ({way}, {trouble.fault or 'undisturbed'})", done, checks)
        return done, checks

    def _note(self, trouble: Trouble, called: str, done: Performance, checks: Sequence[Check]) -> None:
        tally = self._tally
        tally.calls[trouble.name] += 1
        tally.names.append(called)
        tally.worst_ms.setdefault(trouble.name, []).append(worst_ms(done))
        tally.back_ms += done.returns_ms
        last = done.call.turns[-1].reply[:120] if done.call.turns else "it had no turn"
        tally.wrong += [f"{called}: {one.name}: {one.found}: {last}" for one in failed(checks)]
        if not is_whole(done):
            tally.wrong.append(f"{called}: words: {done.call.turns[0].reply[:120]}")


def scenario_of(way: str, trouble: Trouble, name: str, day: int) -> Scenario:
    """Return what one caller does, and what must come of it."""
    books = [_BOOK.format(id=f"book{number}", name=name, day=day) for number in range(1 + trouble.twice)]
    wanted = {"says": [r"The desk says R-\d+"], "errors": list(trouble.errors)}
    told = "\n".join(f"{key} = {json.dumps(value)}" for key, value in wanted.items())
    times = f'[[expect.tool]]\nname = "book"\ntimes = {len(books)}\n'
    text = "".join((_HEAD.format(name=way), _STEPS[way], *books, "[expect]\n", told, "\n", times))
    return read_scenario(text, Path(f"{way}.toml"))


def worst_ms(done: Performance) -> float:
    """Return the longest that the caller waited: for the beginning of an answer, or within one."""
    call = done.call
    waits = [turn.since_speech_ms(turn.first_audio_s or turn.first_text_s) or 0.0 for turn in call.turns]
    at: dict[str, list[float]] = {}
    for now, way, event in call.events:
        if way == "received" and event["type"].endswith(".delta") and "response_id" in event:
            at.setdefault(event["response_id"], []).append(now)
    waits += [(late - early) * 1000 for moments in at.values() for early, late in pairwise(moments)]
    return max(waits, default=0.0)


def is_whole(done: Performance) -> bool:
    """Whether the long answer came word by word, none lost and none twice; as far as nobody cut in."""
    turns = done.call.turns
    if not turns:
        return False
    told = turns[0].reply
    return told == WORDS or (done.interruptions > 0 and bool(told) and WORDS.startswith(told))


def _check_bookings(tally: Tally, database: Path) -> None:
    """Every caller has exactly one car, whatever went wrong."""
    with sqlite3.connect(database) as store:
        rows = Counter(name for (name,) in store.execute("SELECT customer_name FROM reservations"))
    for called in tally.names:
        made = rows.pop(called.partition(" ")[0], 0)
        if made != 1:
            tally.wrong.append(f"{called}: booked {made} times")
    tally.wrong += [f"{name}: booked, though it never called" for name in rows]


def _figures(
    seconds: float, tally: Tally, refused: int, answers_ms: list[float], silences_ms: list[float]
) -> list[Figure]:
    wrong = {one.partition(" ")[0] for one in tally.wrong}
    calls = sum(tally.calls.values())
    figures = [
        Figure("callers.seconds", round(seconds), "s", note=f"{CALLERS} at once; {SETTING}={USUAL_S:g}"),
        Figure("callers.calls", calls, "", note=f"load {load_now():.1f}"),
        Figure("callers.as_expected", calls - len(wrong), "", least=calls),
        Figure("callers.refused", refused, "", aim=0),
    ]
    for number, one in enumerate(tally.wrong[:20], 1):
        sys.stdout.write(f"not as expected {number}: {one}\n")
    for name, values in (
        ("answer_ms", answers_ms),
        ("silence_after_interruption_ms", silences_ms),
        ("back_ms", tally.back_ms),
    ):
        figures += _percentiles(f"callers.{name}", values)
    for name, values in sorted(tally.worst_ms.items()):
        figures += _percentiles(f"callers.{name}.worst_ms", values, {"p50": 0.5, "max": 1.0})
    return figures


def _percentiles(name: str, values: Sequence[float], shares: dict[str, float] = SHARES) -> list[Figure]:
    if not values:
        return []
    note = f"n={len(values)}"
    return [
        Figure(f"{name}.{word}", round(quantile(values, share)), "ms", note=note)
        for word, share in shares.items()
    ]


# --- the parts ----------------------------------------------------------------------------------------


def _environment(ports: Sequence[int], database: Path) -> dict[str, str]:
    upstreams = [
        {
            "name": f"service-{number}",
            "endpoint": f"http://127.0.0.1:{port}",
            "deployment": "gpt-realtime",
            "api_key": "key",
            "weight": 1,
        }
        for number, port in enumerate(ports)
    ]
    return {
        "KAIWA_ENGINE": "relay",
        "KAIWA_REALTIME_UPSTREAMS": json.dumps(upstreams),
        "KAIWA_MAX_SESSIONS": "400",
        "KAIWA_FILLER_MS": "0",
        "KAIWA_TEST_MODE": "true",
        "KAIWA_SHOW_TOOL_CALLS": "true",
        DATABASE: str(database),
    }
