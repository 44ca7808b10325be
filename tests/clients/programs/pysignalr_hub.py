"""pysignalr against a hub: calls, streams both ways, a client result, groups, and a connection that is cut."""

from __future__ import annotations

import asyncio
from typing import Any

from hub_client import PATIENCE_S, ask_for_a_cut, read_job, tell, tell_failure
from pysignalr.client import SignalRClient
from pysignalr.protocol.json import JSONProtocol
from pysignalr.protocol.messagepack import MessagepackProtocol

PROTOCOLS = {"json": JSONProtocol, "messagepack": MessagepackProtocol}


class Seen:
    """A queue for each thing that comes by callback."""

    def __init__(self, client: SignalRClient) -> None:
        self._client = client
        self.welcome: asyncio.Queue[Any] = asyncio.Queue()
        self.told: asyncio.Queue[Any] = asyncio.Queue()
        self.collected: asyncio.Queue[Any] = asyncio.Queue()
        for name in ("welcome", "told", "collected"):
            client.on(name, self._into(getattr(self, name)))
        client.on("question", self._answer)

    def _into(self, queue: asyncio.Queue[Any]) -> Any:
        async def put(arguments: list[Any]) -> None:
            queue.put_nowait(arguments[0])

        return put

    async def _answer(self, arguments: list[Any]) -> str:
        return f"pysignalr says {arguments[0]}"

    async def invoke(self, method: str, *arguments: Any) -> Any:
        done: asyncio.Queue[Any] = asyncio.Queue()

        async def completed(message: Any) -> None:
            done.put_nowait(message)

        await self._client.send(method, list(arguments), completed)
        return (await done.get()).result

    async def stream(self, method: str, *arguments: Any) -> list[Any]:
        items: list[Any] = []
        done = asyncio.Event()

        async def on_next(item: Any) -> None:
            items.append(item)

        async def completed(message: Any) -> None:
            done.set()

        await self._client.stream(method, list(arguments), on_next, completed)
        await done.wait()
        return items


async def see(client: SignalRClient) -> dict[str, Any]:
    seen = Seen(client)
    running = asyncio.create_task(client.run())
    first = await seen.welcome.get()
    saw: dict[str, Any] = {"sum": await seen.invoke("add", 2, 3), "counted": await seen.stream("count", 30)}
    async with client.client_stream("collect") as upload:
        for number in range(10):
            await upload.send(number)
    saw["collected"] = await seen.collected.get()
    saw["asked"] = await seen.invoke("ask_me", "hello")
    await seen.invoke("join", "room")
    await seen.invoke("tell_group", "room", "to the group")
    saw["told"] = await seen.told.get()
    ask_for_a_cut()
    saw["another"] = await seen.welcome.get() != first
    saw["again"] = await seen.invoke("add", 4, 5)
    running.cancel()
    return saw


async def main() -> None:
    job = read_job()
    client = SignalRClient(
        job["url"],
        protocol=PROTOCOLS[job["protocol"]](),
        headers={"Authorization": f"Bearer {job['token']}"},
        retry_sleep=0.1,
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            tell(await see(client))
    except Exception as failure:  # noqa: BLE001 a client may fail in any way
        tell_failure(failure)


asyncio.run(main())
