"""The relay's addresses: requests read and shaped, callers charged, answers handed to `kaiwa.gateway`.

Knows HTTP and the form of errors; who is asked and how bytes flow is the gateway's affair.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from kaiwa.gateway.asking import Asked, Operation, model_of, read_body
from kaiwa.gateway.client import Client, client_of
from kaiwa.gateway.gateway import Fields, Gateway
from kaiwa.gateway.headers import upwards
from kaiwa.gateway.stream import Rules
from kaiwa.policy.caller import ANYBODY, Caller
from kaiwa.policy.estimates import wanted
from kaiwa.policy.headers import limit_headers, refusal_headers
from kaiwa.policy.holds import Hold, Ledger, LimitReached
from kaiwa.policy.prices import Pricing
from kaiwa.policy.shaping import shape
from kaiwa.server import bodies
from kaiwa.server.failures import failure
from kaiwa.server.ids import new_id
from kaiwa.server.plain import Plain
from kaiwa.server.routes import Answer
from kaiwa.server.settings import Settings
from kaiwa.upstream.http1.client import HttpClient, Limits
from kaiwa.upstream.pool.pool import DeploymentPool

RESUMABLE: Final = "x-kaiwa-resumable"
CONVERSATION: Final = "x-kaiwa-conversation"
# The client left before there was a status. The number is nginx's.
_LEFT: Final = 499
_MEGABYTE: Final = 1024 * 1024
_WAIT_FOR_ANOTHER_S: Final = "5"


@dataclass(frozen=True)
class House:
    """What the relay needs of the house: what its callers may use, and what it costs."""

    ledger: Ledger
    prices: Pricing


def gateway_of(settings: Settings, pool: DeploymentPool, prices: Pricing) -> Gateway:
    """Return the relay that the settings ask for."""
    limits = Limits(first_byte_s=settings.chat_first_token_s, idle_s=settings.chat_silence_s)
    rules = Rules(
        heartbeat_s=settings.chat_heartbeat_s,
        first_token_s=settings.chat_first_token_s,
        grace_s=settings.chat_resume_s,
        drain_s=settings.drain_s,
        most_body_bytes=settings.chat_answer_mb * _MEGABYTE,
    )
    return Gateway(pool, HttpClient(limits), rules, prices)


class Asking(msgspec.Struct, frozen=True):
    """What was read of a request, before anybody judged it. `raw`: its body."""

    head: Plain
    raw: bytes
    caller: Caller
    began: float
    resumable: bool = False

    def __repr__(self) -> str:
        return f"Asking({self.head!r})"


class RelayDoor:
    """Answers completions, responses and embeddings by relaying them, and what concerns running streams."""

    def __init__(self, gateway: Gateway, house: House, most_bytes: int) -> None:
        self._gateway = gateway
        self.begin = gateway.begin
        """Relay what was admitted, by callbacks."""
        self._house = house
        self._most_bytes = most_bytes

    async def completions(self, request: Request) -> Response:
        return await self._answer(request, "chat/completions")

    async def responses(self, request: Request) -> Response:
        return await self._answer(request, "responses")

    async def embeddings(self, request: Request) -> Response:
        return await self._answer(request, "embeddings")

    async def stop(self, request: Request) -> Response:
        """`DELETE /api/streams/{stream_id}`: end one that runs."""
        if not self._gateway.streams.stop(request.path_params["stream_id"], _caller(request)):
            return _no_such_stream()
        return Response(status_code=204)

    async def resume(self, request: Request) -> Response:
        """`GET /api/streams/{stream_id}` with `Last-Event-ID`: read on."""
        last = request.headers.get("last-event-id") or request.query_params.get("last-event-id") or ""
        return await self._resume(request, request.path_params["stream_id"], last)

    @property
    def relays(self) -> bool:
        """Whether there is anybody to relay to, and new requests are taken."""
        return not (self._gateway.streams.draining or self._gateway.pool.is_empty)

    async def admitted(self, asking: Asking) -> Asked | LimitReached:
        """Return what may be relayed, its share of the caller's limits reserved. Raises PeerError."""
        body, given = self._shaped(asking)
        want = wanted(body, len(asking.raw), asking.head.operation, self._house.prices)
        hold = await self._house.ledger.reserve(asking.caller, want)
        return hold if isinstance(hold, LimitReached) else _asked(asking, body, given, hold)

    def admitted_now(self, asking: Asking) -> Asked | None:
        """As `admitted`, where nothing must be waited for; None: something must be, or a limit is reached."""
        body, given = self._shaped(asking)
        want = wanted(body, len(asking.raw), asking.head.operation, self._house.prices)
        hold = self._house.ledger.reserve_now(asking.caller, want)
        return None if hold is None or isinstance(hold, LimitReached) else _asked(asking, body, given, hold)

    def _shaped(self, asking: Asking) -> tuple[dict[str, Any], dict[str, Any]]:
        """Read a body; return it as its caller may send it, and as it came. Raises PeerError."""
        if len(asking.raw) > self._most_bytes:
            raise bodies.TooLarge(self._most_bytes)
        given = read_body(asking.raw)
        named = {**given, "model": asking.head.deployment or model_of(given, None)}
        return shape(asking.caller, named, asking.head.operation), given

    async def _answer(self, request: Request, operation: Operation) -> Response:
        began = time.monotonic()
        last = request.headers.get("last-event-id")
        if last:
            return await self._resume(request, last.partition(":")[0], last)
        if self._gateway.streams.draining:
            return shutting_down()
        head = Plain(
            operation,
            request.path_params.get("deployment"),
            (),
            upwards(request.scope["headers"]),
            request.headers.get(CONVERSATION),
            "trailers" in request.headers.get("te", "").lower(),
        )
        raw = await bodies.read_body(request, self._most_bytes)
        asking = Asking(head, raw, _caller(request), began, _asks(request, RESUMABLE))
        asked = await self.admitted(asking)
        if isinstance(asked, LimitReached):
            return _limited(asked)
        standing = tuple(limit_headers(asked.hold.standing).items())
        return Relayed(lambda client, fields: self._gateway.answer(asked, client, (*standing, *fields)))

    async def _resume(self, request: Request, stream: str, last: str) -> Response:
        number = last.rpartition(":")[2]
        caller = _caller(request)
        after = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0
        if not self._gateway.may_resume(stream, after, caller):
            return _no_such_stream()
        return Relayed(lambda client, fields: self._gateway.resume(stream, after, client))


