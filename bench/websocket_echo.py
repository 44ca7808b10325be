"""The same echo over a raw WebSocket: 20 ms frames as the protocol carries them, a bare server."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from base64 import b64encode
from multiprocessing.connection import Connection

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

FRAME = b64encode(bytes(range(240)) * 4).decode()


async def websocket_echo_ms(frames: int) -> list[float]:
    ours, theirs = multiprocessing.Pipe()
    echo = multiprocessing.get_context("spawn").Process(target=_server, args=(theirs,), daemon=True)
    echo.start()
    port = await asyncio.to_thread(ours.recv)
    spent: list[float] = []
    async with connect(f"ws://127.0.0.1:{port}/", compression=None) as socket:
        for _ in range(frames * 5):
            began = time.perf_counter()
            await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": FRAME}))
            json.loads(await socket.recv())
            spent.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.02)
    echo.terminate()
    await asyncio.to_thread(echo.join)
    return spent


def _server(ready: Connection) -> None:
    async def echo(socket: ServerConnection) -> None:
        async for frame in socket:
            audio = json.loads(frame)["audio"]
            await socket.send(json.dumps({"type": "response.output_audio.delta", "delta": audio}))

    async def run() -> None:
        async with serve(echo, "127.0.0.1", 0, compression=None) as server:
            ready.send(next(iter(server.sockets)).getsockname()[1])
            await server.serve_forever()

    asyncio.run(run())
