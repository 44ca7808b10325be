"""Where in a recording somebody speaks: its stretches, from frames of voice activity. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

VOICED = 0.5
PAUSE_MS = 600
MARGIN_MS = 200
# The recogniser's window is 30 s; a longer stretch would be cut there, in the middle of a word.
LONGEST_MS = 28_000


class Stretch(NamedTuple):
    start_ms: int
    end_ms: int


def stretches(frames: Sequence[tuple[int, float]], length_ms: int) -> list[Stretch]:
    """Return the stretches with speech, in order and apart from each other.

    `frames`: the end of each frame in ms, and how probably somebody spoke in it. Pauses part stretches;
    one without a pause for long is cut where its voice is weakest in the last third. Where no frame is
    certain (a very quiet recording) the whole is one stretch: the recogniser decides with more care.
    """
    found: list[Stretch] = []
    before_ms = 0
    for end_ms, probability in frames:
        start_ms, before_ms = before_ms, end_ms
        if probability < VOICED:
            continue
        if found and start_ms - found[-1].end_ms < PAUSE_MS:
            found[-1] = Stretch(found[-1].start_ms, end_ms)
        else:
            found.append(Stretch(start_ms, end_ms))
    voiced = [_with_margins(one, length_ms) for one in found] or [Stretch(0, length_ms)]
    return [part for one in voiced for part in _parts(one, frames)]


def _with_margins(one: Stretch, length_ms: int) -> Stretch:
    return Stretch(max(0, one.start_ms - MARGIN_MS), min(length_ms, one.end_ms + MARGIN_MS))


def _parts(whole: Stretch, frames: Sequence[tuple[int, float]]) -> list[Stretch]:
    parts: list[Stretch] = []
    start_ms = whole.start_ms
    while whole.end_ms - start_ms > LONGEST_MS:
        late = [
            (probability, -end_ms)
            for end_ms, probability in frames
            if start_ms + LONGEST_MS * 2 // 3 < end_ms <= start_ms + LONGEST_MS
        ]
        cut_ms = -min(late)[1] if late else start_ms + LONGEST_MS
        parts.append(Stretch(start_ms, cut_ms))
        start_ms = cut_ms
    return [*parts, Stretch(start_ms, whole.end_ms)]
