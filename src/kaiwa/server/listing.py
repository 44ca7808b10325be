"""The list of models: which names `?model=` knows."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from kaiwa.server.directory import Directory
from kaiwa.server.failures import failure


class Listing:
    """Answers `GET /v1/models` and `GET /v1/models/{model}`."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def all(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [_entry(name) for name in self._directory.names]})

    async def one(self, request: Request) -> Response:
        name = request.path_params["model"]
        if self._directory.find(name) is None:
            text = f"The model '{name[:64]}' does not exist."
            return failure(404, "model_not_found", text, param="model")
        return JSONResponse(_entry(name))


def _entry(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "kaiwa"}
