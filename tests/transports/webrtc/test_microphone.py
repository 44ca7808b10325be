"""From packets to an unbroken line of sound: order, loss, pauses. Time is an argument."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.transports.webrtc.aiortc_peer import sine

from kaiwa.transports.webrtc.microphone import Microphone
from kaiwa.transports.webrtc.opus import OpusDecoder, OpusEncoder
from kaiwa.transports.webrtc.reorder import HELD_S, Reorder
from kaiwa.transports.webrtc.rtp import RtpPacket

FRAME = 480
STEP = 960


def bare(sequence: int) -> RtpPacket:
    return RtpPacket(111, sequence & 0xFFFF, 0, 7, b"")


def order_of(sequences: Iterable[int]) -> list[int]:
    reorder = Reorder()
    return [ready.sequence for number in sequences for ready in reorder.push(bare(number), 0.0)]


def speech(seconds: float, *, lossy: bool = False) -> list[RtpPacket]:
    encoder = OpusEncoder(32_000, 5, lossy=lossy)
    sound = sine(440, int(seconds * 24_000), rate_hz=24_000).tobytes()
    frames = (sound[at : at + 2 * FRAME] for at in range(0, len(sound), 2 * FRAME))
    return [
        RtpPacket(111, (65_500 + n) & 0xFFFF, n * STEP, 7, encoder.encode(frame))
        for n, frame in enumerate(frames)
    ]


def microphone() -> Microphone:
    return Microphone(OpusDecoder(), 48_000, 111)


def heard(packets: list[RtpPacket], at: dict[int, float] | None = None) -> tuple[np.ndarray, Microphone]:
    """Let packets arrive each at its time."""
    ears = microphone()
    sound = b"".join(ears.arrived(packet, n * 0.02) for n, packet in enumerate(packets))
    return np.frombuffer(sound, "<i2"), ears


def test_packets_in_order_pass_at_once() -> None:
    assert order_of([65534, 65535, 0, 1]) == [65534, 65535, 0, 1]


def test_swapped_packets_are_put_right() -> None:
    assert order_of([1, 3, 2, 4, 6, 5]) == [1, 2, 3, 4, 5, 6]


def test_a_lost_packet_holds_two_others_up_and_no_more() -> None:
    reorder = Reorder()
    ready = [[one.sequence for one in reorder.push(bare(n), 0.0)] for n in (1, 3, 4, 5, 6)]
    assert ready == [[1], [], [], [3, 4, 5], [6]]


def test_a_lost_packet_holds_others_up_for_60_ms_and_no_longer() -> None:
    reorder = Reorder()
    list(reorder.push(bare(1), 0.0))
    list(reorder.push(bare(3), 1.0))
    assert list(reorder.overdue(1.0 + HELD_S - 0.001)) == []
    assert [one.sequence for one in reorder.overdue(1.0 + HELD_S)] == [3]


def test_a_late_packet_is_dropped_and_a_far_jump_is_a_new_beginning() -> None:
    assert order_of([10, 11, 9, 12, 20_000, 20_001]) == [10, 11, 12, 20_000, 20_001]


@given(st.permutations(range(12)), st.integers(0, 65535))
def test_whatever_comes_goes_on_once_and_in_order(sequences: list[int], begin: int) -> None:
    reorder = Reorder()
    ready = [
        (one.sequence - begin) & 0xFFFF
        for number in sequences
        for one in reorder.push(bare(begin + number), 0.0)
        if (one.sequence - begin) & 0xFFFF < 12
    ]
    ready += [(one.sequence - begin) & 0xFFFF for one in reorder.overdue(9.0)]
    assert ready == sorted(set(ready))


def test_nothing_is_lost_of_an_even_stream() -> None:
    sound, _ = heard(speech(1.0))
    assert len(sound) == 24_000
    assert abs(np.abs(sound).max() - 8000) < 1500


@pytest.mark.parametrize("lossy", [False, True], ids=["concealed", "corrected"])
def test_a_lost_packet_is_made_up_for(lossy: bool) -> None:
    packets = speech(1.0, lossy=lossy)
    del packets[20]
    sound, ears = heard(packets)
    assert len(sound) == 24_000
    assert ears.recovered == 1
    hole = sound[20 * FRAME : 21 * FRAME].astype(float)
    assert np.sqrt(np.mean(hole**2)) > 2000


def test_a_long_loss_keeps_its_length() -> None:
    packets = speech(1.0)
    del packets[10:25]
    sound, ears = heard(packets)
    assert len(sound) == 24_000
    assert ears.concealed == 2
    assert not sound[16 * FRAME : 22 * FRAME].any()


def test_swapped_packets_sound_as_if_they_were_not() -> None:
    packets = speech(1.0)
    straight, _ = heard(packets)
    packets[7], packets[8] = packets[8], packets[7]
    swapped, _ = heard(packets)
    assert (straight == swapped).all()


def test_a_gap_in_the_timestamps_is_silence_of_that_length() -> None:
    packets = speech(1.0)
    for n in range(30, 50):
        packets[n] = packets[n]._replace(timestamp=packets[n].timestamp + 10 * STEP)
    sound, _ = heard(packets)
    assert len(sound) == 24_000 + 10 * FRAME
    assert not sound[30 * FRAME : 40 * FRAME].any()


def test_silence_is_heard_while_a_pause_lasts() -> None:
    ears = microphone()
    packets = speech(0.2)
    for n, packet in enumerate(packets):
        ears.arrived(packet, n * 0.02)
    last = (len(packets) - 1) * 0.02
    during = b"".join(ears.pass_time(last + n * 0.02) for n in range(1, 151))
    assert abs(len(during) / 48_000 - 3.0) < 0.021
    assert not any(during)


def test_a_pause_that_was_heard_is_not_heard_again() -> None:
    ears = microphone()
    packets = speech(0.4)
    for n in range(10, 20):
        packets[n] = packets[n]._replace(timestamp=packets[n].timestamp + 100 * STEP)
    sound = b"".join(ears.arrived(packet, n * 0.02) for n, packet in enumerate(packets[:10]))
    for n in range(1, 101):
        sound += ears.pass_time(0.18 + n * 0.02)
    sound += b"".join(ears.arrived(packet, 2.2 + n * 0.02) for n, packet in enumerate(packets[10:]))
    assert abs(len(sound) / 48_000 - 2.4) < 0.03


def test_a_network_that_stood_still_makes_the_next_pause_shorter() -> None:
    ears = microphone()
    packets = speech(0.4)
    sound = b"".join(ears.arrived(packet, n * 0.02) for n, packet in enumerate(packets[:10]))
    sound += b"".join(ears.pass_time(0.18 + n * 0.02) for n in range(1, 26))
    sound += b"".join(ears.arrived(packet, 0.68) for packet in packets[10:])
    assert abs(len(sound) / 48_000 - 0.9) < 0.021
    sound += b"".join(ears.pass_time(0.68 + n * 0.02) for n in range(1, 51))
    assert abs(len(sound) / 48_000 - 1.4) < 0.041


def test_before_the_first_packet_nothing_is_heard() -> None:
    assert microphone().pass_time(100.0) == b""


def test_a_broken_packet_costs_itself_only() -> None:
    packets = speech(1.0)
    packets[5] = packets[5]._replace(payload=b"\xff\xff\xff")
    sound, ears = heard(packets)
    assert ears.broken == 1
    assert len(sound) == 24_000


def test_another_source_begins_anew() -> None:
    packets = speech(0.2)
    other = [
        packet._replace(ssrc=8, sequence=n, timestamp=n * STEP + 9) for n, packet in enumerate(speech(0.2))
    ]
    assert len(heard([*packets, *other])[0]) == 9600
