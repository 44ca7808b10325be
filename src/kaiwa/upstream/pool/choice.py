"""Who is asked next: tiers first, inside a tier the better of two that are drawn by weight. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from kaiwa.upstream.pool.member import Member, Standing

Chance = Callable[[], float]
Candidate = tuple[Member, Standing]

# A smaller difference than this is noise: then the weights decide.
NOTABLE: Final = 1.25
_FULL: Final = 0.99


def choose(candidates: Sequence[Candidate], model: str, now: float, chance: Chance) -> Member | None:
    """Return who is asked: of the best tier with somebody free, else whoever still takes requests.

    One that is due for a probe counts as free in its own tier: the request that finds it broken goes on to
    the next before its client has seen anything. `model` is what the client asked for.
    """
    free: list[Member] = []
    due: Member | None = None
    best = math.inf
    for member, stands in candidates:
        tier = member.deployment.tier
        if (stands != "free" and stands != "due") or tier > best:
            continue
        if tier < best:
            best, free, due = tier, [], None
        if stands == "free":
            free.append(member)
        elif due is None:
            due = member
    if due is not None or free:
        return due or better_of_two(free, model, now, chance)
    spilling = [member for member, stands in candidates if stands == "spilling"]
    best = min((member.deployment.tier for member in spilling), default=0)
    fullest = [member for member in spilling if member.deployment.tier == best]
    return better_of_two(fullest, model, now, chance) if fullest else None


def better_of_two(members: Sequence[Member], model: str, now: float, chance: Chance) -> Member:
    """Draw two by weight; the second wins if it is notably cheaper. Never everybody runs to one place."""
    if len(members) == 1:
        return members[0]
    weights: list[float] = []
    best_s, total = math.inf, 0.0
    for member in members:
        breaker, mean_s = member.breaker, member.latency.mean_s
        weight = member.deployment.weight
        if breaker.recovered_at is not None:
            weight *= breaker.trust(now)
        weights.append(weight)
        total += weight
        if mean_s and mean_s < best_s:
            best_s = mean_s
    if len(members) == 2:
        first = 0 if chance() * total < weights[0] else 1
        second = 1 - first
    else:
        first = _drawn(weights, chance)
        second = _drawn([0.0 if i == first else weight for i, weight in enumerate(weights)], chance)
    mean = total / len(weights)
    cost = _cost(members[first], weights[first] / mean, best_s, model, now)
    other = _cost(members[second], weights[second] / mean, best_s, model, now)
    return members[second] if other * NOTABLE < cost else members[first]


def _cost(member: Member, weight: float, best_s: float, model: str, now: float) -> float:
    """Return what a request is likely to wait there: queue × slowness ÷ what is left of its capacity."""
    cost = 1 + member.running / weight
    mean_s = member.latency.mean_s
    if mean_s is not None and mean_s > best_s:
        cost *= member.latency.beside(best_s, now)
    if member.told:
        limits = member.limits(member.deployment.known_as(model))
        cost /= 1 - min(limits.pressure(now), _FULL)
    return cost


def _drawn(weights: Sequence[float], chance: Chance) -> int:
    point = chance() * sum(weights)
    for i, weight in enumerate(weights):
        point -= weight
        if point < 0:
            return i
    return max(range(len(weights)), key=weights.__getitem__)
