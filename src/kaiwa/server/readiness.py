"""`GET /readyz`: whether a balancer may send somebody here. That the process lives is `/healthz`'s to say."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from kaiwa.events.value import Value
from kaiwa.gateway.streams import Streams
from kaiwa.server.conversations import Answerer
from kaiwa.server.operations import JSON, Operation
from kaiwa.server.relay import RelayAnswerer
from kaiwa.upstream.pool.pool import DeploymentPool

Why = Literal["starting", "draining", "no_healthy_deployment"]


class Ready(Value, kw_only=True):
    """`reason`: why nobody should come; it is there with 503 only."""

    status: Literal["ready", "not_ready"]
    reason: Why | None = None


READY: Final = Operation(
    "Say whether somebody may come",
    "house",
    {200: {JSON: Ready}, 503: {JSON: Ready}},
    keyed=False,
    gated=False,
)


def readiness_of(pool: DeploymentPool, streams: Streams, answerer: Answerer | None) -> Readiness:
    """Return what a house can say of itself. `answerer` None: it answers conversations on this machine."""
    relays_well = (lambda: answerer.is_well) if isinstance(answerer, RelayAnswerer) else None
    return Readiness(pool, lambda: streams.draining, relays_well)


class Readiness:
    """`relays_well` None: conversations are answered here; else says whether a service is there to answer."""

    def __init__(
        self, pool: DeploymentPool, draining: Callable[[], bool], relays_well: Callable[[], bool] | None
    ) -> None:
        self._loaded = False
        self._pool = pool
        self._draining = draining
        self._relays_well = relays_well

    @contextmanager
    def loaded(self) -> Generator[None]:
        """Models are there while the block lasts."""
        self._loaded = True
        try:
            yield
        finally:
            self._loaded = False

    def why_not(self, now: float) -> Why | None:
        """Return why nobody should be sent here; None: anybody may."""
        if not self._loaded:
            return "starting"
        if self._draining():
            return "draining"
        if self._relays_well is None or self._relays_well() or self._pool_is_well(now):
            return None
        return "no_healthy_deployment"

    async def answer(self, request: Request) -> Response:
        why = self.why_not(time.monotonic())
        if why is None:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not_ready", "reason": why}, 503, {"retry-after": "1"})

    def _pool_is_well(self, now: float) -> bool:
        return any(member.breaker.state(now) != "open" for member in self._pool.members)
