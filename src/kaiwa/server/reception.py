"""Plain requests for the relay, taken from the connection before routes, middleware and objects of requests.

Those cost half a millisecond, more than the relaying. Only what is plainly allowed is taken: whatever needs a
second look (a page's origin, a key that is not good, a limit that is reached, a stream to read on) goes the
long way through `gate`, which decides the same and says why. Knows heads and bodies; nothing of what flows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from starlette.types import Scope

from kaiwa.errors import PeerError
from kaiwa.gateway.asking import Asked
from kaiwa.gateway.client import EarlyClient, Fields
from kaiwa.policy.caller import Caller
from kaiwa.policy.headers import limit_headers
from kaiwa.server.gateway import Asking, RelayDoor
from kaiwa.server.ids import new_id
from kaiwa.server.plain import KnownHeads, Plain, plain_of
from kaiwa.server.request_ids import RequestIds


class Callers(Protocol):
    """Who knows whom credentials name: the first good one counts, None for none."""

    async def caller(self, keys: Sequence[str]) -> Caller | None: ...

    def caller_now(self, keys: Sequence[str]) -> Caller | None:
        """As `caller`; None too where that must be waited for."""
        ...


class Reception:
    def __init__(self, door: RelayDoor, callers: Callers) -> None:
        self._door = door
        self._callers = callers
        self.heads = KnownHeads()

    def plain(self, scope: Scope) -> Plain | None:
        """Say by the head whether it is worth waiting for the body; None: it is not."""
        return plain_of(scope) if self._door.relays else None

    def took_now(self, plain: Plain, raw: bytes, client: Callable[[], EarlyClient]) -> bool:
        """Answer, if that is plainly allowed and found out without waiting. Else say no: nothing was done."""
        began = time.monotonic()
        if not self._door.relays:
            return False
        caller = self._callers.caller_now(plain.keys)
        if caller is None or not caller.may("chat"):
            return False
        try:
            asked = self._door.admitted_now(_asking(plain, raw, caller, began))
        except PeerError:
            return False
        if asked is None:
            return False
        self._begin(asked, client())
        return True

    async def took(self, plain: Plain, raw: bytes, client: Callable[[], EarlyClient]) -> bool:
        """As `took_now`, and wait for what must be waited for: a user's token, limits in Redis."""
        began = time.monotonic()
        caller = await self._callers.caller(plain.keys)
        if caller is None or not caller.may("chat"):
            return False
        try:
            asked = await self._door.admitted(_asking(plain, raw, caller, began))
        except PeerError:
            return False
        if not isinstance(asked, Asked):
            return False
        self._begin(asked, client())
        return True

    def _begin(self, asked: Asked, client: EarlyClient) -> None:
        def fields() -> Fields:
            standing, ids = limit_headers(asked.hold.standing), RequestIds(new_id("req"), "").headers
            return *standing.items(), *ids.items()

        self._door.begin(asked, client, fields)


def _asking(plain: Plain, raw: bytes, caller: Caller, began: float) -> Asking:
    return Asking(
        operation=plain.operation,
        deployment=plain.deployment,
        raw=raw,
        headers=plain.headers,
        caller=caller,
        conversation=plain.conversation,
        said_trailers=plain.said_trailers,
        began=began,
    )
