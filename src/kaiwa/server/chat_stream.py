"""`/api/chat-stream`: questions by POST, answers as server-sent events.

Knows HTTP and the shape of a request. The conversations are those of `chats`, and `transports.sse` knows
how pieces are written.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, UnsetType
from msgspec.json import encode
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from kaiwa.errors import PeerError
from kaiwa.events.items import ClientItem, InputText, Message, OutputText
from kaiwa.events.value import Value
from kaiwa.gateway.accounts import Account
from kaiwa.policy.caller import Caller
from kaiwa.policy.headers import limit_headers
from kaiwa.policy.holds import LimitReached
from kaiwa.server.admission import SHOWN_LETTERS
from kaiwa.server.bodies import fitted, read_json
from kaiwa.server.chats import Answering, Chats, NoRoom
from kaiwa.server.cluster.crossing import Crossing
from kaiwa.server.directory import Directory
from kaiwa.server.doors import Doors
from kaiwa.server.failures import failure, failure_of
from kaiwa.server.gate import limit_reached
from kaiwa.tools.agent import Agent
from kaiwa.transports.sse import plain, typed

MOST_MESSAGES: Final = 512
_HEADERS: Final = {"cache-control": "no-cache, no-transform", "x-accel-buffering": "no"}


class TextPart(Value, kw_only=True):
    type: Literal["text"] = "text"
    text: str


class ChatMessage(Value, kw_only=True):
    """As in chat completions. What the agent may do and knows is the server's: tools are not the client's."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | tuple[TextPart, ...]


class ChatStreamRequest(Value, kw_only=True):
    """`messages` or `prompt`. `agent`, or `model`, names another agent than the one that is served.

    `conversation_id` keeps the conversation under a name that the client chose; of `messages` only what is
    new counts then. `events`: "typed" tells tools, usage and the end, too. `resume`: the answer outlives a
    broken connection for half a minute.
    """

    messages: tuple[ChatMessage, ...] | UnsetType = UNSET
    prompt: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET
    conversation_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:-]{1,128}\Z")] | UnsetType = UNSET
    agent: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    events: Literal["plain", "typed"] = "plain"
    resume: bool = False


@dataclass(frozen=True)
class ChatStream:
    """`chats` is there once the server runs."""

    chats: Callable[[], Chats]
    directory: Directory
    doors: Doors
    pace_s: float
    crossing: Crossing

    async def ask(self, request: Request) -> Response:
        """`POST /api/chat-stream`."""
        asked = fitted(await read_json(request), ChatStreamRequest)
        caller: Caller = request.state.caller
        items, name = items_of(asked), asked.conversation_id or None
        try:
            agent = agent_asked(self.directory, asked, caller)
        except PeerError as unknown:
            return failure_of(unknown, 404)
        if name is not None and (
            elsewhere := await self.crossing.conversation(request, caller.id, name, encode(asked))
        ):
            return elsewhere
        hold = await self.doors.enter(caller)
        if isinstance(hold, LimitReached):
            await self.crossing.release_unless(name and self.chats().keeps(caller.id, name), caller.id, name)
            return limit_reached(hold)
        account = Account(hold, self.doors.prices, self.doors.paid_in_text(agent.name), letters_of(items))
        try:
            answering = self.chats().ask(
                agent, items, caller=caller, name=name, resumable=asked.resume, account=account
            )
        except NoRoom as full:
            hold.release()
            await self.crossing.release_unless(name and self.chats().keeps(caller.id, name), caller.id, name)
            response = failure_of(full, full.status)
            response.headers["retry-after"] = "5"
            return response
        response = self._streamed(answering, asked.events, 0)
        response.headers.update(limit_headers(hold.standing))
        return response

    async def take_up(self, request: Request) -> Response:
        """`GET /api/chat-stream/{stream_id}`: the rest of a typed stream, behind `Last-Event-ID`."""
        stream_id = request.path_params["stream_id"]
        answering = self.chats().find(stream_id, request.state.caller.id)
        if answering is None:
            return _unknown(stream_id)
        return self._streamed(answering, "typed", _number_in(request, stream_id))

    async def stop(self, request: Request) -> Response:
        """`DELETE /api/streams/{stream_id}`: who reads it is told that it was cancelled."""
        stream_id = request.path_params["stream_id"]
        answering = self.chats().find(stream_id, request.state.caller.id)
        if answering is None:
            return _unknown(stream_id)
        self.chats().cancel(answering)
        return Response(status_code=204)

    def _streamed(self, answering: Answering, style: str, after: int) -> Response:
        headers = {**_HEADERS, "x-stream-id": answering.turn.id}
        stream = self._read(answering, style, after)
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    async def _read(self, answering: Answering, style: str, after: int) -> AsyncGenerator[bytes]:
        turn = answering.turn
        stream = typed(turn, after) if style == "typed" else plain(turn, pace_s=self.pace_s)
        with self.chats().reading(answering):
            async with aclosing(stream) as events:
                async for event in events:
                    yield event


