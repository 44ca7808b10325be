"""Who is asked: tiers, weights, load, latency, conversations, second attempts, and a new configuration."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.upstream.pool.virtual import MODEL, Paper, deployment

from kaiwa.upstream.pool.affinity import Affinity
from kaiwa.upstream.pool.deployment import CHAT
from kaiwa.upstream.pool.hedging import HedgeRules
from kaiwa.upstream.pool.lease import Exhausted, Lease


def asked(paper: Paper, times: int) -> Counter[str]:
    """Ask and end at once, so many times; count who was asked."""
    counts: Counter[str] = Counter()
    for _ in range(times):
        lease = paper.take()
        counts[lease.deployment.name] += 1
        lease.ended("cancelled", None, paper.now)
    return counts


def utilised(percent: str) -> dict[str, str]:
    return {"azure-openai-deployment-utilization": percent}


# --- tiers -------------------------------------------------------------------------------------


def test_the_first_tier_gets_everything_while_it_can() -> None:
    paper = Paper(deployment("ptu"), deployment("paygo", tier=1, weight=100))
    assert asked(paper, 50) == {"ptu": 50}


def test_a_full_ptu_spills_over_before_its_429_and_comes_back_when_the_reading_is_old() -> None:
    paper = Paper(deployment("ptu"), deployment("paygo", tier=1))
    paper.answer(paper.take(), 200, utilised("94.9%"))
    assert asked(paper, 10) == {"ptu": 10}
    paper.answer(paper.take(), 200, utilised("95%"))
    assert asked(paper, 10) == {"paygo": 10}
    paper.now += 10
    assert asked(paper, 10) == {"ptu": 10}


@pytest.mark.parametrize(
    "headers", [utilised("100%"), utilised("1.0"), utilised("99"), {"x-ratelimit-remaining-tokens": "0"}]
)
def test_who_is_full_is_still_asked_when_nobody_else_is_there(headers: dict[str, str]) -> None:
    paper = Paper(deployment("ptu"), deployment("paygo", tier=1))
    paper.answer(paper.take(), 200, headers)
    assert asked(paper, 5) == {"paygo": 5}
    paper.answer(paper.take(), 429, {"retry-after": "60"})
    assert asked(paper, 5) == {"ptu": 5}


def test_requests_on_their_way_count_against_what_remains() -> None:
    paper = Paper(deployment("a"), deployment("b", tier=1))
    paper.answer(paper.take(), 200, {"x-ratelimit-remaining-requests": "3"})
    held = [paper.take() for _ in range(5)]
    assert [lease.deployment.name for lease in held] == ["a", "a", "a", "b", "b"]
    held[0].answered(200, {"x-ratelimit-remaining-requests": "3"}, paper.now)
    assert paper.take().deployment.name == "a"


def test_what_remains_is_filled_again_after_its_time() -> None:
    paper = Paper(deployment("a"), deployment("b", tier=1))
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6s"}
    paper.answer(paper.take(), 200, headers)
    assert asked(paper, 3) == {"b": 3}
    paper.now += 6
    assert asked(paper, 3) == {"a": 3}


def test_no_more_streams_run_than_it_may_have() -> None:
    paper = Paper(deployment("a", max_concurrent=2))
    held = [paper.take(), paper.take()]
    assert paper.ask() == Exhausted("busy", 1.0)
    held[0].ended("completed", None, paper.now)
    assert isinstance(paper.ask(), Lease)


# --- inside a tier -----------------------------------------------------------------------------


def test_idle_deployments_are_asked_by_weight() -> None:
    paper = Paper(deployment("a", weight=1), deployment("b", weight=3), deployment("c", weight=6))
    counts = asked(paper, 4000)
    assert [counts[name] / 4000 for name in "abc"] == pytest.approx([0.1, 0.3, 0.6], abs=0.03)


def test_running_streams_are_spread_by_weight() -> None:
    paper = Paper(deployment("a", weight=10), deployment("b", weight=30))
    counts = Counter(paper.take().deployment.name for _ in range(400))
    assert counts["b"] == pytest.approx(300, abs=30)


def test_a_small_difference_is_noise_and_leaves_it_to_the_weights() -> None:
    paper = Paper(deployment("a", weight=1), deployment("b", weight=3))
    paper.answer(paper.at("a"), first_token_s=0.20)
    paper.answer(paper.at("b"), first_token_s=0.22)
    assert asked(paper, 2000)["a"] / 2000 == pytest.approx(0.25, abs=0.04)


def test_the_slower_of_two_is_asked_less_and_forgiven_in_time() -> None:
    paper = Paper(deployment("a"), deployment("b"))
    for _ in range(5):
        paper.answer(paper.at("a"), first_token_s=0.2)
        paper.answer(paper.at("b"), first_token_s=1.0)
    assert asked(paper, 100) == {"a": 100}
    held = Counter(paper.take().deployment.name for _ in range(60))
    assert held["a"] > 3 * held["b"] > 0
    paper.now += 300
    assert held["b"] < 30 < (held + asked(paper, 200))["b"]


def test_the_busier_by_its_own_word_is_asked_less() -> None:
    paper = Paper(deployment("a"), deployment("b"))
    paper.answer(paper.at("a"), 200, utilised("80%"))
    paper.answer(paper.at("b"), 200, utilised("10%"), first_token_s=0.1)
    assert asked(paper, 100) == {"b": 100}


def test_an_answer_in_one_piece_says_nothing_of_first_tokens() -> None:
    paper = Paper(deployment("a"))
    lease = paper.pool.next(MODEL, (), None, paper.now, streams=False)
    assert isinstance(lease, Lease)
    paper.answer(lease, first_token_s=30)
    assert paper.member("a").latency.mean_s is None


# --- names -------------------------------------------------------------------------------------


def test_only_who_serves_a_model_is_asked_and_under_its_own_name() -> None:
    paper = Paper(deployment("a", models={"small": "mini"}), deployment("b", models={"large": "big"}))
    lease = paper.take(model="large")
    assert (lease.deployment.name, lease.model) == ("b", "big")
    assert lease.deployment.target(CHAT, lease.model).model == "big"
    assert paper.ask(model="other") == Exhausted("unknown_model")
    assert paper.pool.models == ("small", "large")


def test_a_star_hands_any_name_on_or_maps_it() -> None:
    assert deployment("o", models={"*": "*", "fast": "mini"}).known_as("gpt-9") == "gpt-9"
    assert deployment("o", models={"*": "*", "fast": "mini"}).known_as("fast") == "mini"
    assert deployment("o", models={"*": "gpt-4o"}).known_as("gpt-9") == "gpt-4o"


@pytest.mark.parametrize(
    ("kind", "base", "operation", "path"),
    [
        ("azure", "https://h", "chat/completions", "/openai/v1/chat/completions"),
        ("azure", "https://h", "responses", "/openai/v1/responses"),
        (
            "azure-classic",
            "https://h",
            "chat/completions",
            "/openai/deployments/my%20own/chat/completions?api-version=2024-10-21",
        ),
        (
            "azure-classic",
            "https://h",
            "embeddings",
            "/openai/deployments/my%20own/embeddings?api-version=2024-10-21",
        ),
        ("azure-classic", "https://h", "responses", "/openai/responses?api-version=2024-10-21"),
        ("openai", "https://h/v1", "responses", "/v1/responses"),
        ("compatible", "http://h:8080/proxy/v1", "embeddings", "/proxy/v1/embeddings"),
    ],
)
def test_every_api_has_its_address(kind: str, base: str, operation: str, path: str) -> None:
    target = deployment("d", kind=kind, base=base, api_version="2024-10-21").target(operation, "my own")
    assert target.path == path
    assert (target.origin.scheme, target.origin.host) == (base.partition(":")[0], "h")
    assert target.origin.port == (8080 if "8080" in base else 443)
    assert target.authority == base.split("/")[2]


async def test_neither_key_nor_address_is_ever_shown() -> None:
    one = deployment("d")
    paper = Paper(one)
    lease = paper.take()
    assert await lease.deployment.credential.headers() == {"api-key": "a-secret-key"}
    shown = f"{one!r} {lease.deployment.target(CHAT, lease.model)!r} {lease!r} {paper.pool!r}"
    assert "a-secret-key" not in shown and "example" not in shown


# --- conversations -----------------------------------------------------------------------------


def test_a_conversation_stays_where_its_prompt_is_known() -> None:
    paper = Paper(deployment("a"), deployment("b"), deployment("c"))
    first = paper.take(affinity="talk-1")
    paper.answer(first)
    paper.answer(paper.at(first.deployment.name), first_token_s=9)  # not even slowness moves it
    for _ in range(20):
        lease = paper.take(affinity="talk-1")
        assert lease.deployment.name == first.deployment.name
        paper.answer(lease)


def test_a_conversation_moves_when_its_deployment_rests_and_stays_where_it_went() -> None:
    paper = Paper(deployment("a"), deployment("b"))
    first = paper.take(affinity="talk-1")
    paper.answer(first)
    paper.answer(paper.at(first.deployment.name), 429, {"retry-after": "5"})
    second = paper.take(affinity="talk-1")
    assert second.deployment.name != first.deployment.name
    paper.answer(second)
    paper.now += 60
    assert paper.take(affinity="talk-1").deployment.name == second.deployment.name


def test_a_conversation_that_pauses_for_long_goes_to_the_best_again() -> None:
    paper = Paper(deployment("ptu", max_concurrent=1), deployment("paygo", tier=1))
    holder = paper.take()
    paper.answer(paper.take(affinity="talk-1"))
    holder.ended("completed", None, paper.now)
    assert paper.take(affinity="talk-1").deployment.name == "paygo"
    paper.now += 601
    assert paper.take(affinity="talk-1").deployment.name == "ptu"


def test_the_table_of_conversations_has_a_bound() -> None:
    table = Affinity(most=3)
    for key in ["one", "two", "three"]:
        table.keep(MODEL, key, "a", 0.0)
    table.keep(MODEL, "one", "b", 1.0)
    table.keep(MODEL, "four", "a", 2.0)
    assert len(table) == 3
    assert [table.find(MODEL, key, 3.0) for key in ["one", "two", "three", "four"]] == ["b", None, "a", "a"]


# --- second attempts ---------------------------------------------------------------------------


def test_without_rules_there_is_no_second_attempt() -> None:
    paper = Paper(deployment("a"), deployment("b"))
    asked(paper, 100)
    assert paper.pool.hedge_after(MODEL, paper.now) is None
    assert paper.pool.hedge(MODEL, ["a"], paper.now) is None


def test_second_attempts_go_elsewhere_and_stay_under_their_share() -> None:
    paper = Paper(deployment("a"), deployment("b"), hedging=HedgeRules(after_s=0.7, share=0.1))
    hedges = 0
    for _ in range(300):
        first = paper.take()
        if paper.pool.hedge_after(MODEL, paper.now) == 0.7:
            second = paper.pool.hedge(MODEL, [first.deployment.name], paper.now)
            assert second is not None and second.hedge
            assert second.deployment.name != first.deployment.name
            second.ended("completed", None, paper.now)
            hedges += 1
        first.ended("cancelled", None, paper.now)
    assert hedges == 30 == paper.pool.hedging.spent


def test_a_saved_up_share_is_no_licence_for_a_burst() -> None:
    paper = Paper(deployment("a"), deployment("b"), hedging=HedgeRules(after_s=0.7, share=0.1))
    asked(paper, 1000)
    burst = [paper.pool.hedge(MODEL, ["a"], paper.now) for _ in range(10)]
    assert sum(lease is not None for lease in burst) == 3


def test_a_retry_earns_no_second_attempt() -> None:
    paper = Paper(deployment("a"), deployment("b"), hedging=HedgeRules(after_s=0.7, share=0.5))
    for _ in range(20):
        paper.take("a").ended("cancelled", None, paper.now)
    assert paper.pool.hedge_after(MODEL, paper.now) is None


def test_nobody_free_beside_the_first_means_no_second_attempt() -> None:
    paper = Paper(deployment("a"), deployment("b"), hedging=HedgeRules(after_s=0.7, share=1.0))
    paper.answer(paper.at("b"), 429, {"retry-after": "60"})
    paper.take()
    assert paper.pool.hedge_after(MODEL, paper.now) is None
    assert paper.pool.hedge(MODEL, ["a"], paper.now) is None


def test_the_delay_follows_what_the_faster_one_usually_needs() -> None:
    paper = Paper(deployment("a"), deployment("b"), hedging=HedgeRules(share=1.0))
    asked(paper, 5)
    for n in range(1, 101):
        assert paper.pool.hedge_after(MODEL, paper.now) is None or n > 20
        paper.answer(paper.at("b"), first_token_s=2.0)
        paper.answer(paper.at("a"), first_token_s=n / 100)
    asked(paper, 1)
    assert paper.pool.hedge_after(MODEL, paper.now) == pytest.approx(0.95, abs=0.1)


# --- a new configuration -----------------------------------------------------------------------


def test_a_stream_ends_at_its_old_deployment_and_new_ones_go_to_the_new() -> None:
    paper = Paper(deployment("a"))
    stream = paper.take()
    paper.pool.reload([deployment("b")], paper.now)
    assert asked(paper, 5) == {"b": 5}
    assert (
        stream.deployment.name == "a"
        and "a.example" in stream.deployment.target(CHAT, stream.model).authority
    )
    assert [one.deployment.name for one in paper.pool.members] == ["b", "a"]
    stream.answered(200, utilised("50%"), paper.now)
    stream.first_token(paper.now)
    stream.ended("completed", None, paper.now)
    assert [one.deployment.name for one in paper.pool.members] == ["b"]
    assert paper.pool.leases == 0


def test_who_stays_keeps_what_was_learnt_and_takes_its_new_tier() -> None:
    paper = Paper(deployment("a"), deployment("b", tier=1))
    paper.answer(paper.take(), first_token_s=0.4)
    paper.answer(paper.at("b"), 429, {"retry-after": "60"})
    stream = paper.take()
    paper.pool.reload([deployment("a", tier=2), deployment("b", tier=1)], paper.now)
    assert paper.member("a").running == 1 and paper.member("a").latency.mean_s == pytest.approx(0.4)
    assert asked(paper, 3) == {"a": 3}
    paper.now += 60
    assert asked(paper, 3) == {"b": 3}
    stream.ended("completed", None, paper.now)
    assert paper.member("a").running == 0


def test_one_name_at_another_address_begins_anew() -> None:
    paper = Paper(deployment("a"))
    paper.answer(paper.take(), 429, {"retry-after": "600"})
    old = paper.pool.members[0]
    paper.pool.reload([deployment("a", base="https://elsewhere.example")], paper.now)
    assert paper.pool.members[0] is not old
    lease = paper.take()
    assert lease.deployment.target(CHAT, lease.model).origin.host == "elsewhere.example"
