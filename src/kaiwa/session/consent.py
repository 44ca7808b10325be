"""Whether the caller has agreed to a change, as far as a conversation can show it.

A tool with `confirm` is called twice: the first call is held back, with the instruction to read back; the
second runs, if between the two a response was spoken to its end, the caller heard it, and then took a turn
that is neither empty nor a refusal. Whether the words of that turn agree is the model's to judge. An
agreement is for these arguments, once. Knows turns, responses and words as they are told; decides nothing
else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from kaiwa.events.tools import ToolCall, ToolSpec

_KEPT_RESPONSES = 64


@dataclass(slots=True)
class _Asked:
    """A change that waits for its agreement, by the steps it has come."""

    call_id: str
    arguments: str
    settled: bool = False
    read_back: bool = False
    turn: int | None = None
    item_id: str | None = None

    def followed_by(self, began: _Began) -> bool:
        """True when the response began after the turn in which the caller answered the read-back."""
        return self.turn is not None and began.turn >= self.turn and not began.unprompted


@dataclass(frozen=True, slots=True)
class _Began:
    turn: int
    unprompted: bool
    after: frozenset[str]  # the held calls whose instruction the response could read


class Consent:
    def __init__(self, tools: Sequence[ToolSpec], refusals: Sequence[str]) -> None:
        self._wanted = {tool.name for tool in tools if tool.confirm}
        self._refusals = tuple(refusals)
        self._turn = 0
        self._unprompted = False
        self._asked: dict[str, _Asked] = {}
        self._began: dict[str, _Began] = {}
        self._heard: frozenset[str] = frozenset()

    # --- calls ---------------------------------------------------------------------------------

    def marked(self, call: ToolCall, conversation_id: str, *, confirmed: bool) -> ToolCall:
        """Return the call with what is known of the turn it comes from, and use up an agreement to it.

        `confirmed`: the engine has read back and heard a yes by itself.
        """
        began = self._began.get(call.response_id, _Began(self._turn, self._unprompted, frozenset()))
        return msgspec.structs.replace(
            call,
            conversation_id=conversation_id,
            turn=began.turn,
            unprompted=began.unprompted,
            agreed=call.name in self._wanted and self._agreed(call, began, confirmed=confirmed),
        )

    def _agreed(self, call: ToolCall, began: _Began, *, confirmed: bool) -> bool:
        arguments = _canonical(call.arguments)
        asked = self._asked.pop(call.name, None)
        if confirmed and began.turn > 0:
            return True
        if asked is not None and asked.arguments == arguments and asked.followed_by(began):
            return True
        self._asked[call.name] = _Asked(call.call_id, arguments)
        return False

    def settled(self, call_id: str) -> None:
        """The call has its output: from now on a model may read that it has to read back."""
        for asked in self._asked.values():
            asked.settled = asked.settled or asked.call_id == call_id

    # --- responses -----------------------------------------------------------------------------

    def began(self, response_id: str) -> None:
        after = frozenset(asked.call_id for asked in self._asked.values() if asked.settled)
        self._began[response_id] = _Began(self._turn, self._unprompted, after)
        while len(self._began) > _KEPT_RESPONSES:
            del self._began[next(iter(self._began))]

    def spoke(self, response_id: str) -> None:
        """The response was said to its end."""
        began = self._began.get(response_id)
        for asked in self._asked.values():
            asked.read_back = asked.read_back or (began is not None and asked.call_id in began.after)

    # --- the user's turns ----------------------------------------------------------------------

    def turn_began(self, *, heard: bool) -> None:
        """The user begins; `heard` says that what was said before was heard to its end."""
        read_back = frozenset(asked.call_id for asked in self._asked.values() if asked.read_back)
        self._heard = read_back if heard else frozenset()
        if not heard:
            for asked in self._asked.values():
                asked.read_back = False

    def turn_ended(self, item_id: str, words: str | None = None) -> None:
        """The user has had a turn. `words` None: they may follow."""
        self._turn += 1
        self._unprompted = False
        for asked in self._asked.values():
            if asked.call_id in self._heard:
                asked.turn, asked.item_id = self._turn, item_id
        self._heard = frozenset()
        if words is not None:
            self.worded(item_id, words)

    def silence_passed(self) -> None:
        """What follows answers a silence."""
        self._unprompted = True

    def requested(self) -> None:
        """What follows was asked for by the client."""
        self._unprompted = False

    def worded(self, item_id: str, words: str) -> None:
        """Take back what a turn of these words cannot have agreed to."""
        for name, asked in list(self._asked.items()):
            if asked.item_id != item_id:
                continue
            plain = words.strip(" 、。,.!！…").lower()
            if not plain:
                asked.turn = None
            elif self._refused(plain):
                del self._asked[name]

    def _refused(self, plain: str) -> bool:
        """True when the words begin with a refusal, as a word: "now please" does not begin with "no"."""
        return any(
            plain.startswith(refusal) and not (refusal.isascii() and plain[len(refusal) :][:1].isalpha())
            for refusal in self._refusals
        )


def _canonical(arguments: str) -> str:
    try:
        return msgspec.json.encode(msgspec.json.decode(arguments or "{}"), order="deterministic").decode()
    except msgspec.DecodeError:
        return arguments
