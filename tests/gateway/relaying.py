"""The relay as clients meet it: its addresses on a real server, in front of raw upstreams; both ways of writing."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from tests.gateway.raw_upstream import CUT, END, HEAD, RawUpstream, Step, chunk, raw_upstream

from kaiwa.gateway.gateway import Gateway
from kaiwa.gateway.stream import Rules
from kaiwa.policy import caller as policy
from kaiwa.policy.holds import Ledger
from kaiwa.policy.memory import MemoryLedger
from kaiwa.policy.prices import FREE, Pricing
from kaiwa.server.direct import DirectConnection
from kaiwa.server.gateway import House, RelayDoor
from kaiwa.server.handshake import BoundedHandshake
from kaiwa.server.reception import Reception
from kaiwa.upstream.credentials import ApiKey
from kaiwa.upstream.http1.client import HttpClient, Limits
from kaiwa.upstream.http1.heads import Origin
from kaiwa.upstream.pool.deployment import Deployment
from kaiwa.upstream.pool.hedging import HedgeRules
from kaiwa.upstream.pool.pool import DeploymentPool

# A task that asks, and writes to the transport; by callbacks from the start, on a kept connection; by ASGI.
Way = Literal["direct", "kept", "asgi"]
ROLE = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
FILTERED = {"choices": [], "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]}
USAGE = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}}
FINISH = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
DONE = b"data: [DONE]\n\n"


def text(words: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": words}, "finish_reason": None}]}


def event(*said: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(one, separators=(",", ":")).encode() + b"\n\n" for one in said)


def streamed(*pieces: bytes | asyncio.Event | str) -> list[Step]:
    """A script: each piece in a chunk of its own, an event to wait for, or a cut."""
    return [HEAD, *(chunk(piece) if isinstance(piece, bytes) else piece for piece in pieces)]


HELLO = event(FILTERED, ROLE, text("こん"), text("にちは"), FINISH)
ANSWER = [*streamed(event(FILTERED, ROLE), event(text("こん"), text("にちは")), event(FINISH), DONE), END]


@dataclass
class Answer:
    """What a client got. `body` is without chunks; `whole` says whether it ended as HTTP wants it."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool
    trailers: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """A client on a raw socket, which reads when it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(
        self, path: str, body: Any, headers: Mapping[str, str] | None = None, method: str = "POST"
    ) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {"host": "kaiwa.test", "content-length": str(len(raw)), **(headers or {})}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + raw)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        async with asyncio.timeout(10):
            raw = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = raw.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return int(first.split()[1]), headers

    async def piece(self) -> bytes:
        """Return one chunk; b"" at the end."""
        async with asyncio.timeout(10):
            size = int((await self.reader.readuntil(b"\r\n")).strip(), 16)
            if size == 0:
                return b""
            return (await self.reader.readexactly(size + 2))[:-2]

    async def answer(self) -> Answer:
        status, headers = await self.head()
        if "content-length" in headers:
            async with asyncio.timeout(10):
                return Answer(
                    status, headers, await self.reader.readexactly(int(headers["content-length"])), True
                )
        body = b""
        try:
            while piece := await self.piece():
                body += piece
            tail = b""
            async with asyncio.timeout(10):
                while (line := await self.reader.readuntil(b"\r\n")) != b"\r\n":
                    tail += line
        except asyncio.IncompleteReadError:
            return Answer(status, headers, body, False)
        lines = (line.partition(": ") for line in tail.decode().strip().split("\r\n") if line)
        return Answer(status, headers, body, True, {name: value for name, _, value in lines})

    def leave(self) -> None:
        self.writer.transport.abort()


@dataclass
class Relay:
    """A running relay. `models` of its pool: `m`, at every upstream."""

    gateway: Gateway
    port: int
    upstreams: list[RawUpstream]

    @asynccontextmanager
    async def caller(self) -> AsyncIterator[Caller]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**22)
        try:
            yield Caller(reader, writer)
        finally:
            writer.close()

    async def post(
        self, body: Any | None = None, path: str = "/v1/chat/completions", **headers: str
    ) -> Answer:
        async with self.caller() as caller:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            await caller.ask(path, ASKED if body is None else body, named)
            return await caller.answer()

    async def ended(self, count: int = 1) -> dict[str, int]:
        """Return the counts of reasons, once so many streams have ended."""
        async with asyncio.timeout(20):
            while sum(self.gateway.streams.ended.values()) < count:
                self.gateway.streams._changed.clear()
                await self.gateway.streams._changed.wait()
        return dict(self.gateway.streams.ended)


ASKED = {
    "model": "m",
    "stream": True,
    "stream_options": {"include_usage": True},
    "messages": [{"role": "user", "content": "hi"}],
}
PATIENT = Rules(heartbeat_s=30, first_token_s=30, stalled_s=30, grace_s=30, drain_s=30)


class _Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """They are the process's."""


