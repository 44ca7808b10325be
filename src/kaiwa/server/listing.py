"""The list of models: which names `?model=` knows, and which ones requests are relayed for."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from kaiwa.server.directory import Directory
from kaiwa.server.failures import failure
from kaiwa.upstream.pool.pool import DeploymentPool


class Listing:
    """Answers `GET /v1/models` and `GET /v1/models/{model}`."""

    def __init__(self, directory: Directory, pool: DeploymentPool) -> None:
        self._directory = directory
        self._pool = pool

    async def all(self, request: Request) -> Response:
        names = dict.fromkeys((*self._directory.names, *self._pool.models))
        return JSONResponse({"object": "list", "data": [_entry(name) for name in names]})

    async def one(self, request: Request) -> Response:
        name = request.path_params["model"]
        if self._directory.find(name) is None and name not in self._pool.models:
            text = f"The model '{name[:64]}' does not exist."
            return failure(404, "model_not_found", text, param="model")
        return JSONResponse(_entry(name))


def _entry(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "kaiwa"}
