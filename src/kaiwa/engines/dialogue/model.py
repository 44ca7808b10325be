"""DialogueModel: a deterministic chat model over any tools. Knows the chat contract, no grammar."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime

from kaiwa.engines.chat import ChatArguments, ChatCall, ChatEnd, ChatEvent, ChatRequest, ChatText, Expectation
from kaiwa.engines.dialogue import listen, small, stopping
from kaiwa.engines.dialogue.instructions import persona_of
from kaiwa.engines.dialogue.intent import Wish
from kaiwa.engines.dialogue.learned import options_for
from kaiwa.engines.dialogue.lexicon import say_value
from kaiwa.engines.dialogue.phrases import CONFIRM_MARKS
from kaiwa.engines.dialogue.plan import Decision, decide
from kaiwa.engines.dialogue.schema import Slot, tools_of
from kaiwa.engines.dialogue.state import Asked, State
from kaiwa.engines.dialogue.text import has_dictionary, is_japanese, language_of, reading
from kaiwa.errors import SERVER_ERROR
from kaiwa.events.config import ForcedFunction
from kaiwa.events.items import FunctionCall, Message
from kaiwa.events.response import FailureDetail
from kaiwa.events.tools import STOP_TOOL_CALL
from kaiwa.events.usage import InputTokens, OutputTokens, Usage

_HISTORY_LIMIT = 240
_PIECES = re.compile(
    r".{2,}?(?:[、。！？!?,.]+\s*|[はがをにでと](?=[\u30a1-\u30ff\u4e00-\u9fff0-9])|\s+|$)|.+", re.DOTALL
)
_OWN_CHARS = 4
_YES_WORDS = {"ja": ("はい", "お願いします", "いいえ"), "en": ("yes", "no", "please")}
_WITHOUT_DICTIONARY = FailureDetail(
    type=SERVER_ERROR,
    code="model_not_available",
    message="This server has no chat model. Its operator has to name one, or to install kaiwa[local].",
)


class DialogueModel:
    """Answers from the request alone: the same request always gives the same events."""

    def warm_up(self) -> None:
        """Load the reading dictionary, so that the first turn is as quick as the others.

        Without that dictionary every answer says that it failed, and why.
        """
        if not has_dictionary():
            return
        from kaiwa.engines.dialogue.lexicon import notions

        reading("準備をします")
        notions("予約")

    async def generate(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        if not has_dictionary():
            yield ChatEnd(reason="failed", error=_WITHOUT_DICTIONARY)
            return
        for event in answer(request):
            yield event

    def expect(self, request: ChatRequest) -> Expectation:
        state = replay(request)
        return _expectation(state)


def answer(request: ChatRequest) -> Iterator[ChatEvent]:
    """Yield the answer's events, ChatEnd last."""
    state = replay(request)
    decision = _decision(request, state)
    limit = 1 << 30 if request.max_output_tokens == "inf" else request.max_output_tokens
    text, cut = _cut(decision.text, limit)
    for piece in _PIECES.findall(text):
        yield ChatText(text=piece)
    spent = tokens(text)
    calls = () if cut else decision.calls
    for index, (name, arguments) in enumerate(calls):
        cost = tokens(arguments) + 4
        if spent + cost > limit:
            cut = True
            break
        spent += cost
        for start in range(0, len(arguments), 40):
            yield ChatArguments(index=index, name=name, delta=arguments[start : start + 40])
        yield ChatCall(index=index, name=name, arguments=arguments, confirmed=decision.confirmed)
    yield ChatEnd(reason="max_output_tokens" if cut else "completed", usage=_usage(request, spent))


def _decision(request: ChatRequest, state: State) -> Decision:
    persona = state.persona
    if persona.exact is not None:
        return Decision(persona.exact)
    if persona.hello:
        return Decision(small.greeting(state))
    forced = request.tool_choice.name if isinstance(request.tool_choice, ForcedFunction) else None
    untouched = not state.heard and not state.calls and state.turn is None and not state.last_said
    if untouched and forced is None:
        return Decision(small.greeting(state))
    decision = decide(state, may_call=request.tool_choice != "none")
    demanded = forced is not None or request.tool_choice == "required"
    if demanded and not _calls_of(decision, forced) and not state.fresh_results():
        decision = _required(state, decision, forced)
    return replace(decision, calls=_calls_of(decision, forced))


def _calls_of(decision: Decision, forced: str | None) -> tuple[tuple[str, str], ...]:
    return tuple(call for call in decision.calls if forced is None or call[0] == forced)


def _required(state: State, decision: Decision, forced: str | None) -> Decision:
    """Find a call where one is demanded. A changing tool still waits for its values and a yes."""
    if decision.asked is not None and forced is None:
        return decision
    for tool in state.tools:
        if forced is not None and tool.name != forced:
            continue
        if tool.changes:
            if forced is None:
                continue
            state.goal = tool
            return decide(state)
        heard = state.heard[-1] if state.heard else ""
        state.reads = [Wish(tool, 9.0, heard)]
        if heard and state.turn is not None:
            listen.fill_for(state, tool, heard)
        found = decide(state)
        if found.calls or forced is not None:
            return found
        state.reads = []
    return decision


