"""A change with `confirm` is made after the caller agreed to a read-back, and never otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.session.harness import Talk, configured, said, sound

from kaiwa.events import actions, client, engine, server
from kaiwa.events.config import AudioInput, ServerVad, Transcription
from kaiwa.events.items import Message
from kaiwa.events.tools import ToolCall, ToolSpec
from kaiwa.events.usage import DurationUsage
from kaiwa.session.consent import Consent
from kaiwa.session.host import HostSession

BOOK = ToolSpec(name="book", changes=True, confirm=True)
CAR_A, CAR_B = '{"car":"A"}', '{"car":"B"}'


class Booth:
    """A conversation by voice with one tool that needs agreement; its calls settle at once."""

    def __init__(self, kind: type[HostSession] = HostSession) -> None:
        config = configured(
            input=AudioInput(turn_detection=ServerVad(), transcription=Transcription(model="w"))
        )
        self.talk = Talk(config, tools=(BOOK,), kind=kind)

    @property
    def live(self) -> str | None:
        done = {event.response.id for event in self.talk.of(server.ResponseDone)}
        begun = [event.response.id for event in self.talk.of(server.ResponseCreated)]
        return next((response_id for response_id in begun if response_id not in done), None)

    @property
    def runs(self) -> list[ToolCall]:
        return [action.call for action in self.talk.all if isinstance(action, actions.RunTool)]

    def hear(self, words: str) -> None:
        """The caller takes a turn of these words, after what is said was said."""
        self.talk.speak(500)
        self.talk.pause(800)
        item_id = self.talk.of(server.InputAudioCommitted)[-1].item_id
        usage = DurationUsage(seconds=1)
        self.talk.do(engine.TranscriptDone(item_id=item_id, text=words, usage=usage))

    def call(self, arguments: str = CAR_A, **fields: Any) -> ToolCall | None:
        """The model calls and ends; the call is returned as it is run, and settles."""
        if self.live is None:
            return None
        before, response_id = len(self.runs), self.live
        calls = engine.ToolCalled(
            response_id=response_id, index=0, name="book", arguments=arguments, **fields
        )
        self.talk.do(calls, engine.GenerationEnded(response_id=response_id))
        for call in self.runs[before:]:
            self.talk.settle(call.call_id)
            return call
        return None

    def say(self, ms: int = 300) -> None:
        """The model answers in words, and ends."""
        if (response_id := self.live) is not None:
            self.talk.do(engine.TextDelta(response_id=response_id, text="A車ですね。よろしいですか。"))
            self.talk.do(engine.AudioDelta(response_id=response_id, pcm=sound(ms)))
            self.talk.do(engine.GenerationEnded(response_id=response_id))


def read_back(arguments: str = CAR_A) -> Booth:
    """Return a conversation in which the model has called, been held back and read back."""
    booth = Booth()
    booth.hear("A車を予約したい")
    first = booth.call(arguments)
    assert first is not None and not first.agreed
    booth.say()
    booth.talk.wait(1)
    return booth


def agreed(booth: Booth, arguments: str = CAR_A) -> bool:
    call = booth.call(arguments)
    assert call is not None
    return call.agreed


def test_the_same_call_after_the_callers_answer_is_agreed_to_once():
    booth = read_back()
    booth.hear("はい、お願いします")
    assert agreed(booth)
    booth.talk.wait(1)
    assert not agreed(booth), "an agreement is used up"


def test_another_change_than_was_read_back_is_held_back():
    booth = read_back()
    booth.hear("はい")
    assert not agreed(booth, CAR_B)


def test_order_and_spaces_of_the_arguments_say_nothing():
    booth = read_back('{"car":"A","days":1}')
    booth.hear("はい")
    assert agreed(booth, '{ "days": 1, "car": "A" }')


@pytest.mark.parametrize("words", ["いいえ、違います", "やめておきます", "No, wait.", "", "…"])
def test_a_refusal_or_a_noise_is_no_agreement(words: str):
    booth = read_back()
    booth.hear(words)
    assert not agreed(booth)


def test_without_a_turn_of_the_caller_there_is_no_agreement():
    booth = Booth()
    booth.hear("A車を予約したい")
    booth.call()
    assert not agreed(booth), "the model called again instead of reading back"
    booth.say()
    booth.talk.do(client.ResponseRequested())
    assert not agreed(booth), "the client asked for another response"


def test_a_turn_before_the_read_back_is_no_agreement():
    booth = Booth()
    booth.hear("A車を予約したい")
    booth.call()
    booth.hear("早くして")
    assert not agreed(booth)


def test_a_read_back_that_was_cut_off_or_not_heard_is_none():
    cut = Booth()
    cut.hear("A車を予約したい")
    cut.call()
    cut.talk.do(engine.TextDelta(response_id=cut.live, text="A車"))
    cut.hear("はい")
    assert not agreed(cut)

    unheard = Booth()
    unheard.hear("A車を予約したい")
    unheard.call()
    unheard.say(ms=6000)
    unheard.hear("はい")
    assert not agreed(unheard), "five seconds of it were still to be heard"

    unheard.say()
    unheard.talk.wait(8)
    unheard.hear("はい")
    assert agreed(unheard), "it was read back again"


def test_a_typed_answer_agrees_and_a_typed_no_does_not():
    for words, agrees in (("now please", True), ("no", False), ("No!", False)):
        booth = read_back()
        booth.talk.do(said(words), client.ResponseRequested())
        assert agreed(booth) is agrees


def test_an_engine_that_read_back_by_itself_is_believed():
    booth = Booth()
    booth.hear("はい、お願いします")
    call = booth.call(confirmed=True)
    assert call is not None and call.agreed


def test_a_call_carries_its_conversation_and_the_turn_it_comes_from():
    booth = Booth()
    booth.hear("A車")
    first = booth.call()
    booth.say()
    booth.hear("はい")
    second = booth.call()
    assert first is not None and second is not None
    assert (first.turn, second.turn) == (1, 2) and first.conversation_id == second.conversation_id == "conv_1"


def test_an_answer_to_silence_is_unprompted():
    detection = ServerVad(idle_timeout_ms=5000)
    talk = Talk(configured(detection), tools=(BOOK,))
    talk.speak(500)
    talk.pause(1000)
    talk.do(engine.GenerationEnded(response_id="resp_1"))
    talk.wait(6)
    talk.do(engine.ToolCalled(response_id="resp_2", index=0, name="book", arguments=CAR_A))
    (call,) = [action.call for action in talk.all if isinstance(action, actions.RunTool)]
    assert call.unprompted


# --- any order -------------------------------------------------------------------------------------

STEPS = st.one_of(
    st.tuples(st.just("hear"), st.sampled_from(["はい", "いいえ", ""])),
    st.tuples(st.just("call"), st.sampled_from([CAR_A, CAR_B])),
    st.tuples(st.just("say"), st.sampled_from([300, 5000])),
    st.tuples(st.just("part")),
    st.tuples(st.just("cancel")),
    st.tuples(st.just("request")),
    st.tuples(st.just("speak"), st.integers(3, 12)),
    st.tuples(st.just("pause"), st.integers(1, 30)),
    st.tuples(st.just("wait"), st.floats(0.1, 7)),
)


def play(booth: Booth, step: tuple[Any, ...]) -> None:
    match step:
        case ("hear", words):
            booth.hear(words)
        case ("call", arguments):
            booth.call(arguments)
        case ("say", ms):
            booth.say(ms)
        case ("part",) if booth.live:
            booth.talk.do(engine.TextDelta(response_id=booth.live, text="A車"))
        case ("cancel",):
            booth.talk.do(client.ResponseCancelled())
        case ("request",):
            booth.talk.do(client.ResponseRequested())
        case ("speak", frames):
            booth.talk.speak(frames * 32)
        case ("pause", frames):
            booth.talk.pause(frames * 32)
        case ("wait", seconds):
            booth.talk.wait(seconds)


def every_change_was_read_back_and_answered(talk: Talk) -> None:
    """Before a change: a held call of the same arguments, then whole words of the agent, then a turn.

    Read from the transcript alone. One held call serves one change.
    """
    held: list[tuple[str, int]] = []
    spoken: list[int] = []
    turns: list[int] = []
    for place, action in enumerate(talk.all):
        match action:
            case actions.RunTool(call=call) if not call.agreed:
                held.append((call.arguments, place))
            case actions.RunTool(call=call):
                before = [at for arguments, at in held if arguments == call.arguments]
                assert before, f"{call.arguments} was never held back"
                told = [at for at in spoken if at > before[-1]]
                assert told, f"{call.arguments} was not read back"
                assert any(at > told[0] for at in turns), f"{call.arguments}: the caller said nothing since"
                held = [one for one in held if one[0] != call.arguments]
            case actions.Send(event=server.ResponseDone(response=response)):
                words = any(isinstance(item, Message) for item in response.output)
                if response.status == "completed" and words:
                    spoken.append(place)
            case actions.Send(event=server.InputAudioCommitted()):
                turns.append(place)
            case _:
                pass


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, max_size=20))
def test_in_any_order_every_change_was_read_back_and_answered(steps: list[tuple[Any, ...]]):
    booth = Booth()
    for step in steps:
        play(booth, step)
    every_change_was_read_back_and_answered(booth.talk)
    booth.talk.check(complete=False)


def _agrees_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Consent, "_agreed", lambda self, call, began, *, confirmed: True)


def _ignores_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kaiwa.session.consent._canonical", lambda arguments: "")


def _needs_no_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Consent.turn_began

    def turn_began(self: Consent, *, heard: bool) -> None:
        for asked in self._asked.values():
            asked.read_back = True
        plain(self, heard=True)

    monkeypatch.setattr(Consent, "turn_began", turn_began)


def _needs_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Consent.spoke

    def spoke(self: Consent, response_id: str) -> None:
        plain(self, response_id)
        for asked in self._asked.values():
            asked.turn = 0

    monkeypatch.setattr(Consent, "spoke", spoke)


ORDER = [("hear", "はい"), ("call", CAR_A)]
PLANTED = [
    (_agrees_at_once, ORDER),
    (_ignores_arguments, [*ORDER, ("say", 300), ("wait", 1), ("hear", "はい"), ("call", CAR_B)]),
    (_needs_no_read_back, [*ORDER, ("part",), ("hear", "はい"), ("call", CAR_A)]),
    (_needs_no_turn, [*ORDER, ("say", 300), ("wait", 1), ("request",), ("call", CAR_A)]),
]


@pytest.mark.parametrize(("plant", "steps"), PLANTED)
def test_the_law_catches_a_planted_fault(
    monkeypatch: pytest.MonkeyPatch, plant: Any, steps: list[tuple[Any, ...]]
):
    plant(monkeypatch)
    booth = Booth()
    for step in steps:
        play(booth, step)
    with pytest.raises(AssertionError):
        every_change_was_read_back_and_answered(booth.talk)
