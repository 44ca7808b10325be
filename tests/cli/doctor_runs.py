"""Two runs of `kaiwa doctor` as a process, over real services: one where all is well, one where much is wrong.

What differs from machine to machine is left out or gets a name, so that docs/doctor.md can show them.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path
from time import time
from typing import Final

from aiohttp import web

from kaiwa.cli.local_server import free_port
from kaiwa.testing.service import running_service

KEY: Final = "the-key-of-the-service"
OF_THIS_MACHINE: Final = ("Python", "Local speech", "English voice", "Audio devices", "Disk", "Chainlit page")
_LATE_S: Final = 3600
_FEW_FILES: Final = 128
_MANY_FILES: Final = 4096
_PATIENCE_S: Final = 120


async def whole(folder: Path, redis: str, database: str) -> tuple[int, str]:
    """Return the exit code and what is said of a setup in which all is well."""
    async with running_service(keys=(KEY,)) as service:
        given = {
            "AZURE_OPENAI_ENDPOINT": service.url,
            "AZURE_OPENAI_API_KEY": KEY,
            "AZURE_OPENAI_CHAT_DEPLOYMENT": "gpt-4o",
            "AZURE_OPENAI_REALTIME_DEPLOYMENT": "gpt-realtime",
            "KAIWA_REDIS_URL": redis,
            "KAIWA_DATABASE": database,
        }
        return await _doctor(folder, given, files=_MANY_FILES)


async def broken(folder: Path) -> tuple[int, str]:
    """Return the same of one with a wrong address, a wrong key, no Redis, no database, a late clock, few files."""
    nobody = free_port()
    async with _late_service() as late:
        deployments = [
            {"name": "east", "endpoint": late, "deployment": "gpt-4o", "api_key": "another-key"},
            {
                "name": "west",
                "endpoint": f"http://127.0.0.1:{nobody}",
                "deployment": "gpt-4o",
                "api_key": KEY,
            },
        ]
        given = {
            "KAIWA_ENGINE": "text",
            "KAIWA_UPSTREAMS": json.dumps(deployments),
            "KAIWA_REDIS_URL": f"redis://127.0.0.1:{nobody}",
            "KAIWA_DATABASE": f"postgresql://kaiwa@127.0.0.1:{nobody}/desk",
            "KAIWA_MAX_SESSIONS": "many",
        }
        return await _doctor(folder, given, files=_FEW_FILES)


async def _doctor(folder: Path, given: Mapping[str, str], *, files: int) -> tuple[int, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KAIWA_", "AZURE_", "OPENAI_"))
    }
    own = {"KAIWA_PORT": str(free_port()), "KAIWA_CACHE": str(folder), "COLUMNS": "200", "NO_COLOR": "1"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "kaiwa", "doctor", "--timeout", "60",
        cwd=folder, env=inherited | own | given,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)),
    )  # fmt: skip
    async with asyncio.timeout(_PATIENCE_S):
        said, _ = await process.communicate()
    assert process.returncode is not None, "it has ended"
    return process.returncode, _shown(said.decode())


def _shown(said: str) -> str:
    """Return the findings that are the same on every machine."""
    findings = re.split(r"(?m)^(?=[✓!✗] )", said.rpartition("\n\n")[0])
    kept = [one for one in findings if not one[2:].startswith(OF_THIS_MACHINE)]
    text = re.sub(r"\d+ is free", "8000 is free", "".join(kept))
    text = re.sub(r"port \d+ of its host", "port 5432 of its host", text)
    text = re.sub(r"(version|バージョン) \d+(\.\d+)+", r"\g<1> 7.0.15", text)
    return re.sub(r"3,?[56]\d\d(?= s| 秒)", "3600", text).strip()


@asynccontextmanager
async def _late_service() -> AsyncIterator[str]:
    """Serve what refuses every key, by a clock that is an hour late."""

    async def answer(request: web.Request) -> web.Response:
        date = formatdate(time() - _LATE_S, usegmt=True)
        return web.json_response({"error": {"code": "401"}}, status=401, headers={"date": date})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
