"""Whatever happens in whatever order: what must hold of every choice and of every count."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.upstream.pool.virtual import MODEL, Paper, deployment

from kaiwa.upstream.pool.lease import Exhausted, Lease, Outcome
from kaiwa.upstream.pool.member import Standing

OUTCOMES: list[Outcome] = ["completed", "cancelled", "unauthorized", "unreachable", "timed_out", "cut"]
STATUSES = [200, 200, 200, 400, 401, 404, 429, 429, 500, 503]
HEADERS: list[dict[str, str]] = [
    {},
    {"retry-after": "3"},
    {"retry-after-ms": "250"},
    {"retry-after": "86400"},
    {"azure-openai-deployment-utilization": "99%"},
    {"x-ratelimit-remaining-requests": "1", "x-ratelimit-limit-requests": "10"},
]
LISTS = [
    [
        deployment("a", max_concurrent=3),
        deployment("b", weight=3),
        deployment("c", tier=1),
        deployment("d", tier=2),
    ],
    [deployment("a", tier=1), deployment("c", tier=0, max_concurrent=1)],
    [deployment("b", base="https://moved.example"), deployment("d", tier=1, weight=0.1)],
]


class AnyScript(RuleBasedStateMachine):
    @initialize(which=st.integers(0, 2), seed=st.integers(0, 99))
    def begin(self, which: int, seed: int) -> None:
        self.paper = Paper(*LISTS[which], chance=random.Random(seed).random)
        self.held: list[Lease] = []
        self.ended = 0

    def standings(self) -> dict[str, Standing]:
        pool = self.paper.pool
        present = [member for member in pool.members if not pool.is_leaving(member)]
        return {
            one.deployment.name: one.standing(one.deployment.known_as(MODEL), self.paper.now)
            for one in present
        }

    @rule(tried=st.sets(st.sampled_from("abcd"), max_size=2), key=st.sampled_from([None, "one", "two"]))
    def ask(self, tried: set[str], key: str | None) -> None:
        before = {name: stands for name, stands in self.standings().items() if name not in tried}
        tiers = {one.deployment.name: one.deployment.tier for one in self.paper.pool.members[::-1]}
        given = self.paper.ask(*tried, affinity=key)
        takes = {name for name, stands in before.items() if stands in ("free", "spilling", "due")}
        if isinstance(given, Exhausted):
            assert not takes
            assert given.retry_after_s is None or given.retry_after_s > 0
            return
        self.held.append(given)
        name = given.deployment.name
        assert name in takes, "never an open breaker, a resting, a full or a tried one"
        free = {one for one in before if before[one] == "free"}
        if before[name] == "spilling":
            assert not free, "who is full is asked last"
        elif key is None and free:
            assert tiers[name] <= min(tiers[one] for one in free)
        assert given.probe == (before[name] == "due")

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 99), status=st.sampled_from(STATUSES), headers=st.sampled_from(HEADERS))
    def answer(self, which: int, status: int, headers: dict[str, str]) -> None:
        lease = self.held[which % len(self.held)]
        verdict = lease.answered(status, headers, self.paper.now)
        assert (verdict == "use") == (status == 200)
        if verdict != "use":
            self.end(which, "refused")

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 99))
    def first_token(self, which: int) -> None:
        self.held[which % len(self.held)].first_token(self.paper.now)

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 99), outcome=st.sampled_from(OUTCOMES))
    def end(self, which: int, outcome: Outcome) -> None:
        lease = self.held.pop(which % len(self.held))
        lease.ended(outcome, None, self.paper.now)
        lease.ended("cut", None, self.paper.now)  # a second word counts for nothing
        self.ended += 1

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 31.0, 301.0]))
    def wait(self, seconds: float) -> None:
        self.paper.now += seconds

    @rule(which=st.integers(0, 2))
    def reload(self, which: int) -> None:
        self.paper.pool.reload(LISTS[which], self.paper.now)

    @invariant()
    def no_lease_is_lost(self) -> None:
        pool = self.paper.pool
        assert pool.leases == len(self.held) == sum(member.running for member in pool.members)
        assert all(member.running for member in pool.members if pool.is_leaving(member))
        for member in pool.members:
            probes = [lease for lease in self.held if lease.probe and pool.member_of(lease) is member]
            assert len(probes) == int(member.breaker.probing), "one probe at a time"
            unanswered = [one for one in self.held if not one.counted and pool.member_of(one) is member]
            assert sum(limits.unanswered for limits in member.known_limits.values()) == len(unanswered)


TestAnyScript = AnyScript.TestCase
TestAnyScript.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
