"""The steps of turns and responses in time, read from what the peer is told: local, relayed, in calls.

A step is counted when its event leaves for the peer, so all waiting is in it. Knows event types; no words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, cast

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Histogram

from kaiwa.events import server
from kaiwa.events.relay import PassedFrame
from kaiwa.events.server import ServerEvent
from kaiwa.server.measures.labels import OTHER
from kaiwa.server.measures.scales import LONG_S, STEP_S

Step = Literal[
    "speech",
    "stopped",
    "committed",
    "transcribed",
    "response",
    "words",  # the first of a response
    "sound",  # the first of a response
    "sounded",
    "playing",
    "played",
    "done",
]
Hear = Callable[[Step, ServerEvent, float], None]

_STEPS: Final[Mapping[type[Struct], Step]] = {
    server.SpeechStarted: "speech",
    server.SpeechStopped: "stopped",
    server.InputAudioCommitted: "committed",
    server.InputTranscriptionCompleted: "transcribed",
    server.ResponseCreated: "response",
    server.TextDelta: "words",
    server.TranscriptDelta: "words",
    server.AudioDelta: "sound",
    server.AudioDone: "sounded",
    server.OutputAudioStarted: "playing",
    server.OutputAudioStopped: "played",
    server.OutputAudioCleared: "played",
    server.ResponseDone: "done",
}
_OUTPUT: Final[frozenset[Step]] = frozenset({"words", "sound"})
_BY_NAME: Final[Mapping[str, Step]] = {str(kind.__struct_config__.tag): step for kind, step in _STEPS.items()}
# How the histogram calls the steps that it has.
_COUNTED: Final[Mapping[Step, str]] = {
    "committed": "committed",
    "transcribed": "transcribed",
    "response": "response",
    "words": "first_output",
    "sound": "first_output",
    "done": "done",
}
_STATUSES: Final = frozenset({"completed", "cancelled", "incomplete", "failed"})


class TurnMeasures:
    """Shared by all conversations."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.turns = Counter("kaiwa_turns", "Turns that callers spoke.", ["door"], registry=registry)
        self.steps = Histogram(
            "kaiwa_turn_step_seconds",
            "From the end of a caller's speech to each step of the answer, the first time in a turn.",
            ["step", "door"],
            buckets=STEP_S,
            registry=registry,
        )
        self.first_output = Histogram(
            "kaiwa_response_first_output_seconds",
            "From the beginning of a response to its first sound or text.",
            ["door"],
            buckets=STEP_S,
            registry=registry,
        )
        self.elapsed = Histogram(
            "kaiwa_response_seconds",
            "From the beginning of a response to its end.",
            ["door"],
            buckets=LONG_S,
            registry=registry,
        )
        self.responses = Counter(
            "kaiwa_responses", "Responses that are over, by status.", ["status", "door"], registry=registry
        )

    def watch(self, door: str) -> TurnWatch:
        return TurnWatch(self, door)


class TurnWatch:
    """One conversation. `note` every event that its peer is told, in order; `heard` hears of each step."""

    __slots__ = ("_door", "_measures", "_response_at", "_seen", "_silent", "_stopped_at", "_unsaid", "heard")

    def __init__(self, measures: TurnMeasures, door: str) -> None:
        self._measures = measures
        self._door = door
        self.heard: list[Hear] = []
        self._stopped_at: float | None = None
        self._response_at: float | None = None
        self._silent = False
        self._unsaid: set[Step] = set()
        """What the running response has not begun to give."""
        self._seen: set[str] = set()

    def note(self, event: ServerEvent, now: float) -> None:
        step = _BY_NAME.get(event.type) if isinstance(event, PassedFrame) else _STEPS.get(type(event))
        if step is None or (step in _OUTPUT and step not in self._unsaid):
            return
        if step == "speech":
            self._stopped_at = None
        elif step == "stopped":
            self._stopped_at = now
            self._seen.clear()
            self._measures.turns.labels(self._door).inc()
        else:
            self._follow(step, event, now)
        for hear in self.heard:
            hear(step, event, now)

    def _follow(self, step: Step, event: ServerEvent, now: float) -> None:
        counted = _COUNTED.get(step)
        if self._stopped_at is not None and counted is not None and counted not in self._seen:
            self._seen.add(counted)
            self._measures.steps.labels(counted, self._door).observe(now - self._stopped_at)
        if step == "response":
            self._response_at, self._silent = now, True
            self._unsaid.update(_OUTPUT)
        elif step in _OUTPUT:
            self._unsaid.discard(step)
            self._first_output(now)
        elif step == "done":
            self._measures.responses.labels(status_of(event), self._door).inc()
            if self._response_at is not None:
                self._measures.elapsed.labels(self._door).observe(now - self._response_at)
            self._response_at, self._silent = None, False
            self._unsaid.clear()

    def _first_output(self, now: float) -> None:
        if self._silent and self._response_at is not None:
            self._measures.first_output.labels(self._door).observe(now - self._response_at)
        self._silent = False


def status_of(event: ServerEvent) -> str:
    """Return how a response ended, by its `response.done`."""
    if isinstance(event, server.ResponseDone):
        return event.response.status
    body = event.body if isinstance(event, PassedFrame) else None
    response = (body or {}).get("response")
    status = cast(dict[str, Any], response).get("status") if isinstance(response, dict) else None
    return status if isinstance(status, str) and status in _STATUSES else OTHER
