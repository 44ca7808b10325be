"""An answer that another process makes, for a hub's client of this one: asked for with a token of the house.

All processes of a house sign with one key (`SignalR.share`), so who makes the answer knows for whom it is
asked. Knows tokens and lines of words; nothing of hubs.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from kaiwa.hub.azure.service.local import Keys
from kaiwa.hub.azure.tokens import claims_of, is_for_path, signed
from kaiwa.server.chats import Answering, Chats
from kaiwa.server.cluster.crossing import Crossing
from kaiwa.server.failures import failure
from kaiwa.server.forwarding import Unreachable
from kaiwa.server.signalr_hub import OWNER, words_of

PATH: Final = "/client/answers/{stream_id}"
_ID: Final = re.compile(r"[A-Za-z0-9_]{1,64}")
_LIFETIME_S: Final = 60
_BEARER: Final = "bearer "


class Joining:
    """Both ends of the way. `keys` are the hub's, `chats` are there once the house runs."""

    def __init__(self, keys: Callable[[], Keys], chats: Callable[[], Chats], crossing: Crossing) -> None:
        self._keys = keys
        self._chats = chats
        self._crossing = crossing

    async def words(self, stream_id: str, owner: str) -> AsyncGenerator[str]:
        """Yield an answer's words from who makes it. Raises Unreachable, Refused."""
        if not _ID.fullmatch(stream_id):  # it becomes part of an address
            raise Unreachable
        path = PATH.format(stream_id=stream_id)
        token = signed(path, self._keys().primary, _LIFETIME_S, {OWNER: owner})
        headers = {"authorization": f"Bearer {token}"}
        async with aclosing(self._crossing.lines_of(stream_id, path, headers)) as lines:
            async for line in lines:
                yield msgspec.json.decode(line, type=str)

    async def answer(self, request: Request) -> Response:
        """`GET /client/answers/{stream_id}`: a line of JSON for each lump of words, to another process."""
        header = request.headers.get("authorization", "")
        token = header[len(_BEARER) :] if header[: len(_BEARER)].lower() == _BEARER else None
        claims = claims_of(token, self._keys().all)
        if claims is None or OWNER not in claims or not is_for_path(claims, request.url.path):
            return failure(401, "invalid_api_key", "This address is for processes of this house.")
        answering = self._chats().find(request.path_params["stream_id"], str(claims[OWNER]))
        if answering is None:
            return failure(404, "stream_not_found", "No answer with this id runs or is kept.")
        return StreamingResponse(self._lines(answering), media_type="application/x-ndjson")

    async def _lines(self, answering: Answering) -> AsyncGenerator[bytes]:
        with self._chats().reading(answering):
            async with aclosing(words_of(answering.turn)) as words:
                async for said in words:
                    yield msgspec.json.encode(said) + b"\n"
