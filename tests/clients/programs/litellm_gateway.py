"""litellm: its Realtime gateway, `_arealtime`, in front of OpenAI and Azure, for callers of either dialect.

The caller's side is a socket in memory with what the gateway asks of the one that its own server hands it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import litellm
from events import BETA as plain_beta
from events import GA as plain_ga
from events import HEARING, Event, Names, Wire, turns_over
from job import MODEL, Inbox, Job, Turns, perform

PREVIEW = "2025-04-01-preview"
# The gateway asks for an answer itself once it has seen what was said, so the detection must not.
ONLY_HEAR = {"type": "server_vad", "create_response": False}
GA = replace(
    plain_ga,
    listening={
        "type": "realtime",
        "audio": {"input": {"transcription": HEARING, "turn_detection": ONLY_HEAR}},
    },
)
BETA = replace(plain_beta, listening={"input_audio_transcription": HEARING, "turn_detection": ONLY_HEAR})
BETA_HEADER = (b"openai-beta", b"realtime=v1")


class Caller:
    """Fits the WebSocket that the gateway serves, and is the wire of the turns at its other end."""

    def __init__(self, job: Job, *, beta: bool) -> None:
        self.inbox = Inbox(job)
        self.scope = {"headers": [BETA_HEADER] if beta else []}
        self._sent: asyncio.Queue[str] = asyncio.Queue()

    async def send(self, event: Event) -> None:
        self._sent.put_nowait(json.dumps(event))

    async def receive_text(self) -> str:
        return await self._sent.get()

    async def send_text(self, data: str) -> None:
        self.inbox.put(json.loads(data))

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        self.inbox.put(ConnectionError(f"the gateway closed with {code}: {reason}"))


def gateway(names: Names, **settings: Callable[[Job], Any]) -> Callable[[Job], Turns]:
    def turns(job: Job) -> Turns:
        @asynccontextmanager
        async def connect() -> AsyncIterator[Wire]:
            caller = Caller(job, beta=names is BETA)
            given = {name: value(job) for name, value in settings.items()}
            serving = asyncio.create_task(litellm._arealtime(websocket=caller, **given))
            try:
                await caller.inbox.until("session.created", lambda event: event["type"] == "session.created")
                yield caller
            finally:
                serving.cancel()
                await asyncio.wait([serving])

        return turns_over(job, names, connect)

    return turns


def key(job: Job) -> str:
    return job.key


def plain(job: Job) -> str:
    return f"http://{job.plain}"


def secure(job: Job) -> str:
    return f"https://{job.secure}"


def always(value: str) -> Callable[[Job], str]:
    return lambda job: value


OPENAI = {"model": always(f"openai/{MODEL}"), "api_key": key}
AZURE = {"model": always(f"azure/{MODEL}"), "api_base": secure}

if __name__ == "__main__":
    perform(
        {
            "OpenAI": gateway(GA, **OPENAI, api_base=plain),
            "OpenAI, TLS": gateway(GA, **OPENAI, api_base=secure),
            "OpenAI, beta": gateway(BETA, **OPENAI, api_base=plain),
            "Azure": gateway(GA, **AZURE, api_key=key, realtime_protocol=always("GA")),
            "Azure, Entra": gateway(GA, **AZURE, azure_ad_token=key, realtime_protocol=always("GA")),
            "Azure, beta": gateway(
                BETA, **AZURE, api_key=key, api_version=always(PREVIEW), realtime_protocol=always("beta")
            ),
        }
    )
