"""The same round trip through kaiwa and a bare echo server: what the house costs on top of the wire."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from multiprocessing.connection import Connection

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from bench.calls import fresh_server
from bench.figures import Figure, p50_p95, quantile

ROUND_TRIPS = 2000
WARM_UP = 200
PROBE = json.dumps({"type": "input_audio_buffer.clear"})


def measure() -> list[Figure]:
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    ours, theirs = multiprocessing.Pipe()
    echo = multiprocessing.get_context("spawn").Process(target=_echo_server, args=(theirs,), daemon=True)
    echo.start()
    echo_us = await _round_trips_us(f"ws://127.0.0.1:{ours.recv()}/", greeted=False)
    echo.terminate()
    echo.join()
    async with fresh_server() as server:
        kaiwa_us = await _round_trips_us(server.url, greeted=True)
    ratio = quantile(kaiwa_us, 0.5) / quantile(echo_us, 0.5)
    return [
        *p50_p95("transport.echo_round_trip_us", echo_us, "µs"),
        *p50_p95("transport.kaiwa_round_trip_us", kaiwa_us, "µs"),
        Figure("transport.kaiwa_to_echo_ratio", round(ratio, 2), "×", note="websockets echo, same client"),
    ]


async def _round_trips_us(url: str, *, greeted: bool) -> list[float]:
    spent: list[float] = []
    async with connect(url, compression=None, max_size=None) as socket:
        if greeted:
            await socket.recv()
            await socket.send(_no_detection())
            await socket.recv()
        for _ in range(WARM_UP + ROUND_TRIPS):
            began = time.perf_counter_ns()
            await socket.send(PROBE)
            await socket.recv()
            spent.append((time.perf_counter_ns() - began) / 1000)
    return spent[WARM_UP:]


def _no_detection() -> str:
    session = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
    return json.dumps({"type": "session.update", "session": session})


def _echo_server(ready: Connection) -> None:
    async def echo(socket: ServerConnection) -> None:
        async for frame in socket:
            await socket.send(frame)

    async def run() -> None:
        async with serve(echo, "127.0.0.1", 0, compression=None) as server:
            ready.send(next(iter(server.sockets)).getsockname()[1])
            await server.serve_forever()

    asyncio.run(run())
