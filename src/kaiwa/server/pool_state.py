"""`GET /api/pool` and the page `/pool`: how every deployment stands. Knows no key and no address."""

from __future__ import annotations

import time
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from kaiwa.server.ids import MARK
from kaiwa.server.operations import JSON, Operation, Query
from kaiwa.server.page import HousePage
from kaiwa.server.upstream_pool import UpstreamPool
from kaiwa.upstream.pool.state import DeploymentState, state_of

_NEVER_KEPT: Final = {"cache-control": "no-store"}


class PoolAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`deployments` empty: nothing is relayed. `trouble`: why a changed configuration is not used; `process`:
    the mark of who answered, since each process learns for itself.
    """

    process: str

    deployments: list[DeploymentState]
    models: list[str]
    running: int
    hedges: int
    trouble: str | None


POOL: Final = Operation(
    "Tell how every deployment stands",
    "relay",
    {200: {JSON: PoolAnswer}},
    (409, 503),
    query=(Query("process", "One process of several, by its mark."),),
)


class PoolView:
    """Answers for what people and programs may see of the pool."""

    def __init__(self, upstreams: UpstreamPool) -> None:
        self.shown = HousePage("pool", "デプロイの様子")
        self._upstreams = upstreams

    async def state(self, request: Request) -> Response:
        state = state_of(self._upstreams.pool, time.monotonic())
        answer = PoolAnswer(**msgspec.structs.asdict(state), trouble=self._upstreams.trouble, process=MARK)
        return Response(msgspec.json.encode(answer), media_type="application/json", headers=_NEVER_KEPT)
