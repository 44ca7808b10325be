"""Streamed completions for conversations of this process, by the same relay that clients use.

So an agent's model has failover, limits of deployments and hedging, too. Knows chunks; nothing of sessions.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

from kaiwa.errors import UpstreamError
from kaiwa.gateway.asking import Asked
from kaiwa.gateway.client import MOST_WAITING_BYTES, Fields, Listener
from kaiwa.gateway.gateway import Gateway
from kaiwa.policy.caller import ANYBODY, Caller
from kaiwa.upstream.chat import refusal_of
from kaiwa.upstream.chunks import Chunk, decode_chunk
from kaiwa.upstream.sse import EventStreamParser

_USUAL_LIMIT: Final = "max_completion_tokens"
_OLDER_LIMIT: Final = "max_tokens"


class PooledCompletions:
    """Any deployment that serves `model` answers. Use it while the gateway runs.

    `caller`: in whose conversation. Their limits hold where the conversation is; here they are only named.
    """

    def __init__(
        self, gateway: Gateway, model: str, new_id: Callable[[str], str], caller: Caller = ANYBODY
    ) -> None:
        self._gateway = gateway
        self._model = model
        self._new_id = new_id
        self._caller = caller

    def asked_by(self, caller: Caller) -> PooledCompletions:
        """Return the same for the conversations of one caller."""
        return PooledCompletions(self._gateway, self._model, self._new_id, caller)

    @property
    def limit_field(self) -> str:
        """The older name where nothing but compatible servers serves the model: most know no other."""
        serving = [one.deployment for one in self._gateway.pool.members if one.deployment.serves(self._model)]
        older = bool(serving) and all(one.kind == "compatible" for one in serving)
        return _OLDER_LIMIT if older else _USUAL_LIMIT

    async def stream(self, body: dict[str, Any]) -> AsyncGenerator[Chunk, None]:
        """Yield the chunks of one completion. Closing it closes the request. Raises UpstreamError."""
        options = {"stream": True, "stream_options": {"include_usage": True}}
        asked = Asked(
            id=self._new_id("str"),
            operation="chat/completions",
            model=self._model,
            body={"model": self._model, **body, **options},
            caller=self._caller,
            began=time.monotonic(),
        )
        reader = _Reader()
        relaying = asyncio.get_running_loop().create_task(self._gateway.answer(asked, reader))
        try:
            async for chunk in _chunks(reader):
                yield chunk
        finally:
            reader.leave()
            await relaying

    async def close(self) -> None:
        """Nothing is held here: the gateway is its house's."""


async def _chunks(reader: _Reader) -> AsyncGenerator[Chunk, None]:
    parser, finished = EventStreamParser(), False
    async for data in reader.read():
        for event in parser.feed(data):
            if event == b"[DONE]":
                return
            chunk = decode_chunk(event)
            finished = finished or any(choice.finish_reason for choice in chunk.choices or ())
            yield chunk
    if not finished:
        raise UpstreamError("upstream_cut_off", "The model's answer broke off.", retryable=True)


class _Reader:
    """A client of the relay inside the process: takes bytes, gives them to one reader."""

    def __init__(self) -> None:
        self.status = 0
        self._waiting = bytearray()
        self._news = asyncio.Event()
        self._over = self._left = self._full = False
        self._listener: Listener | None = None

    async def read(self) -> AsyncGenerator[bytes, None]:
        """Yield the body of an answer as it comes. Raises UpstreamError when it is a refusal."""
        while True:
            await self._news.wait()
            self._news.clear()
            over, data = self._over, bytes(self._waiting)
            if self.status == 200:
                self._waiting.clear()
                self._make_room()
                if data:
                    yield data
            if over:
                break
        if self.status != 200:
            raise refusal_of(self.status, bytes(self._waiting))

    def leave(self) -> None:
        """Take no more: what still runs for this reader is stopped."""
        if not self._left:
            self._left = True
            if self._listener is not None and not self._over:
                self._listener.client_gone()

    # As the client of a stream.

    def listen(self, listener: Listener) -> None:
        self._listener = listener
        if self._left:
            listener.client_gone()

    def start(self, status: int, fields: Fields) -> None:
        self.status = status

    def write(self, data: bytes) -> None:
        self._waiting += data
        self._news.set()
        if not self._full and len(self._waiting) > MOST_WAITING_BYTES and self._listener is not None:
            self._full = True
            self._listener.client_full()

    def way(self) -> None:
        """There is none: events are read on their way."""

    def finish(self, trailers: Fields = ()) -> None:
        self._over = True
        self._news.set()

    def cut(self) -> None:
        self.finish()

    def _make_room(self) -> None:
        if self._full:
            self._full = False
            if self._listener is not None:
                self._listener.client_ready()
