"""Sessions that survive: the silence a caller hears when the service's session ends in mid-sentence, how long
a client takes to come back, and what is kept for one.

kaiwa and two deployments of the stand-in run in this process; sockets are real.
"""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from bench.figures import Figure, p50_p95, quantile
from kaiwa.events.server import AudioDelta
from kaiwa.server.app import create_app
from kaiwa.server.ids import new_id
from kaiwa.server.settings import Settings
from kaiwa.testing.service import Faults, Service, running_service
from kaiwa.testing.service.script import Rule, Say, Script
from kaiwa.testing.service.sockets import listening
from kaiwa.transports.memory import MemoryTransport
from kaiwa.transports.resumable import Keeping, ResumableTransport

ROUNDS = 20
PACE_MS = 40
AIM_MS = 1500.0
WORDS = " ".join(f"word{number}" for number in range(30))
SCRIPT = Script(rules=(Rule(pattern=".*", answers=(Say(text=WORDS, pace_ms=PACE_MS),)),))
SOUND = "response.output_audio.delta"
BREAKS = {
    "expiry": Faults(expire_after_s=0.6, times=1),
    "killed": Faults(reset_after="response.output_audio.delta", times=1),
}


def measure() -> list[Figure]:
    return [*asyncio.run(_breaks()), *asyncio.run(_returns()), asyncio.run(_memory())]


async def _breaks() -> list[Figure]:
    figures: list[Figure] = []
    for name, fault in BREAKS.items():
        silences_ms, lost = [], 0
        for _ in range(ROUNDS):
            silence_ms, words = await _broken(fault)
            silences_ms.append(silence_ms)
            lost += words != WORDS
        figures += p50_p95(f"resume.{name}.silence_ms", silences_ms, "ms", (AIM_MS, AIM_MS))
        figures.append(Figure(f"resume.{name}.wrong_transcripts", lost, "answers", 0))
    return figures


async def _broken(fault: Faults) -> tuple[float, str]:
    """Return the longest time without sound in an answer that was broken once, and its words."""
    async with running_service(SCRIPT) as first, running_service(SCRIPT) as second:
        first.faults = fault  # of two that are equal it is asked first; the answer goes on at the other
        async with _house([first, second]) as url, connect(f"{url}?model=gpt-realtime", proxy=None) as socket:
            await _ask(socket)
            last, longest_s, words = None, 0.0, ""
            async for event in _events(socket):
                if event["type"] == SOUND:
                    now = time.perf_counter()
                    longest_s = max(longest_s, 0.0 if last is None else now - last)
                    last = now
                elif event["type"] == "response.output_audio_transcript.delta":
                    words += event["delta"]
                elif event["type"] == "response.done":
                    return longest_s * 1000, words
    raise AssertionError("an answer ends")


async def _returns() -> list[Figure]:
    times_ms: list[float] = []
    async with running_service(SCRIPT) as service, _house([service]) as url:
        for _ in range(ROUNDS):
            async with connect(f"{url}?model=gpt-realtime&resume=on", proxy=None) as socket:
                assert socket.response is not None
                token = socket.response.headers["x-kaiwa-resume"]
                created = json.loads(await socket.recv())
                socket.transport.abort()
            query = f"?resume={token}&last_event_id={created['event_id']}"
            began = time.perf_counter()
            async with connect(url + query, proxy=None) as socket:
                await socket.recv()
                times_ms.append((time.perf_counter() - began) * 1000)
    worst = Figure("resume.return_ms.max", round(quantile(times_ms, 1.0), 2), "ms")
    return [*p50_p95("resume.return_ms", times_ms, "ms"), worst]


async def _memory() -> Figure:
    """Return what is kept for one session after half a minute of speech."""
    tracemalloc.start()
    transport = ResumableTransport(Keeping("token", 30.0, 4 * 1024 * 1024), ids=new_id)
    before, _ = tracemalloc.get_traced_memory()
    serving = asyncio.create_task(transport.serve(MemoryTransport()))
    place = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
    for number in range(150):
        await transport.send(AudioDelta(event_id=f"event_{number}", **place, delta=bytes([number]) * 9600))  # type: ignore[arg-type]
    kept_kb = (tracemalloc.get_traced_memory()[0] - before) / 1024
    tracemalloc.stop()
    serving.cancel()
    return Figure("resume.log_kb_per_session", round(kept_kb), "kB", note="30 s of speech, PCM16")


@asynccontextmanager
async def _house(services: list[Service]) -> AsyncGenerator[str]:
    upstreams = [
        {"name": f"d{number}", "endpoint": service.url, "deployment": "voice", "api_key": service.key}
        for number, service in enumerate(services)
    ]
    settings = Settings(_env_file=None, realtime_upstreams=upstreams)  # type: ignore[call-arg]
    async with listening(create_app(settings)) as port:
        yield f"ws://127.0.0.1:{port}/v1/realtime"


async def _ask(socket: ClientConnection) -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "tell me"}]}
    await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
    await socket.send(json.dumps({"type": "response.create"}))


async def _events(socket: ClientConnection) -> AsyncGenerator[dict[str, Any]]:
    while True:
        async with asyncio.timeout(30):
            frame = await socket.recv()
        yield json.loads(frame)
