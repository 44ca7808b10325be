"""What the ear in the page heard, as moments: invented sounds whose times are known."""

from __future__ import annotations

import pytest
from bench.browser_moments import Block, echoes, interruptions, onsets

STEP_S = 0.005


def heard(seconds: float, **sounds: list[tuple[float, float]]) -> list[Block]:
    """Return blocks in which each of the named ends is loud from a time to another."""

    def level(name: str, at: float) -> float:
        return 0.3 if any(begin <= at < end for begin, end in sounds.get(name, [])) else 0.0

    times = [count * STEP_S for count in range(int(seconds / STEP_S))]
    return [Block(at, *(level(name, at) for name in ("microphone", "loudspeaker", "stream"))) for at in times]


def test_a_sound_begins_after_a_silence_only() -> None:
    blocks = heard(3, microphone=[(0.5, 0.6), (0.7, 0.9), (2.0, 2.1)])
    assert onsets(blocks, lambda block: block.microphone) == pytest.approx([0.5, 2.0])


def test_an_echo_is_timed_from_its_own_sound() -> None:
    blocks = heard(
        4, microphone=[(1.0, 1.04), (2.0, 2.04), (3.0, 3.04)], loudspeaker=[(1.09, 1.13), (3.1, 3.14)]
    )
    assert echoes(blocks) == pytest.approx([90, 100])


def test_an_interruption_ends_with_the_last_sound_before_a_silence() -> None:
    answer = [
        (0.5, 2.1),
        (2.15, 2.2),
        (3.5, 5.0),
    ]  # the gap of 50 ms is between words, the last the next answer
    blocks = heard(5, microphone=[(2.0, 3.0)], loudspeaker=answer, stream=[(0.5, 2.4)])
    (cut,) = interruptions(blocks, [0.4, 2.36])
    assert cut.silent_ms == pytest.approx(195, abs=1)
    assert cut.decided_ms == pytest.approx(360)
    assert cut.flushed_ms == pytest.approx(395, abs=1)


def test_who_speaks_into_a_silence_interrupts_nobody() -> None:
    blocks = heard(4, microphone=[(2.0, 3.0)], loudspeaker=[(0.5, 1.5), (3.2, 4.0)])
    assert interruptions(blocks, []) == []
