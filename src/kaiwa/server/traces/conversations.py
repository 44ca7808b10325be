"""One conversation as one trace: turns below it, answers and tools below those.

Hears the steps that `measures` measures, with their moments; measures nothing itself. Fits
`measures.conversations.Follower`. Words reach an attribute only where the operator asked for them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final

import msgspec

from kaiwa.events.engine import EngineCommand, EngineEvent, Generate
from kaiwa.events.server import ServerEvent
from kaiwa.events.tools import ToolCall, ToolEvent, ToolSettled, ToolSpec
from kaiwa.events.usage import Usage
from kaiwa.interfaces import Engine, ToolBox
from kaiwa.server.measures.conversations import Opened, outcome_of
from kaiwa.server.measures.labels import GOOD_ENDINGS, ending_of
from kaiwa.server.measures.turns import Step, status_of
from kaiwa.server.metering import usage_of
from kaiwa.server.traces import names
from kaiwa.server.traces.frames import Facts, facts_in
from kaiwa.server.traces.spans import Place, Value
from kaiwa.server.traces.tracing import Sink, Trace, placed
from kaiwa.server.traces.turns import Answer, Turn

# Of words in one attribute. The rest of a longer text is cut.
MOST_LETTERS: Final = 16 * 1024
# Answers that are remembered, for the tools they called and the sound that still plays.
_MOST_ANSWERS: Final = 64
_MOST_CALLS: Final = 256


@dataclass(slots=True, eq=False)
class _Running:
    """A call of a tool that runs."""

    began: float
    place: Place
    response_id: str


class ConversationTrace:
    """`silence_ms` says how long the caller had been silent when the last turn was taken to be over."""

    def __init__(
        self,
        sink: Sink,
        opened: Opened,
        *,
        captures: bool = False,
        silence_ms: Callable[[], int | None] | None = None,
    ) -> None:
        self._opened = opened
        self._agent = names.shown(opened.agent)
        self._model = names.shown(opened.model)
        self._captures = captures
        self._silence_ms = silence_ms
        self._sink = sink
        self.trace = Trace(sink, self._name)
        self.place = Place(self.trace.root)
        self._turn: Turn | None = None
        self._before: list[Turn] = []
        """Turns that are over but for a tool, an answer or a sound that still runs."""
        self._turns = 0
        self._speech_at: float | None = None
        self._answers: dict[str, Answer] = {}
        self._latest: Answer | None = None
        self._calls: dict[str, _Running] = {}

    def current(self) -> AbstractContextManager[Place]:
        """What runs inside belongs to this conversation."""
        return placed(self.place)

    def engine(self, engine: Engine) -> Engine:
        """Return the engine, whose models run at the place of the answer they are asked for."""
        return _PlacedEngine(engine, self)

    def tools(self, box: ToolBox) -> ToolBox:
        """Return the tools, whose code runs at the places of their calls."""
        return _PlacedTools(box, self)

    @contextmanager
    def inside(self, call: ToolCall) -> Generator[None]:
        """Be where a call runs, for spans of its own too."""
        running = self._calls.get(call.call_id)
        if running is None:
            yield
        else:
            with placed(running.place), self._sink.within(running.place.context):
                yield

    def place_of(self, response_id: str) -> Place:
        return self._answer(response_id).place

    # As a follower.

    def took(self, step: Step, event: ServerEvent, now: float) -> None:
        if not self.trace.kept:
            return
        facts = facts_in(event)
        match step:
            case "speech":
                self._speech_at = now
            case "stopped":
                self._stopped(facts, now)
            case "committed":
                if self._turn is not None:
                    self._turn.committed = True
            case "transcribed":
                self._transcribed(facts, now)
            case "response":
                self._began(facts, now)
            case "done":
                self._done(event, facts, now)
            case "words" | "sound" | "sounded":
                self._gave(step, facts, now)
            case "playing" | "played":
                self._played(step, facts, now)

    def used(self, usage: Usage) -> None:
        """It is in the end of the answer, too."""

    def calling(self, call: ToolCall, name: str, now: float) -> None:
        if len(self._calls) >= _MOST_CALLS:
            return
        self._calls[call.call_id] = _Running(now, Place(self.trace.below()), call.response_id)

    def called(self, call: ToolCall, name: str, settled: ToolSettled | None, now: float) -> None:
        running = self._calls.pop(call.call_id, None)
        if running is None:
            return
        turn, outcome = self._turn_of(call.response_id), outcome_of(settled)
        known = names.shown(call.name if name == "mcp" else name)
        attributes: dict[str, Value] = {
            names.OPERATION: names.EXECUTE_TOOL,
            names.TOOL_NAME: known,
            names.TOOL_TYPE: "extension" if call.listing_id else "function",
            names.TOOL_CALL: call.call_id,
            names.CONVERSATION: self._opened.session_id,
            "kaiwa.tool.outcome": outcome,
        }
        if self._captures:
            attributes[names.ARGUMENTS] = call.arguments[:MOST_LETTERS]
            attributes[names.RESULT] = "" if settled is None else settled.output[:MOST_LETTERS]
        self.trace.write(
            f"{names.EXECUTE_TOOL} {known}",
            running.place.context,
            self.trace.root if turn is None else turn.context,
            running.began,
            now,
            attributes,
            error=outcome if outcome == "failed" else None,
        )
        if turn is not None:
            turn.last, turn.due = max(turn.last, now), True
        self._write_what_is_over()

    def over(self, reason: str, now: float) -> None:
        for answer in self._answers.values():
            if answer.created is not None and not answer.written:
                answer.done = now
                answer.write(self.trace, self._model, self._provider, self._opened.session_id, "cut")
        if self._turn is not None:
            self._before.append(self._turn)
        for turn in self._before:
            self._write_turn(turn)
        ending = ending_of(reason)
        attributes: dict[str, Value] = {
            names.CONVERSATION: self._opened.session_id,
            names.AGENT: self._agent,
            names.REQUEST_MODEL: self._model,
            "kaiwa.door": self._opened.door,
            "kaiwa.turns": self._turns,
            "kaiwa.ending": ending,
        }
        self.trace.write(
            self._name,
            self.trace.root,
            self.trace.parent,
            self._opened.began,
            now,
            attributes,
            kind="server",
            error=None if ending in GOOD_ENDINGS else ending,
        )

    # Turns.

    def _stopped(self, facts: Facts, now: float) -> None:
        began = self._speech_at if self._speech_at is not None else now
        turn = self._turn
        pause = turn is not None and turn.spoken and not turn.committed and not turn.answers
        if turn is None or not pause:
            turn = self._next_turn(began, spoken=True)
        turn.item_id, turn.stopped, turn.last = facts.item_id, now, now
        silence_ms = None if self._silence_ms is None else self._silence_ms()
        turn.voice_ended = None if silence_ms is None else max(turn.began, now - silence_ms / 1000)
        self._speech_at = None

    def _transcribed(self, facts: Facts, now: float) -> None:
        for turn in (self._turn, *self._before):
            if turn is not None and turn.item_id == facts.item_id and turn.stopped is not None:
                turn.recognised, turn.last = now, max(turn.last, now)
                turn.words = facts.transcript[:MOST_LETTERS] if self._captures else ""

    def _next_turn(self, began: float, *, spoken: bool) -> Turn:
        if self._turn is not None:
            self._turn.over = True
            self._before.append(self._turn)
        self._turns += 1
        self._turn = Turn(self._turns, self.trace.below(), began, spoken, last=began)
        self._write_what_is_over()
        return self._turn

    def _turn_for_answer(self, now: float) -> Turn:
        """An answer belongs to the turn that runs, unless that one has been answered in full: then something
        was typed since, or the agent speaks by itself."""
        turn = self._turn
        if turn is None or (turn.answers and not turn.due and not self._is_busy(turn)):
            return self._next_turn(now, spoken=False)
        return turn

    def _turn_of(self, response_id: str) -> Turn | None:
        answer = self._answers.get(response_id)
        return self._turn if answer is None or answer.turn is None else answer.turn

    def _is_busy(self, turn: Turn) -> bool:
        if any(one.turn is turn and one.open for one in self._answers.values()):
            return True
        return any(self._turn_of(call.response_id) is turn for call in self._calls.values())

    def _write_what_is_over(self) -> None:
        for turn in [one for one in self._before if not self._is_busy(one)]:
            self._before.remove(turn)
            self._write_turn(turn)

    def _write_turn(self, turn: Turn) -> None:
        captured = {names.INPUT_MESSAGES: _messages("user", turn.words)} if turn.words else {}
        turn.write(self.trace, self._agent, self._opened.session_id, dict(captured))

    # Answers.

    def _answer(self, response_id: str) -> Answer:
        answer = self._answers.get(response_id)
        if answer is None:
            while len(self._answers) >= _MOST_ANSWERS:
                del self._answers[next(iter(self._answers))]
            answer = self._answers[response_id] = Answer(response_id, Place(self.trace.below()))
        return answer

    def _of(self, facts: Facts) -> Answer | None:
        """Return the answer an event is about; the newest one, where the event does not say."""
        return self._answers.get(facts.answer, self._latest)

    def _began(self, facts: Facts, now: float) -> None:
        answer = self._answer(facts.answer)
        turn = self._turn_for_answer(now)
        answer.turn, answer.created = turn, now
        turn.answers, turn.due, turn.last = turn.answers + 1, False, now
        if turn.decided is None:
            turn.decided = now
        self._latest = answer

    def _gave(self, step: Step, facts: Facts, now: float) -> None:
        answer = self._of(facts)
        if answer is None or answer.turn is None:
            return
        turn = answer.turn
        if step == "sounded":
            answer.sounded = now
        elif step == "words":
            answer.first_words = now
            turn.first_words = turn.first_words or now
        else:
            answer.first_sound = now
            turn.first_sound = turn.first_sound or now
        turn.last = max(turn.last, now)

    def _played(self, step: Step, facts: Facts, now: float) -> None:
        answer = self._of(facts)
        if answer is None or answer.turn is None:
            return
        turn = answer.turn
        turn.last = max(turn.last, now)
        if step == "playing":
            answer.playing = now
            turn.heard = turn.heard or now
        elif answer.playing is not None:
            self.trace.write("playout", self.trace.below(), answer.place.context, answer.playing, now, {})
            answer.playing = None
            self._write_what_is_over()

    def _done(self, event: ServerEvent, facts: Facts, now: float) -> None:
        answer = self._of(facts)
        if answer is None or answer.turn is None:
            return
        answer.done, self._latest = now, answer
        answer.turn.last = max(answer.turn.last, now)
        answer.turn.due = answer.turn.due or facts.calls
        answer.usage = usage_of(event)
        if self._captures and (words := facts.words):
            answer.captured[names.OUTPUT_MESSAGES] = _messages("assistant", words[:MOST_LETTERS])
        answer.write(self.trace, self._model, self._provider, self._opened.session_id, status_of(event))
        self._write_what_is_over()

    @property
    def _provider(self) -> str:
        return self.place.provider or names.OWN

    @property
    def _name(self) -> str:
        return f"conversation {self._agent}" if self._agent else "conversation"


class _PlacedEngine:
    """Fits `kaiwa.interfaces.Engine`."""

    def __init__(self, engine: Engine, trace: ConversationTrace) -> None:
        self._engine = engine
        self._trace = trace

    def ask(self, command: EngineCommand) -> None:
        if type(command) is Generate:
            with placed(self._trace.place_of(command.response_id)):
                self._engine.ask(command)
        else:
            self._engine.ask(command)

    def events(self) -> AsyncIterator[EngineEvent]:
        return self._engine.events()

    async def close(self) -> None:
        await self._engine.close()


class _PlacedTools:
    """Fits `kaiwa.interfaces.ToolBox`."""

    def __init__(self, box: ToolBox, trace: ConversationTrace) -> None:
        self._box = box
        self._trace = trace

    @property
    def specs(self) -> Sequence[ToolSpec]:
        return self._box.specs

    async def run(self, call: ToolCall, report: Callable[[ToolEvent], None]) -> None:
        with self._trace.inside(call):
            await self._box.run(call, report)


def _messages(role: str, words: str) -> str:
    message = {"role": role, "parts": [{"type": "text", "content": words}]}
    return msgspec.json.encode([message]).decode()
