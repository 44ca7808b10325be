"""Users by their tokens (JWT): who vouches for them, until when, and which roles they have.

Knows signatures and claims; what a user may do is the policy file's. Algorithms are those of public keys: a
token cannot choose a weaker one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import jwt

from kaiwa.errors import ConfigError
from kaiwa.policy.document import SETTING, IssuerEntry
from kaiwa.policy.jwks import SigningKeys, signing_keys

MOST_LETTERS: Final = 16_384
_LEEWAY_S: Final = 30
_SHOWN_LETTERS: Final = 128


@dataclass(frozen=True)
class Issuer:
    """One who vouches for users. `names`: what may stand in `iss`; `tenant`: what must stand in `tid`."""

    entry: IssuerEntry
    names: tuple[str, ...]
    keys: SigningKeys
    user_claim: str
    label_claim: str
    tenant: str | None = None


@dataclass(frozen=True, repr=False)
class User:
    """Who a good token is about, and the issuer that says so. Its claims are not kept."""

    issuer: Issuer
    id: str
    label: str
    roles: tuple[str, ...]
    expires_at: float


class Issuers:
    """All whose tokens are believed. Raises ConfigError for one that cannot be used."""

    def __init__(self, entries: Sequence[IssuerEntry], folder: Path) -> None:
        self._issuers = [_issuer(entry, folder) for entry in entries]

    async def user(self, token: str) -> User | None:
        """Return who a token is about; None: it is no token, or not good."""
        if not looks_like_token(token):
            return None
        try:
            head = jwt.get_unverified_header(token)
            claims = jwt.decode(token, options={"verify_signature": False})
        except jwt.PyJWTError:
            return None
        for issuer in self._issuers:
            if claims.get("iss") in issuer.names and head.get("alg") in issuer.entry.algorithms:
                user = await _verified(issuer, token, head)
                if user is not None:
                    return user
        return None


def looks_like_token(text: str) -> bool:
    """Say whether it may be a token: three parts, the first an object in base64."""
    return text.startswith("eyJ") and text.count(".") == 2 and len(text) <= MOST_LETTERS


async def _verified(issuer: Issuer, token: str, head: dict[str, Any]) -> User | None:
    key_id = head.get("kid")
    key = await issuer.keys.find(key_id if isinstance(key_id, str) else None)
    if key is None:
        return None
    entry = issuer.entry
    audience = entry.audience if isinstance(entry.audience, str) else list(entry.audience)
    try:
        claims = jwt.decode(
            token,
            key.key,
            algorithms=list(entry.algorithms),
            audience=audience,
            issuer=list(issuer.names),
            leeway=_LEEWAY_S,
            options={"require": ["exp", "iss", "aud"]},
        )
    except jwt.PyJWTError:
        return None
    return _user(issuer, claims)


def _user(issuer: Issuer, claims: dict[str, Any]) -> User | None:
    user = claims.get(issuer.user_claim)
    if not isinstance(user, str) or not user:
        return None
    if issuer.tenant is not None and claims.get("tid") != issuer.tenant:
        return None
    label = claims.get(issuer.label_claim)
    return User(
        issuer=issuer,
        id=user[:_SHOWN_LETTERS],
        label=label[:_SHOWN_LETTERS] if isinstance(label, str) else "",
        roles=_words(claims.get(issuer.entry.roles_claim)),
        expires_at=float(claims["exp"]),
    )


def _words(claim: object) -> tuple[str, ...]:
    """Return roles: an array of words, or words with spaces between them as in `scp` and `scope`."""
    if isinstance(claim, str):
        return tuple(claim.split())
    if isinstance(claim, list):
        return tuple(word for word in cast(list[Any], claim) if isinstance(word, str))
    return ()


def _issuer(entry: IssuerEntry, folder: Path) -> Issuer:
    if entry.entra_tenant is not None:
        return _entra(entry, entry.entra_tenant, folder)
    assert entry.issuer is not None, "the policy file was checked"
    assert entry.jwks is not None, "the policy file was checked"
    return Issuer(
        entry=entry,
        names=(entry.issuer,),
        keys=signing_keys(entry.jwks, folder),
        user_claim=entry.user_claim or "sub",
        label_claim=entry.label_claim or "email",
    )


def _entra(entry: IssuerEntry, tenant: str, folder: Path) -> Issuer:
    """Source: Microsoft identity platform, "Access token claims reference": both versions of tokens."""
    if tenant in ("common", "organizations", "consumers"):
        raise ConfigError(SETTING, f"entra_tenant '{tenant}' is everybody's.", "Write the id of your tenant.")
    authority = entry.entra_authority.rstrip("/")
    return Issuer(
        entry=entry,
        names=(f"{authority}/{tenant}/v2.0", f"https://sts.windows.net/{tenant}/"),
        keys=signing_keys(entry.jwks or f"{authority}/{tenant}/discovery/v2.0/keys", folder),
        user_claim=entry.user_claim or "oid",
        label_claim=entry.label_claim or "preferred_username",
        tenant=tenant,
    )
