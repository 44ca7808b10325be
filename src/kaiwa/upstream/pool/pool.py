"""The pool: leases for whoever asks, and what was learnt from each. Pure: `now` and chance come in.

One thread. Its doorway is small: `next` (and `hedge`) give a `Lease`, whose holder tells what happened.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from kaiwa.upstream.pool.affinity import Affinity
from kaiwa.upstream.pool.choice import Candidate, Chance, choose
from kaiwa.upstream.pool.deployment import ANY, Deployment
from kaiwa.upstream.pool.faults import Fault
from kaiwa.upstream.pool.hedging import SAMPLES, HedgeRules, Hedging
from kaiwa.upstream.pool.lease import Exhausted, Lease, Outcome, Reason, Usage, Verdict
from kaiwa.upstream.pool.member import Member, Standing

_VERDICTS: Mapping[Fault, Verdict] = {
    "none": "use",
    "client": "refuse",
    "rate_limited": "next",
    "disabled": "next",
    "broken": "next",
}
# Clients choose names freely; these are remembered.
_MOST_NAMES = 256
# Why nobody is free, the word that helps a client most first.
_REASONS: tuple[tuple[Standing, Reason], ...] = (
    ("busy", "busy"),
    ("resting", "rate_limited"),
    ("open", "unavailable"),
    ("disabled", "disabled"),
)


class DeploymentPool:
    """Who is asked, in which order. `now` never goes back; `wall` gives Unix time, for dates in answers.

    `chance` gives numbers from 0 to below 1. `hedging` None: never a second attempt beside the first.
    """

    def __init__(
        self,
        deployments: Iterable[Deployment],
        *,
        chance: Chance,
        wall: Callable[[], float],
        hedging: HedgeRules | None = None,
    ) -> None:
        self._chance, self._wall = chance, wall
        self._members = [Member(deployment) for deployment in _checked(deployments)]
        self._leaving: list[Member] = []
        self._running: dict[Lease, Member] = {}
        self._affinity = Affinity()
        self.hedging = Hedging(hedging)
        self._serving: dict[str, dict[Member, str]] = {}

    @property
    def models(self) -> tuple[str, ...]:
        """The names that clients may ask for, without `*`."""
        names = (name for member in self._members for name in member.deployment.models if name != ANY)
        return tuple(dict.fromkeys(names))

    @property
    def members(self) -> tuple[Member, ...]:
        """Everybody, and behind them those that only finish what they began before a reload."""
        return (*self._members, *self._leaving)

    @property
    def is_empty(self) -> bool:
        """Whether there is nobody, not even to finish what was begun."""
        return not self._members and not self._leaving

    @property
    def leases(self) -> int:
        """How many attempts run."""
        return len(self._running)

    def is_leaving(self, member: Member) -> bool:
        return member in self._leaving

    def member_of(self, lease: Lease) -> Member | None:
        """Return where a lease runs; None: it is over."""
        return self._running.get(lease)

    def serves(self, model: str) -> bool:
        return any(member.deployment.serves(model) for member in self._members)

    # --- who is asked --------------------------------------------------------------------------

    def next(
        self,
        model: str,
        tried: Collection[str],
        affinity: str | None,
        now: float,
        *,
        streams: bool = True,
    ) -> Lease | Exhausted:
        """Take a place at a deployment that serves `model`, none of those named in `tried`.

        `affinity`: whose requests like to come to the same deployment (a conversation); None: nobody's.
        `streams` False: the answer comes in one piece, whose time says nothing of first tokens.
        """
        candidates = serving = self._standings(model, now)
        if tried:
            candidates = [pair for pair in serving if pair[0].deployment.name not in tried]
        chosen = None if affinity is None else self._known(candidates, model, affinity, now)
        chosen = chosen or choose(candidates, model, now, self._chance)
        if chosen is None:
            return _exhausted(serving, tried, model, now)
        if self.hedging.rules is not None and not tried:
            self.hedging.asked()
        return self._lease(chosen, model, now, affinity=affinity, streams=streams)

    def hedge_after(self, model: str, now: float) -> float | None:
        """Return after how many seconds without a first token a second attempt is worth it; None: never.

        None too while the cap on such attempts is reached or no other deployment is free.
        """
        if not self.hedging.affordable:
            return None
        free = [member for member, stands in self._standings(model, now) if stands == "free"]
        share = self.hedging.rules.quantile if self.hedging.rules else 0.0
        known = [member.latency.quantile(share, SAMPLES) for member in free]
        return self.hedging.after_s([s for s in known if s is not None]) if len(free) > 1 else None

    def hedge(self, model: str, tried: Collection[str], now: float) -> Lease | None:
        """Take a place for a second attempt and count it against the cap; None: not now."""
        standings = self._standings(model, now) if self.hedging.affordable else []
        free = [pair for pair in standings if pair[1] == "free" and pair[0].deployment.name not in tried]
        chosen = choose(free, model, now, self._chance)
        if chosen is None:
            return None
        self.hedging.spend()
        return self._lease(chosen, model, now, hedge=True)

    def reload(self, deployments: Iterable[Deployment], now: float) -> None:
        """Use these from now on. Running leases keep their deployment until they end.

        Who is still in the same place keeps what was learnt; who was refused is asked again at once.
        """
        before = {member.deployment.name: member for member in self._members}
        self._members = []
        self._serving.clear()
        for deployment in _checked(deployments):
            member = before.get(deployment.name)
            if member is None or not _same_place(member.deployment, deployment):
                self._members.append(Member(deployment))
                continue
            member.deployment = deployment
            member.breaker.forgive(now)
            self._members.append(before.pop(deployment.name))
        self._leaving += [member for member in before.values() if member.running]

    # --- what leases tell ----------------------------------------------------------------------

    def answered(
        self, lease: Lease, status: int, headers: Mapping[str, str], code: str | None, now: float
    ) -> Verdict:
        member = self._running[lease]
        fault = member.answered(lease, status, headers, code, now, self._wall())
        if fault == "none" and lease.affinity is not None:
            self._affinity.keep(lease.asked, lease.affinity, member.deployment.name, now)
        return _VERDICTS[fault]

    def said_error(self, lease: Lease, code: str | None, now: float) -> Verdict:
        return _VERDICTS[self._running[lease].said_error(lease, code, now, self._wall())]

    def first_token(self, lease: Lease, now: float) -> None:
        self._running[lease].first_token(lease, now)

    def ended(self, lease: Lease, outcome: Outcome, usage: Usage | None, now: float) -> None:
        member = self._running.pop(lease)
        member.ended(lease, outcome, usage, now)
        if not member.running and member in self._leaving:
            self._leaving.remove(member)

    # --- parts ---------------------------------------------------------------------------------

    def _standings(self, model: str, now: float) -> list[Candidate]:
        serving = self._serving.get(model)
        if serving is None:
            serving = self._remember(model)
        standings: list[Candidate] = []
        for member, known in serving.items():
            standings.append((member, member.standing(known, now)))
        return standings

    def _remember(self, model: str) -> dict[Member, str]:
        """Look up who serves a model, and under which name, until the pool is another one."""
        named = [(member, member.deployment.known(model)) for member in self._members]
        serving = {member: known for member, known in named if known is not None}
        if len(self._serving) >= _MOST_NAMES:
            self._serving.clear()
        self._serving[model] = serving
        return serving

    def _known(self, candidates: list[Candidate], model: str, affinity: str, now: float) -> Member | None:
        """Return who had this conversation before, while it is free."""
        name = self._affinity.find(model, affinity, now)
        for member, stands in candidates:
            if member.deployment.name == name and stands == "free":
                return member
        return None

    def _lease(
        self,
        member: Member,
        model: str,
        now: float,
        *,
        affinity: str | None = None,
        hedge: bool = False,
        streams: bool = True,
    ) -> Lease:
        breaker = member.breaker
        probe = breaker.retry_at is not None and breaker.state(now) == "half_open"
        lease = Lease(
            self,
            member.deployment,
            model,
            self._serving[model][member],
            now,
            affinity=affinity,
            probe=probe,
            hedge=hedge,
            streams=streams,
        )
        member.begin(lease)
        self._running[lease] = member
        return lease


def _checked(deployments: Iterable[Deployment]) -> list[Deployment]:
    listed = list(deployments)
    assert len({deployment.name for deployment in listed}) == len(listed), "names tell deployments apart"
    return listed


def _same_place(old: Deployment, new: Deployment) -> bool:
    """Whoever holds credentials gives the same value for the same key."""
    places = [(one.kind, one.base, one.api_version, one.credential) for one in (old, new)]
    return places[0] == places[1]


def _exhausted(serving: list[Candidate], tried: Collection[str], model: str, now: float) -> Exhausted:
    if not serving:
        return Exhausted("unknown_model")
    waits: dict[Standing, float] = {
        stands: min(
            member.free_in_s(member.deployment.known_as(model), now)
            for member, stood in serving
            if stood == stands
        )
        for _, stands in serving
    }
    if waits.keys() & {"free", "spilling", "due"}:
        return Exhausted("tried")
    reason = _reason(waits)
    return Exhausted(reason, min(waits.values()))


def _reason(waits: Mapping[Standing, float]) -> Reason:
    for standing, reason in _REASONS:
        if standing in waits:
            return reason
    raise AssertionError("every standing that is not free has a reason")
