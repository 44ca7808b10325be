"""Chat completions, responses and embeddings without an account: answered by the models of this process.

The addresses are those of OpenAI and Azure OpenAI. Tools are the client's: they come with the request and
go out as calls, and no tool of an agent runs here. Knows HTTP, agents' names and the chat model's interface.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from kaiwa.engines.chat import ChatModel, ChatRequest
from kaiwa.engines.dialogue import DialogueModel
from kaiwa.engines.hash_embedding import DIMENSIONS, MODEL, embed
from kaiwa.errors import PeerError
from kaiwa.policy.shaping import Operation, check_model, shape
from kaiwa.protocol.chat.embeddings import embedding_list
from kaiwa.protocol.chat.requests import (
    ChatCompletionAsked,
    EmbeddingAsked,
    Question,
    ResponseAsked,
    question_of_chat,
    question_of_response,
)
from kaiwa.protocol.chat.responses import Asked
from kaiwa.protocol.realtime.shape import Tolerance
from kaiwa.server.bodies import fitted, read_json
from kaiwa.server.chat_local_answers import ChatTelling, ResponseTelling, Telling
from kaiwa.server.directory import Directory
from kaiwa.server.failures import failure
from kaiwa.server.ids import new_id
from kaiwa.tools.agent import Agent

MOST_MESSAGES: Final = 512
MOST_TEXTS: Final = 2048
MOST_EMBEDDED_CHARACTERS: Final = 300_000
_AS_NEWER_CLIENTS: Final = Tolerance(unknown_keys=True)
_HEADERS: Final = {"cache-control": "no-cache, no-transform", "x-accel-buffering": "no"}


async def _read(request: Request, operation: Operation) -> dict[str, Any]:
    """Return the body as its caller may ask for it."""
    caller = request.state.caller
    check_model(caller, request.path_params.get("deployment"))
    return shape(caller, await read_json(request), operation)


class Embedded:
    """The embedded dialogue engine, whose dictionary is loaded when it is first asked."""

    def __init__(self) -> None:
        self._model = DialogueModel()
        self._loading = asyncio.Lock()
        self._is_ready = False

    async def __call__(self) -> ChatModel:
        async with self._loading:
            if not self._is_ready:
                await asyncio.to_thread(self._model.warm_up)
                self._is_ready = True
        return self._model


class LocalChat:
    """Answers with what `chat` gives."""

    def __init__(
        self, directory: Directory, time_zone: str, chat: Callable[[], Awaitable[ChatModel]] | None = None
    ) -> None:
        self._directory = directory
        self._time_zone = time_zone
        self._chat = chat or Embedded()

    async def completions(self, request: Request) -> Response:
        """`POST …/chat/completions`."""
        raw = await _read(request, "chat/completions")
        asked = fitted(raw, ChatCompletionAsked, tolerance=_AS_NEWER_CLIENTS)
        question = question_of_chat(asked)
        agent = self._agent(request, question)
        telling = ChatTelling(question, agent.name, new_id, int(time.time()))
        return await self._answer(question, agent, telling)

    async def responses(self, request: Request) -> Response:
        """`POST …/responses`."""
        raw = await _read(request, "responses")
        asked = fitted(raw, ResponseAsked, tolerance=_AS_NEWER_CLIENTS)
        question = question_of_response(asked)
        agent = self._agent(request, question)
        repeated = Asked(
            instructions=asked.instructions,
            max_output_tokens=asked.max_output_tokens,
            tools=raw.get("tools") or [],
            tool_choice=asked.tool_choice,
            metadata=asked.metadata or {},
        )
        telling = ResponseTelling(question, repeated, agent.name, new_id, int(time.time()))
        return await self._answer(question, agent, telling)

    async def embeddings(self, request: Request) -> Response:
        """`POST …/embeddings`: spelling hashed into vectors, under a name that says so."""
        raw = await _read(request, "embeddings")
        asked = fitted(raw, EmbeddingAsked, tolerance=_AS_NEWER_CLIENTS)
        name = request.path_params.get("deployment") or asked.model
        if name != MODEL:
            return _no_such_embedding(name)
        texts = (asked.input,) if isinstance(asked.input, str) else asked.input
        if not texts or len(texts) > MOST_TEXTS:
            raise PeerError("invalid_value", f"'input' is 1 to {MOST_TEXTS} texts.", param="input")
        if sum(map(len, texts)) > MOST_EMBEDDED_CHARACTERS:
            text = f"At most {MOST_EMBEDDED_CHARACTERS} characters a request are embedded here."
            raise PeerError("string_above_max_length", text, param="input")
        size = asked.dimensions or DIMENSIONS
        vectors = await asyncio.to_thread(lambda: [embed(text, size) for text in texts])
        tokens = sum(-(-len(text) // 4) for text in texts)
        answer = embedding_list(vectors, MODEL, tokens, asked.encoding_format)
        return Response(msgspec.json.encode(answer), media_type="application/json")

    def _agent(self, request: Request, question: Question) -> Agent:
        """Whoever the model's name means; a name that means nobody here means the usual one."""
        name = request.path_params.get("deployment") or question.model
        return self._directory.find(name) or self._directory.default

    async def _answer(self, question: Question, agent: Agent, telling: Telling) -> Response:
        stream = _events(await self._chat(), self._request(question, agent), telling)
        if question.stream:
            return _Streamed(stream)
        async with aclosing(stream) as events:
            async for _ in events:
                pass
        return Response(telling.whole(), media_type="application/json")

    def _request(self, question: Question, agent: Agent) -> ChatRequest:
        if len(question.history) > MOST_MESSAGES:
            text = f"More than {MOST_MESSAGES} messages. Send the newest ones."
            raise PeerError("array_above_max_length", text, param="messages")
        return ChatRequest(
            history=question.history,
            instructions=question.instructions or agent.instructions,
            tools=question.tools,
            tool_choice=question.tool_choice,
            max_output_tokens=question.limit or "inf",
            language=agent.language,
            now=datetime.now(ZoneInfo(agent.time_zone or self._time_zone)),
        )


async def _events(model: ChatModel, request: ChatRequest, telling: Telling) -> AsyncGenerator[bytes]:
    for data in telling.begin():
        yield data
    async for event in model.generate(request):
        for data in telling.take(event):
            yield data


class _Streamed(StreamingResponse):
    """Server-sent events whose source ends with them, also when the peer leaves in the middle."""

    def __init__(self, body: AsyncGenerator[bytes]) -> None:
        super().__init__(body, media_type="text/event-stream", headers=dict(_HEADERS))
        self._body: Any = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._body):
            await super().__call__(scope, receive, send)


def _no_such_embedding(name: str) -> Response:
    text = (
        f"There is no model '{name[:64]}' for embeddings here. '{MODEL}' compares spelling, without an "
        "account; for vectors that know meaning name a service in KAIWA_UPSTREAMS."
    )
    return failure(404, "model_not_found", text, param="model")
