"""Recordings for tests of cassettes: a short talk with the stand-in, through the recording proxy."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.testing.dialled import Dialled
from websockets.asyncio.client import connect

from kaiwa.protocol.cassette.redaction import Redactor
from kaiwa.testing.cassettes import Recorder, Upstream, recording_proxy
from kaiwa.testing.service import Service

PATH = "/v1/realtime?model=gpt-realtime"
Talk = Callable[[str], Awaitable[None]]


async def typed_talk(url: str, words: str = "hello there", **item: Any) -> list[str]:
    """Ask once in text; return the frames that came."""
    async with connect(url.replace("http", "ws", 1) + PATH, max_size=None) as socket:
        peer = Dialled(socket)
        await peer.until("session.created")
        await peer.begin_in_text()
        part = {"type": "input_text", "text": words}
        message = {"type": "message", "role": "user", "content": [part], **item}
        await peer.send("conversation.item.create", item=message)
        await peer.send("response.create")
        await peer.until("response.done")
    return peer.frames


async def record(service: Service, path: Path, talk: Talk, kinds: tuple[str, ...] = ()) -> None:
    """Let `talk` happen with the stand-in while it is recorded."""
    redactor = Redactor(kinds, secrets=[service.key])
    with Recorder(path, redactor) as recorder:
        async with recording_proxy(Upstream(service.url, service.key), recorder) as proxy:
            await talk(proxy.url)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
