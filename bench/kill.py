"""Clients that vanish in mid-sentence, in mid-tool and in mid-upload: is everything they held given back?

The server runs inside this process, so that its tasks can be counted; sockets are cut, not closed.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from bench.corpus import spoken_lines
from bench.figures import Figure, p50_p95, quantile
from bench.here import server_here
from bench.memory import resident_mb
from kaiwa.session.host import HostSession

ROUNDS = 200
WARM_UP = 100  # fills the caches that have a bound, so that what grows afterwards is a leak
FREED_WITHIN_S = 5.0
Scene = Callable[[ClientConnection], Awaitable[None]]


def measure() -> list[Figure]:
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of every write to a socket that was cut
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    async with server_here() as url:
        return await _cut_many(url)


async def _cut_many(url: str) -> list[Figure]:
    scenes: list[tuple[str, Scene]] = [
        ("rentacar", mid_sentence),
        ("library", mid_tool),
        ("rentacar", mid_upload),
    ]
    for index in range(WARM_UP):
        agent, scene = scenes[index % len(scenes)]
        await _cut(url + agent, scene, len(asyncio.all_tasks()))
    tasks_before, memory_before_mb = len(asyncio.all_tasks()), _settled_memory_mb()
    freed_ms: list[float] = []
    for index in range(ROUNDS):
        agent, scene = scenes[index % len(scenes)]
        freed_ms.append(await _cut(url + agent, scene, tasks_before) * 1000)
    growth_mb = _settled_memory_mb() - memory_before_mb
    return [
        *p50_p95("kill.freed_ms", freed_ms, "ms", (1000, 1000)),
        Figure("kill.freed_ms.max", round(quantile(freed_ms, 1.0), 1), "ms", 1000),
        Figure("kill.tasks_left", len(asyncio.all_tasks()) - tasks_before, "tasks", 0),
        Figure("kill.sessions_left", _sessions_alive(), "sessions", 0),
        Figure("kill.memory_growth_mb", round(growth_mb, 1), "MB", 10, f"over {ROUNDS} calls"),
    ]


def _settled_memory_mb() -> float:
    gc.collect()
    return resident_mb("self")


def _sessions_alive() -> int:
    gc.collect()
    return sum(isinstance(thing, HostSession) for thing in gc.get_objects())


async def _cut(url: str, scene: Scene, tasks_before: int) -> float:
    """Play a scene, cut the wire, return the seconds until no task is left over."""
    socket = await connect(url, compression=None, max_size=None)
    await _until(socket, "session.created")
    await scene(socket)
    socket.transport.abort()
    began_s = time.monotonic()
    while _busy(tasks_before) and time.monotonic() - began_s < FREED_WITHIN_S:  # noqa: ASYNC110 nobody tells
        await asyncio.sleep(0.005)
    return time.monotonic() - began_s


async def mid_sentence(socket: ClientConnection) -> None:
    await _say(socket, "東京でレンタカーを借りたいです")
    await _until(socket, "response.output_audio.delta")


async def mid_tool(socket: ClientConnection) -> None:
    await _say(socket, "機械学習について調べて")
    await _until(socket, "response.function_call_arguments.done")


async def mid_upload(socket: ClientConnection) -> None:
    audio = base64.b64encode(spoken_lines("ja")[0].pcm[:96_000]).decode()
    for _ in range(3):
        await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
    await _until(socket, "input_audio_buffer.speech_started")


async def _say(socket: ClientConnection, text: str) -> None:
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
    await socket.send(json.dumps({"type": "response.create"}))


async def _until(socket: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(15):
        while True:
            event: dict[str, Any] = json.loads(await socket.recv())
            if event["type"] == kind:
                return event
            if event["type"] == "response.done" and event["response"]["status"] == "failed":
                raise RuntimeError(f"waiting for {kind}, the response failed: {event}")


def _busy(tasks_before: int) -> bool:
    return len(asyncio.all_tasks()) > tasks_before
