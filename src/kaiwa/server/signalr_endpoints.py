"""`/api/negotiate`, `/api/broadcast`, `/api/chat_stream`: tokens to the browser through a hub.

Knows requests and their answers; hubs, tokens and words are `signalr`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from kaiwa.errors import PeerError
from kaiwa.events.pieces import ErrorPiece, Piece, UsagePiece
from kaiwa.events.value import Value
from kaiwa.gateway.accounts import Account
from kaiwa.policy.amounts import NANO
from kaiwa.policy.caller import Caller
from kaiwa.policy.headers import limit_headers
from kaiwa.policy.holds import LimitReached
from kaiwa.policy.postage import Postage
from kaiwa.policy.prices import TokensUsed
from kaiwa.policy.running import FreeHold
from kaiwa.protocol.replay import Forgotten
from kaiwa.server.bodies import fitted, read_json
from kaiwa.server.chat_stream import ChatStreamRequest, agent_asked, items_of, letters_of
from kaiwa.server.chats import Answering, Chats, NoRoom
from kaiwa.server.cluster.crossing import Crossing
from kaiwa.server.directory import Directory
from kaiwa.server.doors import Doors
from kaiwa.server.failures import failure, failure_of
from kaiwa.server.gate import limit_reached
from kaiwa.server.signalr import TARGET, SignalR, one_of, served_at
from kaiwa.transports.chat import Turn

DEFAULT_PROMPT: Final = "日本語で自己紹介して"
_LAST_PIECES: Final = 8
_UNCACHED: Final = {"cache-control": "no-store"}
Name = Annotated[str, Meta(min_length=1, max_length=1024)] | UnsetType


class NegotiateAnswer(Value, kw_only=True):
    """What `HubConnectionBuilder` needs: the address of the hub and a token for it."""

    url: str
    access_token: str = msgspec.field(name="accessToken")


class BroadcastRequest(Value, kw_only=True):
    message: Annotated[str, Meta(min_length=1)]


class TokensRequest(Value, kw_only=True):
    """Who gets the tokens: a connection, else a user, else a group. `conversation_id` keeps the talk."""

    prompt: Annotated[str, Meta(min_length=1)] = DEFAULT_PROMPT
    connection_id: Name = msgspec.field(name="connectionId", default=UNSET)
    user_id: Name = msgspec.field(name="userId", default=UNSET)
    group: Name = UNSET
    agent: str | UnsetType = UNSET
    conversation_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:-]{1,128}\Z")] | UnsetType = UNSET

    @property
    def names_nobody(self) -> bool:
        return self.connection_id is UNSET and self.user_id is UNSET and self.group is UNSET


class TokensAnswer(Value, kw_only=True):
    """`ok` false: the answer broke, and `error` says why. `cost` is in `currency`, paid messages included."""

    ok: bool
    stream_id: str
    usage: dict[str, int] | UnsetType = UNSET
    cost: float | UnsetType = UNSET
    currency: str | UnsetType = UNSET
    error: dict[str, str] | UnsetType = UNSET


@dataclass(frozen=True)
class SignalREndpoints:
    """`chats` is there once the server runs."""

    signalr: SignalR
    chats: Callable[[], Chats]
    directory: Directory
    doors: Doors
    crossing: Crossing

    async def negotiate(self, request: Request) -> Response:
        """`GET` and `POST /api/negotiate`."""
        caller: Caller = request.state.caller
        user = request.query_params.get("userId")
        if user is not None and user != caller.id and not caller.may("admin"):
            text = "This key names its own user. Leave 'userId' out, or use a key with the scope admin."
            return failure(403, "insufficient_permissions", text, param="userId")
        if user is None and self.doors.closed:
            user = caller.id
        given = await self.signalr.service.negotiated(served_at(request), caller.id, user)
        headers = {**_UNCACHED, **_credentials(request)}
        return JSONResponse({"url": given.url, "accessToken": given.access_token}, headers=headers)

    async def broadcast(self, request: Request) -> Response:
        """`POST /api/broadcast`: everybody gets one `token`."""
        asked = fitted(await read_json(request), BroadcastRequest)
        postage = Postage(request.state.hold, self.doors.prices)
        await self.signalr.service.clients_for(postage.pay).all.send(TARGET, asked.message)
        return JSONResponse({"ok": True})

    async def ask(self, request: Request) -> Response:
        """`POST /api/chat_stream`: the asker gets the answer token by token; this answers when it is whole.

        Its head comes at once and names the stream, which a hub client may join.
        """
        asked = fitted(await read_json(request), TokensRequest)
        caller: Caller = request.state.caller
        if asked.names_nobody and not self.signalr.anonymous_to_all:
            text = (
                "Name who gets the tokens: 'connectionId', 'userId' or 'group'. "
                "With KAIWA_SIGNALR_ANONYMOUS_TO_ALL=true everybody gets those of requests that name nobody."
            )
            raise PeerError("missing_required_parameter", text, param="connectionId")
        connection_id = asked.connection_id or None
        if connection_id is not None and not self.signalr.service.has(connection_id):
            text = "There is no such connection. Connect again, and name the new one."
            return failure(404, "connection_not_found", text, param="connectionId")
        name = asked.conversation_id or None
        if name is not None and (
            elsewhere := await self.crossing.conversation(
                request, caller.id, name, msgspec.json.encode(asked)
            )
        ):
            return elsewhere
        return await self._answer(asked, caller, connection_id)

    async def _answer(self, asked: TokensRequest, caller: Caller, connection_id: str | None) -> Response:
        question = ChatStreamRequest(prompt=asked.prompt, agent=asked.agent)
        try:
            agent = agent_asked(self.directory, question, caller)
        except PeerError as unknown:
            return failure_of(unknown, 404)
        model = self.doors.paid_in_text(agent.name)
        with ExitStack() as unless_told:
            postage = unless_told.enter_context(await self._postage(caller))
            hold = await self.doors.enter(caller)
            if isinstance(hold, LimitReached):
                await self._keep_if_begun(caller, asked)
                return limit_reached(hold)
            items = items_of(question)
            account = Account(hold, self.doors.prices, model, letters_of(items))
            name = asked.conversation_id or None
            try:
                answering = self.chats().ask(
                    agent, items, caller=caller, name=name, resumable=True, account=account
                )
            except NoRoom as full:
                hold.release()
                await self._keep_if_begun(caller, asked)
                return failure_of(full, full.status)
            clients = self.signalr.service.clients_for(postage.pay)
            target = one_of(clients, connection_id, asked.user_id or None, asked.group or None)
            telling = self.signalr.tell(answering, target, connection_id, postage)
            unless_told.pop_all()
        headers = {**_UNCACHED, **limit_headers(hold.standing), "x-stream-id": answering.turn.id}
        told = self._told(answering, telling, model, postage)
        return StreamingResponse(told, media_type="application/json", headers=headers)

    async def _postage(self, caller: Caller) -> Postage:
        """Return what charges a caller for messages, where messages cost."""
        if self.signalr.service.paid:
            return await self.doors.postage(caller)
        return Postage(FreeHold(), self.doors.prices)

    async def _keep_if_begun(self, caller: Caller, asked: TokensRequest) -> None:
        name = asked.conversation_id or None
        await self.crossing.release_unless(name and self.chats().keeps(caller.id, name), caller.id, name)

    async def _told(
        self, answering: Answering, telling: asyncio.Task[None], model: str, postage: Postage
    ) -> AsyncGenerator[bytes]:
        """Say nothing until the answer is whole and told. Who goes away stops no answer."""
        yield b" "  # proxies pass the head on with the first byte
        await asyncio.wait([telling])
        await answering.turn.end()
        yield msgspec.json.encode(self._outcome(answering.turn, model, postage))

    def _outcome(self, turn: Turn, model: str, postage: Postage) -> TokensAnswer:
        last = _last(turn)
        usage = next((piece for piece in last if isinstance(piece, UsagePiece)), None)
        error = next((piece for piece in last if isinstance(piece, ErrorPiece)), None)
        facts: dict[str, Any] = {"ok": error is None, "stream_id": turn.id}
        if usage is not None:
            used = TokensUsed(
                input=usage.input_tokens, cached=usage.cached_tokens, output=usage.output_tokens
            )
            facts["usage"] = {"input_tokens": used.input, "output_tokens": used.output}
            facts["cost"] = (self.doors.prices.cost(model, used) + postage.cost) / NANO
            facts["currency"] = self.doors.prices.currency
        if error is not None:
            facts["error"] = {"code": error.code, "message": error.message}
        return TokensAnswer(**facts)


def _last(turn: Turn) -> list[Piece]:
    try:
        return [piece for _, piece in turn.log.after(max(0, turn.log.last - _LAST_PIECES))]
    except Forgotten:
        return []


def _credentials(request: Request) -> dict[str, str]:
    """The stock client asks with credentials when it negotiates across sites by itself."""
    return {"access-control-allow-credentials": "true"} if "origin" in request.headers else {}
