"""Posts pieces to /api/broadcast in their order. / 断片を順番どおりに /api/broadcast へ送ります。

One request at a time keeps the order. What comes meanwhile goes together with the next one: fewer messages,
which are what Azure SignalR bills.
送信中に届いた断片はまとめて送ります。順序が保たれ、課金対象のメッセージも減ります。
"""

import asyncio
import os
from collections.abc import AsyncIterator

import httpx2

TIMEOUT_S = 30.0


async def broadcast(pieces: AsyncIterator[str]) -> None:
    """Raises httpx2.HTTPError when a broadcast fails. / 送信に失敗すると httpx2.HTTPError になります。"""
    url = f"{os.environ['FUNCTIONS_BASE_URL'].rstrip('/')}/api/broadcast"
    waiting: asyncio.Queue[str | None] = asyncio.Queue(maxsize=1000)  # full: the model's stream waits
    try:
        async with httpx2.AsyncClient(timeout=TIMEOUT_S) as client, asyncio.TaskGroup() as tasks:
            tasks.create_task(_send(client, url, waiting))
            async for piece in pieces:
                await waiting.put(piece)
            await waiting.put(None)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def _send(client: httpx2.AsyncClient, url: str, waiting: asyncio.Queue[str | None]) -> None:
    ended = False
    while not ended:
        gathered = [await waiting.get()]
        while not waiting.empty():
            gathered.append(waiting.get_nowait())
        ended = gathered[-1] is None
        text = "".join(piece for piece in gathered if piece)
        if text:
            (await client.post(url, json={"message": text})).raise_for_status()