def agent_asked(directory: Directory, asked: ChatStreamRequest, caller: Caller) -> Agent:
    """Return the agent that a request names. Raises PeerError when there is none that the caller may use."""
    named = asked.agent if asked.agent is not UNSET else asked.model
    default = directory.default
    if named is UNSET:
        named = default.name
    agent = default if named == default.name else directory.find(named)
    if agent is None or not caller.may_use(named):
        known = ", ".join(name for name in directory.names if caller.may_use(name))
        text = f"The agent '{named[:SHOWN_LETTERS]}' does not exist. Known: {known}."
        param = "agent" if asked.agent is not UNSET else "model"
        raise PeerError("model_not_found", text, param=param)
    return agent


def items_of(asked: ChatStreamRequest) -> list[ClientItem]:
    """Return the items that a request adds to a conversation. Raises PeerError when there is no question."""
    messages = list(asked.messages or ())
    if (asked.prompt is UNSET) == (not messages):
        raise PeerError("invalid_value", "Send 'messages' or 'prompt', one of the two.", param="messages")
    if len(messages) > MOST_MESSAGES:
        text = f"More than {MOST_MESSAGES} messages. Send the newest ones."
        raise PeerError("array_above_max_length", text, param="messages")
    if asked.prompt is not UNSET:
        messages = [ChatMessage(role="user", content=asked.prompt)]
    elif messages[-1].role != "user":
        raise PeerError("invalid_value", "The last message must be the user's.", param="messages")
    return [_item(message) for message in messages]


def letters_of(items: Sequence[ClientItem]) -> int:
    """Return how many bytes of text are asked."""
    parts = (part for item in items if isinstance(item, Message) for part in item.content)
    return sum(len(getattr(part, "text", "").encode()) for part in parts)


def _item(message: ChatMessage) -> Message:
    content = message.content
    text = content if isinstance(content, str) else "".join(part.text for part in content)
    if message.role == "assistant":
        return Message(role="assistant", content=(OutputText(text=text),))
    role = "user" if message.role == "user" else "system"
    return Message(role=role, content=(InputText(text=text),))


def _number_in(request: Request, stream_id: str) -> int:
    """Return the number of the last event that a reader has seen, from the id that it was sent under."""
    last = request.headers.get("last-event-id") or request.query_params.get("last-event-id") or "0"
    number = last.removeprefix(f"{stream_id}:")
    if not number.isascii() or not number.isdigit():
        raise PeerError("invalid_value", "Last-Event-ID is not of this stream.", param="Last-Event-ID")
    return int(number[:12])


def _unknown(stream_id: str) -> Response:
    text = f"No answer with the id '{stream_id[:SHOWN_LETTERS]}' runs or is kept."
    return failure(404, "stream_not_found", text)
