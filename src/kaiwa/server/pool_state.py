"""`GET /api/pool` and the page `/pool`: how every deployment stands. Knows no key and no address."""

from __future__ import annotations

import time
from importlib.resources import files
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from kaiwa.server.failures import failure
from kaiwa.server.operations import JSON, Operation
from kaiwa.server.page import read_static, send_static
from kaiwa.server.upstream_pool import UpstreamPool
from kaiwa.upstream.pool.state import DeploymentState, state_of

_NEVER_KEPT: Final = {"cache-control": "no-store"}


class PoolAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`deployments` empty: nothing is relayed. `trouble`: why a changed configuration is not used."""

    deployments: list[DeploymentState]
    models: list[str]
    running: int
    hedges: int
    trouble: str | None


POOL: Final = Operation("Tell how every deployment stands", "relay", {200: {JSON: PoolAnswer}})


class PoolView:
    """Answers for what people and programs may see of the pool."""

    def __init__(self, upstreams: UpstreamPool) -> None:
        page = files("kaiwa.server") / "pool_page"
        self._parts = {part.name: read_static(part) for part in page.iterdir()}
        self._upstreams = upstreams

    async def state(self, request: Request) -> Response:
        state = state_of(self._upstreams.pool, time.monotonic())
        answer = PoolAnswer(**msgspec.structs.asdict(state), trouble=self._upstreams.trouble)
        return Response(msgspec.json.encode(answer), media_type="application/json", headers=_NEVER_KEPT)

    async def page(self, request: Request) -> Response:
        return send_static(request, self._parts["index.html"])

    async def part(self, request: Request) -> Response:
        part = self._parts.get(request.path_params["name"])
        if part is None:
            return failure(404, None, "There is no such part of the page.")
        return send_static(request, part)
