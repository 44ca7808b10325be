"""Real `kaiwa serve` processes that are one house: one Redis, one PostgreSQL, one chat service."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from kaiwa.cli.local_server import free_port

START_S = 120.0
DRAIN_S = 30.0


@dataclass
class Process:
    """One process of the house; a new one takes its port when it is `rolled`."""

    folder: Path
    given: dict[str, str]
    port: int
    running: asyncio.subprocess.Process | None = None
    starts: int = 0
    agent: str = "rentacar"

    @property
    def log(self) -> str:
        return "".join(path.read_text() for path in sorted(self.folder.glob(f"{self.port}-*.log")))

    async def start(self) -> None:
        """Begin, and wait until it is ready."""
        self.starts += 1
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("KAIWA_", "AZURE_"))
        }
        with (self.folder / f"{self.port}-{self.starts}.log").open("wb") as log:
            self.running = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "kaiwa",
                "serve",
                self.agent,
                "--port",
                str(self.port),
                cwd=self.folder,
                env=inherited | self.given,
                stdout=log,
                stderr=log,
            )
        async with aiohttp.ClientSession() as web, asyncio.timeout(START_S):
            while await self.readiness(web) != 200:
                assert self.running.returncode is None, self.log
                await asyncio.sleep(0.1)

    async def readiness(self, web: aiohttp.ClientSession) -> int:
        """Return the status of /readyz; 0: nobody listens."""
        try:
            async with web.get(f"http://127.0.0.1:{self.port}/readyz") as answer:
                return answer.status
        except aiohttp.ClientConnectionError:
            return 0

    async def roll(self) -> float:
        """End it as an orchestrator does, and start another; return how long the end took."""
        assert self.running is not None, "it was started"
        began = asyncio.get_running_loop().time()
        self.running.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DRAIN_S + 20):
            await self.running.wait()
        took_s = asyncio.get_running_loop().time() - began
        await self.start()
        return took_s

    async def end(self) -> None:
        if self.running is not None and self.running.returncode is None:
            self.running.kill()
            await self.running.wait()


def house(folder: Path, count: int, *, redis: str, database: str, chat: str) -> list[Process]:
    """Return processes that are not started yet."""
    given = {
        "KAIWA_ENGINE": "text",
        "KAIWA_REDIS_URL": redis,
        "KAIWA_DATABASE": database,
        "KAIWA_UPSTREAMS": json.dumps([{"base_url": chat, "models": ["m"], "api_key": "theirs"}]),
        "KAIWA_CHAT_PACE_MS": "0",
        "KAIWA_FILLER_MS": "0",
        "KAIWA_MAX_SESSIONS": "500",
        "KAIWA_DRAIN_S": str(DRAIN_S),
        "KAIWA_DRAIN_NOTICE_S": "2",  # several looks of the balancer
    }
    return [Process(folder, given, free_port()) for _ in range(count)]
