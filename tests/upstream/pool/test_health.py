"""Who is left alone, for how long, and how trust comes back. In virtual time."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from tests.upstream.pool.virtual import MODEL, WALL_S, Paper, deployment

from kaiwa.upstream.pool.lease import Exhausted, Lease, Outcome


def two() -> Paper:
    return Paper(deployment("a"), deployment("b"))


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after": "20"}, 20.0),
        ({"retry-after-ms": "20500"}, 20.5),
        ({"retry-after": formatdate(WALL_S + 20, usegmt=True)}, 20.0),
        ({"retry-after": "86400"}, 86_400.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "12s"}, 12.0),
        ({}, 1.0),
    ],
)
def test_after_a_429_it_rests_as_long_as_it_says(headers: dict[str, str], wait_s: float) -> None:
    paper = two()
    assert paper.answer(paper.at("a"), 429, headers) == "next"
    paper.now += wait_s - 0.01
    assert {paper.take().deployment.name for _ in range(20)} == {"b"}
    paper.now += 0.02
    assert isinstance(paper.ask("b"), Lease)


def test_when_all_rest_the_soonest_is_told() -> None:
    paper = two()
    paper.answer(paper.at("a"), 429, {"retry-after": "30"})
    paper.answer(paper.at("b"), 429, {"retry-after-ms": "4500"})
    assert paper.ask("a", "b") == Exhausted("rate_limited", 4.5)


def test_refusals_without_a_time_are_left_alone_longer_each_time_and_not_for_ever() -> None:
    paper, waits = Paper(deployment("a")), []
    for _ in range(9):
        paper.answer(paper.take(), 429)
        told = paper.ask()
        assert isinstance(told, Exhausted) and told.retry_after_s is not None
        waits.append(told.retry_after_s)
        paper.now += told.retry_after_s
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    paper.answer(paper.take())
    paper.answer(paper.take(), 429)
    assert paper.ask() == Exhausted("rate_limited", 1.0)


def test_any_number_of_429_is_no_fault() -> None:
    paper = Paper(deployment("a"))
    for _ in range(50):
        paper.answer(paper.take(), 429, {"retry-after": "0"})
    assert paper.member("a").breaker.state(paper.now) == "closed"


@pytest.mark.parametrize("outcome", ["unreachable", "timed_out", "cut"])
def test_faults_in_a_row_open_the_breaker(outcome: Outcome) -> None:
    paper = two()
    for _ in range(4):
        paper.at("a").ended(outcome, None, paper.now)
    assert isinstance(paper.ask("b"), Lease)
    paper.answer(paper.at("a"))  # one that goes well, and the row begins anew
    for _ in range(5):
        paper.at("a").ended(outcome, None, paper.now)
    assert paper.ask("b") == Exhausted("tried")
    assert Paper.member(paper, "a").breaker.state(paper.now) == "open"


def test_errors_of_the_server_open_it_too_and_their_retry_after_counts() -> None:
    paper = Paper(deployment("a"))
    assert paper.answer(paper.take(), 503, {"retry-after": "40"}) == "next"
    assert paper.ask() == Exhausted("rate_limited", 40.0)
    paper.now += 40
    for _ in range(4):
        assert paper.answer(paper.take(), 500) == "next"
    assert paper.ask() == Exhausted("unavailable", 5.0)


def test_half_of_many_opens_it_though_never_five_in_a_row() -> None:
    paper = Paper(deployment("a"))
    for _ in range(5):
        assert paper.member("a").breaker.state(paper.now) == "closed"
        paper.answer(paper.take())
        paper.take().ended("cut", None, paper.now)
    assert paper.member("a").breaker.state(paper.now) == "open"


def test_one_probe_at_a_time_finds_out_and_the_others_go_elsewhere() -> None:
    paper = two()
    paper.break_open("a")
    paper.now += 5
    probe = paper.take()
    assert (probe.deployment.name, probe.probe) == ("a", True)
    assert {paper.take().deployment.name for _ in range(10)} == {"b"}
    assert paper.ask("b") == Exhausted("tried")
    probe.answered(200, {}, paper.now)
    assert paper.member("a").breaker.state(paper.now) == "half_open"
    probe.first_token(paper.now)
    assert paper.member("a").breaker.state(paper.now) == "closed"


def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_two_minutes() -> None:
    paper, waits = Paper(deployment("a")), []
    paper.break_open("a")
    for _ in range(7):
        told = paper.ask()
        assert isinstance(told, Exhausted) and told.reason == "unavailable" and told.retry_after_s
        waits.append(told.retry_after_s)
        paper.now += told.retry_after_s
        paper.take().ended("timed_out", None, paper.now)
    assert waits == [5, 10, 20, 40, 80, 120, 120]


def test_a_probe_whose_client_left_makes_room_for_the_next() -> None:
    paper = Paper(deployment("a"))
    paper.break_open("a")
    paper.now += 5
    probe = paper.take()
    assert paper.ask() == Exhausted("unavailable", 1.0)
    probe.ended("cancelled", None, paper.now)
    assert paper.take().probe


def test_a_stream_that_began_before_it_opened_says_nothing_of_now() -> None:
    paper = Paper(deployment("a"))
    old = [paper.take() for _ in range(12)]
    paper.break_open("a")
    until = paper.member("a").breaker.retry_at
    for lease in old[:6]:
        lease.ended("cut", None, paper.now + 1)
    assert paper.member("a").breaker.retry_at == until
    paper.now += 5
    paper.answer(paper.take())
    for lease in old[6:]:
        lease.ended("cut", None, paper.now)
    assert paper.member("a").breaker.state(paper.now) == "closed"


def test_the_good_end_of_an_old_stream_closes_no_open_breaker() -> None:
    paper = Paper(deployment("a"))
    old = paper.take()
    old.first_token(paper.now)
    paper.break_open("a")
    old.ended("completed", None, paper.now)
    assert paper.ask() == Exhausted("unavailable", 5.0)


def test_a_recovered_one_is_loaded_slowly() -> None:
    paper = two()
    paper.break_open("a")
    paper.now += 5
    paper.answer(paper.take())
    held = [paper.take() for _ in range(22)]
    at_once = sum(lease.deployment.name == "a" for lease in held)
    assert 1 <= at_once <= 4
    paper.now += 30
    held += [paper.take() for _ in range(22)]
    assert abs(sum(1 if lease.deployment.name == "a" else -1 for lease in held)) <= 8


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "The service refuses the key."),
        (402, "The account has no credit."),
        (403, "The key may not use this deployment."),
        (404, "There is no such deployment, or it is not in this place."),
    ],
)
def test_who_refuses_key_or_name_is_out_until_somebody_mends_it(status: int, reason: str) -> None:
    paper = two()
    assert paper.answer(paper.at("a"), status) == "next"
    assert {paper.take().deployment.name for _ in range(20)} == {"b"}
    assert paper.member("a").breaker.reason == reason
    paper.now += 300
    assert paper.take().probe  # it may have been mended without a word to us


def test_a_reload_asks_a_refused_one_again_at_once() -> None:
    paper = Paper(deployment("a"))
    paper.answer(paper.take(), 401)
    assert paper.ask() == Exhausted("disabled", 300.0)
    paper.pool.reload([deployment("a")], paper.now)
    assert paper.take().probe


def test_an_unknown_model_of_an_open_ended_account_is_the_clients_mistake() -> None:
    paper = Paper(deployment("a", kind="openai", models={"*": "*"}))
    assert paper.answer(paper.take(model="gpt-5000"), 404, code="model_not_found") == "refuse"
    assert isinstance(paper.ask(), Lease)


def test_a_stored_response_that_is_gone_disables_nobody() -> None:
    paper = Paper(deployment("a"))
    assert paper.answer(paper.take(), 404, code="previous_response_not_found") == "refuse"
    assert isinstance(paper.ask(), Lease)


@pytest.mark.parametrize("status", [400, 405, 413, 422])
def test_a_bad_request_is_handed_back_and_hurts_nobody(status: int) -> None:
    paper = Paper(deployment("a"))
    for _ in range(20):
        assert paper.answer(paper.take(), status) == "refuse"
    assert paper.member("a").breaker.state(paper.now) == "closed"
    assert (paper.member("a").rejected, paper.member("a").last_error) == (20, None)


@pytest.mark.parametrize(
    ("code", "verdict", "told"),
    [
        ("content_filter", "refuse", None),
        ("429", "next", Exhausted("rate_limited", 1.0)),
        ("rate_limit_exceeded", "next", Exhausted("rate_limited", 1.0)),
        ("DeploymentNotFound", "next", Exhausted("disabled", 300.0)),
        ("server_error", "next", None),
        (None, "next", None),
    ],
)
def test_an_error_inside_a_200_is_judged_as_its_status_would_be(
    code: str | None, verdict: str, told: Exhausted | None
) -> None:
    paper = Paper(deployment("a"))
    lease = paper.take()
    lease.answered(200, {}, paper.now)
    assert lease.said_error(code, paper.now) == verdict
    lease.ended("failed", None, paper.now)
    after = paper.ask()
    assert after == told if told else isinstance(after, Lease)


def test_an_account_without_money_is_left_alone_for_a_minute() -> None:
    paper = Paper(deployment("a"))
    paper.answer(paper.take(), 429, {"retry-after": "1"}, code="insufficient_quota")
    assert paper.ask() == Exhausted("rate_limited", 60.0)


def test_a_429_for_one_model_leaves_the_accounts_other_models_alone() -> None:
    paper = Paper(deployment("a", kind="openai", models={"*": "*"}))
    paper.answer(paper.take(model="gpt-4o"), 429, {"retry-after": "9"})
    assert paper.ask(model="gpt-4o") == Exhausted("rate_limited", 9.0)
    assert isinstance(paper.ask(model="gpt-4o-mini"), Lease)


def test_without_a_token_it_is_out_for_half_a_minute() -> None:
    paper = two()
    paper.at("a").ended("unauthorized", None, paper.now)
    assert paper.member("a").standing(f"{MODEL}-a", paper.now) == "disabled"
    paper.now += 30
    assert paper.take().probe