def deployment(number: int, upstream: RawUpstream, **given: Any) -> Deployment:
    facts: dict[str, Any] = {
        "name": f"d{number}",
        "kind": "openai",
        "base": f"http://127.0.0.1:{upstream.port}/v1",
        "credential": ApiKey("secret", bearer=True),
        "models": {"m": "m"},
        "tier": number,
    }
    return Deployment(**(facts | given))


class _Anybody:
    async def caller(self, keys: Sequence[str]) -> policy.Caller:
        return policy.ANYBODY

    def caller_now(self, keys: Sequence[str]) -> policy.Caller:
        return policy.ANYBODY


@asynccontextmanager
async def relay(
    *scripts: list[list[Step]],
    direct: Way = "kept",
    rules: Rules = PATIENT,
    limits: Limits | None = None,
    ledger: Ledger | None = None,
    prices: Pricing = FREE,
    hedging: HedgeRules | None = None,
    most_bytes: int = 1_000_000,
    **given: Any,
) -> AsyncIterator[Relay]:
    """Serve in front of one upstream for each list of scripts, asked in this order."""
    async with AsyncExitStack() as stack:
        upstreams = [await stack.enter_async_context(raw_upstream(*one)) for one in scripts]
        deployments = [deployment(number, one, **given) for number, one in enumerate(upstreams)]
        pool = DeploymentPool(deployments, chance=random.Random(1).random, wall=time.time, hedging=hedging)
        http = HttpClient(limits or Limits(idle_s=30))
        gateway = Gateway(pool, http, rules, prices)
        door = RelayDoor(gateway, House(ledger or MemoryLedger(), prices), most_bytes)
        app = Starlette(
            routes=[
                *(
                    Route(base + path, answer, methods=["POST"])
                    for base in ("/v1", "/openai/v1", "/openai/deployments/{deployment}")
                    for path, answer in (
                        ("/chat/completions", door.completions),
                        ("/responses", door.responses),
                        ("/embeddings", door.embeddings),
                    )
                ),
                Route("/api/streams/{stream_id}", door.stop, methods=["DELETE"]),
                Route("/api/streams/{stream_id}", door.resume, methods=["GET"]),
            ]
        )
        if direct != "asgi":
            app.state.reception = Reception(door, _Anybody())
        protocol = BoundedHandshake if direct == "asgi" else DirectConnection
        config = uvicorn.Config(app, port=0, http=protocol, log_level="warning", lifespan="off")
        config.load()
        server = _Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup()
        stack.push_async_callback(server.shutdown)
        await stack.enter_async_context(gateway.running())
        if direct == "kept":
            for one in upstreams:
                origin = Origin("http", "127.0.0.1", one.port)
                http.take_back(origin, await http._connect(origin))
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Relay(gateway, port, upstreams)
        # Whoever still waits is released, so that the server can end.
        for stream in [*gateway.streams._running.values()]:
            stream.stop("shut_down")


__all__ = [
    "ANSWER",
    "ASKED",
    "CUT",
    "DONE",
    "END",
    "FINISH",
    "HEAD",
    "HELLO",
    "PATIENT",
    "Answer",
    "Caller",
    "Relay",
    "Way",
]
