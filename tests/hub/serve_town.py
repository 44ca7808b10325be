"""One server of a hub that several processes serve: `python serve_town.py REDIS_URL` says its port."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.hub.stock import Playground, named_by_token

from kaiwa.hub import HubOptions, HubWebSocket
from kaiwa.hub.redis import RedisBackplane


class Town(Playground):
    async def ask_at(self, connection_id: str, text: str) -> str:
        if text == "never":
            return await self.clients.client(connection_id).invoke("silence", returns=str)
        return await self.clients.client(connection_id).invoke("question", text, returns=str)

    async def add_to(self, connection_id: str, group: str) -> None:
        await self.groups.add(connection_id, group)


def main(redis_url: str) -> None:
    hub = Town(HubOptions(authenticate=named_by_token), RedisBackplane(redis_url, "Town"))
    app = Starlette(routes=hub.routes("/town"), lifespan=lambda app: hub.running())
    listening = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(app, ws=HubWebSocket, ws_per_message_deflate=False, log_level="error")
    uvicorn.Server(config).run([listening])


if __name__ == "__main__":
    main(sys.argv[1])
