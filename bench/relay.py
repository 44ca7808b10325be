"""What relaying costs: kaiwa between callers and a service, beside a bare forwarder with the same load.

Callers send 20 ms of audio at a time in real time; the service gives 200 ms back for each ten of them. Relay,
forwarder, service and callers are processes of their own; what is counted is the CPU time of the relay.
"""

from __future__ import annotations

import asyncio
import base64
import json
import multiprocessing
import os
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from bench.figures import Figure, load_now
from kaiwa.cli.local_server import ServerProcess

SESSIONS = 32
WARM_UP_S = 2.0
MEASURED_S = 8.0
ROUNDS = 3
TICK_S = 0.02
APPENDS_PER_DELTA = 10
EVENTS_PER_S = SESSIONS * (1 / TICK_S) * (1 + 1 / APPENDS_PER_DELTA)
APPEND = json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(bytes(960)).decode()})
DELTA = json.dumps(
    {
        "type": "response.output_audio.delta",
        "event_id": "event_000000000000000000000",
        "response_id": "resp_000000000000000000000",
        "item_id": "item_000000000000000000000",
        "output_index": 0,
        "content_index": 0,
        "delta": base64.b64encode(bytes(9600)).decode(),
    }
)
CREATED = json.dumps({"type": "session.created", "event_id": "event_1", "session": {"type": "realtime"}})
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def measure() -> list[Figure]:
    service, service_port = _started(_service)
    forwarder, forwarder_port = _started(_forwarder, service_port)
    try:
        return asyncio.run(_measure(service_port, forwarder.pid, forwarder_port))
    finally:
        forwarder.terminate()
        service.terminate()


async def _measure(service_port: int, forwarder: int, forwarder_port: int) -> list[Figure]:
    settings = {
        "KAIWA_ENGINE": "relay",
        "AZURE_OPENAI_ENDPOINT": f"http://127.0.0.1:{service_port}",
        "AZURE_OPENAI_API_KEY": "key",
        "AZURE_OPENAI_REALTIME_DEPLOYMENT": "voice",
    }
    kaiwa: list[float] = []
    bare: list[float] = []
    with TemporaryDirectory(prefix="kaiwa-bench-") as folder:
        async with ServerProcess("kaiwa-local", Path(folder) / "bench.db", environment=settings) as server:
            # In turns, and the best of each: what else the machine does only ever adds.
            for _ in range(ROUNDS):
                kaiwa.append(await _cpu_s(server.pid, server.port))
                bare.append(await _cpu_s(forwarder, forwarder_port))
    return _figures(min(kaiwa), min(bare))


def _figures(kaiwa_s: float, bare_s: float) -> list[Figure]:
    events, audio_s = EVENTS_PER_S * MEASURED_S, SESSIONS * MEASURED_S
    note = f"{SESSIONS} sessions, {MEASURED_S:g} s, best of {ROUNDS}, load {load_now():.1f}"
    return [
        Figure("relay.cpu_us_per_event", round(kaiwa_s / events * 1e6, 1), "µs", note=note),
        Figure("relay.cpu_ms_per_audio_s", round(kaiwa_s / audio_s * 1000, 2), "ms"),
        Figure("relay.sessions_per_core", round(audio_s / kaiwa_s), "sessions", note="both ways at once"),
        Figure("relay.forwarder_cpu_us_per_event", round(bare_s / events * 1e6, 1), "µs"),
        Figure("relay.cpu_to_forwarder_ratio", round(kaiwa_s / bare_s, 2), "×", aim=2.0),
    ]


async def _cpu_s(pid: int, port: int) -> float:
    """Return the CPU seconds that the process spends on the measured part of the load."""
    measured = asyncio.Event()
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        callers = [group.create_task(_call(port, number, measured)) for number in range(SESSIONS)]
        await asyncio.sleep(WARM_UP_S)
        before = _cpu_ticks(pid)
        await asyncio.sleep(MEASURED_S)
        spent = _cpu_ticks(pid) - before
        measured.set()
    heard = sum(caller.result() for caller in callers)
    expected = EVENTS_PER_S / (APPENDS_PER_DELTA + 1) * (WARM_UP_S + MEASURED_S)
    assert heard > 0.9 * expected, f"the load was not carried: {heard} of {expected:.0f} deltas"
    return spent / _TICKS_PER_S


async def _call(port: int, number: int, ended: asyncio.Event) -> int:
    """Speak in real time until the end; return how many deltas were heard."""
    url, heard, clock = (
        f"ws://127.0.0.1:{port}/v1/realtime?model=gpt-realtime",
        0,
        asyncio.get_running_loop().time,
    )
    async with connect(url, compression=None, max_size=None) as socket:

        async def hear() -> None:
            nonlocal heard
            async for frame in socket:
                heard += "output_audio.delta" in frame[:60]

        hearing = asyncio.create_task(hear())
        due = clock() + number * TICK_S / SESSIONS
        while not ended.is_set():
            await asyncio.sleep(max(0.0, due - clock()))
            await socket.send(APPEND)
            due += TICK_S
    await hearing
    return heard


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


# --- the processes -----------------------------------------------------------------------------


def _started(what: object, *arguments: object) -> tuple[multiprocessing.process.BaseProcess, int]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_run, args=(what, theirs, *arguments), daemon=True
    )
    process.start()
    return process, ours.recv()


def _run(what: object, ready: Connection, *arguments: object) -> None:
    uvloop.run(what(ready, *arguments))  # type: ignore[operator]


async def _service(ready: Connection) -> None:
    async def answer(socket: ServerConnection) -> None:
        await socket.send(CREATED)
        appended = 0
        with suppress(ConnectionClosed):
            async for _ in socket:
                appended += 1
                if appended % APPENDS_PER_DELTA == 0:
                    await socket.send(DELTA)

    await _serve(answer, ready)


async def _forwarder(ready: Connection, service_port: int) -> None:
    """The least that can be done: two sockets, every frame handed on."""

    async def forward(socket: ServerConnection) -> None:
        url = f"ws://127.0.0.1:{service_port}/"
        async with connect(url, compression=None, max_size=None) as upstream, asyncio.TaskGroup() as group:

            async def back() -> None:
                with suppress(ConnectionClosed):
                    async for frame in upstream:
                        await socket.send(frame)

            returning = group.create_task(back())
            async for frame in socket:
                await upstream.send(frame)
            returning.cancel()

    await _serve(forward, ready)


async def _serve(handler: object, ready: Connection) -> None:
    async with serve(handler, "127.0.0.1", 0, compression=None, max_size=None) as server:  # type: ignore[arg-type]
        ready.send(next(iter(server.sockets)).getsockname()[1])
        await server.serve_forever()
