"""What one event costs in the pure rooms: the codec, and the session's state machine. One thread, no I/O."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from itertools import count

from bench.figures import Figure, quantile
from kaiwa.events.client import AudioAppended
from kaiwa.events.config import SessionConfig
from kaiwa.events.engine import VoiceActivity
from kaiwa.events.server import AudioDelta
from kaiwa.protocol.realtime.ga import GaCodec
from kaiwa.session.host import HostSession

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


def session_figures() -> list[Figure]:
    """A minute of 20 ms appends with a VoiceActivity for every 32 ms, each drained: in silence, in speech."""
    silent = _session_us(probability=0.02)
    speaking = _session_us(probability=0.97)
    note = "AudioAppended 20 ms and VoiceActivity, drained"
    return [
        Figure("core.session_event_us.silence", silent, "µs", AIM_EVENT_US, note),
        Figure("core.session_event_us.speech", speaking, "µs", AIM_EVENT_US, note),
    ]


def _session_us(probability: float) -> float:
    numbers = count(1)
    spent: list[float] = []
    for _ in range(5):
        session = HostSession(SessionConfig(), ids=lambda kind: f"{kind}_{next(numbers)}", now=0.0)
        session.actions()
        script = _minute(probability)
        began = time.perf_counter_ns()
        for now, event in script:
            session.receive(event, now)
            session.actions()
        spent.append((time.perf_counter_ns() - began) / 1000 / len(script))
    return round(quantile(spent, 0.5), 3)


def _minute(probability: float) -> list[tuple[float, AudioAppended | VoiceActivity]]:
    script: list[tuple[float, AudioAppended | VoiceActivity]] = []
    judged_ms = 0
    for heard_ms in range(20, 60_001, 20):
        now = heard_ms / 1000
        script.append((now, AudioAppended(audio=FRAME)))
        while judged_ms + 32 <= heard_ms:
            judged_ms += 32
            script.append((now, VoiceActivity(audio_ms=judged_ms, probability=probability)))
    return script
