"""A hub at Azure SignalR Service, commanded over REST: the same `clients` and `groups` as a hub of one's own.

Messages for one audience leave in their order, one request at a time; audiences do not wait for each other.
Counts what Azure bills, as far as the service says it: not how many clients a message went to. Knows the
addresses of the REST API; `requests` knows how they are asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import msgspec

from kaiwa.errors import UpstreamError
from kaiwa.hub.azure.connection_string import Endpoint
from kaiwa.hub.azure.requests import FIRST_PAUSE_S, Answered, ServiceRequests
from kaiwa.hub.azure.tokens import client_claims, client_url, hub_named, signed
from kaiwa.hub.backplane import Answer, GroupCommand, Handed
from kaiwa.hub.clients import Clients, Groups
from kaiwa.hub.identity import Elsewhere
from kaiwa.hub.registry import Audience

Took = Callable[[int], None]
"""Hears of how many messages of 2 KB the service took one. Must not raise."""
log = logging.getLogger("kaiwa.hub")
BILLED_BYTES: Final = 2048
MOST_WAITING: Final = 1000
"""Messages that wait for one audience; one more is refused."""


@dataclass(slots=True)
class Counted:
    """`units`: messages of 2 KB as Azure counts them. Azure counts them for each client that gets one; how
    many those are it does not tell, so a message for a group, a user or all is counted as for one client.
    """

    requests: int = 0
    messages: int = 0
    units: int = 0
    failed: int = 0


class AzureSignalR:
    """Fits `kaiwa.hub.clients.Sender`. Works inside `running`. `took` hears of every message."""

    def __init__(
        self,
        endpoint: Endpoint,
        hub: str,
        application: str = "",
        *,
        first_pause_s: float = FIRST_PAUSE_S,
        took: Took | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._hub = hub_named(hub, application)
        self._lanes: dict[Audience, _Lane] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._requests = ServiceRequests(endpoint, first_pause_s=first_pause_s)
        self.counted = Counted()
        self._took = took

    @property
    def clients(self) -> Clients:
        return Clients(self)

    def clients_for(self, took: Took) -> Clients:
        """Return the same clients; `took` hears, before a sender that waits, of what is sent to these."""
        return Clients(_SentFor(self, took))

    @property
    def groups(self) -> Groups:
        return Groups(self)

    @property
    def retried(self) -> int:
        """How many requests were made again."""
        return self._requests.retried

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Publish inside; at the end wait for what is on its way."""
        failed: Exception | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                try:
                    yield
                except Exception as error:  # noqa: BLE001 - it is the caller's, and leaves here as it came
                    failed = error
                self._tasks = None
        finally:
            self._tasks = None
            await self._requests.close()
        if failed is not None:
            raise failed

    async def negotiated(
        self, lifetime_s: int, user_id: str | None = None, claims: Mapping[str, Any] | None = None
    ) -> Elsewhere:
        """Return where a client goes, and its token for there (rule S-55). Raises UpstreamError.

        With Entra ID the service makes the token, which then has no claims but the user.
        """
        url = client_url(self._endpoint.client_url, self._hub)
        if self._endpoint.key is not None:
            token = signed(url, self._endpoint.key, lifetime_s, client_claims(user_id, claims))
            return Elsewhere(url, token)
        query = {"minutesToExpire": max(1, lifetime_s // 60), **({"userId": user_id} if user_id else {})}
        answered = await self._make("POST", "/:generateToken", query)
        return Elsewhere(url, str(msgspec.json.decode(answered.body)["token"]))

    # What proxies ask.

    def send_to(
        self,
        audiences: tuple[Audience, ...],
        target: str,
        arguments: tuple[Any, ...],
        took: Took | None = None,
    ) -> Handed:
        """Raises UpstreamError when too much waits already. Awaited, it raises what came of the request."""
        body = msgspec.json.encode({"target": target, "arguments": list(arguments)})
        handed = [self._put(audience, _Handed(body, took)) for audience in audiences]
        return handed[0] if len(handed) == 1 else _Every(handed)

    async def ask_anywhere(
        self, connection_id: str, target: str, arguments: tuple[Any, ...], took: Took | None = None
    ) -> Answer:
        body = msgspec.json.encode({"target": target, "arguments": list(arguments)})
        path = f"/connections/{_quoted(connection_id)}/:invoke"
        answered = await self._requests.make("POST", f"/api/hubs/{self._hub}{path}", body=body)
        self.counted.requests += 1
        if answered.status == 404:
            return Answer(error=f"Connection '{connection_id}' does not exist.")
        self._count(body, took)
        if answered.status >= 400:
            return Answer(error="The client gave no result.")
        return Answer(msgspec.json.decode(answered.body).get("result"))

    async def change(self, command: GroupCommand) -> None:
        method = "PUT" if command.action == "add" else "DELETE"
        path = f"/groups/{_quoted(command.group)}/connections/{_quoted(command.connection_id)}"
        await self._make(method, path, missing=True)

    # Lanes.

    def _put(self, audience: Audience, handed: _Handed) -> _Handed:
        tasks = self._tasks
        if tasks is None:
            raise RuntimeError("AzureSignalR publishes inside `running`")
        lane = self._lanes.get(audience)
        if lane is None:
            lane = self._lanes[audience] = _Lane()
            tasks.create_task(self._work_off(audience, lane))
        if len(lane.waiting) >= MOST_WAITING:
            words = f"More than {MOST_WAITING} messages wait for Azure SignalR Service."
            raise UpstreamError("signalr_backlog", words, retryable=True)
        lane.waiting.append(handed)
        return handed

    async def _work_off(self, audience: Audience, lane: _Lane) -> None:
        path, query = _address(audience)
        try:
            while lane.waiting:
                handed = lane.waiting.popleft()
                try:
                    await self._make("POST", path, query, handed.body)
                    self._count(handed.body, handed.took)
                except UpstreamError as failed:
                    self.counted.failed += 1
                    handed.error = failed
                handed.done.set()
        finally:
            del self._lanes[audience]
            for handed in lane.waiting:
                handed.error = UpstreamError("signalr_stopped", "The publisher has stopped.")
                handed.done.set()

    async def _make(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        *,
        missing: bool = False,
    ) -> Answered:
        """`missing`: nobody there is no error."""
        answered = await self._requests.make(method, f"/api/hubs/{self._hub}{path}", query, body)
        self.counted.requests += 1
        if answered.status < 400 or (missing and answered.status == 404):
            return answered
        log.warning("Azure SignalR Service refused", extra={"status": answered.status, "code": answered.code})
        words = f"Azure SignalR Service refused with status {answered.status}."
        raise UpstreamError(answered.code or "signalr_refused", words)

    def _count(self, body: bytes, took: Took | None) -> None:
        units = -(-len(body) // BILLED_BYTES)
        self.counted.messages += 1
        self.counted.units += units
        for hears in (self._took, took):
            if hears is not None:
                hears(units)


class _SentFor:
    """What is sent for somebody who pays for it. Fits `kaiwa.hub.clients.Sender`."""

    __slots__ = ("_azure", "_took")

    def __init__(self, azure: AzureSignalR, took: Took) -> None:
        self._azure = azure
        self._took = took

    def send_to(self, audiences: tuple[Audience, ...], target: str, arguments: tuple[Any, ...]) -> Handed:
        return self._azure.send_to(audiences, target, arguments, self._took)

    async def ask_anywhere(self, connection_id: str, target: str, arguments: tuple[Any, ...]) -> Answer:
        return await self._azure.ask_anywhere(connection_id, target, arguments, self._took)

    async def change(self, command: GroupCommand) -> None:
        await self._azure.change(command)


class _Handed:
    """A message on its way. Awaited, it waits until the service has taken it."""

    __slots__ = ("body", "done", "error", "took")

    def __init__(self, body: bytes, took: Took | None) -> None:
        self.body = body
        self.took = took
        self.done = asyncio.Event()
        self.error: UpstreamError | None = None

    def __await__(self) -> Generator[Any, Any, None]:
        yield from self.done.wait().__await__()
        if self.error is not None:
            raise self.error


class _Every:
    __slots__ = ("_handed",)

    def __init__(self, handed: list[_Handed]) -> None:
        self._handed = handed

    def __await__(self) -> Generator[Any, Any, None]:
        for one in self._handed:
            yield from one.__await__()


class _Lane:
    """What waits for one audience, in its order."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: deque[_Handed] = deque()


def _address(audience: Audience) -> tuple[str, dict[str, Any]]:
    excluded = sorted(audience.excluded)
    query: dict[str, Any] = {"excluded": excluded} if excluded else {}
    match audience.kind:
        case "all":
            return "/:send", query
        case "connection":
            return f"/connections/{_quoted(audience.name)}/:send", query
        case "group":
            return f"/groups/{_quoted(audience.name)}/:send", query
        case "user":
            return f"/users/{_quoted(audience.name)}/:send", query


def _quoted(name: str) -> str:
    return quote(name, safe="")
