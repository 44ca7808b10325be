"""Whatever is asked, answered, cancelled and delayed in whatever order: every answer ends once and loses nothing.

Questions and session stand at the two ends of a line whose deliveries are drawn at random, so that each may
act on what the other has not heard yet.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.session.harness import configured, counted

from kaiwa.events import actions, engine
from kaiwa.events.items import InputText, Message
from kaiwa.events.pieces import CallPiece, FinishPiece, Piece, ResultPiece, TextPiece
from kaiwa.events.response import FailureDetail
from kaiwa.events.tools import ToolProgress, ToolSettled, ToolSpec
from kaiwa.session.host import HostSession
from kaiwa.session.policy import HostPolicy
from kaiwa.transports.asking import Asking, Said

TOOLS = (ToolSpec(name="slow", background=True), ToolSpec(name="quick"))
BROKEN = FailureDetail(type="server_error", code="upstream_timeout", message="late")
STEPS = st.one_of(
    st.just(("ask",)),
    st.tuples(st.just("to_session"), st.integers(1, 4)),
    st.tuples(st.just("to_asker"), st.integers(1, 6)),
    st.just(("text",)),
    st.tuples(st.just("call"), st.sampled_from(["slow", "quick"])),
    st.tuples(st.just("end"), st.sampled_from(["completed", "completed", "max_output_tokens", "failed"])),
    st.tuples(st.just("progress"), st.integers(0, 3)),
    st.tuples(st.just("settle"), st.integers(0, 3)),
    st.tuples(st.just("cancel"), st.integers(0, 5)),
    st.tuples(st.just("wait"), st.floats(0.1, 3)),
)


class Line:
    """A session, who asks it, and what is on the way between them."""

    def __init__(self, asking: type[Asking] = Asking) -> None:
        self.now = 0.0
        self.ids = counted()
        self.session = HostSession(
            configured(modalities=("text",)),
            ids=self.ids,
            policy=HostPolicy(filler_ms=1500, filler="…"),
            tools=TOOLS,
            now=0.0,
        )
        self.asking = asking()
        self.to_session: deque[Any] = deque()
        self.to_asker: deque[Any] = deque()
        self.generating: dict[str, int] = {}
        self.calls: list[str] = []
        self.told: dict[str, list[Piece]] = defaultdict(list)
        self.written: list[str] = []
        self.asked: list[str] = []
        self._drain()

    def play(self, step: tuple[Any, ...]) -> None:
        getattr(self, f"_{step[0]}")(*step[1:])

    def finish(self) -> None:
        """Let everything that runs come to its end."""
        for _ in range(200):
            self._to_session(100)
            self._to_asker(100)
            while self.calls:
                self._settle(0)
            while self.generating:
                self._end("completed")
            self._wait(5)
            if not (self.to_session or self.to_asker or self.calls or self.generating):
                return
        raise AssertionError("it never comes to rest")

    # Who asks.

    def _ask(self) -> None:
        if self.asking.unanswered >= 8:
            return
        turn = self.ids("turn")
        self.asked.append(turn)
        item = Message(role="user", content=(InputText(text=turn),))
        self._carry_out(self.asking.ask(turn, [item]))

    def _cancel(self, number: int) -> None:
        if self.asked:
            self._carry_out(self.asking.cancel(self.asked[number % len(self.asked)]))

    def _to_asker(self, count: int) -> None:
        for _ in range(min(count, len(self.to_asker))):
            self._carry_out(self.asking.hear(self.to_asker.popleft()))

    def _carry_out(self, said: Said) -> None:
        self.to_session.extend(said.events)
        for turn, piece in said.pieces:
            self.told[turn].append(piece)

    # The session, its model and its tools.

    def _to_session(self, count: int) -> None:
        for _ in range(min(count, len(self.to_session))):
            self._feed(self.to_session.popleft())

    def _text(self) -> None:
        if self.generating:
            self.written.append(f"<{len(self.written)}>")
            self._feed(engine.TextDelta(response_id=next(iter(self.generating)), text=self.written[-1]))

    def _call(self, name: str) -> None:
        if self.generating:
            rid = next(iter(self.generating))
            index = self.generating[rid]
            self.generating[rid] += 1
            self._feed(engine.ToolCalled(response_id=rid, index=index, name=name, arguments="{}"))

    def _end(self, reason: Any) -> None:
        if self.generating:
            rid = next(iter(self.generating))
            del self.generating[rid]
            error = BROKEN if reason == "failed" else None
            self._feed(engine.GenerationEnded(response_id=rid, reason=reason, error=error))

    def _progress(self, number: int) -> None:
        if self.calls:
            self._feed(ToolProgress(call_id=self.calls[number % len(self.calls)], fraction=0.5))

    def _settle(self, number: int) -> None:
        if self.calls:
            call_id = self.calls.pop(number % len(self.calls))
            self._feed(ToolSettled(call_id=call_id, output=call_id))

    def _wait(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.session.next_timer()) is not None and due <= end:
            self.now = max(self.now, due)
            self.session.handle_timer(self.now)
            self._drain()
        self.now = end

    def _feed(self, event: Any) -> None:
        self.session.receive(event, self.now)
        self._drain()

    def _drain(self) -> None:
        for action in self.session.actions():
            match action:
                case actions.Send(event=event):
                    self.to_asker.append(event)
                case actions.Ask(command=engine.Generate(response_id=rid)):
                    self.generating[rid] = 0
                case actions.Ask(command=engine.Stop(response_id=rid)):
                    self.generating.pop(rid, None)
                case actions.RunTool(call=call):
                    self.calls.append(call.call_id)
                case actions.StopTool(call_id=call_id):
                    self.calls.remove(call_id)
                case _:
                    pass


def hold_the_laws(line: Line) -> None:
    assert line.asking.unanswered == 0, "a question stays open"
    for turn in line.asked:
        told = line.told[turn]
        finishes = [piece for piece in told if isinstance(piece, FinishPiece)]
        assert len(finishes) == 1, f"{turn} ended {len(finishes)} times"
        assert told[-1] is finishes[0], f"{turn} went on after its end"
        called = [piece.call_id for piece in told if isinstance(piece, CallPiece)]
        settled = [piece.call_id for piece in told if isinstance(piece, ResultPiece)]
        assert len(set(called)) == len(called)
        assert len(set(settled)) == len(settled)
        assert set(settled) <= set(called)
        if finishes[0].reason in ("stop", "length"):
            assert set(settled) == set(called), f"{turn} is whole without an output"
    read = "".join(
        piece.text for told in line.told.values() for piece in told if isinstance(piece, TextPiece)
    )
    shown = [read.count(text) for text in line.written]
    assert max(shown, default=0) <= 1, "a word was told twice"
    if all(told[-1] == FinishPiece(reason="stop") for told in line.told.values()):
        assert all(shown), "a word was lost"


def played(steps: list[tuple[Any, ...]], asking: type[Asking] = Asking) -> Line:
    line = Line(asking)
    for step in steps:
        line.play(step)
    line.finish()
    return line


@given(st.lists(STEPS, max_size=60))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_answer_ends_once_and_loses_nothing(steps: list[tuple[Any, ...]]) -> None:
    hold_the_laws(played(steps))


class Hasty(Asking):
    """Takes an answer for whole while its tools still run."""

    def _settle(self, output: Any, said: Said) -> None:
        super()._settle(output, said)
        for question in self._open.values():
            question.unread = False


class Deaf(Asking):
    """Does not ask again what was refused because the session was speaking."""

    def _refused(self, error: Any, said: Said) -> None:
        if error.code == "conversation_already_has_active_response":
            self._asked = None
            return
        super()._refused(error, said)


TOOL_THEN_WORDS = [
    ("ask",), ("to_session", 4), ("to_asker", 6), ("call", "quick"), ("end", "completed"), ("settle", 0),
    ("to_asker", 6), ("to_asker", 6), ("to_asker", 6), ("to_asker", 6), ("wait", 1.0), ("text",),
]  # fmt: skip
ASKED_WHILE_IT_SPEAKS_OF_ITSELF = [
    ("ask",), ("to_session", 4), ("to_asker", 6), ("call", "slow"), ("end", "completed"), *[("to_asker", 6)] * 4,
    ("settle", 0), ("wait", 1.0), ("ask",), ("to_session", 4), *[("to_asker", 6)] * 4,
]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "steps"), [(Hasty, TOOL_THEN_WORDS), (Deaf, ASKED_WHILE_IT_SPEAKS_OF_ITSELF)]
)
def test_the_laws_see_a_planted_fault(fault: type[Asking], steps: list[tuple[Any, ...]]) -> None:
    hold_the_laws(played(steps))
    with pytest.raises(AssertionError):
        hold_the_laws(played(steps, fault))
