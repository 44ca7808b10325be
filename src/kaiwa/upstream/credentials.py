"""Who kaiwa is towards the service: a key, or a token of Microsoft Entra ID. Knows headers; opens no socket.

Secrets travel in headers only and show in no repr, message or log line.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Final, Protocol, cast

from kaiwa.errors import MissingPackage, UpstreamError

log = logging.getLogger(__name__)

SCOPE: Final = "https://cognitiveservices.azure.com/.default"
_REFRESH_BEFORE_S: Final = 300.0
_USABLE_FOR_S: Final = 30.0


class Credential(Protocol):
    async def headers(self) -> dict[str, str]:
        """Return what proves who we are. Raises UpstreamError when nothing can be had."""
        ...

    def headers_now(self) -> dict[str, str] | None:
        """As `headers`; None: it must be waited for."""
        ...

    async def close(self) -> None: ...


class ApiKey:
    """A key of Azure (`api-key`) or of OpenAI and what is compatible (`Authorization: Bearer`)."""

    def __init__(self, key: str, *, bearer: bool) -> None:
        self._headers = {"Authorization": f"Bearer {key}"} if bearer else {"api-key": key}

    async def headers(self) -> dict[str, str]:
        return self._headers

    def headers_now(self) -> dict[str, str]:
        return self._headers

    async def close(self) -> None:
        """There is nothing to free."""


class NoKey:
    """A server that asks nobody who they are, as those on one's own machine."""

    async def headers(self) -> dict[str, str]:
        return {}

    def headers_now(self) -> dict[str, str]:
        return {}

    async def close(self) -> None:
        """There is nothing to free."""


class AccessToken(Protocol):
    @property
    def token(self) -> str: ...
    @property
    def expires_on(self) -> int: ...


class TokenSource(Protocol):
    """What azure-identity's asynchronous credentials have."""

    async def get_token(self, *scopes: str) -> AccessToken: ...

    async def close(self) -> None: ...


class EntraToken:
    """Tokens of Entra ID: fetched once, kept, and renewed before they expire.

    While a new one cannot be had, the old one serves as long as it is valid.
    """

    def __init__(
        self,
        source: Callable[[], TokenSource] | None = None,
        *,
        scope: str = SCOPE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._scope = scope
        self._make = source or default_source
        self._clock = clock
        self._source: TokenSource | None = None
        self._token: AccessToken | None = None
        self._renewal = asyncio.Lock()

    async def headers(self) -> dict[str, str]:
        async with self._renewal:
            if not self._valid_for(_REFRESH_BEFORE_S):
                await self._renew()
            headers = self._shown()
            assert headers is not None, "a renewal gives a token or raises"
            return headers

    def headers_now(self) -> dict[str, str] | None:
        return self._shown() if self._valid_for(_REFRESH_BEFORE_S) else None

    async def close(self) -> None:
        if self._source is not None:
            await self._source.close()

    def _shown(self) -> dict[str, str] | None:
        return None if self._token is None else {"Authorization": f"Bearer {self._token.token}"}

    async def _renew(self) -> None:
        if self._source is None:
            self._source = self._make()
        try:
            self._token = await self._source.get_token(self._scope)
        except Exception as refused:  # noqa: BLE001 - whatever the identity library raises, with tenants in it
            if not self._valid_for(_USABLE_FOR_S):
                log.warning("no token from Entra ID", extra={"cause": type(refused).__name__})
                raise UpstreamError("upstream_unauthorized", "No token could be had.") from None

    def _valid_for(self, seconds: float) -> bool:
        return self._token is not None and self._token.expires_on - self._clock() > seconds


def default_source() -> TokenSource:
    """Return azure-identity's DefaultAzureCredential: environment, managed identity, `az login` and so on."""
    try:
        from azure.identity.aio import DefaultAzureCredential
    except ImportError as missing:
        raise MissingPackage("AZURE_OPENAI_API_KEY", _IDENTITY, "azure", otherwise=_SET_THE_KEY) from missing
    return cast(TokenSource, DefaultAzureCredential())


def managed_source(client_id: str | None) -> TokenSource:
    """Return the managed identity of this machine; `client_id`: a user-assigned one."""
    from azure.identity.aio import ManagedIdentityCredential

    return cast(TokenSource, ManagedIdentityCredential(client_id=client_id))


def has_identity() -> bool:
    """Say whether tokens of Microsoft Entra ID can be had here."""
    try:
        return find_spec("azure.identity") is not None
    except ModuleNotFoundError:
        return False


def entra_token(setting: str, source: Callable[[], TokenSource] | None = None) -> EntraToken:
    """Return tokens of Entra ID in place of a key. Raises MissingPackage naming the key that is missing."""
    if not has_identity():
        raise MissingPackage(setting, _IDENTITY, "azure", otherwise=_SET_THE_KEY)
    return EntraToken(source)


_IDENTITY: Final = "a key or azure-identity"
_SET_THE_KEY: Final = ("Or set the key.", "鍵を設定しても使えます。")