def relayed_if(pool: DeploymentPool, relayed: Answer, otherwise: Answer) -> Answer:
    """Relay while there is a deployment; the configuration may be read anew at any time."""

    async def answer(request: Request) -> Response:
        return await (relayed if pool.members else otherwise)(request)

    return answer


def first_found(*answers: Answer) -> Answer:
    """Ask those who may know a stream, until one does."""

    async def answer(request: Request) -> Response:
        for ask in answers[:-1]:
            response = await ask(request)
            if response.status_code != 404:
                return response
        return await answers[-1](request)

    return answer


class Relayed(Response):
    """An answer that the gateway writes. What the gate adds to its headers goes into the head."""

    def __init__(self, work: Callable[[Client, Fields], Awaitable[None]]) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._work = work
        self._tell: Callable[[int], None] | None = None

    def when_over(self, tell: Callable[[int], None]) -> None:
        """Tell the status once the answer is over; nobody knows it earlier."""
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with client_of(scope, receive, send) as client:
            await self._work(client, self.headers.items())
            if self._tell is not None:
                self._tell(client.status or _LEFT)


def _caller(request: Request) -> Caller:
    """Return whom the gate let in."""
    return getattr(request.state, "caller", ANYBODY)


def _asked(asking: Asking, body: dict[str, Any], given: dict[str, Any], hold: Hold) -> Asked:
    head = asking.head
    named = head.conversation or body.get("prompt_cache_key")
    return Asked(
        id=new_id("str"),
        operation=head.operation,
        model=str(body["model"]),
        body=body,
        raw=asking.raw,
        given=given,
        size_bytes=len(asking.raw),
        headers=head.headers,
        caller=asking.caller,
        hold=hold,
        # Whose requests like to come to the same deployment: a conversation, or who shares a prompt.
        affinity=f"{asking.caller.spends}/{named}" if named and isinstance(named, str) else None,
        resumable=asking.resumable,
        said_trailers=head.said_trailers,
        began=asking.began,
    )


def _asks(request: Request, name: str) -> bool:
    given = request.headers.get(name) or request.query_params.get("resumable") or ""
    return given.lower() in ("1", "true", "yes")


def _limited(reached: LimitReached) -> Response:
    response = failure(429, reached.code, reached.message, type=reached.type)
    response.headers.update(refusal_headers(reached))
    return response


def shutting_down() -> Response:
    """Answer for what begins when the house ends."""
    text = "The server is shutting down. Another one may answer."
    response = failure(503, "server_shutting_down", text, type="server_error")
    response.headers["retry-after"] = _WAIT_FOR_ANOTHER_S
    response.headers["connection"] = "close"
    return response


def _no_such_stream() -> Response:
    return failure(404, "stream_not_found", "No such stream runs, or it cannot be read on from there.")
