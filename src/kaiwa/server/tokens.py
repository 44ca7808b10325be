"""Keys for pages over HTTP: a caller's program mints one that is short-lived and good for a few scopes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import Meta
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from kaiwa.events.value import Value
from kaiwa.policy.caller import Caller, Scope
from kaiwa.server.bodies import fitted, read_json
from kaiwa.server.ephemeral import EphemeralKeys, SharedKeys
from kaiwa.server.failures import failure
from kaiwa.server.minting import too_many_keys
from kaiwa.server.operations import JSON, Operation

USUAL_S: Final = 600


class Wanted(Value, kw_only=True):
    """What a key is to be good for, and for how long (seconds)."""

    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1, max_length=8)]
    expires_in: Annotated[int, Meta(ge=10, le=3600)] = USUAL_S


class Token(Value, kw_only=True):
    """A key, its end in Unix seconds, and what it is good for."""

    token: str
    expires_at: int
    scopes: tuple[Scope, ...]


TOKEN: Final = Operation(
    "Mint a scoped key for a page",
    "keys",
    {200: {JSON: Token}},
    (400, 403, 413, 429, 503),
    takes={JSON: Wanted},
)


@dataclass(frozen=True)
class Tokens:
    """Answers `POST /api/tokens`."""

    keys: EphemeralKeys
    shared: SharedKeys

    async def mint(self, request: Request) -> Response:
        wanted = fitted(await read_json(request), Wanted)
        parent: Caller = request.state.caller
        beyond = [scope for scope in wanted.scopes if not parent.may(scope) or scope in ("tokens", "admin")]
        if beyond:
            text = f"A key for a page cannot have the scope '{beyond[0]}': you lack it, or pages may not."
            return failure(403, "insufficient_permissions", text, param="scopes")
        minted = self.keys.mint_scoped(wanted.scopes, wanted.expires_in, parent)
        if minted is None:
            return too_many_keys()
        await self.shared.share(*minted)
        key, what = minted
        body = {"token": key, "expires_at": what.expires_at, "scopes": sorted(what.caller.scopes)}
        return JSONResponse(body, headers={"cache-control": "no-store"})
