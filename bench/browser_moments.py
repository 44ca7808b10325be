"""Moments in what the ear in the page heard: sounds that came back, answers that fell silent. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import NamedTuple

LOUD = 0.02
AUDIBLE = 0.006
QUIET_S = 0.25
SILENT_S = 0.25
SPOKE_S = 0.15
LONGEST_S = 2.5


class Block(NamedTuple):
    """About 5 ms: when it began on the clock of the page's audio, and the peaks in it."""

    at: float
    microphone: float
    loudspeaker: float
    stream: float = 0.0


class Interruption(NamedTuple):
    """Milliseconds from the caller's first sound: to the last sound of the page, to the server's word that
    speech has started, to the last sound that the call itself carried."""

    silent_ms: float
    decided_ms: float | None
    flushed_ms: float | None


Level = Callable[[Block], float]


def onsets(blocks: Sequence[Block], level: Level, loud: float = LOUD) -> list[float]:
    """Return when sound began after a silence."""
    found: list[float] = []
    last_loud = blocks[0].at if blocks else 0.0
    for block in blocks:
        if level(block) < loud:
            continue
        if block.at - last_loud > QUIET_S:
            found.append(block.at)
        last_loud = block.at
    return found


def echoes(blocks: Sequence[Block]) -> list[float]:
    """Return the milliseconds from each sound in the microphone to the next in the loudspeaker."""
    back = onsets(blocks, lambda block: block.loudspeaker)
    spent: list[float] = []
    for said in onsets(blocks, lambda block: block.microphone):
        later = [at for at in back if 0 < at - said < QUIET_S * 2]
        spent += [(at - said) * 1000 for at in later[:1]]
    return spent


def interruptions(blocks: Sequence[Block], told: Sequence[float]) -> list[Interruption]:
    """Return what happened each time the caller began while the page was speaking."""
    moments = [block.at for block in blocks]
    found: list[Interruption] = []
    for began in onsets(blocks, lambda block: block.microphone):
        before = blocks[bisect_left(moments, began - SPOKE_S) : bisect_left(moments, began)]
        after = blocks[bisect_left(moments, began) : bisect_left(moments, began + LONGEST_S)]
        if not any(block.loudspeaker > AUDIBLE for block in before) or not after:
            continue
        decided = next((at for at in told if began < at < began + LONGEST_S), None)
        found.append(
            Interruption(
                _last_sound_ms(after, began, lambda block: block.loudspeaker),
                None if decided is None else (decided - began) * 1000,
                _last_sound_ms(after, began, lambda block: block.stream)
                if any(block.stream > AUDIBLE for block in before)
                else None,
            )
        )
    return found


def _last_sound_ms(after: Sequence[Block], began: float, level: Level) -> float:
    """Return when the sound ended that a silence followed; pauses between words are shorter."""
    last = began
    for block in after:
        if level(block) > AUDIBLE:
            last = block.at
        elif block.at - last > SILENT_S:
            break
    return (last - began) * 1000
