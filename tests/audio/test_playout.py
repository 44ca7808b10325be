"""What a listener has heard, told from what was sent and when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaiwa.audio.playout import PlayoutClock


def test_audio_sent_at_once_is_heard_at_the_speed_of_time():
    clock = PlayoutClock()
    clock.sent("a", 1000, now=5.0)
    assert clock.heard_ms("a", now=5.0) == 0
    assert clock.heard_ms("a", now=5.25) == pytest.approx(250)
    assert clock.playing(now=5.25) == "a"
    assert clock.silent_at(now=5.25) == pytest.approx(6.0)
    assert clock.heard_ms("a", now=9.0) == 1000
    assert clock.playing(now=9.0) is None
    assert clock.remaining_ms(now=9.0) == 0


def test_a_gap_in_the_stream_is_silence_and_not_progress():
    clock = PlayoutClock()
    clock.sent("a", 100, now=0.0)
    clock.sent("a", 100, now=1.0)
    assert clock.heard_ms("a", now=1.05) == pytest.approx(150)


def test_items_are_heard_one_after_the_other():
    clock = PlayoutClock()
    clock.sent("a", 500, now=0.0)
    clock.sent("b", 500, now=0.0)
    clock.sent("a", 100, now=0.1)
    assert clock.playing(now=0.6) == "b"
    assert (clock.heard_ms("a", now=0.6), clock.heard_ms("b", now=0.6)) == (500, pytest.approx(100))
    assert clock.heard_ms("a", now=1.05) == pytest.approx(550)
    assert clock.sent_ms("a") == 600
    assert clock.heard_ms("never", now=2.0) == 0


def test_a_pause_stops_the_clock_and_resume_goes_on():
    clock = PlayoutClock()
    clock.sent("a", 1000, now=0.0)
    clock.pause(now=0.2)
    assert clock.silent_at(now=3.0) is None
    assert clock.heard_ms("a", now=3.0) == pytest.approx(200)
    clock.resume(now=3.0)
    assert clock.heard_ms("a", now=3.1) == pytest.approx(300)


def test_clearing_keeps_what_was_heard_and_drops_the_rest():
    clock = PlayoutClock()
    clock.sent("a", 300, now=0.0)
    clock.sent("b", 1000, now=0.0)
    clock.clear(now=0.5)
    assert clock.remaining_ms(now=0.5) == 0
    assert clock.heard_ms("b", now=9.0) == pytest.approx(200)
    assert clock.sent_ms("b") == pytest.approx(200)
    clock.sent("c", 100, now=9.0)
    assert clock.playing(now=9.05) == "c"
    clock.forget("b")
    assert clock.sent_ms("b") == 0


moves = st.tuples(
    st.sampled_from(["sent", "pause", "resume", "clear", "look"]),
    st.sampled_from(["a", "b"]),
    st.integers(0, 500),
    st.integers(0, 400),
)


@given(st.lists(moves, max_size=40))
def test_nobody_hears_more_than_was_sent_nor_faster_than_time(script):
    clock, now, heard_before = PlayoutClock(), 0.0, 0.0
    for move, item, duration_ms, wait_ms in script:
        now += wait_ms / 1000
        if move == "sent":
            clock.sent(item, duration_ms, now)
        elif move != "look":
            getattr(clock, move)(now)
        heard = clock.heard_ms("a", now) + clock.heard_ms("b", now)
        assert heard_before - 1e-6 <= heard <= heard_before + wait_ms + 1e-6
        assert heard <= clock.sent_ms("a") + clock.sent_ms("b") + 1e-6
        assert clock.remaining_ms(now) >= 0
        heard_before = heard
