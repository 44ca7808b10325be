"""One attempt at one deployment, from the choice to its end. Knows no socket: it is told what happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from kaiwa.upstream.pool.deployment import Deployment

Verdict = Literal["use", "next", "refuse"]
"""`use`: relay this answer. `next`: end this lease and ask the pool again, with this deployment in `tried`.
`refuse`: the client gets this refusal as it is, since every deployment would say the same."""

Outcome = Literal[
    "completed",  # the answer came to its proper end
    "cancelled",  # nobody wants it any more: the client left, or another attempt was faster
    "refused",  # a status was the end, and `answered` was told of it
    "failed",  # an error inside a 200, and `said_error` was told of it
    "unauthorized",  # the credential raised: no token could be had
    "unreachable",  # no connection, or it closed before a status came
    "timed_out",  # no status, no first token or no further piece in time
    "cut",  # the connection ended inside an answer
]

Reason = Literal["unknown_model", "rate_limited", "unavailable", "disabled", "busy", "tried"]
"""Why nobody can be asked: nobody serves the model; those that do rest after a 429; their breakers are open;
they refuse key or name; all their places are taken; or each was tried for this request."""


@dataclass(frozen=True)
class Usage:
    """Tokens of one attempt, as far as they are known."""

    text_input: int = 0
    text_input_cached: int = 0
    text_output: int = 0


@dataclass(frozen=True)
class Exhausted:
    """Nobody can be asked now; in `retry_after_s` somebody may be. None: waiting does not help."""

    reason: Reason
    retry_after_s: float | None = None


class Attempted(Protocol):
    """What a lease needs of the pool: it tells of itself, and the pool judges."""

    def answered(
        self, lease: Lease, status: int, headers: Mapping[str, str], code: str | None, now: float
    ) -> Verdict: ...

    def said_error(self, lease: Lease, code: str | None, now: float) -> Verdict: ...

    def first_token(self, lease: Lease, now: float) -> None: ...

    def ended(self, lease: Lease, outcome: Outcome, usage: Usage | None, now: float) -> None: ...


class Lease:
    """One place at one deployment. Whoever takes it tells `ended` once, whatever happens.

    `model` is the deployment's own name of what the client asked for. The deployment stays what it was when
    the lease began, also when the configuration is read anew meanwhile.
    """

    __slots__ = (
        "_pool",
        "affinity",
        "asked",
        "begun",
        "counted",
        "deployment",
        "first_at",
        "hedge",
        "model",
        "over",
        "probe",
        "streams",
    )

    def __init__(
        self,
        pool: Attempted,
        deployment: Deployment,
        asked: str,
        model: str,
        now: float,
        *,
        affinity: str | None = None,
        probe: bool = False,
        hedge: bool = False,
        streams: bool = True,
    ) -> None:
        self._pool = pool
        self.deployment = deployment
        self.asked = asked
        """What the client asked for."""
        self.model = model
        self.begun = now
        self.affinity = affinity
        self.probe = probe
        """It finds out whether a deployment has recovered: nobody else asks it meanwhile."""
        self.hedge = hedge
        self.streams = streams
        self.counted = False
        """The service's own counts include it: a status came, or it is over."""
        self.first_at: float | None = None
        self.over = False

    def answered(
        self, status: int, headers: Mapping[str, str], now: float, *, code: str | None = None
    ) -> Verdict:
        """A status came. `headers`: names in lower case; `code`: the error's in the body, if it was read."""
        return self._pool.answered(self, status, headers, code, now)

    def said_error(self, code: str | None, now: float) -> Verdict:
        """An error came inside a 200. After the first token nothing can be retried, whatever this returns."""
        return "refuse" if self.over else self._pool.said_error(self, code, now)

    def first_token(self, now: float) -> None:
        """The first piece with content came; of an answer in one piece: its first byte."""
        if self.first_at is None and not self.over:
            self.first_at = now
            self._pool.first_token(self, now)

    def ended(self, outcome: Outcome, usage: Usage | None, now: float) -> None:
        """The attempt is over and its place is free. Only the first word counts."""
        if not self.over:
            self.over = True
            self._pool.ended(self, outcome, usage, now)
