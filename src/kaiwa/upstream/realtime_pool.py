"""Several deployments behind one name: who is asked first, and who rests after a failure.

Knows counts of live sessions and the time; opens no connection. How long who failed rests is the breaker's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from kaiwa.upstream.credentials import Credential
from kaiwa.upstream.pool.breaker import Breaker, BreakerRules
from kaiwa.upstream.realtime import RealtimeTarget

# A session that cannot begin costs its caller seconds: one failure is enough.
_RULES: Final = BreakerRules(in_a_row=1, open_s=30.0)


class RealtimePool:
    """Of the lowest priority, the target with the fewest live sessions for its weight is first, in turn when
    they are equal. Full ones come behind, and those that failed just now last, for want of better."""

    def __init__(
        self, targets: Sequence[RealtimeTarget], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._targets: tuple[RealtimeTarget, ...] = ()
        self._clock = clock
        self._live: dict[str, int] = {}
        self._breakers: dict[str, Breaker] = {}
        self._turn = 0
        self._used_in: dict[str, int] = {}
        self._credentials: dict[int, Credential] = {}
        self.become(targets)

    def become(self, targets: Sequence[RealtimeTarget]) -> None:
        """Ask these from now on. Sessions that run stay where they are; who failed gets another chance."""
        assert len({target.name for target in targets}) == len(targets), "names tell targets apart"
        self._targets = tuple(targets)
        for target in targets:
            self._live.setdefault(target.name, 0)
            self._used_in.setdefault(target.name, 0)
            self._breakers[target.name] = Breaker(_RULES)
            self._credentials[id(target.credential)] = target.credential

    @property
    def targets(self) -> tuple[RealtimeTarget, ...]:
        return self._targets

    @property
    def live(self) -> dict[str, int]:
        return dict(self._live)

    def serves(self, model: str | None) -> bool:
        return any(target.serves(model) for target in self._targets)

    @property
    def is_well(self) -> bool:
        """Whether there is a target that did not fail just now."""
        now = self._clock()
        return any(self._breakers[target.name].state(now) != "open" for target in self._targets)

    def candidates(self, model: str | None) -> list[RealtimeTarget]:
        """Return who may be asked, in order. Those that failed just now come last, for want of better."""
        now = self._clock()
        fitting = [target for target in self._targets if target.serves(model)]
        return sorted(
            fitting or self._targets,
            key=lambda target: (
                self._breakers[target.name].state(now) == "open",
                self._is_full(target),
                target.priority,
                self._live[target.name] / target.weight,
                self._used_in[target.name],
            ),
        )

    def _is_full(self, target: RealtimeTarget) -> bool:
        return target.most_sessions is not None and self._live[target.name] >= target.most_sessions

    def take(self, target: RealtimeTarget) -> None:
        """A session with this target begins, or tries to."""
        self._turn += 1
        self._live[target.name] += 1
        self._used_in[target.name] = self._turn

    def give_back(self, target: RealtimeTarget, *, failed: bool = False) -> None:
        self._live[target.name] -= 1
        if failed:
            self.rest(target)
        else:
            now = self._clock()
            self._breakers[target.name].succeeded(now, begun=now, probe=True)

    def rest(self, target: RealtimeTarget) -> None:
        """Ask this target last for a while: longer each time, until a session with it went well."""
        now = self._clock()
        self._breakers[target.name].failed(now, begun=now, probe=True)

    async def close(self) -> None:
        for credential in self._credentials.values():
            await credential.close()
