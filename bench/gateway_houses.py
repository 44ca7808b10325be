"""The relays that are measured: nobody, nginx, LiteLLM, kaiwa and one that only copies bytes.

Each stands between the same two deployments. Knows how each is set up and started, with what its makers offer
for the same work: two deployments for one model, other attempts where it has them, time-outs, one worker.
Knows nothing of what is measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.gateway_faults import ask
from bench.gateway_load import Door
from bench.gateway_upstream import Wish
from kaiwa.cli.local_server import free_port
from kaiwa.policy.keys import KeyStore

PEERS: Final = Path(__file__).parents[1] / ".venv-peers"
SERVICE_KEY: Final = "key-of-the-service"
START_S: Final = 90.0
STOP_S: Final = 10.0
_NO_ENVIRONMENT: Final = ("KAIWA_", "AZURE_", "OPENAI_", "LITELLM_")


@dataclass(frozen=True)
class Patience:
    """Seconds that a relay waits for a service to begin or to go on, and between signs of life."""

    service_s: float = 60
    heartbeat_s: float = 10


class Missing(Exception):
    """What a relay needs is not installed; says what to run."""


@asynccontextmanager
async def running(
    names: Sequence[str], ports: Sequence[int], patience: Patience
) -> AsyncGenerator[dict[str, Door]]:
    """Run these relays until the block is left. Raises Missing."""
    folders = {name: Path(tempfile.mkdtemp(prefix=f"kaiwa-bench-{name}-")) for name in names}
    processes: dict[str, tuple[asyncio.subprocess.Process | None, Door]] = {}
    try:
        for name in names:
            processes[name] = await _started(name, folders[name], ports, patience)
        for name, (process, door) in processes.items():
            await _answering(name, process, door, folders[name])
        yield {name: door for name, (_, door) in processes.items()}
    finally:
        for process, _ in processes.values():
            await _ended(process)
        for folder in folders.values():
            shutil.rmtree(folder, ignore_errors=True)


async def _started(
    name: str, folder: Path, ports: Sequence[int], patience: Patience
) -> tuple[asyncio.subprocess.Process | None, Door]:
    if name == "direct":
        return None, Door(ports[0], SERVICE_KEY, os.getpid())
    set_up = {"nginx": _nginx, "litellm": _litellm, "kaiwa": _kaiwa, "bare": _bare}[name]
    port = free_port()
    command, key, environment = set_up(folder, port, ports, patience)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(_NO_ENVIRONMENT)}
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=log, stderr=log, cwd=folder, env=inherited | environment
        )
    return process, Door(port, key, process.pid)


async def _answering(name: str, process: asyncio.subprocess.Process | None, door: Door, folder: Path) -> None:
    """Wait until a question is answered."""
    began = time.monotonic()
    while True:
        try:
            heard = await ask(door, Wish(chunks=1), most_s=5)
            if heard.status == 200:
                return
            trouble = f"it answers {heard.status}"
        except (OSError, TimeoutError) as error:
            trouble = type(error).__name__
        gone = process is not None and process.returncode is not None
        if gone or time.monotonic() - began > START_S:
            log = folder / "log"
            said = log.read_text("utf-8", "replace")[-2000:] if log.exists() else ""
            raise Missing(f"{name} does not come up ({trouble}):\n{said}")
        await asyncio.sleep(0.1)


async def _ended(process: asyncio.subprocess.Process | None) -> None:
    if process is None or process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


# --- each of them: its command, the key it wants, its environment --------------------------------------

_SetUp = tuple[list[str], str, dict[str, str]]


def _nginx(folder: Path, port: int, ports: Sequence[int], patience: Patience) -> _SetUp:
    binary = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if binary is None:
        raise Missing("nginx is missing: scripts/setup-peers.sh installs it")
    servers = "\n".join(f"    server 127.0.0.1:{one} max_fails=0;" for one in ports)
    (folder / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/errors crit;
worker_rlimit_nofile 16000;
events {{ worker_connections 8000; }}
http {{
  access_log off; tcp_nodelay on; keepalive_requests 1000000; keepalive_timeout 300s;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream azure {{
{servers}
    keepalive 256; keepalive_requests 1000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://azure; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header api-key {SERVICE_KEY}; proxy_buffering off; proxy_read_timeout {patience.service_s:g}s;
      proxy_next_upstream error timeout http_500 http_429 non_idempotent;
    }}
  }}
}}
""")
    return [binary, "-p", str(folder), "-c", str(folder / "nginx.conf")], "any", {}


