"""One kept HTTP client for the REST API of a service: tokens, new tries, and what went wrong (rule S-60).

Knows HTTP and credentials; nothing of hubs. A refusal's body is never repeated: it may hold what was sent.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import aiohttp

from kaiwa.errors import MissingPackage, UpstreamError
from kaiwa.hub.azure.connection_string import SETTING, Endpoint, Entra
from kaiwa.hub.azure.tokens import signed
from kaiwa.upstream.credentials import EntraToken, TokenSource, default_source, has_identity

log = logging.getLogger("kaiwa.hub")
SCOPE: Final = "https://signalr.azure.com/.default"
VERSION: Final = "2024-12-01"
TRIES: Final = 5
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 20.0
REQUEST_S: Final = 30.0
TOKEN_S: Final = 3600
_RENEWED_BEFORE_S: Final = 300
_MOST_TOKENS: Final = 512
_RETRIED: Final = frozenset({408, 429, 500, 502, 503, 504})
_UNSENT: Final = (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError)


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    code: str
    """`x-ms-error-code`, where there is one."""
    body: bytes


class ServiceRequests:
    """Requests to one service. Use inside `running`, or call `close` at the end."""

    def __init__(self, endpoint: Endpoint, *, first_pause_s: float = FIRST_PAUSE_S) -> None:
        self._endpoint = endpoint
        self._first_pause_s = first_pause_s
        self._http: aiohttp.ClientSession | None = None
        self._tokens: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._entra = None if endpoint.entra is None else entra_token(endpoint.entra)
        self.retried = 0

    async def make(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: bytes | None = None
    ) -> Answered:
        """Return the service's answer: a success, or a refusal that no new try would change.

        Raises UpstreamError when the service cannot be reached, or refuses who asks.
        """
        for attempt in range(1, TRIES + 1):
            try:
                answered, after_s = await self._once(method, path, query, body)
            except _UNSENT as error:  # a kept connection that had died, or nobody there
                answered, after_s, cause = None, None, type(error).__name__
            except (aiohttp.ClientError, TimeoutError) as error:
                raise _unreachable(type(error).__name__) from None
            else:
                if answered.status in (401, 403):
                    words = "Azure SignalR Service refuses the key or the identity."
                    raise UpstreamError("signalr_unauthorized", words)
                if answered.status not in _RETRIED:
                    return answered
                cause = str(answered.status)
            if attempt == TRIES:
                raise _unreachable(cause)
            self.retried += 1
            await asyncio.sleep(self._pause_s(attempt, after_s))
        raise AssertionError("the last try returns or raises")

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
        if self._entra is not None:
            await self._entra.close()

    async def _once(
        self, method: str, path: str, query: Mapping[str, Any] | None, body: bytes | None
    ) -> tuple[Answered, float | None]:
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_S))
        headers = await self._headers(path)
        if body is not None:
            headers["content-type"] = "application/json"
        asked = {"api-version": VERSION, **(query or {})}
        url = f"{self._endpoint.url}{path}"
        async with self._http.request(method, url, params=asked, data=body, headers=headers) as answer:
            content = await answer.read()
            code = answer.headers.get("x-ms-error-code", "")
            return Answered(answer.status, code, content), _seconds(answer.headers.get("retry-after"))

    def _pause_s(self, attempt: int, after_s: float | None) -> float:
        """Return how long to wait: what the service asks for, or twice as long each time with some chance."""
        if after_s is not None:
            return min(after_s, LONGEST_PAUSE_S)
        return min(self._first_pause_s * 2 ** (attempt - 1), LONGEST_PAUSE_S) * random.uniform(0.5, 1)

    async def _headers(self, path: str) -> dict[str, str]:
        if self._entra is not None:
            return dict(await self._entra.headers())
        return {"Authorization": f"Bearer {self._token(path)}"}

    def _token(self, path: str) -> str:
        """Return a token for this address, kept until shortly before it ends."""
        now = time.time()
        kept = self._tokens.get(path)
        if kept is not None and kept[1] > now:
            return kept[0]
        assert self._endpoint.key is not None, "without a key there is Entra ID"
        token = signed(f"{self._endpoint.url}{path}", self._endpoint.key, TOKEN_S)
        self._tokens[path] = token, now + TOKEN_S - _RENEWED_BEFORE_S
        if len(self._tokens) > _MOST_TOKENS:
            self._tokens.popitem(last=False)
        return token


def entra_token(entra: Entra) -> EntraToken:
    """Return tokens for the service. Raises MissingPackage."""
    if not has_identity():
        raise MissingPackage(SETTING, "azure-identity", "azure")
    return EntraToken(lambda: _source(entra), scope=SCOPE)


def _source(entra: Entra) -> TokenSource:
    from azure.identity import aio as identity

    made: Any
    if entra.client_id and entra.tenant_id and entra.secret:
        made = identity.ClientSecretCredential(entra.tenant_id, entra.client_id, entra.secret)
    elif entra.client_id and entra.tenant_id and entra.certificate:
        made = identity.CertificateCredential(entra.tenant_id, entra.client_id, entra.certificate)
    elif entra.managed:
        made = identity.ManagedIdentityCredential(client_id=entra.client_id)
    else:
        return default_source()
    return cast(TokenSource, made)


def _seconds(said: str | None) -> float | None:
    try:
        return None if said is None else max(0.0, float(said))
    except ValueError:  # a date
        return None


def _unreachable(cause: str) -> UpstreamError:
    log.warning("Azure SignalR Service could not be reached", extra={"cause": cause})
    return UpstreamError("signalr_unreachable", "Azure SignalR Service does not answer.", retryable=True)
