"""C14: what a response costs, by rule, and what is left."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.contract.breakages import Breakage, delay, drop, put, without
from tests.contract.desk import Desk
from tests.contract.manifest import rule
from tests.contract.properties import any_input

from kaiwa.events.response import FailureDetail
from kaiwa.events.server import RateLimit
from kaiwa.session.policy import HostPolicy

DONE, LIMITS = "response.done", "rate_limits.updated"
USAGE = "response.usage"
LOST = FailureDetail(type="server_error", code="server_error", message="The model is gone.")


def costs(desk: Desk) -> list[dict[str, Any]]:
    return [frame["response"]["usage"] for frame in desk.of(DONE)]


def one_more(tokens: int) -> int:
    return tokens + 1


def take_turn(desk: Desk, spoken_ms: int, words: str, answered_ms: int, outcome: str) -> None:
    """The user speaks or writes, and the agent's answer ends one way or another."""
    if spoken_ms:
        desk.append(spoken_ms)
        desk.commit()
    desk.say(words)
    desk.respond()
    desk.words(words, audio_ms=answered_ms)
    if outcome == "called":
        desk.call("get_weather", '{"city": "Tokyo"}')
    if outcome == "cancelled":
        desk.cancel()
    elif outcome == "failed":
        desk.end("failed", LOST)
    else:
        desk.end()


OUTCOMES = st.sampled_from(["completed", "called", "cancelled", "failed"])
TURN = st.tuples(st.sampled_from([0, 100, 2950]), st.text(max_size=200), st.integers(0, 3000), OUTCOMES)


@rule("K-237", broken_by=put(DONE, f"{USAGE}.total_tokens", one_more))
@rule("K-238", broken_by=put(DONE, f"{USAGE}.output_token_details.text_tokens", one_more))
@rule("K-239", broken_by=without(DONE, f"{USAGE}.input_token_details.cached_tokens_details"))
@any_input
@given(turns=st.lists(TURN, min_size=1, max_size=4))
def test_every_account_adds_up(planted: Breakage | None, turns: list[tuple[int, str, int, str]]) -> None:
    desk = Desk(planted)
    for turn in turns:
        take_turn(desk, *turn)
    for cost in costs(desk):
        read, written = cost["input_token_details"], cost["output_token_details"]
        assert set(read) >= {"text_tokens", "audio_tokens", "cached_tokens", "cached_tokens_details"}
        assert cost["total_tokens"] == cost["input_tokens"] + cost["output_tokens"]
        assert cost["input_tokens"] == read["text_tokens"] + read["audio_tokens"] + read["image_tokens"]
        assert cost["output_tokens"] == written["text_tokens"] + written["audio_tokens"]
        assert read["cached_tokens"] <= cost["input_tokens"]


@rule("K-242", broken_by=drop(DONE, nth=2))
def test_a_session_has_cost_what_its_responses_cost(desk: Desk) -> None:
    for outcome in ("completed", "cancelled", "called", "failed"):
        take_turn(desk, 500, "How is the weather?", 400, outcome)
    desk.respond(conversation="none")
    desk.answer("Beside.")
    for field in ("total_tokens", "input_tokens", "output_tokens"):
        total = sum(getattr(usage, field) for usage in desk.session.usages)
        assert total == sum(cost[field] for cost in costs(desk)) > 0


@rule("K-240", broken_by=put(DONE, f"{USAGE}.input_token_details.audio_tokens", 30))
def test_speech_costs_by_the_second_and_is_read_again_in_every_turn(desk: Desk) -> None:
    for _ in range(3):
        desk.append(3000)
        desk.commit()
        desk.respond()
        desk.answer("Two seconds of speech.", audio_ms=2000)
    first, second, third = costs(desk)
    assert first["output_token_details"]["audio_tokens"] == 2 * 20
    heard = [cost["input_token_details"]["audio_tokens"] for cost in (first, second, third)]
    assert heard == [30, 30 + 40 + 30, 30 + 40 + 30 + 40 + 30]
    assert first["input_tokens"] < second["input_tokens"] < third["input_tokens"]


@rule("K-241", broken_by=delay(DONE, until=LIMITS))
def test_what_is_left_is_told_after_a_response_or_never(planted: Breakage | None) -> None:
    limit = RateLimit(name="tokens", limit=15_000_000, remaining=14_999_000, reset_seconds=0.0)
    for told in ((limit,), None):
        desk = Desk(planted, policy=HostPolicy(rate_limits=told))
        desk.respond()
        desk.answer("Well.")
        assert desk.types[-2:] == ([DONE, LIMITS] if told else ["response.output_item.done", DONE])
        for shown in (left for frame in desk.of(LIMITS) for left in frame["rate_limits"]):
            assert shown["name"] in ("requests", "tokens")
            numbers = [shown["limit"], shown["remaining"], shown["reset_seconds"]]
            assert all(isinstance(number, int | float) for number in numbers)
