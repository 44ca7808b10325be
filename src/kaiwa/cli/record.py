"""`kaiwa record`: a proxy that writes conversations down. Knows options and where the key comes from."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kaiwa.cli.serving import read_settings
from kaiwa.errors import ConfigError
from kaiwa.protocol.cassette.redaction import KINDS, Redactor
from kaiwa.server.settings import is_loopback
from kaiwa.testing.cassettes import Recorder, Upstream, recording_proxy

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """`url` None: the service of the settings. `calls`: end after so many exchanges."""

    file: Path
    url: str | None
    key: str | None
    host: str
    port: int
    redact: tuple[str, ...]
    max_mib: int
    calls: int | None
    overwrite: bool


def run(options: RecordOptions) -> None:
    asyncio.run(record(options))


async def record(options: RecordOptions) -> None:
    """Record until the process is told to end, or enough was recorded. Raises ConfigError."""
    upstream = upstream_of(options.url, options.key)
    if upstream.key is not None and not is_loopback(options.host):
        raise ConfigError(
            "--host",
            f"{options.host} is seen by others, who would talk with your key.",
            "Record on 127.0.0.1.",
        )
    stop = asyncio.Event()
    if sys.platform != "win32":
        for ending in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(ending, stop.set)
    redactor = Redactor(_kinds(options.redact), [upstream.key or ""])
    with Recorder(
        options.file, redactor, max_bytes=options.max_mib * _MIB, overwrite=options.overwrite
    ) as recorder:
        try:
            async with recording_proxy(upstream, recorder, host=options.host, port=options.port) as proxy:
                print(_advice(proxy.url, upstream, options.file), flush=True)
                waiting = asyncio.create_task(stop.wait())
                while not waiting.done() and not _enough(recorder.exchanges, proxy.open, options.calls):
                    proxy.ended.clear()
                    over = asyncio.create_task(proxy.ended.wait())
                    await asyncio.wait({waiting, over}, return_when=asyncio.FIRST_COMPLETED)
                    over.cancel()
                waiting.cancel()
        except OSError as taken:
            raise ConfigError(
                "--port", f"{options.port} cannot be used ({taken.strerror}).", "Take another."
            ) from taken
    full = " 容量上限で終了 / the file is full" if recorder.full else ""
    print(f"{options.file}: {recorder.exchanges} 件を記録しました / exchanges recorded{full}", flush=True)


def _enough(recorded: int, running: set[int], wanted: int | None) -> bool:
    return wanted is not None and recorded >= wanted and not running


def upstream_of(url: str | None, key: str | None) -> Upstream:
    """Return the service to record: the one named, or the one of the settings, with the key that is known."""
    settings = read_settings()
    azure, openai = settings.azure_openai_endpoint, settings.openai_base_url
    azure_key = settings.azure_openai_api_key.get_secret_value() if settings.azure_openai_api_key else None
    openai_key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else None
    if url is None:
        if azure:
            return Upstream(azure, key or azure_key)
        if openai_key:
            return Upstream(openai, key or openai_key)
        raise ConfigError(
            "URL",
            "there is no service in the settings.",
            "Name one (`kaiwa record FILE http://host`), or set AZURE_OPENAI_ENDPOINT or OPENAI_API_KEY.",
        )
    parts = urlsplit(url.replace("ws", "http", 1) if url.startswith("ws") else url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("URL", f"{url!r} is not an address.", "Write it as https://host.")
    known = {urlsplit(azure or "").hostname: azure_key, urlsplit(openai).hostname: openai_key}
    return Upstream(f"{parts.scheme}://{parts.netloc}{parts.path}", key or known.get(parts.hostname))


def _kinds(named: tuple[str, ...]) -> tuple[str, ...]:
    kinds = tuple(kind for name in named for kind in name.split(",") if kind)
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError("--redact", f"there is no {kind!r}.", f"There are {', '.join(KINDS)}.")
    return kinds


def _advice(url: str, upstream: Upstream, file: Path) -> str:
    whose = "with a key of ours" if upstream.key else "with the key that the client sends"
    return "\n".join(
        [
            f"kaiwa 会話  {file} に記録中 / recording {urlsplit(upstream.url).netloc}, {whose}",
            f"  WebSocket  {url.replace('http', 'ws', 1)}/v1/realtime?model=…",
            f"  export OPENAI_BASE_URL={url}/v1",
            f"  export AZURE_OPENAI_ENDPOINT={url}",
            "Ctrl-C で終了 / ends it.",
        ]
    )