def replay(request: ChatRequest) -> State:
    """Return the state that the history leads to."""
    persona = persona_of(request.instructions)
    spoken = language_of(request.instructions) if request.instructions else None
    described = language_of(" ".join(tool.description for tool in request.tools))
    language = persona.language or request.language or spoken or described or "ja"
    now = request.now if request.now.tzinfo else request.now.replace(tzinfo=UTC)
    state = State(
        tools=tuple(
            tool for tool in tools_of(request.tools) if tool.callable and tool.name != STOP_TOOL_CALL
        ),
        language="en" if language.startswith("en") else "ja",
        persona=persona,
        now=_minute(now),
        stoppable=stopping.stoppable(request.tools, request.history),
        progress={report.call_id: report.fraction for report in request.progress},
    )
    for item in request.history[-_HISTORY_LIMIT:]:
        if isinstance(item, Message):
            _take_message(state, item)
        elif isinstance(item, FunctionCall):
            listen.note_call(state, item)
        else:
            listen.note_output(state, item)
    return state


def _minute(now: datetime) -> datetime:
    return now.replace(second=0, microsecond=0)


def _take_message(state: State, item: Message) -> None:
    text = listen.words_of(item)
    if item.role == "user":
        listen.hear(state, text)
    elif item.role == "assistant":
        _take_reply(state, text)


def _take_reply(state: State, text: str) -> None:
    """Note what we said: which question it put, and that the results before it are told."""
    decision = decide(state)
    if state.running() and decision.text[:_OWN_CHARS] != text[:_OWN_CHARS]:
        state.last_said = text or state.last_said  # a running tool's interim answer, which asks nothing
        return
    state.confirmed = state.confirmed if decision.calls else None
    state.last_said = text or state.last_said
    for call in state.calls:
        call.spoken = call.spoken or call.done
    if decision.calls:
        state.asked = None
        return
    asked = decision.asked
    if asked is not None and asked.kind == "confirm" and not any(mark in text for mark in CONFIRM_MARKS):
        asked = None
    state.asked = asked
    state.turn = None


def tokens(text: str) -> int:
    """Return about how many tokens a text is: one a Japanese character, one for four others."""
    wide = sum(1 for char in text if ord(char) > 0x2E80)
    return wide + (len(text) - wide + 3) // 4


def _cut(text: str, limit: int) -> tuple[str, bool]:
    if tokens(text) <= limit:
        return text, False
    spent = 0.0
    for index, char in enumerate(text):
        spent += 1.0 if ord(char) > 0x2E80 else 0.25
        if spent > limit:
            return text[:index], True
    return text, True


def _usage(request: ChatRequest, spent: int) -> Usage:
    read = tokens(request.instructions)
    for item in request.history[-_HISTORY_LIMIT:]:
        if isinstance(item, Message):
            read += tokens(listen.words_of(item))
        else:
            read += tokens(item.arguments if isinstance(item, FunctionCall) else item.output)
    return Usage(
        total_tokens=read + spent,
        input_tokens=read,
        output_tokens=spent,
        input_token_details=InputTokens(text_tokens=read),
        output_token_details=OutputTokens(text_tokens=spent),
    )


def _expectation(state: State) -> Expectation:
    asked = state.asked
    if asked is None and state.turn is not None:
        asked = decide(state).asked
    if asked is None:
        return Expectation(vocabulary=_topics(state))
    if asked.kind in ("confirm", "offer"):
        return Expectation(kind="confirm", vocabulary=_YES_WORDS[state.language])
    if asked.slot is None:
        return Expectation(vocabulary=_topics(state))
    return _slot_expectation(state, asked, asked.slot)


def _slot_expectation(state: State, asked: Asked, slot: Slot) -> Expectation:
    role = slot.role
    if role in ("date", "either"):
        return Expectation(
            kind="date",
            vocabulary=_words(state, "月曜日 土曜日 日曜日 明日 来週", "Monday Saturday tomorrow next week"),
        )
    if role in ("time", "datetime"):
        kind = "time" if state.when.date is not None else "date"
        return Expectation(
            kind=kind, vocabulary=_words(state, "午前 午後 10時 18時 から まで", "a.m. p.m. from to")
        )
    if role == "id":
        labels = [entity.label for entity in options_for(slot, state.entities, state.by_name)]
        return Expectation(kind="id", vocabulary=tuple(labels[:20]))
    if role in ("choice", "list", "thing") and (slot.options or state.seen.get(slot.name)):
        options = slot.options or tuple(state.seen.get(slot.name, ()))
        return Expectation(
            kind="choice", vocabulary=tuple(say_value(str(option), state.language) for option in options[:20])
        )
    if role in ("number", "days", "phone"):
        return Expectation(kind="number")
    if role == "flag":
        return Expectation(kind="confirm", vocabulary=_YES_WORDS[state.language])
    return Expectation(kind="name" if role == "person" else "id" if role == "code" else "open")


def _words(state: State, japanese: str, english: str) -> tuple[str, ...]:
    return tuple((japanese if state.language == "ja" else english).split())


def _topics(state: State) -> tuple[str, ...]:
    """Return words of the tools that a caller in this language is likely to use."""
    wanted = state.language == "ja"
    found = {
        word for tool in state.tools for word in tool.wording if is_japanese(word) == wanted and len(word) > 1
    }
    options = {
        say_value(str(o), state.language) for tool in state.tools for slot in tool.slots for o in slot.options
    }
    return tuple(sorted(found | options))[:24]
