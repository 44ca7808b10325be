"""A server without speech: it loads nothing for it, talks in text, and says so where sound is asked of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
from tests.server.live_server import live_server
from tests.server.test_chat_stream import events_in
from websockets.asyncio.client import ClientConnection, connect

QUESTION = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "どんなお店がありますか"}],
}


async def until(socket: ClientConnection, kind: str) -> dict[str, Any]:
    while True:
        event = json.loads(await socket.recv())
        if event["type"] == kind:
            return event


async def test_agents_answer_in_text_by_every_door_and_speech_is_refused(tmp_path: Path) -> None:
    with live_server(tmp_path, {"KAIWA_ENGINE": "text"}) as port:
        address = f"127.0.0.1:{port}"
        async with aiohttp.ClientSession(f"http://{address}") as http:
            async with http.post(
                "/api/chat-stream", json={"prompt": "こんにちは", "agent": "rentacar"}
            ) as answer:
                assert events_in(await answer.read())[-1][2] == "[DONE]"
            async with http.post(
                "/v1/audio/speech", json={"model": "tts-1", "input": "a", "voice": "alloy"}
            ) as no:
                assert no.status == 503
        async with connect(f"ws://{address}/v1/realtime?model=rentacar", proxy=None) as socket:
            created = await until(socket, "session.created")
            assert created["session"]["output_modalities"] == ["text"]
            await socket.send(json.dumps({"type": "conversation.item.create", "item": QUESTION}))
            await socket.send(json.dumps({"type": "response.create"}))
            assert (await until(socket, "response.output_text.delta"))["delta"]
            called = await until(socket, "response.function_call_arguments.done")
            assert called["name"] == "list_locations"
        assert "ctranslate2" not in (process_at(port) / "maps").read_text()


def process_at(port: int) -> Path:
    """Return where the kernel tells of the process that was started to listen there."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                command = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"serve" in command and str(port).encode() in command:
                return process
    raise AssertionError("nobody serves there")
