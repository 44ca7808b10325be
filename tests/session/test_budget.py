"""A budget comes to its end in mid-talk: a warning once, the last words, a clear close, and nothing unbilled."""

from __future__ import annotations

from typing import Any

from tests.relay.relay_desk import TEXT_ONLY, RelayDesk
from tests.session.harness import Talk, configured, said, sound

from kaiwa.events import client, engine, relay, server
from kaiwa.events.budget import BudgetNear, BudgetSpent, Charge, CostChanged
from kaiwa.events.usage import Usage
from kaiwa.session.budgeted import BudgetedSession, Wording
from kaiwa.session.host import HostSession
from kaiwa.session.relay.profile import RelayProfile

WORDING = Wording(near="There is not much time left.", spent="We have to end here. Goodbye.")
NEAR = BudgetNear(budget="money_per_day", used_share=0.81)
SPENT = BudgetSpent(budget="money_per_day", message="You exceeded your current quota.")


def budgeted(*given: Any, ids: Any, **more: Any) -> BudgetedSession:
    return BudgetedSession(HostSession(*given, ids=ids, **more), WORDING, ids=ids)


def talking(*modalities: str) -> Talk:
    """Return a talk in which an answer is under way."""
    talk = Talk(configured(modalities=modalities or ("text",)), kind=budgeted)
    talk.do(said("Hello there"), client.ResponseRequested())
    return talk


def charges(talk: Talk) -> list[Charge]:
    return [action for action in talk.all if isinstance(action, Charge)]


def ended(response_id: str, usage: Usage | None = None) -> engine.GenerationEnded:
    return engine.GenerationEnded(response_id=response_id, usage=usage)


def test_the_warning_waits_for_the_answer_and_comes_once() -> None:
    talk = talking()
    talk.do(engine.TextDelta(response_id="resp_1", text="Hi."), NEAR)
    assert [one.response_id for one in talk.of(engine.Generate)] == ["resp_1"]
    talk.do(ended("resp_1"))
    warning = talk.of(engine.Generate)[-1]
    assert warning.words == WORDING.near and len(talk.of(engine.Generate)) == 2
    assert talk.of(server.ResponseCreated)[-1].response.metadata == {
        "kaiwa": "remark",
        "about": "budget_near",
    }
    talk.do(engine.TextDelta(response_id="resp_2", text=WORDING.near), ended("resp_2"))
    talk.do(said("Go on"), client.ResponseRequested())
    assert talk.of(engine.Generate)[-1].words is None
    assert WORDING.near not in str(talk.of(engine.Generate)[-1].history), "a model reads nothing of it"
    talk.do(ended("resp_3"))
    talk.check()


def test_a_spent_budget_ends_the_answer_takes_leave_and_closes() -> None:
    talk = talking()
    talk.do(engine.TextDelta(response_id="resp_1", text="A long st"))
    lines = talk.do(SPENT)
    assert "response.done resp_1 cancelled client_cancelled" in lines and lines[0].startswith(
        "kaiwa.budget.spent"
    )
    assert talk.of(engine.Generate)[-1].words == WORDING.spent
    assert talk.do(client.ResponseRequested(event_id="mine")) == ["error insufficient_quota None mine"]
    talk.do(engine.TextDelta(response_id="resp_2", text=WORDING.spent), ended("resp_2"))
    assert talk.wait(0) == [
        "error insufficient_quota None None",
        "hang 4029 insufficient_quota.insufficient_quota",
    ]
    assert [one.of for one in charges(talk) if one.over] == ["resp_1", "resp_2"]
    talk.check()


def test_of_a_warning_that_comes_too_late_only_the_last_words_are_said() -> None:
    talk = talking()
    talk.do(NEAR, SPENT)
    said_alone = [one.words for one in talk.of(engine.Generate)[1:]]
    assert said_alone == [WORDING.spent]
    talk.do(engine.TextDelta(response_id="resp_2", text=WORDING.spent), ended("resp_2"))
    assert talk.wait(0)[-1].startswith("hang 4029")


def test_the_last_words_are_heard_to_their_end_before_the_close() -> None:
    talk = talking("audio")
    talk.do(SPENT)
    talk.do(engine.AudioDelta(response_id="resp_2", pcm=sound(3000)), ended("resp_2"))
    assert talk.wait(2.9) == []
    assert talk.wait(1.0)[-1].startswith("hang 4029")


