"""python-socketio in the place of a hub, as its manual says to run it: `python socketio_house.py PORT`."""

from __future__ import annotations

import asyncio
import sys

import socketio
import uvicorn
from orders import Arguments, obey

server = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins=[])
present: list[str] = []


@server.event
async def connect(sid: str, environ: object) -> None:
    present.append(sid)


@server.event
async def disconnect(sid: str) -> None:
    present.remove(sid)


@server.event
async def broadcast(sid: str, conversation: str, number: int, text: str, due_ns: int) -> None:
    await server.emit("token", (conversation, number, text, due_ns))


async def send(arguments: Arguments, to: str | None) -> None:
    await server.emit("token", arguments, to=to)


async def main(port: int) -> None:
    app = socketio.ASGIApp(server)
    config = uvicorn.Config(app, port=port, log_level="critical", ws_per_message_deflate=False)
    house = uvicorn.Server(config)
    serving = asyncio.create_task(house.serve())
    while not house.started:  # noqa: ASYNC110 uvicorn offers a flag only
        await asyncio.sleep(0.05)
    await obey(send, lambda: present)
    house.force_exit = house.should_exit = True
    await serving


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(int(sys.argv[1])))
