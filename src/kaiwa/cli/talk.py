"""A person at the terminal talks to an agent. Same client core as the simulated caller, real devices."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console
from websockets.asyncio.client import connect

from kaiwa.cli.audio_devices import Devices, problem_with_devices
from kaiwa.cli.demo_view import TerminalView
from kaiwa.cli.local_server import ServerProcess
from kaiwa.errors import ConfigError
from kaiwa.testing.voice_client import CallClock, VoiceClient


async def talk_to(*, url: str | None, agent: str, api_key: str | None, language: str) -> None:
    """Talk until the server hangs up or the user interrupts. Raises ConfigError when there is no device."""
    problem = problem_with_devices()
    if problem:
        raise ConfigError("talk", f"{problem.detail}.", problem.remedy)
    console = Console(highlight=False, soft_wrap=True)
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    async with (
        _server(url, agent) as address,
        connect(address, additional_headers=headers, max_size=None) as ws,
    ):
        clock = CallClock()
        with Devices(clock) as devices:
            client = VoiceClient(ws, devices.loudspeaker, clock, TerminalView(console).event)
            console.print("Speak. Ctrl-C ends the call. Headphones keep the agent from hearing itself.")
            await client.send({"type": "session.update", "session": _session(language)})
            async with asyncio.TaskGroup() as group:
                speaking = group.create_task(_speak(client, devices))
                await client.listen()
                speaking.cancel()
        console.print(f"[dim]The call ended: {client.call.ended}[/dim]")


def _session(language: str) -> dict[str, object]:
    transcription = {"model": "whisper-1", "language": language}
    listening = {"transcription": transcription, "turn_detection": {"type": "semantic_vad"}}
    return {"type": "realtime", "audio": {"input": listening}}


async def _speak(client: VoiceClient, devices: Devices) -> None:
    while not client.closed:
        await client.send_audio(await devices.frame())


@asynccontextmanager
async def _server(url: str | None, agent: str) -> AsyncGenerator[str]:
    if url:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="kaiwa-talk-") as folder:
        async with ServerProcess(agent, Path(folder) / "talk.db") as server:
            yield server.url
