"""What one event costs in the pure rooms: the codec, and the session's state machine. One thread, no I/O."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable

from bench.figures import Figure, quantile
from kaiwa.events.server import AudioDelta
from kaiwa.protocol.realtime.ga import GaCodec

BATCHES = 30
PER_BATCH = 1000
FRAME = bytes(range(256)) * 3 + bytes(192)  # 20 ms at 24 kHz
AIM_EVENT_US = 8


def measure() -> list[Figure]:
    return [*codec_figures(), *session_figures()]


def median_us(work: Callable[[], object]) -> float:
    """Time `work` in batches; return the median batch per call, in microseconds."""
    spent: list[float] = []
    for _ in range(BATCHES):
        began = time.perf_counter_ns()
        for _ in range(PER_BATCH):
            work()
        spent.append((time.perf_counter_ns() - began) / 1000 / PER_BATCH)
    return round(quantile(spent, 0.5), 3)


def codec_figures() -> list[Figure]:
    codec = GaCodec()
    append = json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(FRAME).decode()})
    delta = AudioDelta(
        event_id="event_000000000000000000001",
        response_id="resp_000000000000000000001",
        item_id="item_000000000000000000001",
        output_index=0,
        content_index=0,
        delta=FRAME * 10,
    )
    return [
        Figure("core.decode_append_us", median_us(lambda: codec.decode_client(append)), "µs", note="20 ms"),
        Figure(
            "core.encode_audio_delta_us", median_us(lambda: codec.encode_server(delta)), "µs", note="200 ms"
        ),
    ]
