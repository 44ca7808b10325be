"""What cannot be played, and why: each of these is an empty cell of docs/doors.md. Everything else has to go well."""

from __future__ import annotations

from dataclasses import dataclass

from tests.interaction.doors import DOORS, TEXTS, VOICES
from tests.interaction.houses import HOUSES

FAILING = "an answer that fails says so and the talk goes on"
STOPPED = "an answer that is stopped is over at once and the talk goes on"
COST = "an answer and a call cost the same at every door"
SPOKEN = "a spoken question is written down and answered aloud"
INTERRUPTED = "who speaks into an answer stops it and is answered"
SILENCE = "who says nothing for long is spoken to"
BUDGET = "who spends a budget is warned once and taken leave of"
RETURN = "who is cut off within a slow tool comes back and misses nothing"


@dataclass(frozen=True)
class Gap:
    bodies: tuple[str, ...]
    why: str
    houses: tuple[str, ...] = tuple(HOUSES)
    doors: tuple[str, ...] = tuple(DOORS)

    def covers(self, body: str, house: str, door: str) -> bool:
        return body in self.bodies and house in self.houses and door in self.doors


GAPS = (
    Gap((SPOKEN, INTERRUPTED, SILENCE), "Doors for text carry no sound, and nobody listens at them.", doors=TEXTS),
    Gap((FAILING,), "The dialogue engine has no service that could fail.", ("local",)),
    Gap((STOPPED,), "Its words are there at once: nothing is left to stop.", ("local",)),
    Gap(
        (INTERRUPTED,),
        "Speech is made faster than it is heard. A client that plays it by itself has all of it by then, and "
        "stops its own loudspeaker.",
        ("local",),
        tuple(door for door in VOICES if door != "webrtc"),
    ),
    Gap((BUDGET,), "Nobody comes in there whose budget it could be.", doors=("memory",)),
    Gap((RETURN,), "Nothing lies between that could break.", doors=("memory",)),
    Gap((RETURN,), "A plain stream has no numbers to go on behind; ask for a typed one.", doors=("sse-plain",)),
    Gap((COST,), "A plain stream is words and nothing else.", doors=("sse-plain",)),
    Gap((COST,), "The service is asked for chat completions there, which count otherwise.", ("relayed",), TEXTS),
)  # fmt: skip


def gap(body: str, house: str, door: str) -> Gap | None:
    return next((one for one in GAPS if one.covers(body, house, door)), None)
