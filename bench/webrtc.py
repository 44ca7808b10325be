"""Calls over WebRTC: what one costs, how many a core carries, how long sound takes there and back.

The server's media runs on one core, callers and everything else on the other; plain aiortc, pipecat's
SmallWebRTC transport and fastrtc in the same place are the yardsticks. A packet is late that comes 40 ms or
more after the one before it, or not at all; where the sender counts those that leave 20 ms or more after
their time, the smaller of the two counts.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import uvloop
from aiortc import RTCCertificate

from bench.corpus import spoken_lines
from bench.figures import Figure, p50_p95
from bench.memory import resident_mb
from bench.webrtc_houses import AiortcHouse, House, KaiwaHouse, PeerHouse
from bench.webrtc_peer import STEP_S, BarePeer
from bench.websocket_echo import websocket_echo_ms
from kaiwa.transports.webrtc.opus import FRAME_BYTES, OpusDecoder, OpusEncoder, silence_packet
from kaiwa.transports.webrtc.rtp import RtpPacket
from kaiwa.transports.webrtc.secured import new_certificate

# Calls tried, up to what fills the core.
LEVELS = {
    "kaiwa": (20, 60, 100, 130, 160),
    "aiortc": (10, 16, 22, 28),
    "pipecat": (8, 12, 16, 20),
    "fastrtc": (8, 14, 20, 24),
}
LATE_SHARE = 0.01
WARM_UP_S = 2.5
WINDOW_S = 6.0
BURSTS = 30
BURST_PERIOD = 25
FLUSHES = 30
LOUD = 1000


class StartHouse(Protocol):
    def __call__(self, sound: bytes, *, echo: bool = False) -> Awaitable[House]: ...


HOUSES: dict[str, StartHouse] = {
    "kaiwa": KaiwaHouse.start,
    "aiortc": AiortcHouse.start,
    "pipecat": partial(PeerHouse.start, "pipecat"),
    "fastrtc": partial(PeerHouse.start, "fastrtc"),
}


def measure() -> list[Figure]:
    return uvloop.run(_measure())


async def _measure() -> list[Figure]:
    sound = b"".join(line.pcm for line in spoken_lines("ja"))
    _stay_on(0, {1})
    figures: list[Figure] = []
    for name, start in HOUSES.items():
        figures += await _capacity(name, start, sound)
        figures += p50_p95(f"webrtc.{name}.echo_ms", await _echo_ms(await start(b"", echo=True)), "ms")
    figures += p50_p95("webrtc.websocket.echo_ms", await websocket_echo_ms(BURSTS), "ms")
    return figures + await _flush_and_answer(sound)


def _stay_on(pid: int, cores: set[int]) -> None:
    if len(os.sched_getaffinity(0)) > 1 or pid:
        os.sched_setaffinity(pid, cores & set(range(os.cpu_count() or 1)) or {0})


# --- cost and capacity ------------------------------------------------------------------------


class _Arrivals:
    """When the packets of one call came."""

    def __init__(self) -> None:
        self.frames = 0
        self.begin()

    def begin(self) -> None:
        self.packets = self.late = self.frames = 0
        self._before = 0.0

    def heard(self, packet: RtpPacket, now: float) -> None:
        self.packets += 1
        self.late += 0.0 < self._before <= now - 2 * STEP_S
        self._before = now

    def told(self, frame: str) -> None:
        self.frames += 1


async def _capacity(name: str, start: StartHouse, sound: bytes) -> list[Figure]:
    figures: list[Figure] = []
    most = 0
    for calls in LEVELS[name]:
        cost_ms, late, memory_mb, machine_late = await _level(await start(sound), calls)
        note = f"late {late:.2%} (a bare timer {machine_late:.2%}), {memory_mb:.0f} MB"
        figures.append(Figure(f"webrtc.{name}.calls_{calls}.cpu_ms", round(cost_ms, 2), "ms", note=note))
        figures.append(Figure(f"webrtc.{name}.calls_{calls}.late_share", round(late, 4), "share"))
        if late >= LATE_SHARE:
            break
        most = calls
    return [*figures, Figure(f"webrtc.{name}.sessions_per_core", most, "calls", note="late under 1%")]


async def _level(house: House, calls: int) -> tuple[float, float, float, float]:
    """Return CPU per session-second, the share of late packets, the memory of the media process, and how
    late a bare timer was on the same core: what of the lateness is the machine's."""
    _stay_on(house.process_id, {0})
    speech = _speech_packets()
    certificate = new_certificate()
    arrivals = [_Arrivals() for _ in range(calls)]
    peers = [BarePeer(certificate, speech, one.heard, one.told) for one in arrivals]
    for at in range(0, calls, 10):
        await asyncio.gather(*(_connected(peer, house) for peer in peers[at : at + 10]))
    await asyncio.sleep(WARM_UP_S)
    for one in arrivals:
        one.begin()
    began_s, cpu_s = time.monotonic(), _cpu_s(house.process_id)
    machine_late = await _bare_timer()
    spent_s, elapsed_s = _cpu_s(house.process_id) - cpu_s, time.monotonic() - began_s
    memory_mb = resident_mb(house.process_id)
    expected = elapsed_s / STEP_S
    late = sum(one.late + max(0.0, expected - one.packets - 1) for one in arrivals) / expected / calls
    assert all(one.packets and one.frames for one in arrivals), "a call is dead"
    counted = await house.late_share()
    # The sender counts the handshakes too, the caller its own delays: the truth is below both.
    late = late if counted is None else min(late, counted)
    await asyncio.gather(*(peer.leave() for peer in peers))
    await house.close()
    return spent_s * 1000 / elapsed_s / calls, late, memory_mb, machine_late


