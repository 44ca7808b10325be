"""Tokens of Azure SignalR Service: for clients and for its REST API, and their claims (rules S-53, S-54).

Knows claims and keys; nothing of requests. A key signs by its UTF-8 bytes, as it is written.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

import jwt

MOST_LETTERS: Final = 4096
LEEWAY_S: Final = 30
_METHODS: Final = ["HS256", "HS512"]
_USER: Final = "asrs.s.uid"
_SYSTEM: Final = "asrs.s."
_RENAMED: Final = "asrs.u."
_REGISTERED: Final = frozenset({"aud", "exp", "iat", "iss", "jti", "nbf", "actort"})


def hub_named(hub: str, application: str = "") -> str:
    """Return the name under which a hub is found; prefixed for an application."""
    return (f"{application}_{hub}" if application else hub).lower()


def client_url(endpoint: str, hub: str) -> str:
    return f"{endpoint}/client/?hub={hub.lower()}"


def signed(audience: str, key: str, lifetime_s: int, claims: Mapping[str, Any] | None = None) -> str:
    """Return a token that names its key by a fingerprint of it."""
    now = int(time.time())
    body = {**(claims or {}), "aud": audience, "iat": now, "nbf": now - LEEWAY_S, "exp": now + lifetime_s}
    kid = sha256(key.encode()).hexdigest()[:16]
    return jwt.encode(body, key.encode(), algorithm="HS256", headers={"kid": kid})


def client_claims(user_id: str | None, claims: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the claims of a client's token. The user's own never pass for the service's."""
    written = {_escaped(name): value for name, value in (claims or {}).items()}
    return written if user_id is None else {**written, _USER: user_id}


def user_claims(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims that are the user's own, under their own names."""
    return {
        name.removeprefix(_RENAMED): value
        for name, value in claims.items()
        if name not in _REGISTERED and not name.startswith(_SYSTEM)
    }


def claims_of(token: str | None, keys: Sequence[str]) -> dict[str, Any] | None:
    """Return the claims of a token that one of the keys has signed and that is good now; None otherwise."""
    if not token or len(token) > MOST_LETTERS:
        return None
    for key in keys:
        try:
            return jwt.decode(
                token,
                key.encode(),
                algorithms=_METHODS,
                leeway=LEEWAY_S,
                options={
                    "require": ["exp", "aud"],
                    "verify_aud": False,
                    "verify_sub": False,
                    "verify_iat": False,
                },
            )
        except jwt.PyJWTError:
            continue
    return None


def audiences(claims: Mapping[str, Any]) -> list[str]:
    said = claims.get("aud")
    return [said] if isinstance(said, str) else [str(one) for one in said or ()]


def is_for_hub(claims: Mapping[str, Any], hub: str) -> bool:
    """Whether a client's token is for this hub. Its host may be a proxy's, so only the rest is looked at."""
    wanted = f"/client/?hub={hub}".lower()
    return any(audience.lower().endswith(wanted) for audience in audiences(claims))


def is_for_path(claims: Mapping[str, Any], path: str) -> bool:
    """Whether a token is for this path of the REST API; its query counts for nothing (trap T8)."""
    wanted = path.lower().rstrip("/")
    return any(_path(audience) == wanted for audience in audiences(claims))


def _path(audience: str) -> str:
    try:
        return urlsplit(audience).path.lower().rstrip("/")
    except ValueError:
        return ""


def _escaped(name: str) -> str:
    clashes = name.startswith(("asrs.", _RENAMED)) or name in _REGISTERED
    return f"{_RENAMED}{name}" if clashes else name
