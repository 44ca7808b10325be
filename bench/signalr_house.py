"""kaiwa's hub alone, as docs/signalr.md says to run it: `python -m bench.signalr_house PORT [REDIS]`."""

from __future__ import annotations

import asyncio
import sys

import uvicorn
import uvloop
from starlette.applications import Starlette

from bench.peers.orders import Arguments, obey
from kaiwa.hub import Hub, HubException, HubWebSocket
from kaiwa.hub.backplane import Alone, Backplane
from kaiwa.hub.redis import RedisBackplane


class Tokens(Hub):
    present: list[str]

    async def on_connected(self) -> None:
        self.present.append(self.context.connection_id)

    async def broadcast(self, conversation: str, number: int, text: str, due_ns: int) -> None:
        self.clients.all.send("token", conversation, number, text, due_ns)

    async def on_disconnected(self, error: HubException | None) -> None:
        self.present.remove(self.context.connection_id)


async def main(port: int, redis_url: str | None) -> None:
    hub = Tokens(backplane=_backplane(redis_url))
    hub.present = []
    app = Starlette(routes=hub.routes("/hub"), lifespan=lambda app: hub.running())
    config = uvicorn.Config(
        app,
        port=port,
        log_level="critical",
        ws=HubWebSocket,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=1,
    )
    house = uvicorn.Server(config)
    serving = asyncio.create_task(house.serve())
    while not house.started:  # noqa: ASYNC110 uvicorn offers a flag only
        await asyncio.sleep(0.05)

    async def send(arguments: Arguments, to: str | None) -> None:
        clients = hub.clients
        (clients.all if to is None else clients.client(to)).send("token", *arguments)

    await obey(send, lambda: hub.present)
    house.force_exit = house.should_exit = True
    await serving


def _backplane(url: str | None) -> Backplane:
    if url is None:
        return Alone()
    return RedisBackplane(url, "bench")


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None))
