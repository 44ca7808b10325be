"""Plain requests for the relay, taken from the connection before routes, middleware and objects of requests.

Those cost half a millisecond, more than the relaying. Only what is plainly allowed is taken: whatever needs a
second look (a page's origin, a key that is not good, a limit that is reached, a stream to read on) goes the
long way through `gate`, which decides the same and says why. Knows heads and bodies; nothing of what flows.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, cast

from starlette.types import Scope

from kaiwa.errors import PeerError
from kaiwa.gateway.asking import Asked, Operation
from kaiwa.gateway.client import Client
from kaiwa.policy.caller import Caller
from kaiwa.policy.headers import limit_headers
from kaiwa.server.ephemeral import PREFIX
from kaiwa.server.gateway import Asking, RelayDoor
from kaiwa.server.ids import new_id
from kaiwa.server.request_ids import RequestIds
from kaiwa.server.routes import BASES, CHAT, under

MOST_BYTES: Final = 64 * 1024
_ASKED: Final[dict[str, Operation]] = {
    **dict.fromkeys(under(CHAT[:-1], "chat/completions"), "chat/completions"),
    **dict.fromkeys(under(CHAT[:-1], "embeddings"), "embeddings"),
    **dict.fromkeys(under(BASES, "responses"), "responses"),
}
_OF_DEPLOYMENT: Final = re.compile(r"/openai/deployments/([^/]+)/(chat/completions|embeddings)")
_PLAIN_QUERY: Final = re.compile(rb"(?:api-version=[A-Za-z0-9.-]{1,40})?")
# Who sends one of these wants more than an answer.
_NOT_PLAIN: Final = frozenset(
    {b"origin", b"last-event-id", b"x-kaiwa-resumable", b"x-ms-client-request-id", b"expect"}
)
_READ: Final = frozenset({b"api-key", b"authorization", b"te", b"x-kaiwa-conversation"})


class Reception:
    """`find_caller` returns whom the first good credential names, None for none."""

    def __init__(
        self, door: RelayDoor, find_caller: Callable[[Sequence[str]], Awaitable[Caller | None]]
    ) -> None:
        self._door = door
        self._find_caller = find_caller

    def may_take(self, scope: Scope) -> bool:
        """Say whether it is worth waiting for the body, by the head alone."""
        if scope["method"] != "POST" or not self._door.relays:
            return False
        path: str = scope["path"]
        known = path in _ASKED or (path.startswith("/openai/deployments/") and _OF_DEPLOYMENT.fullmatch(path))
        return bool(known) and _PLAIN_QUERY.fullmatch(scope["query_string"]) is not None

    async def took(self, scope: Scope, raw: bytes, client: Callable[[], Client]) -> bool:
        """Answer, if that is plainly allowed; return when the rest goes on by callbacks. Else say no."""
        began = time.monotonic()
        given: dict[bytes, str] = {}
        for name, value in scope["headers"]:
            if name in _NOT_PLAIN:
                return False
            if name in _READ:
                given[name] = value.decode("latin-1")
        caller = await self._caller(given)
        if caller is None or not caller.may("chat"):
            return False
        asked = await self._asked(scope, raw, caller, given, began)
        if asked is None:
            return False
        fields = (*limit_headers(asked.hold.standing).items(), *RequestIds(new_id("req"), "").headers.items())
        await self._door.begin(asked, client(), fields)
        return True

    async def _caller(self, given: dict[bytes, str]) -> Caller | None:
        scheme, _, rest = given.get(b"authorization", "").partition(" ")
        keys = [given.get(b"api-key", ""), rest.strip() if scheme.lower() == "bearer" else ""]
        offered = [key for key in keys if key]
        if any(key.startswith(PREFIX) for key in offered):
            return None  # a page's key: the gate knows what it opens
        return await self._find_caller(offered)

    async def _asked(
        self, scope: Scope, raw: bytes, caller: Caller, given: dict[bytes, str], began: float
    ) -> Asked | None:
        path: str = scope["path"]
        operation, deployment = _ASKED.get(path), None
        if operation is None:
            found = _OF_DEPLOYMENT.fullmatch(path)
            assert found is not None, "`may_take` has seen it"
            deployment, operation = found[1], cast(Operation, found[2])
        asking = Asking(
            operation=operation,
            deployment=deployment,
            raw=raw,
            headers=scope["headers"],
            caller=caller,
            conversation=given.get(b"x-kaiwa-conversation"),
            said_trailers="trailers" in given.get(b"te", "").lower(),
            began=began,
        )
        try:
            asked = await self._door.admitted(asking)
        except PeerError:
            return None
        return asked if isinstance(asked, Asked) else None
