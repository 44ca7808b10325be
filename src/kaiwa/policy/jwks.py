"""The public keys of an issuer of tokens, from an address or a file. Knows their ids, nothing of tokens.

From an address they are fetched when first needed and again after an hour. A key that is not among them
has them fetched too, since issuers rotate keys, but not twice in half a minute: anybody can name one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import aiohttp
import jwt
import msgspec

from kaiwa.errors import ConfigError
from kaiwa.policy.watched import Watched

log = logging.getLogger("kaiwa.policy")
FRESH_S: Final = 3600.0
USABLE_S: Final = 86_400.0
AGAIN_S: Final = 30.0
ANSWER_S: Final = 5.0
MOST_BYTES: Final = 1024 * 1024
_SETTING: Final = "KAIWA_POLICY"

Keys = Mapping[str | None, jwt.PyJWK]


class SigningKeys(Protocol):
    async def find(self, key_id: str | None) -> jwt.PyJWK | None:
        """Return the key of this id; of an only key the id may be None. None: there is none."""
        ...


class KeysInFile:
    """Fits `SigningKeys`."""

    def __init__(self, path: Path) -> None:
        self._file = Watched(path, read_keys, setting=_SETTING)

    async def find(self, key_id: str | None) -> jwt.PyJWK | None:
        return _find(self._file.value, key_id)


class KeysAtAddress:
    """Fits `SigningKeys`. `clock`: seconds that only go up."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        _check_address(url)
        self._url = url
        self._clock = clock
        self._keys: Keys = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetching = asyncio.Lock()

    async def find(self, key_id: str | None) -> jwt.PyJWK | None:
        if self._age() > FRESH_S or _find(self._keys, key_id) is None:
            async with self._fetching:
                if self._age() > FRESH_S or _find(self._keys, key_id) is None:
                    await self._renew()
        return _find(self._keys, key_id) if self._age() <= USABLE_S else None

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._clock() - self._fetched_at

    async def _renew(self) -> None:
        now = self._clock()
        if self._tried_at is not None and now - self._tried_at < AGAIN_S:
            return
        self._tried_at = now
        try:
            self._keys = read_keys(await _fetch(self._url))
            self._fetched_at = now
        except (aiohttp.ClientError, OSError, TimeoutError, ConfigError) as failed:
            log.warning("the keys of an issuer cannot be had", extra={"cause": type(failed).__name__})


def signing_keys(where: str, folder: Path) -> SigningKeys:
    """Return the keys at an address or in a file. Raises ConfigError."""
    return KeysAtAddress(where) if "://" in where else KeysInFile(folder / where)


def read_keys(content: bytes) -> Keys:
    """Return the keys of a JWK set by their ids; kinds that are unknown are left out. Raises ConfigError."""
    try:
        entries: list[dict[str, Any]] = msgspec.json.decode(content, type=dict[str, Any])["keys"]
        found = [_key_of(entry) for entry in entries]
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError):
        raise ConfigError(_SETTING, "jwks is no JWK set.", 'It looks like {"keys": […]}.') from None
    return {key.key_id: key for key in found if key is not None}


def _key_of(entry: dict[str, Any]) -> jwt.PyJWK | None:
    if entry.get("use", "sig") != "sig" or entry.get("kty") == "oct":
        return None
    try:
        return jwt.PyJWK(entry)
    except jwt.PyJWTError:
        return None


def _find(keys: Keys, key_id: str | None) -> jwt.PyJWK | None:
    if key_id is None and len(keys) == 1:
        return next(iter(keys.values()))
    return keys.get(key_id)


async def _fetch(url: str) -> bytes:
    deadline = aiohttp.ClientTimeout(total=ANSWER_S)
    async with (
        aiohttp.ClientSession(timeout=deadline) as client,
        client.get(url, allow_redirects=False) as answer,
    ):
        answer.raise_for_status()
        body = bytearray()
        async for piece in answer.content.iter_chunked(65536):
            body += piece
            if len(body) > MOST_BYTES:
                raise aiohttp.ClientPayloadError("too large")
        return bytes(body)


def _check_address(url: str) -> None:
    """Whoever can change the keys on their way can make tokens."""
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1"):
        return
    raise ConfigError(_SETTING, "jwks is neither an https address nor a file.", "Write https://… or a path.")
