"""Plain requests for the relay, taken from the connection before routes, middleware and objects of requests.

Those cost half a millisecond, more than the relaying. Only what is plainly allowed is taken: whatever needs a
second look (a page's origin, a key that is not good, a limit that is reached, a stream to read on) goes the
long way through `gate`, which decides the same and says why. Knows heads and bodies; nothing of what flows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from starlette.types import Scope

from kaiwa.errors import PeerError
from kaiwa.gateway.asking import Asked
from kaiwa.gateway.client import EarlyClient, Fields
from kaiwa.policy.caller import Caller
from kaiwa.policy.headers import limit_headers
from kaiwa.server.gateway import Asking, RelayDoor
from kaiwa.server.ids import new_id
from kaiwa.server.plain import KnownHead, KnownHeads, Plain, plain_of
from kaiwa.server.request_ids import bearing

# So often at the most the files of keys and policies are looked at for one client's head.
BELIEVED_S: Final = 0.02


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
        return self.took_again(KnownHead(b"", b"", plain), raw, client)

    def took_again(self, known: KnownHead, raw: bytes, client: Callable[[], EarlyClient]) -> bool:
        """As `took_now`. Whom the key of such a head names is looked up once in BELIEVED_S."""
        began = time.monotonic()
        caller = known.caller
        if caller is None or began >= known.good_until:
            known.caller = caller = self._callers.caller_now(known.plain.keys)
            known.good_until = began + BELIEVED_S
        if caller is None or "chat" not in caller.scopes or not self._door.relays:
            return False
        try:
            asked = self._door.admitted_now(Asking(known.plain, raw, caller, began))
        except PeerError:
            return False
        if asked is None:
            return False
        self._begin(asked, client)
        return True

    async def took(self, plain: Plain, raw: bytes, client: Callable[[], EarlyClient]) -> bool:
        """As `took_now`, and wait for what must be waited for: a user's token, limits in Redis."""
        began = time.monotonic()
        caller = await self._callers.caller(plain.keys)
        if caller is None or not caller.may("chat"):
            return False
        try:
            asked = await self._door.admitted(Asking(plain, raw, caller, began))
        except PeerError:
            return False
        if not isinstance(asked, Asked):
            return False
        self._begin(asked, client)
        return True

    def _begin(self, asked: Asked, client: Callable[[], EarlyClient]) -> None:
        def fields() -> Fields:
            return *limit_headers(asked.hold.standing).items(), *bearing(new_id("req"))

        self._door.begin(asked, client, fields)
