"""What became of one request, for whoever counts: told once, when all is over. A value only."""

from __future__ import annotations

from dataclasses import dataclass

from kaiwa.gateway.asking import Operation
from kaiwa.gateway.reasons import Reason
from kaiwa.protocol.chat.usage import TokensCounted
from kaiwa.upstream.pool.lease import Outcome


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt at one deployment. `status` None: none came; `code`: the error's in its answer, if any."""

    deployment: str
    kind: str
    model: str
    began: float
    ended: float
    outcome: Outcome
    status: int | None
    code: str | None
    hedge: bool


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """`deployment`: who was asked last, "" for nobody. `first_token_s` None: nothing came that is an answer.

    `cost` is in billionths of the price table's currency.
    """

    operation: Operation
    model: str
    deployment: str
    reason: Reason
    status: int
    streams: bool
    attempts: int
    elapsed_s: float
    first_token_s: float | None
    events: int
    used: TokensCounted
    cost: int
    tries: tuple[Try, ...] = ()