async def _bare_timer() -> float:
    """Let the window pass, and return the share of late ticks in it."""
    command = (sys.executable, "-m", "bench.bare_timer", "0", str(WINDOW_S))
    timer = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await timer.communicate()
    return float(said)


async def _connected(peer: BarePeer, house: House) -> None:
    await peer.connect(await house.answer(peer.offer()))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _speech_packets() -> list[bytes]:
    sound = b"".join(line.pcm for line in spoken_lines("en"))
    encoder = OpusEncoder(32_000, 5)
    whole = len(sound) - len(sound) % FRAME_BYTES
    return [encoder.encode(sound[at : at + FRAME_BYTES]) for at in range(0, whole, FRAME_BYTES)]


# --- there and back ---------------------------------------------------------------------------


async def _echo_ms(house: House) -> list[float]:
    """Return, for each burst, the time from the packet it begins in to the first loud one that comes back."""
    decoder = OpusDecoder()
    spent: list[float] = []
    peer: BarePeer
    done = asyncio.Event()
    heard_of = [-1]

    def heard(packet: RtpPacket, now: float) -> None:
        number, sent_at = peer.round_began
        if _is_loud(decoder, packet) and number > heard_of[0]:
            heard_of[0] = number
            spent.append((now - sent_at) * 1000)
            if len(spent) > BURSTS:
                done.set()

    peer = BarePeer(new_certificate(), _bursts(BURST_PERIOD), heard)
    await _connected(peer, house)
    async with asyncio.timeout(BURSTS * BURST_PERIOD * STEP_S * 2 + 10):
        await done.wait()
    await peer.leave()
    await house.close()
    return spent[1:]


def _is_loud(decoder: OpusDecoder, packet: RtpPacket) -> bool:
    return bool(np.abs(np.frombuffer(decoder.decode(packet.payload), "<i2")).max() > LOUD)


def _bursts(period: int) -> list[bytes]:
    """Return packets of silence whose first two frames are a tone."""
    tone = (12_000 * np.sin(2 * np.pi * 1000 * np.arange(960) / 24_000)).astype("<i2").tobytes()
    encoder = OpusEncoder(32_000, 5)
    sound = tone + bytes(FRAME_BYTES * (period - 2))
    for at in range(0, len(sound), FRAME_BYTES):
        encoder.encode(sound[at : at + FRAME_BYTES])
    return [encoder.encode(sound[at : at + FRAME_BYTES]) for at in range(0, len(sound), FRAME_BYTES)]


async def _flush_and_answer(sound: bytes) -> list[Figure]:
    house = await KaiwaHouse.start(sound)
    silence = silence_packet(32_000, 5)
    decoder = OpusDecoder()
    flushed: list[float] = []
    answered: list[float] = []
    certificate: RTCCertificate = new_certificate()
    last_sound = [0.0]

    def heard(packet: RtpPacket, now: float) -> None:
        if _is_loud(decoder, packet):
            last_sound[0] = now

    peer = BarePeer(certificate, [silence], heard)
    began = time.perf_counter()
    answer = await house.answer(peer.offer())
    answered.append((time.perf_counter() - began) * 1000)
    house.hush()
    await peer.connect(answer)
    for _ in range(FLUSHES):
        await house.say(5.0)
        await asyncio.sleep(0.6)
        cut = asyncio.get_running_loop().time()
        await house.flush()
        await asyncio.sleep(0.2)
        flushed.append(max(0.0, last_sound[0] - cut) * 1000)
        probe = BarePeer(certificate, [silence], heard)
        began = time.perf_counter()
        await house.answer(probe.offer())
        answered.append((time.perf_counter() - began) * 1000)
        house.hush()
        probe.close()
    await peer.leave()
    await house.close()
    return [
        *p50_p95("webrtc.kaiwa.flush_ms", flushed, "ms", (20, 40)),
        *p50_p95("webrtc.kaiwa.answer_ms", answered, "ms", (10, 20)),
    ]
