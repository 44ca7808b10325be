"""Before the hour of a service's session is over the conversation moves to another, at a moment when nobody speaks,
and its peer notices nothing: in virtual time."""

from __future__ import annotations

from tests.relay.relay_desk import HOUR_S, RelayDesk
from tests.session.test_budget import BudgetedDesk

from kaiwa.events.relay import UpstreamClosed
from kaiwa.events.response import FailureDetail
from kaiwa.events.usage import Usage
from kaiwa.session.relay.reopening import Renewal

RENEWAL = Renewal(before_s=180, latest_s=10)


def talked() -> RelayDesk:
    """A conversation of one question and one answer."""
    desk = RelayDesk(renewal=RENEWAL)
    desk.update(instructions="Be brief.", output_modalities=["text"])
    asked(desk, "Hello")
    answered(desk, "Good day.")
    return desk


def asked(desk: RelayDesk, text: str) -> None:
    desk.say(text)
    desk.respond()


def answered(desk: RelayDesk, *words: str) -> None:
    desk.service.now = desk.now
    desk.service.answer(*words)
    desk.hear()


def words_of(desk: RelayDesk) -> list[str]:
    return [frame["text"] for frame in desk.of("response.output_text.done")]


def test_a_quiet_conversation_moves_three_minutes_before_the_end_and_once() -> None:
    desk = talked()
    mark, told = len(desk.frames), len(desk.forwarded)
    desk.wait(HOUR_S - RENEWAL.before_s - 1)
    assert not desk.sessions_before
    desk.wait(2)
    assert len(desk.sessions_before) == 1 and desk.frames[mark:] == []
    desk.wait(HOUR_S - RENEWAL.before_s - 10)
    assert len(desk.sessions_before) == 1
    update, *items = desk.forwarded[told:]
    assert update["session"]["instructions"] == "Be brief."
    assert [item["item"]["content"][0]["text"] for item in items] == ["Hello", "Good day."]

    asked(desk, "Still there?")
    answered(desk, "Yes.")
    assert words_of(desk) == ["Good day.", "Yes."]
    assert not desk.of("error")
    sessions = {frame["session"]["id"] for frame in desk.frames if "session" in frame}
    assert len(sessions) == 1, "one session, to the peer"


def test_a_move_waits_for_the_answer_under_way() -> None:
    desk = talked()
    desk.wait(HOUR_S - RENEWAL.before_s - 5)
    asked(desk, "Tell me")
    desk.service.words("A long ")
    desk.hear()
    desk.wait(100)
    assert not desk.sessions_before
    answered(desk, "answer.")
    desk.wait(1)
    assert len(desk.sessions_before) == 1
    assert words_of(desk) == ["Good day.", "A long answer."]
    assert len(desk.told("response.create")) == 2, "nothing is asked for twice"


def test_a_move_waits_for_the_caller_who_speaks_and_for_the_answer_to_it() -> None:
    desk = RelayDesk(renewal=RENEWAL)
    desk.update(output_modalities=["text"])
    desk.wait(HOUR_S - RENEWAL.before_s - 5)
    desk.service.now = desk.now
    desk.service.speak(1000)
    desk.hear()
    desk.wait(60)
    assert not desk.sessions_before
    desk.service.pause(1500)
    desk.hear()
    desk.wait(10)
    assert not desk.sessions_before, "an answer is due"
    answered(desk, "Certainly.")
    desk.wait(1)
    assert len(desk.sessions_before) == 1 and words_of(desk) == ["Certainly."]


def test_an_answer_that_does_not_end_is_taken_along_at_the_last_moment() -> None:
    desk = talked()
    desk.wait(HOUR_S - 60)
    # It was quiet at the usual moment, so that session is over: this is about the next one.
    assert len(desk.sessions_before) == 1
    desk.wait(HOUR_S - RENEWAL.before_s - 200)
    asked(desk, "Tell me")
    desk.service.words("One two ")
    desk.hear()
    desk.wait(HOUR_S)
    assert len(desk.sessions_before) == 2
    answered(desk, "three four.")
    assert words_of(desk) == ["Good day.", "One two three four."]
    created = [frame["response"]["id"] for frame in desk.of("response.created")]
    done = [frame["response"]["id"] for frame in desk.of("response.done")]
    assert created == done and len(set(created)) == 2


def test_a_session_that_does_not_tell_its_end_is_kept() -> None:
    desk = RelayDesk()
    asked(desk, "Hello")
    answered(desk, "Good day.")
    desk.wait(10 * HOUR_S)
    assert not desk.sessions_before


# --- what it costs -----------------------------------------------------------------------------


def over(desk: BudgetedDesk) -> list[tuple[str, int, int]]:
    """Return what was charged in the end: the answer, what it read and what it wrote."""
    ended = [charge for charge in desk.charges if charge.over]
    return [
        (str(charge.of), charge.usage.input_tokens, charge.usage.output_tokens)
        for charge in ended
        if isinstance(charge.usage, Usage)
    ]


def test_both_parts_of_an_answer_that_was_broken_are_charged_once_each() -> None:
    desk = BudgetedDesk(renewal=RENEWAL)
    desk.update(output_modalities=["text"])
    asked(desk, "Tell me everything")
    desk.service.words("These words were told ")
    desk.hear()
    desk.hear(UpstreamClosed(code=1011))
    answered(desk, "before the service died.")
    assert words_of(desk)[-1] == "These words were told before the service died."
    (broken, read, wrote), second = over(desk)
    assert read > 0 and wrote >= 5, "by what was heard of it"
    told = desk.service.last("response.done")["response"]
    assert second == (told["id"], told["usage"]["input_tokens"], told["usage"]["output_tokens"])
    assert broken != second[0]
    desk.wait(10)
    desk.leave()
    assert len(over(desk)) == 2


def test_an_answer_that_failed_and_is_given_again_is_charged_for_both() -> None:
    desk = BudgetedDesk(renewal=RENEWAL)
    desk.update(output_modalities=["text"])
    asked(desk, "Tell me everything")
    desk.service.words("These words ")
    desk.service.end("failed", FailureDetail(type="server_error", code="server_error", message="It broke."))
    failed = desk.service.last("response.done")["response"]
    desk.hear()
    answered(desk, "were told.")
    told = desk.service.last("response.done")["response"]
    assert failed["usage"]["total_tokens"] and told["id"] != failed["id"]
    assert over(desk) == [
        (one["id"], one["usage"]["input_tokens"], one["usage"]["output_tokens"]) for one in (failed, told)
    ]
