"""Who is on a connection. Knows the request that asks and nothing of how tokens are checked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final


def _no_claims() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True)
class Asking:
    """A request that wants in: what a hub's `authenticate` may look at."""

    path: str
    headers: Mapping[str, str]
    """By lower-case name."""
    query: Mapping[str, str]
    """By lower-case name; without the token."""
    token: str | None = field(repr=False)
    """The bearer token of the header, else of `access_token` in the query (rule S-50)."""
    address: str | None = None


@dataclass(frozen=True)
class Identity:
    """A caller that was let in. `user_id` None: somebody without a name, whom no user's message reaches."""

    user_id: str | None = None
    claims: Mapping[str, Any] = field(default_factory=_no_claims, repr=False)
    expires_at: float | None = None
    """The token's end in seconds since 1970, if it has one."""


NOBODY: Final = Identity()
Authenticate = Callable[[Asking], "Identity | None | Awaitable[Identity | None]"]
"""Returns who asks, or None to answer 401. A PermissionError is answered with 403."""


@dataclass(frozen=True)
class Elsewhere:
    """Another service that a client is to negotiate with, and its token for there."""

    url: str
    access_token: str | None = field(default=None, repr=False)


Redirecting = Callable[[Asking, Identity], "Elsewhere | None | Awaitable[Elsewhere | None]"]


def nowhere(asking: Asking, identity: Identity) -> Elsewhere | None:
    """Serve everybody here."""
    return None


def anybody(asking: Asking) -> Identity:
    """Let everybody in, nameless."""
    return NOBODY


def identity_of(claims: Mapping[str, Any]) -> Identity:
    """Return who a token's checked claims name, in the order the Azure service looks for it (rule S-50)."""
    named = next((claims[name] for name in ("asrs.s.uid", "nameid", "sub") if claims.get(name)), None)
    expires = claims.get("exp")
    return Identity(
        user_id=None if named is None else str(named),
        claims=claims,
        expires_at=float(expires) if isinstance(expires, int | float) else None,
    )