def test_who_speaks_meanwhile_and_words_that_never_come_hold_nothing_up() -> None:
    talk = talking("audio")
    talk.do(ended("resp_1"))
    talk.do(SPENT)
    assert talk.do(client.AudioAppended(audio=sound(100))) == []
    assert talk.wait(19.0) == []
    assert talk.wait(1.5)[-1].startswith("hang 4029")


def test_an_answer_is_charged_while_it_runs_and_by_rule_when_its_end_is_never_told() -> None:
    talk = talking("audio")
    talk.do(engine.AudioDelta(response_id="resp_1", pcm=sound(7000)))
    running = charges(talk)
    assert [one.over for one in running] == [False, False, False], "at its beginning, and every 64 tokens"
    talk.do(client.PeerGone())
    last = charges(talk)[-1]
    assert last.over and isinstance(last.usage, Usage)
    assert last.usage.output_token_details.audio_tokens == 7000 // 50
    assert last.usage.input_tokens == 3, "Hello there"
    talk.do(client.PeerGone())
    assert charges(talk)[-1] is last, "it is charged once"


def test_the_costs_are_told_to_who_asked() -> None:
    talk = talking()
    assert talk.do(CostChanged(tokens=12, money=0.5, currency="EUR", estimated=True)) == ["kaiwa.cost"]


# --- relayed -----------------------------------------------------------------------------------


class BudgetedDesk(RelayDesk):
    """A relay with a budget. Charges are kept apart."""

    def __init__(self, **given: Any) -> None:
        self.charges: list[Charge] = []
        super().__init__(greets=False, **given)
        inner = self.session
        self.session = BudgetedSession(
            inner, WORDING, ids=lambda kind: f"{kind}_budget{len(self.forwarded):09}"
        )  # type: ignore[assignment]
        drain = self.session.actions

        def without_charges() -> list[Any]:
            found = drain()
            self.charges += [one for one in found if isinstance(one, Charge)]
            return [one for one in found if not isinstance(one, Charge)]

        self.session.actions = without_charges  # type: ignore[method-assign]
        self.hear()


def relayed() -> BudgetedDesk:
    desk = BudgetedDesk(profile=RelayProfile(session=TEXT_ONLY))
    desk.say("Hello there")
    desk.respond()
    return desk


def test_a_service_says_the_warning_when_it_is_free() -> None:
    desk = relayed()
    desk.hear(NEAR)
    assert len(desk.told("response.create")) == 1
    desk.service.answer("Hi.")
    desk.hear()
    desk.wait(0.1)
    asked = desk.told("response.create")[-1]["response"]
    assert WORDING.near in asked["instructions"] and asked["metadata"]["about"] == "budget_near"
    assert len(desk.told("response.create")) == 2
    desk.service.answer(WORDING.near)
    desk.hear()
    desk.wait(5)
    assert len(desk.told("response.create")) == 2


def test_a_spent_budget_is_polite_over_a_relay_too() -> None:
    desk = relayed()
    desk.hear(SPENT)
    assert [frame["type"] for frame in desk.forwarded[-2:]] == ["response.cancel", "response.create"]
    assert WORDING.spent in desk.forwarded[-1]["response"]["instructions"]
    assert desk.last("response.done")["response"]["status"] == "cancelled"
    refused = desk.send({"type": "response.create", "event_id": "mine"})[-1]["error"]
    assert (refused["code"], refused["event_id"]) == ("insufficient_quota", "mine")
    desk.service.answer(WORDING.spent)
    desk.hear()
    desk.wait(1)
    assert desk.hung == (4029, "insufficient_quota.insufficient_quota")
    assert desk.last("error")["error"]["message"] == SPENT.message
    told = [frame["response"]["usage"]["total_tokens"] for frame in desk.of("response.done")]
    assert [one.usage.total_tokens for one in desk.charges if one.over] == told  # type: ignore[union-attr]


def test_an_answer_of_a_service_that_died_is_charged_by_what_was_heard() -> None:
    desk = relayed()
    desk.service.words("These words were told before the service died.")
    desk.hear()
    desk.hear(relay.UpstreamClosed(code=1011))
    (charge,) = [one for one in desk.charges if one.over]
    assert (
        isinstance(charge.usage, Usage) and charge.usage.output_tokens >= 10 and charge.usage.input_tokens > 0
    )
