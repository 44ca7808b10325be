"""Two turns with a server that somebody installed: one in text over HTTP, one spoken over a WebSocket."""

from __future__ import annotations

import asyncio
import base64
import json
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from websockets.asyncio.client import ClientConnection, connect

PIECE_MS = 100
SILENCE_PIECES = 15
TURN_S = 60.0


async def text_turn(address: str, prompt: str) -> str:
    """Ask the rental desk in text; return its words."""
    words: list[str] = []
    asked = {"prompt": prompt, "agent": "rentacar"}
    async with (
        asyncio.timeout(TURN_S),
        aiohttp.ClientSession() as http,
        http.post(f"{address}/api/chat-stream", json=asked) as answer,
    ):
        assert answer.status == 200, await answer.text()
        async for line in answer.content:
            text = line.decode().strip().removeprefix("data:").strip()
            if text == "[DONE]":
                break
            words.append(text)
    return "".join(words)


@dataclass(frozen=True)
class Spoken:
    heard: str
    words: str
    sound_bytes: int


async def spoken_turn(address: str, recording: Path) -> Spoken:
    """Say a recorded line to the rental desk and listen to its answer."""
    url = f"ws{address.removeprefix('http')}/v1/realtime?model=rentacar"
    async with asyncio.timeout(TURN_S), connect(url, proxy=None, max_size=None) as socket:
        listening: dict[str, Any] = {
            "transcription": {"model": "whisper-1", "language": "ja"},
            "turn_detection": {"type": "semantic_vad", "create_response": True},
        }
        session = {"type": "realtime", "output_modalities": ["audio"], "audio": {"input": listening}}
        await socket.send(json.dumps({"type": "session.update", "session": session}))
        await _say(socket, recording)
        return await _listen(socket)


async def _say(socket: ClientConnection, recording: Path) -> None:
    with wave.open(str(recording)) as opened:
        assert (opened.getframerate(), opened.getnchannels()) == (24_000, 1), "the API's usual format"
        sound = opened.readframes(opened.getnframes())
    size = 48 * PIECE_MS
    pieces = [sound[at : at + size] for at in range(0, len(sound), size)] + [bytes(size)] * SILENCE_PIECES
    for piece in pieces:
        audio = base64.b64encode(piece).decode()
        await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))


async def _listen(socket: ClientConnection) -> Spoken:
    heard = words = ""
    size = 0
    async for frame in socket:
        event = json.loads(frame)
        match event["type"]:
            case "conversation.item.input_audio_transcription.completed":
                heard = event["transcript"]
            case "response.output_audio_transcript.delta":
                words += event["delta"]
            case "response.output_audio.delta":
                size += len(base64.b64decode(event["delta"]))
            case "response.done":
                assert event["response"]["status"] == "completed", event["response"]["status_details"]
                if heard and size:
                    return Spoken(heard, words, size)
            case "error":
                raise AssertionError(event["error"]["message"])
            case _:
                pass
    raise AssertionError("the server hung up before it had answered")
