"""What happens at a hub, told to a web service (rule S-58): templates of addresses, signed requests, answers.

Knows HTTP towards the upstream and the payloads of both protocols; nothing of connections.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from msgspec import UNSET

from kaiwa.hub.azure.tokens import user_claims
from kaiwa.hub.errors import HubException

log = logging.getLogger("kaiwa.hub")
MOST_BYTES: Final = 16 * 1024 * 1024
PATIENCE_S: Final = 100.0


@dataclass(frozen=True, slots=True)
class Template:
    """An address with `{hub}`, `{category}` and `{event}` in it, and what it is for: `*`, `a` or `a,b`."""

    url: str
    hubs: str = "*"
    categories: str = "*"
    events: str = "*"

    def fits(self, occasion: Occasion) -> bool:
        pairs = (
            (self.hubs, occasion.hub),
            (self.categories, occasion.category),
            (self.events, occasion.event),
        )
        return all(_matches(pattern, name) for pattern, name in pairs)

    def address(self, occasion: Occasion) -> str:
        filled = self.url
        for name in ("hub", "category", "event"):
            filled = filled.replace(f"{{{name}}}", quote(getattr(occasion, name), safe=""))
        return filled


@dataclass(frozen=True, slots=True)
class Occasion:
    """What happened, and to whom."""

    hub: str
    category: str
    event: str
    connection_id: str
    user_id: str | None
    claims: Mapping[str, Any]
    query: Mapping[str, str]


class Upstream(Protocol):
    def takes(self, occasion: Occasion) -> bool:
        """Whether somebody wants to hear of it."""
        ...

    async def tell(self, occasion: Occasion, body: Mapping[str, Any]) -> None:
        """Say what happened. Raises HubException when the upstream does not want the client."""
        ...

    async def ask(self, occasion: Occasion, target: str, arguments: Sequence[Any]) -> Any:
        """Return what the upstream answers to a client; UNSET: nothing. Raises HubException."""
        ...


class NoUpstream:
    """Nobody listens."""

    def takes(self, occasion: Occasion) -> bool:
        return False

    async def tell(self, occasion: Occasion, body: Mapping[str, Any]) -> None:
        """Nobody hears it."""

    async def ask(self, occasion: Occasion, target: str, arguments: Sequence[Any]) -> Any:
        raise HubException("No upstream is set.")


NO_UPSTREAM: Final = NoUpstream()


class WebUpstream:
    """The first template that fits is asked."""

    def __init__(self, templates: Sequence[Template], keys: Sequence[str]) -> None:
        self._templates = tuple(templates)
        self._keys = tuple(keys)
        self._http: aiohttp.ClientSession | None = None

    def takes(self, occasion: Occasion) -> bool:
        return self._template(occasion) is not None

    async def tell(self, occasion: Occasion, body: Mapping[str, Any]) -> None:
        if not self.takes(occasion):
            return
        try:
            status, _, _ = await self._post(occasion, msgspec.json.encode(body))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("an upstream could not be told", extra={"cause": type(error).__name__})
            return
        if status >= 400 and occasion.event == "connected":
            raise HubException(f"The upstream refused the client, status code {status}")

    async def ask(self, occasion: Occasion, target: str, arguments: Sequence[Any]) -> Any:
        body = msgspec.json.encode({"type": 1, "target": target, "arguments": list(arguments)})
        try:
            status, kind, answer = await self._post(occasion, body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("an upstream could not be asked", extra={"cause": type(error).__name__})
            raise HubException("Invocation failed, the upstream could not be reached") from None
        if len(answer) > MOST_BYTES:
            raise HubException("Invocation failed, the response is larger than 16 MiB")
        if status == 204 or (status == 200 and not answer):
            return UNSET
        if status != 200:
            raise HubException(f"Invocation failed, status code {status}")
        return _result(kind, answer)

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()

    def _template(self, occasion: Occasion) -> Template | None:
        return next((one for one in self._templates if one.fits(occasion)), None)

    async def _post(self, occasion: Occasion, body: bytes) -> tuple[int, str, bytes]:
        template = self._template(occasion)
        assert template is not None, "whoever posts has asked `takes`"
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S))
        headers = {**headers_of(occasion, self._keys), "content-type": "application/json"}
        async with self._http.post(template.address(occasion), data=body, headers=headers) as answer:
            content = bytearray()
            async for piece in answer.content.iter_chunked(64 * 1024):
                content += piece
                if len(content) > MOST_BYTES:
                    break
            return answer.status, answer.content_type, bytes(content)


def headers_of(occasion: Occasion, keys: Sequence[str]) -> dict[str, str]:
    told = {
        "x-asrs-connection-id": occasion.connection_id,
        "x-asrs-hub": occasion.hub,
        "x-asrs-category": occasion.category,
        "x-asrs-event": occasion.event,
        "x-asrs-user-id": occasion.user_id or "",
        "x-asrs-user-claims": ",".join(_claims(occasion.claims)),
        "x-asrs-client-query": urlencode(occasion.query),
        "x-asrs-signature": signatures(occasion.connection_id, keys),
    }
    return {name: _of_one_line(value) for name, value in told.items() if value}


def signatures(connection_id: str, keys: Sequence[str]) -> str:
    """Return a proof for each key, so that a webhook holds with the old one and the new."""
    made = (hmac.digest(key.encode(), connection_id.encode(), "sha256").hex() for key in keys)
    return ",".join(f"sha256={one}" for one in made)


def _claims(claims: Mapping[str, Any]) -> list[str]:
    return [f"{name}: {value}" for name, value in user_claims(claims).items()]


def _of_one_line(value: str) -> str:
    """Names of users may hold anything; a header is ASCII without line ends."""
    return "".join(letter if letter.isascii() and letter.isprintable() else quote(letter) for letter in value)


def _matches(pattern: str, name: str) -> bool:
    return pattern == "*" or name.lower() in (one.strip().lower() for one in pattern.split(","))


def _result(kind: str, answer: bytes) -> Any:
    try:
        if kind == "application/x-msgpack":
            said = msgspec.msgpack.decode(answer)
        elif kind == "application/json":
            said = msgspec.json.decode(answer)
        else:
            return answer.decode("utf-8", "replace")
    except msgspec.DecodeError:
        raise HubException("Invocation failed, the response cannot be read") from None
    return said


async def closed(upstream: Upstream) -> None:
    if isinstance(upstream, WebUpstream):
        async with asyncio.timeout(5):
            await upstream.close()