def _bare(folder: Path, port: int, ports: Sequence[int], patience: Patience) -> _SetUp:
    command = [sys.executable, "-m", "bench.gateway_bare", str(port), *map(str, ports)]
    return command, "any", {"PYTHONPATH": str(PEERS.parent)}


def _litellm(folder: Path, port: int, ports: Sequence[int], patience: Patience) -> _SetUp:
    binary = PEERS / "litellm" / "bin" / "litellm"
    if not binary.exists():
        raise Missing("LiteLLM is missing: run scripts/setup-peers.sh")
    key = "sk-of-the-bench"
    deployments = [
        {
            "model_name": "gpt-4o",
            "litellm_params": {
                "model": "azure/gpt-4o",
                "api_base": f"http://127.0.0.1:{one}",
                "api_key": SERVICE_KEY,
                "api_version": "2024-10-21",
            },
        }
        for one in ports
    ]
    config = {
        "model_list": deployments,
        "litellm_settings": {"telemetry": False, "request_timeout": patience.service_s},
        # Rests would carry one fault into the measuring of the next.
        "router_settings": {
            "num_retries": 2,
            "disable_cooldowns": True,
            "stream_timeout": patience.service_s,
        },
        "general_settings": {"master_key": key},
    }
    (folder / "config.yaml").write_text(json.dumps(config))  # JSON is YAML
    command = [str(binary), "--config", str(folder / "config.yaml"), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--num_workers", "1", "--telemetry", "False"]
    environment = {
        "HOME": str(folder),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_DISABLE_STREAMING_LOGGING": "True",
        "NO_PROXY": "127.0.0.1",
    }
    return command, key, environment


POLICY: Final = """
default = "staff"
[policies.staff]
models = ["gpt-4o*"]
max_tokens = 4000
requests_per_minute = 1000000
tokens_per_minute = 1000000000
tokens_per_day = 100000000000
"""


def _kaiwa(folder: Path, port: int, ports: Sequence[int], patience: Patience) -> _SetUp:
    """As an operator runs it: API keys, a policy with limits, two deployments. Conversations go to a service
    too, so that no speech models are loaded."""
    key, _ = KeyStore(folder / "keys.json").create(time.time(), label="bench", scopes=("chat",))
    (folder / "policy.toml").write_text(POLICY)
    upstreams = [
        {
            "name": f"azure-{number}",
            "endpoint": f"http://127.0.0.1:{one}",
            "deployment": "gpt-4o",
            "api_version": "2024-10-21",
            "api_key": SERVICE_KEY,
        }
        for number, one in enumerate(ports)
    ]
    environment = {
        "KAIWA_UPSTREAMS": json.dumps(upstreams),
        "KAIWA_KEYS": str(folder / "keys.json"),
        "KAIWA_POLICY": str(folder / "policy.toml"),
        "KAIWA_CHAT_FIRST_TOKEN_S": f"{patience.service_s:g}",
        "KAIWA_CHAT_SILENCE_S": f"{patience.service_s:g}",
        "KAIWA_CHAT_HEARTBEAT_S": f"{patience.heartbeat_s:g}",
        "KAIWA_ENGINE": "relay",
        "AZURE_OPENAI_ENDPOINT": f"http://127.0.0.1:{ports[0]}",
        "AZURE_OPENAI_API_KEY": SERVICE_KEY,
        "AZURE_OPENAI_REALTIME_DEPLOYMENT": "voice",
    }
    command = [sys.executable, "-m", "kaiwa", "serve", "--port", str(port)]
    return command, key, environment
