"""What goes on in the house now: conversations, tools and errors, as `measures` and the relay tell of them.

Measures nothing itself. Fits `measures.conversations.Follow` and `gateway.streams.Streams.tell`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from kaiwa.events.server import ServerEvent
from kaiwa.events.tools import ToolCall, ToolSettled
from kaiwa.events.usage import Usage
from kaiwa.gateway.ended import StreamEnded
from kaiwa.gateway.streams import Streams
from kaiwa.server.measures.conversations import ConversationMeasures, Opened, outcome_of
from kaiwa.server.measures.labels import GOOD_ENDINGS, ending_of
from kaiwa.server.measures.turns import Step
from kaiwa.server.status.answer import Doing, Timed
from kaiwa.server.status.recent import Recent, Troubles

MOST_TOOLS: Final = 100
_TIMED: Final[dict[Step, Timed]] = {
    "transcribed": "recognition",
    "response": "decision",
    "words": "first_words",
    "sound": "first_sound",
}
_DOING: Final[dict[Step, Doing]] = {
    "speech": "hearing",
    "stopped": "thinking",
    "response": "thinking",
    "words": "answering",
    "sound": "answering",
    "playing": "answering",
    "played": "listening",
}
_NO_FAULTS: Final = frozenset({"completed", "client_left", "stopped", "refused", "shut_down"})
_GOOD_TRIES: Final = frozenset({"completed", "cancelled"})
RELAY: Final = "relay"


@dataclass(slots=True)
class Calls:
    """The calls of one tool that are over."""

    completed: int = 0
    failed: int = 0
    cancelled: int = 0


class Board:
    """Every conversation that is held now, what was timed lately, and what went wrong lately."""

    def __init__(self) -> None:
        self.live: dict[str, LiveSession] = {}
        self.latencies: dict[Timed, Recent] = {
            step: Recent() for step in ("recognition", "decision", "first_words", "first_sound", "answer")
        }
        self.calls: dict[str, Calls] = {}
        self.call_times: dict[str, Recent] = {}
        self.troubles = Troubles()

    def opened(self, opened: Opened) -> LiveSession:
        """A conversation has begun."""
        live = self.live[opened.session_id] = LiveSession(self, opened)
        return live

    def stream_ended(self, stream: StreamEnded, now: float) -> None:
        for one in stream.tries:
            if one.outcome not in _GOOD_TRIES:
                code = one.code or (str(one.status) if one.outcome == "refused" else one.outcome)
                self.troubles.note(code, one.deployment, one.ended)
        if stream.reason not in _NO_FAULTS:
            self.troubles.note(stream.reason, RELAY, now)

    def tool_over(self, name: str, outcome: str, elapsed_s: float, now: float) -> None:
        if name not in self.calls and len(self.calls) >= MOST_TOOLS:
            return
        calls = self.calls.setdefault(name, Calls())
        setattr(calls, outcome, getattr(calls, outcome) + 1)
        self.call_times.setdefault(name, Recent()).add(elapsed_s)
        if outcome == "failed":
            self.troubles.note("tool_failed", name, now)


def board_of(conversations: ConversationMeasures, streams: Streams) -> Board:
    """Return a board that hears of every conversation and of every stream's end."""
    board = Board()
    conversations.followers.append(board.opened)
    streams.tell(lambda stream: board.stream_ended(stream, time.monotonic()))
    return board


class LiveSession:
    """Fits `measures.conversations.Follower`."""

    def __init__(self, board: Board, opened: Opened) -> None:
        self.opened = opened
        self.turns = self.responses = self.input_tokens = self.output_tokens = 0
        self.waited_s: float | None = None
        self.calls: dict[str, tuple[str, float]] = {}
        self._board = board
        self._doing: Doing = "listening"
        self._stopped_at: float | None = None
        self._response_at: float | None = None
        self._timed: set[Timed] = set()
        """What was timed of this turn already."""
        self._playing = False

    @property
    def doing(self) -> Doing:
        return "working" if self.calls and self._doing in ("listening", "thinking") else self._doing

    def took(self, step: Step, event: ServerEvent, now: float) -> None:
        self._follow(step)
        if step == "stopped":
            self._stopped_at = now
            self._timed.clear()
            self.turns += 1
        elif step == "speech":
            self._stopped_at = None
        elif step == "response":
            self.responses += 1
            self._response_at = now
        if step in ("words", "sound"):
            self._answered(now)
        self._time(step, now)

    def used(self, usage: Usage) -> None:
        self.input_tokens += usage.input_tokens
        self.output_tokens += usage.output_tokens

    def calling(self, call: ToolCall, name: str, now: float) -> None:
        self.calls[call.call_id] = name, now

    def called(self, call: ToolCall, name: str, settled: ToolSettled | None, now: float) -> None:
        _, began = self.calls.pop(call.call_id, (name, now))
        self._board.tool_over(name, outcome_of(settled), now - began, now)

    def over(self, reason: str, now: float) -> None:
        self._board.live.pop(self.opened.session_id, None)
        ending = ending_of(reason)
        if ending not in GOOD_ENDINGS:
            self._board.troubles.note(ending, self.opened.door, now)

    def _follow(self, step: Step) -> None:
        if step in ("playing", "played"):
            self._playing = step == "playing"
        if step == "done":
            self._doing = "answering" if self._playing else "listening"
        else:
            self._doing = _DOING.get(step, self._doing)

    def _time(self, step: Step, now: float) -> None:
        timed = _TIMED.get(step)
        if timed is not None and self._stopped_at is not None and timed not in self._timed:
            self._timed.add(timed)
            self._board.latencies[timed].add(now - self._stopped_at)

    def _answered(self, now: float) -> None:
        """The first of an answer: what a caller waited for."""
        if self._response_at is None:
            return
        self._board.latencies["answer"].add(now - self._response_at)
        first = not self._timed & {"first_words", "first_sound"}
        since = self._stopped_at if self._stopped_at is not None and first else self._response_at
        self.waited_s, self._response_at = now - since, None
