"""`kaiwa emulate`: the stand-in for OpenAI's and Azure's services in a process of its own.

Knows options and what to tell the person who started it; the stand-in itself is `kaiwa.testing.service`.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from kaiwa.errors import ConfigError
from kaiwa.testing.service import Faults, Script, Service, running_service
from kaiwa.testing.service.chat_habits import Habits, parse_habits
from kaiwa.testing.service.faults import parse_faults
from kaiwa.testing.service.flavours import Flavour
from kaiwa.testing.service.state import DEFAULT_KEY

__all__ = ["DEFAULT_KEY", "EmulateOptions", "run"]


_BREAK_IT = '{"http_status": 429, "retry_after_s": 2}'


@dataclass(frozen=True, slots=True)
class EmulateOptions:
    host: str
    port: int
    flavour: Flavour | None
    keys: tuple[str, ...]
    script: Path | None
    faults: str
    habits: str
    seed: int


def run(options: EmulateOptions) -> None:
    _run(emulate(options))


def _run(serving: Coroutine[Any, Any, None]) -> None:
    """Run on the quicker loop where there is one: load tests and benches ask much of a stand-in."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(serving)
    else:
        uvloop.run(serving)


async def emulate(options: EmulateOptions) -> None:
    """Serve the stand-in until the process is told to end. Raises ConfigError."""
    script, faults = read_script(options.script), _read_faults(options.faults)
    habits = _read_habits(options.habits)
    stop = asyncio.Event()
    if sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    try:
        async with running_service(
            script,
            faults,
            habits=habits,
            flavour=options.flavour,
            keys=options.keys,
            seed=options.seed,
            host=options.host,
            port=options.port,
        ) as service:
            print(advice(service), flush=True)
            await stop.wait()
    except OSError as taken:
        raise ConfigError(
            "--port", f"{options.port} cannot be used ({taken.strerror}).", "Take another."
        ) from taken


def read_script(path: Path | None) -> Script:
    if path is None:
        return Script()
    try:
        return msgspec.json.decode(path.read_bytes(), type=Script)
    except OSError as missing:
        raise ConfigError("--script", f"{path} cannot be read.", "Give a JSON file.") from missing
    except msgspec.DecodeError as wrong:
        raise ConfigError("--script", f"{path}: {wrong}.", "See docs/emulate.md.") from wrong


def _read_faults(text: str) -> Faults:
    try:
        return parse_faults(text)
    except ValueError as wrong:
        raise ConfigError("--fault", f"{wrong}.", "See docs/emulate.md for the names.") from wrong


def _read_habits(text: str) -> Habits:
    try:
        return parse_habits(text)
    except ValueError as wrong:
        raise ConfigError("--habit", f"{wrong}.", "See docs/emulate.md for the names.") from wrong


def advice(service: Service) -> str:
    """Return what to set so that a program finds the stand-in instead of the service."""
    lines = [f"kaiwa 会話  a stand-in of the Realtime and chat services on {service.url}", ""]
    if service.flavour in (None, "openai"):
        lines += [
            "OpenAI, for SDKs:",
            f"  export OPENAI_BASE_URL={service.url}/v1",
            f"  export OPENAI_API_KEY={service.key}",
            f"  WebSocket  {service.realtime_url(flavour='openai')}",
            "",
        ]
    if service.flavour in (None, "azure"):
        lines += [
            "Azure OpenAI, for SDKs and for kaiwa:",
            f"  export AZURE_OPENAI_ENDPOINT={service.url}",
            f"  export AZURE_OPENAI_API_KEY={service.key}",
            f"  WebSocket  {service.realtime_url('voice', flavour='azure')}",
            "",
        ]
    lines += [
        f"Break it:  curl -X PUT {service.url}/emulate/faults -d '{_BREAK_IT}'",
        "           or in a model's name: gpt-realtime@close_after=response.created",
        f"Look:      curl {service.url}/emulate/requests",
        f"           curl {service.url}/emulate/chat",
    ]
    return "\n".join(lines)
