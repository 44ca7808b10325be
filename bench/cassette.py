"""What a recording costs: the recorder, a round trip through the proxy, a replay, and the file's size."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from bench.figures import Figure, p50_p95, quantile
from kaiwa.protocol.cassette.redaction import KINDS, Redactor
from kaiwa.protocol.cassette.tape import Opened
from kaiwa.testing.cassettes import (
    Recorder,
    Upstream,
    load_cassette,
    recording_proxy,
    replay_as_caller,
    replaying,
)

FRAMES = 3000
ROUND_TRIPS = 1000
WARM_UP = 100
SPOKEN_SHARE = 0.5


def measure() -> list[Figure]:
    with TemporaryDirectory(prefix="kaiwa-bench-") as folder:
        return [
            *_recorder(Path(folder)),
            *asyncio.run(_proxy(Path(folder))),
            *asyncio.run(_replay(Path(folder))),
        ]


def appended(ms: int = 20) -> str:
    sound = bytes(range(256)) * (ms * 48 // 256 + 1)
    return json.dumps(
        {"type": "input_audio_buffer.append", "audio": base64.b64encode(sound[: ms * 48]).decode()}
    )


def delta(ms: int = 200) -> str:
    ids = {
        "event_id": "event_1",
        "response_id": "resp_1",
        "item_id": "item_1",
        "output_index": 0,
        "content_index": 0,
    }
    sound = base64.b64encode(bytes(ms * 48)).decode()
    return json.dumps({"type": "response.output_audio.delta", **ids, "delta": sound})


WORDS = json.dumps(
    {"type": "response.output_audio_transcript.delta", "item_id": "item_1", "delta": "かしこまりました。"}
)


def _recorder(folder: Path) -> list[Figure]:
    figures = [
        Figure(
            f"cassette.recorder_us.{name}", _frame_us(folder / f"{name}.jsonl", frame, ()), "µs", note=note
        )
        for name, frame, note in (
            ("append", appended(), "20 ms"),
            ("delta", delta(), "200 ms"),
            ("words", WORDS, ""),
        )
    ]
    redacted = _frame_us(folder / "redacted.jsonl", WORDS, KINDS)
    figures.append(
        Figure("cassette.recorder_us.redacted", redacted, "µs", note="words, audio and ids blackened")
    )
    return [*figures, _size(folder / "minute.jsonl")]


def _frame_us(path: Path, frame: str, kinds: Sequence[str]) -> float:
    spent: list[float] = []
    with Recorder(path, Redactor(kinds, ["a-key-of-the-usual-length"])) as recorder:
        reel = recorder.open(Opened(at=0, door="websocket", target="/v1/realtime"))
        for _ in range(30):
            began = time.perf_counter_ns()
            for _ in range(FRAMES // 30):
                reel.frame("server", frame)
            spent.append((time.perf_counter_ns() - began) / 1000 / (FRAMES // 30))
    return round(quantile(spent, 0.5), 2)


def _size(path: Path) -> Figure:
    """A minute of a call in PCM16: the caller's microphone all the time, the agent's voice half of it."""
    with Recorder(path) as recorder:
        reel = recorder.open(Opened(at=0, door="websocket", target="/v1/realtime"))
        for _ in range(60_000 // 20):
            reel.frame("client", appended())
        for _ in range(int(60_000 * SPOKEN_SHARE) // 200):
            reel.frame("server", delta())
        reel.end("client", 1000)
    return Figure(
        "cassette.minute_mb", round(path.stat().st_size / 1e6, 2), "MB", note="PCM16, agent speaks half"
    )


async def _proxy(folder: Path) -> list[Figure]:
    async def echo(socket: ServerConnection) -> None:
        async for frame in socket:
            await socket.send(frame)

    async with serve(echo, "127.0.0.1", 0, compression=None) as server:
        base = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        straight = await _round_trips_us(base)
        with Recorder(folder / "proxy.jsonl") as recorder:
            async with recording_proxy(Upstream(base), recorder) as proxy:
                through = await _round_trips_us(proxy.url)
    added = quantile(through, 0.5) - quantile(straight, 0.5)
    return [
        *p50_p95("cassette.round_trip_us", through, "µs"),
        Figure(
            "cassette.proxy_added_us", round(added, 1), "µs", note="both ways, to the same echo without it"
        ),
    ]


async def _round_trips_us(base: str) -> list[float]:
    spent: list[float] = []
    frame = appended()
    async with connect(
        base.replace("http", "ws", 1) + "/v1/realtime", compression=None, max_size=None
    ) as socket:
        for _ in range(WARM_UP + ROUND_TRIPS):
            began = time.perf_counter_ns()
            await socket.send(frame)
            await socket.recv()
            spent.append((time.perf_counter_ns() - began) / 1000)
    return spent[WARM_UP:]


async def _replay(folder: Path) -> list[Figure]:
    """Play the recorded minute, caller against service, in virtual time."""
    cassette = load_cassette(folder / "minute.jsonl")
    frames = sum(len(exchange.entries) for exchange in cassette.exchanges)
    began_s = time.perf_counter()
    async with asyncio.timeout(120), replaying(cassette) as replay:
        report = await replay_as_caller(cassette, replay.url)
    spent_s = time.perf_counter() - began_s
    assert not report.problems, report.problems
    return [
        Figure(
            "cassette.replayed_frames_per_s", round(frames / spent_s), "1/s", note="virtual time, one process"
        )
    ]
