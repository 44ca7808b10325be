"""A server under mixed load for as long as is asked: do memory, tasks, descriptors and latency stay flat?

The rule: the first fifth warms up and is not looked at. Through what is measured in the rest goes the line of
least squares; a figure is flat when that line rises by less than its bound from one end to the other. Latency
is flat when its median in the last third is less than DRIFT times that of the first third.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

import aiohttp
import uvloop

from bench.emulated import emulated
from bench.endurance_load import KINDS, Load, keep_up
from bench.figures import Figure, load_now, quantile
from bench.gateway import fake_azure
from bench.gateway_load import resident_kb
from bench.relay import _service, _started
from kaiwa.cli.local_server import ServerProcess

SETTING: Final = "KAIWA_BENCH_ENDURANCE_S"
USUAL_S: Final = 600.0
SAMPLE_S: Final = 2.0
WARM_UP: Final = 0.2
RISE: Final = {"memory_mb": 8.0, "tasks": 10.0, "descriptors": 10.0, "threads": 2.0}
"""How much each may rise from the end of the warm-up to the end of the run."""
DRIFT: Final = 1.5
PAUSE_S: Final = 0.1
DEPLOYMENTS: Final = 4


@dataclass
class Samples:
    """Seconds since the start, and what was found then."""

    at_s: list[float] = field(default_factory=list[float])
    values: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def add(self, at_s: float, found: dict[str, float]) -> None:
        self.at_s.append(at_s)
        for name, value in found.items():
            self.values.setdefault(name, []).append(value)


def measure() -> list[Figure]:
    seconds = float(os.environ.get(SETTING, USUAL_S))
    voice, port = _started(_service)
    try:
        return uvloop.run(_measure(seconds, port))
    finally:
        voice.terminate()


async def _measure(seconds: float, voice_port: int) -> list[Figure]:
    async with fake_azure(DEPLOYMENTS) as ports, emulated() as talk_port:
        with TemporaryDirectory(prefix="kaiwa-bench-") as folder:
            environment = _environment(ports, voice_port, talk_port)
            database = Path(folder) / "bench.db"
            async with ServerProcess("kaiwa-local", database, environment=environment) as server:
                load, samples = Load(server.port), Samples()
                until = time.monotonic() + seconds
                async with asyncio.TaskGroup() as group:
                    for once, clients in KINDS.items():
                        for _ in range(clients):
                            group.create_task(keep_up(load, once, PAUSE_S, until))
                    group.create_task(_sample(server, samples, until))
    return _figures(seconds, load, samples)


def _environment(ports: Sequence[int], voice_port: int, talk_port: int) -> dict[str, str]:
    upstreams = [
        {
            "name": f"azure-{number}",
            "endpoint": f"http://127.0.0.1:{port}",
            "deployment": "gpt-4o",
            "api_version": "2024-10-21",
            "api_key": "key",
        }
        for number, port in enumerate(ports)
    ]
    realtime = [
        {
            "name": name,
            "endpoint": f"http://127.0.0.1:{port}",
            "deployment": "gpt-realtime",  # the stand-in knows what the service has
            "api_key": "key",
            "models": [name],
        }
        for name, port in (("voice", voice_port), ("talk", talk_port))
    ]
    return {
        "KAIWA_ENGINE": "relay",
        "KAIWA_UPSTREAMS": json.dumps(upstreams),
        "KAIWA_REALTIME_UPSTREAMS": json.dumps(realtime),
        "KAIWA_CHAT_MODEL": "gpt-4o",
        "KAIWA_CHAT_PACE_MS": "0",
        "KAIWA_MAX_SESSIONS": "500",
    }


async def _sample(server: ServerProcess, samples: Samples, until: float) -> None:
    began = time.monotonic()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as web:
        while time.monotonic() < until:
            found = {
                "memory_mb": resident_kb(server.pid) / 1024,
                "descriptors": float(len(os.listdir(f"/proc/{server.pid}/fd"))),
                "threads": float(len(os.listdir(f"/proc/{server.pid}/task"))),
                "tasks": await _tasks(web),
            }
            samples.add(time.monotonic() - began, found)
            await asyncio.sleep(SAMPLE_S)


async def _tasks(web: aiohttp.ClientSession) -> float:
    async with web.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("kaiwa_tasks "))


# --- figures -------------------------------------------------------------------------------------------


def _figures(seconds: float, load: Load, samples: Samples) -> list[Figure]:
    wrong = ", ".join(f"{count} × {what}" for what, count in load.wrong.most_common(4))
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(load.done.items()))
    note = f"{counts}; {load.dropped} dropped, {load.struck} struck, load {load_now():.1f}"
    return [
        Figure("endurance.seconds", round(seconds), "s", note=f"{SETTING}={USUAL_S:g}"),
        Figure("endurance.done", load.done.total(), "", note=note),
        Figure("endurance.wrong", load.wrong.total(), "", aim=0, note=wrong),
        *[figure for name, bound in RISE.items() for figure in _steady(name, bound, samples, seconds)],
        *[figure for kind, waits in sorted(load.waits.items()) for figure in _waited(kind, waits, seconds)],
    ]


def _steady(name: str, bound: float, samples: Samples, seconds: float) -> list[Figure]:
    found = zip(samples.at_s, samples.values[name], strict=True)
    warm = [(at, value) for at, value in found if at >= seconds * WARM_UP]
    rise = slope(warm) * (1 - WARM_UP) * seconds
    verdict = "flat" if rise <= bound else "rises"
    unit = "MB" if name == "memory_mb" else ""
    return [
        Figure(f"endurance.{name}.median", round(median(value for _, value in warm), 1), unit),
        Figure(f"endurance.{name}.rise", round(rise, 2), unit, aim=bound, note=f"{verdict}, n={len(warm)}"),
    ]


def _waited(kind: str, waits: Sequence[tuple[float, float]], seconds: float) -> list[Figure]:
    warm = [(at, wait) for at, wait in waits if at >= seconds * WARM_UP]
    start, end = seconds * WARM_UP, seconds
    third = (end - start) / 3
    early = [wait for at, wait in warm if at < start + third]
    late = [wait for at, wait in warm if at >= end - third]
    if not early or not late:
        return []
    drift = quantile(late, 0.5) / max(quantile(early, 0.5), 1.0)
    every = [wait for _, wait in warm]
    return [
        Figure(
            f"endurance.{kind}.first_ms.p50", round(quantile(every, 0.5), 1), "ms", note=f"n={len(every)}"
        ),
        Figure(f"endurance.{kind}.first_ms.p99", round(quantile(every, 0.99), 1), "ms"),
        Figure(
            f"endurance.{kind}.drift", round(drift, 2), "×", aim=DRIFT, note="median, last by first third"
        ),
    ]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return how much the line of least squares through the points rises in a second."""
    count = len(points)
    if count < 2:
        return 0.0
    mean_at = sum(at for at, _ in points) / count
    mean = sum(value for _, value in points) / count
    spread = sum((at - mean_at) ** 2 for at, _ in points)
    return sum((at - mean_at) * (value - mean) for at, value in points) / spread if spread else 0.0
