"""Questions and answers over a conversation of events: which answer is whose, and when it is whole.

A question may lead to several responses: words, a call, words about its output. Its answer is whole when a
response ended, none of its calls runs, and every output was read by a response. Pure: events in, events for
the session and pieces for who asked out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from kaiwa.events import client, server
from kaiwa.events.items import ClientItem, FunctionCall, FunctionCallOutput
from kaiwa.events.own import ToolProgressed
from kaiwa.events.pieces import (
    CallPiece,
    ErrorPiece,
    FinishPiece,
    FinishReason,
    NoticePiece,
    Piece,
    ProgressPiece,
    ResultPiece,
    TextPiece,
    UsagePiece,
)
from kaiwa.events.response import FailedStatus, Incomplete, Response
from kaiwa.events.usage import Usage

TURN = "kaiwa.turn"
_BUSY = "conversation_already_has_active_response"
_NOTHING = UsagePiece()


@dataclass(slots=True)
class _Question:
    """One that is not answered yet. `unread`: an output came; `read_by`: the response that reads it."""

    turn: str
    items: tuple[ClientItem, ...]
    calls: set[str] = field(default_factory=set[str])
    unread: bool = False
    read_by: str | None = None
    answered: bool = False
    spoke_in: str | None = None
    reason: FinishReason = "stop"
    usage: UsagePiece = _NOTHING
    notice: NoticePiece | None = None

    @property
    def whole(self) -> bool:
        return self.answered and not self.calls and not self.unread and self.read_by is None


@dataclass(slots=True)
class Said:
    """What follows from one event: for the session, and for those who asked (turn, piece)."""

    events: list[client.WireEvent] = field(default_factory=list[client.WireEvent])
    pieces: list[tuple[str, Piece]] = field(default_factory=list[tuple[str, Piece]])


class Asking:
    """Feed it questions, cancellations and the session's events; it returns what follows.

    Questions wait for the floor: a session gives one response at a time.
    """

    def __init__(self) -> None:
        self._waiting: deque[_Question] = deque()
        self._open: dict[str, _Question] = {}
        self._responses: dict[str, str | None] = {}
        self._active: str | None = None
        self._asked: str | None = None

    @property
    def unanswered(self) -> int:
        return len(self._waiting) + len(self._open)

    def ask(self, turn: str, items: Iterable[ClientItem], notice: NoticePiece | None = None) -> Said:
        """Put a question; `turn` names it in everything that follows. `notice` is told behind the answer."""
        self._waiting.append(_Question(turn, tuple(items), notice=notice))
        return self._go_on(Said())

    def cancel(self, turn: str, why: ErrorPiece | None = None) -> Said:
        """End this answer: nobody waits for it any more, or it may not go on, and then `why` is told.

        Its running calls go on by their own rules.
        """
        said = Said()
        if why is not None and (turn in self._open or any(one.turn == turn for one in self._waiting)):
            said.pieces.append((turn, why))
        reason: FinishReason = "cancelled" if why is None else "error"
        waiting = next((one for one in self._waiting if one.turn == turn), None)
        if waiting is not None:
            self._waiting.remove(waiting)
            self._finish(waiting, reason, said)
        elif (question := self._open.get(turn)) is not None:
            if self._active is not None and self._responses.get(self._active) == turn:
                said.events.append(client.ResponseCancelled(response_id=self._active))
            self._finish(question, reason, said)
        return said

    def end(self, code: str, message: str) -> Said:
        """The conversation is over: every question that is open fails."""
        said = Said()
        for question in (*self._open.values(), *self._waiting):
            self._fail(question, code, message, said)
        self._waiting.clear()
        return said

    def hear(self, event: server.ServerEvent) -> Said:
        """Take one event of the session."""
        said = Said()
        match event:
            case server.ResponseCreated():
                self._begin(event.response, said)
            case server.TextDelta() | server.TranscriptDelta():
                self._say(event.response_id, event.delta, said)
            case server.OutputItemDone(item=FunctionCall() as call):
                self._call(event.response_id, call, said)
            case server.ItemAdded(item=FunctionCallOutput() as output):
                self._settle(output, said)
            case ToolProgressed():
                self._progress(event, said)
            case server.ResponseDone():
                self._end_response(event.response, said)
            case server.Failed():
                self._refused(event.error, said)
            case _:
                pass
        return self._go_on(said)

    def _go_on(self, said: Said) -> Said:
        """Put the next question when nothing is being answered."""
        if self._active is not None or self._asked is not None or not self._waiting:
            return said
        question = self._waiting.popleft()
        self._open[question.turn] = question
        self._asked = question.turn
        said.events += [client.ItemCreated(event_id=question.turn, item=item) for item in question.items]
        named = client.ResponseParams(metadata={TURN: question.turn})
        said.events.append(client.ResponseRequested(event_id=question.turn, response=named))
        return said

    def _begin(self, response: Response, said: Said) -> None:
        turn = (response.metadata or {}).get(TURN) or self._owner()
        self._active = response.id
        if turn == self._asked:
            self._asked = None
        if turn not in self._open:
            said.events.append(client.ResponseCancelled(response_id=response.id))
            turn = None
        self._responses[response.id] = turn
        for question in self._open.values():
            if question.unread:
                question.unread, question.read_by = False, response.id

    def _owner(self) -> str | None:
        """Whose answer goes on when the session speaks of itself: whose output came, or whose call runs."""
        questions = self._open.values()
        unread = next((one.turn for one in questions if one.unread), None)
        return unread or next((one.turn for one in questions if one.calls), None)

    def _say(self, response_id: str, text: str, said: Said) -> None:
        question = self._question_of(response_id)
        if question is None or not text:
            return
        if question.spoke_in not in (None, response_id):
            text = f"\n{text}"
        question.spoke_in = response_id
        said.pieces.append((question.turn, TextPiece(text=text)))

    def _call(self, response_id: str, call: FunctionCall, said: Said) -> None:
        question = self._question_of(response_id)
        if question is None or not isinstance(call.call_id, str):
            return
        question.calls.add(call.call_id)
        piece = CallPiece(call_id=call.call_id, name=call.name, arguments=call.arguments)
        said.pieces.append((question.turn, piece))

    def _settle(self, output: FunctionCallOutput, said: Said) -> None:
        for question in self._open.values():
            if output.call_id in question.calls:
                question.calls.discard(output.call_id)
                question.unread = True
                piece = ResultPiece(call_id=output.call_id, output=output.output)
                said.pieces.append((question.turn, piece))

    def _progress(self, event: ToolProgressed, said: Said) -> None:
        piece = ProgressPiece(call_id=event.call_id, fraction=event.fraction, text=event.text)
        said.pieces += [(one.turn, piece) for one in self._open.values() if event.call_id in one.calls]

    def _end_response(self, response: Response, said: Said) -> None:
        if self._active == response.id:
            self._active = None
        question = self._question_of(response.id)
        self._responses.pop(response.id, None)
        if question is not None:
            question.answered = True
            question.usage = _sum(question.usage, response.usage)
            self._judge(question, response, said)
        for other in list(self._open.values()):
            if other.read_by == response.id:
                other.read_by = None
            if other.whole:
                self._finish(other, other.reason, said)

    def _judge(self, question: _Question, response: Response, said: Said) -> None:
        details = response.status_details
        if response.status == "failed":
            error = details.error if isinstance(details, FailedStatus) else None
            code = (error.code if error else None) or "server_error"
            self._fail(question, code, error.message if error else "The answer failed.", said)
        elif response.status == "incomplete" and isinstance(details, Incomplete):
            question.reason = "content_filter" if details.reason == "content_filter" else "length"
        elif response.status == "cancelled":
            self._finish(question, "cancelled", said)

    def _refused(self, error: server.ErrorDetail, said: Said) -> None:
        """The session refused something of a question: its request, or one of its items."""
        question = self._open.get(error.event_id or "")
        if question is None:
            return
        if self._asked == question.turn:
            self._asked = None
        if error.code == _BUSY:  # the session began to speak of itself meanwhile: ask again when it is done
            del self._open[question.turn]
            question.items = ()
            self._waiting.appendleft(question)
        else:
            self._fail(question, error.code or "invalid_request_error", error.message, said)

    def _question_of(self, response_id: str) -> _Question | None:
        turn = self._responses.get(response_id)
        return self._open.get(turn) if turn is not None else None

    def _fail(self, question: _Question, code: str, message: str, said: Said) -> None:
        said.pieces.append((question.turn, ErrorPiece(code=code, message=message)))
        self._finish(question, "error", said)

    def _finish(self, question: _Question, reason: FinishReason, said: Said) -> None:
        self._open.pop(question.turn, None)
        if question.notice is not None and reason in ("stop", "length"):
            said.pieces.append((question.turn, question.notice))
        if question.usage.responses:
            said.pieces.append((question.turn, question.usage))
        said.pieces.append((question.turn, FinishPiece(reason=reason)))


def _sum(so_far: UsagePiece, usage: Usage | None) -> UsagePiece:
    if usage is None:
        return UsagePiece(
            input_tokens=so_far.input_tokens,
            output_tokens=so_far.output_tokens,
            cached_tokens=so_far.cached_tokens,
            responses=so_far.responses + 1,
        )
    return UsagePiece(
        input_tokens=so_far.input_tokens + usage.input_tokens,
        output_tokens=so_far.output_tokens + usage.output_tokens,
        cached_tokens=so_far.cached_tokens + usage.input_token_details.cached_tokens,
        responses=so_far.responses + 1,
    )
