"""One deployment in the pool with all that was learnt of it. Knows what happened there, not who is chosen."""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import Final, Literal

from kaiwa.upstream.pool.breaker import Breaker
from kaiwa.upstream.pool.deployment import Deployment
from kaiwa.upstream.pool.faults import (
    NO_TOKEN,
    REASONS,
    Fault,
    fault_of_code,
    fault_of_status,
    status_of_code,
)
from kaiwa.upstream.pool.latency import Latency
from kaiwa.upstream.pool.lease import Lease, Outcome, Usage
from kaiwa.upstream.pool.limits import Limits

Standing = Literal["free", "spilling", "busy", "resting", "due", "open", "disabled"]
"""`spilling`: it still takes requests, but others should. `due`: one probe may find out what it can do."""

# A key or a role that is mended is found out by itself; it costs one failover every five minutes.
DISABLED_S: Final = 300.0
_TOKEN_S: Final = 30.0
# Without any money left, a second is no time to wait.
_NO_CREDIT_S: Final = 60.0
_SOON_S: Final = 1.0
# Of names that clients choose freely, so many have limits of their own.
_MOST_MODELS: Final = 64
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_UNKNOWN: Final = Limits()
_FAULTS: Final = frozenset({"unreachable", "timed_out", "cut"})


class Member:
    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.breaker = Breaker()
        self.latency = Latency()
        self.running = 0
        self.outcomes: Counter[Outcome] = Counter()
        self.rate_limited = 0
        self.rejected = 0
        """How many requests were at fault themselves."""
        self.tokens = 0
        self.told = False
        """Whether it ever said how much it takes, of any model."""
        self.last_error: str | None = None
        self.last_error_at: float | None = None
        self._limits: OrderedDict[str, Limits] = OrderedDict()

    # --- how it stands -------------------------------------------------------------------------

    def limits(self, model: str) -> Limits:
        """Return what is known for its own name of a model; to look at only."""
        return self._limits.get(model, _UNKNOWN)

    @property
    def known_limits(self) -> Mapping[str, Limits]:
        return self._limits

    def standing(self, model: str, now: float) -> Standing:
        """Say how it stands towards a request for its own name of a model."""
        # What is nearly always so is seen without a call: this is asked of each member for each request.
        breaker, limits = self.breaker, self._limits.get(model, _UNKNOWN)
        state = "closed" if breaker.retry_at is None else breaker.state(now)
        if state == "open":
            return "disabled" if self.breaker.reason else "open"
        if limits.rest_until > now:
            return "resting"
        most = self.deployment.max_concurrent
        if most is not None and self.running >= most:
            return "busy"
        if state == "half_open":
            return "open" if self.breaker.probing else "due"
        spill_at = self.deployment.spill_at
        spills = limits.spills(now, spill_at) if limits.told else spill_at <= 0
        return "spilling" if spills else "free"

    def free_in_s(self, model: str, now: float) -> float:
        """Return in how many seconds it is worth asking again, if it is not now."""
        waits = [self.limits(model).rest_until - now, (self.breaker.retry_at or now) - now]
        return max(*waits, 0.0) or _SOON_S

    # --- what happens at it --------------------------------------------------------------------

    def begin(self, lease: Lease) -> None:
        self.running += 1
        self._kept_limits(lease.model).unanswered += 1
        if lease.probe:
            self.breaker.begin_probe()

    def answered(
        self,
        lease: Lease,
        status: int,
        headers: Mapping[str, str],
        code: str | None,
        now: float,
        wall_s: float,
    ) -> Fault:
        limits = self._count(lease)
        limits.read(headers, now)
        self.told = self.told or limits.told
        fault = fault_of_status(status, code, open_ended=lease.deployment.open_ended)
        if fault == "none":
            limits.accepted()
            return fault
        self._learn(lease, fault, status, headers, now, wall_s)
        self._noted(fault, code or str(status), now)
        if code == "insufficient_quota":
            limits.rest_until = max(limits.rest_until, now + _NO_CREDIT_S)
        return fault

    def said_error(self, lease: Lease, code: str | None, now: float, wall_s: float) -> Fault:
        fault = fault_of_code(code, open_ended=lease.deployment.open_ended)
        self._learn(lease, fault, status_of_code(code), {}, now, wall_s)
        self._noted(fault, code or "error", now)
        return fault

    def first_token(self, lease: Lease, now: float) -> None:
        if lease.streams:
            self.latency.observed(now - lease.begun, now)
        if lease.probe:
            self.breaker.succeeded(now, begun=lease.begun, probe=True)

    def ended(self, lease: Lease, outcome: Outcome, usage: Usage | None, now: float) -> None:
        self.running -= 1
        self._count(lease)
        self.outcomes[outcome] += 1
        self.tokens += usage.text_input + usage.text_output if usage is not None else 0
        if outcome == "completed":
            self.breaker.succeeded(now, begun=lease.begun, probe=lease.probe)
        elif outcome == "unauthorized":
            self.breaker.trip(now, _TOKEN_S, NO_TOKEN)
        elif outcome in _FAULTS:
            self.breaker.failed(now, begun=lease.begun, probe=lease.probe)
        if outcome in _FAULTS or outcome == "unauthorized":
            self._noted("broken", outcome, now)
        if lease.first_at is None and lease.streams and outcome in ("cancelled", "timed_out"):
            self.latency.exceeded(now - lease.begun, now)
        if lease.probe:
            self.breaker.end_probe()

    def _kept_limits(self, model: str) -> Limits:
        found = self._limits.get(model)
        if found is None:
            found = self._limits[model] = Limits()
            if len(self._limits) > _MOST_MODELS:
                self._limits.popitem(last=False)
        else:
            self._limits.move_to_end(model)
        return found

    def _count(self, lease: Lease) -> Limits:
        """What was sent is in the service's own counts from now on."""
        limits = self._kept_limits(lease.model)
        if not lease.counted:
            lease.counted = True
            limits.unanswered = max(limits.unanswered - 1, 0)  # forgotten limits begin at nothing
        return limits

    def _learn(
        self, lease: Lease, fault: Fault, status: int, headers: Mapping[str, str], now: float, wall_s: float
    ) -> None:
        limits = self._kept_limits(lease.model)
        if fault == "rate_limited":
            self.rate_limited += 1
            limits.rest(headers, now, wall_s)
        elif fault == "disabled":
            self.breaker.trip(now, DISABLED_S, REASONS[status])
        elif fault == "broken":
            limits.rest_as_told(headers, now, wall_s)
            self.breaker.failed(now, begun=lease.begun, probe=lease.probe)
        elif lease.probe:
            # It reads requests and refuses a bad one: whatever was wrong with it is over.
            self.breaker.succeeded(now, begun=lease.begun, probe=True)

    def _noted(self, fault: Fault, error: str, now: float) -> None:
        if fault == "client":
            self.rejected += 1
            return
        # The service's own word, if it is a plain one: it is shown to people.
        self.last_error, self.last_error_at = error if _CODE.fullmatch(error) else "error", now
