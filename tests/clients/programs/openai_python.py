"""The `openai` package: its asynchronous and synchronous sockets, GA and beta, and those for Azure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from events import BETA, GA, Event, Names, Wire, turns_over
from job import MODEL, Inbox, Job, Turns, perform
from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI

PREVIEW = "2025-04-01-preview"


class AsyncWire:
    def __init__(self, job: Job, connection: Any) -> None:
        self.inbox = Inbox(job)
        self._connection = connection

    async def listen(self) -> None:
        async for event in self._connection:
            self.inbox.put(event.to_dict())
        self.inbox.put(ConnectionError("the connection ended"))

    async def send(self, event: Event) -> None:
        await self._connection.send(event)


class SyncWire:
    """The synchronous connection, read and written by threads of its own."""

    def __init__(self, job: Job, connection: Any) -> None:
        self.inbox = Inbox(job)
        self._connection = connection

    async def listen(self) -> None:
        while True:
            event = await asyncio.to_thread(self._connection.recv)
            self.inbox.put(event.to_dict())

    async def send(self, event: Event) -> None:
        await asyncio.to_thread(self._connection.send, event)


@asynccontextmanager
async def listening(wire: AsyncWire | SyncWire) -> AsyncIterator[Wire]:
    task = asyncio.create_task(wire.listen())
    try:
        yield wire
    finally:
        task.cancel()


def asynchronous(make: Callable[[Job], Any], names: Names, *, beta: bool = False) -> Callable[[Job], Turns]:
    def turns(job: Job) -> Turns:
        @asynccontextmanager
        async def connect() -> AsyncIterator[Wire]:
            async with make(job) as client:
                realtime = client.beta.realtime if beta else client.realtime
                async with (
                    realtime.connect(model=MODEL) as connection,
                    listening(AsyncWire(job, connection)) as wire,
                ):
                    yield wire

        return turns_over(job, names, connect)

    return turns


def synchronous(make: Callable[[Job], Any], names: Names, *, beta: bool = False) -> Callable[[Job], Turns]:
    def turns(job: Job) -> Turns:
        @asynccontextmanager
        async def connect() -> AsyncIterator[Wire]:
            with make(job) as client:
                realtime = client.beta.realtime if beta else client.realtime
                with realtime.connect(model=MODEL) as connection:
                    async with listening(SyncWire(job, connection)) as wire:
                        yield wire

        return turns_over(job, names, connect)

    return turns


def openai(kind: Any, path: str) -> Callable[[Job], Any]:
    def make(job: Job) -> Any:
        # Beta connections are forced to wss unless the socket's address is given too.
        return kind(
            api_key=job.key,
            base_url=f"http://{job.plain}{path}",
            websocket_base_url=f"ws://{job.plain}{path}",
        )

    return make


def azure(kind: Any, *, by_token: bool) -> Callable[[Job], Any]:
    def make(job: Job) -> Any:
        credential = {"azure_ad_token": job.key} if by_token else {"api_key": job.key}
        return kind(
            azure_endpoint=f"http://{job.plain}",
            api_version=PREVIEW,
            websocket_base_url=f"ws://{job.plain}/openai",
            **credential,
        )

    return make


if __name__ == "__main__":
    perform(
        {
            "AsyncOpenAI": asynchronous(openai(AsyncOpenAI, "/v1"), GA),
            "AsyncOpenAI, Azure v1": asynchronous(openai(AsyncOpenAI, "/openai/v1"), GA),
            "AsyncOpenAI, beta": asynchronous(openai(AsyncOpenAI, "/v1"), BETA, beta=True),
            "AsyncAzureOpenAI, key": asynchronous(azure(AsyncAzureOpenAI, by_token=False), BETA),
            "AsyncAzureOpenAI, Entra": asynchronous(azure(AsyncAzureOpenAI, by_token=True), BETA),
            "AsyncAzureOpenAI, beta": asynchronous(azure(AsyncAzureOpenAI, by_token=False), BETA, beta=True),
            "OpenAI": synchronous(openai(OpenAI, "/v1"), GA),
            "OpenAI, beta": synchronous(openai(OpenAI, "/v1"), BETA, beta=True),
            "AzureOpenAI, key": synchronous(azure(AzureOpenAI, by_token=False), BETA),
        }
    )
