"""A kaiwa server in a process of its own on a free loopback port. Knows how to start, await and end it."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from kaiwa.errors import ConfigError

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 5.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ServerProcess:
    """`async with ServerProcess("rentacar", database) as server: server.url`.

    Raises ConfigError with the end of the server's own log when it does not come up.
    """

    def __init__(self, agent: str, database: Path, *, environment: dict[str, str] | None = None) -> None:
        self._agent = agent
        self._database = database
        self._environment = {"KAIWA_DRAIN_S": "0"} | (environment or {})  # its one caller ends it
        self._process: asyncio.subprocess.Process | None = None
        self._log: Any = None
        self.port = free_port()
        self.url = f"ws://127.0.0.1:{self.port}/v1/realtime?model={agent}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "enter the server before asking for its pid"
        return self._process.pid

    async def __aenter__(self) -> ServerProcess:
        # A key or a wider address is for servers that others reach; this one has a single caller.
        inherited = {k: v for k, v in os.environ.items() if k not in ("KAIWA_API_KEY", "KAIWA_HOST")}
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 closed in __aexit__
        command = [sys.executable, "-m", "kaiwa", "serve", self._agent, "--port", str(self.port)]
        command += ["--database", str(self._database)]
        self._process = await asyncio.create_subprocess_exec(
            *command, stdout=self._log, stderr=self._log, env=inherited | self._environment
        )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._listening()
        except BaseException as failure:
            await self._end()
            log = self.log_tail()
            self._log.close()
            if isinstance(failure, TimeoutError):
                raise ConfigError(
                    "server", f"not ready after {START_TIMEOUT_S:.0f} s:\n{log}", ""
                ) from failure
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()
        self._log.close()

    async def _listening(self) -> None:
        """Wait until the port accepts. The server opens it when its models are loaded."""
        assert self._process is not None
        while True:
            if self._process.returncode is not None:
                raise ConfigError("server", f"it ended at once:\n{self.log_tail()}", "Try `kaiwa doctor`.")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            await writer.wait_closed()
            return

    async def _end(self) -> None:
        assert self._process is not None
        if self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def log_tail(self, size_bytes: int = 4000) -> str:
        """Return the end of what the server wrote."""
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - size_bytes))
        return self._log.read().decode("utf-8", "replace")
