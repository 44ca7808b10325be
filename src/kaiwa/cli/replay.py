"""`kaiwa replay`: a cassette as a service, or as the caller of one. Knows options and exit codes."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

from kaiwa.errors import ConfigError, UpstreamError
from kaiwa.protocol.cassette.matching import AUDIO_RULES, LIVE, AudioRule, Matching
from kaiwa.testing.cassettes import Cassette, CassetteError, load_cassette, replay_as_caller, replaying


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """`url` belongs to `--as caller`. `pace` None: virtual time."""

    file: Path
    role: Literal["upstream", "caller"]
    url: str | None
    key: str | None
    host: str
    port: int
    pace: float | None
    exact: bool
    audio: str
    ignore: tuple[str, ...]
    patience_s: float


def run(options: ReplayOptions) -> int:
    """Return the exit code: 0 as recorded, 1 not. Raises ConfigError when it cannot be tried."""
    if options.audio not in AUDIO_RULES:
        raise ConfigError(
            "--audio", f"there is no {options.audio!r}.", f"There are {', '.join(AUDIO_RULES)}."
        )
    try:
        cassette = load_cassette(options.file)
    except CassetteError as wrong:
        raise ConfigError("FILE", str(wrong), "See docs/cassettes.md for the format.") from wrong
    play = _as_caller(options, cassette) if options.role == "caller" else _as_upstream(options, cassette)
    problems = asyncio.run(play)
    if not problems:
        print("記録どおりです / as recorded.")
        return 0
    print("記録と異なります / not as recorded:", file=sys.stderr)
    for problem in problems:
        print(f"- {problem}", file=sys.stderr)
    return 1


async def _as_upstream(options: ReplayOptions, cassette: Cassette) -> list[str]:
    rules = Matching(
        ignore=options.ignore, audio=cast(AudioRule, options.audio), patience_s=options.patience_s
    )
    stop = asyncio.Event()
    if sys.platform != "win32":
        for ending in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(ending, stop.set)
    try:
        async with replaying(
            cassette, rules, pace=options.pace, host=options.host, port=options.port
        ) as replay:
            print(_advice(replay.url, cassette), flush=True)
            stopping = asyncio.create_task(stop.wait())
            while not replay.over and not stopping.done():
                replay.changed.clear()
                changed = asyncio.create_task(replay.changed.wait())
                await asyncio.wait({stopping, changed}, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
            stopping.cancel()
            return replay.problems()
    except OSError as taken:
        raise ConfigError(
            "--port", f"{options.port} cannot be used ({taken.strerror}).", "Take another."
        ) from taken


async def _as_caller(options: ReplayOptions, cassette: Cassette) -> list[str]:
    if options.url is None:
        raise ConfigError("URL", "a caller needs somebody to call.", "kaiwa replay FILE --as caller URL")
    strict = Matching(ignore=options.ignore, patience_s=options.patience_s)
    rules = strict if options.exact else replace(LIVE, patience_s=options.patience_s)
    try:
        report = await replay_as_caller(
            cassette, options.url, key=options.key, rules=rules, pace=options.pace
        )
    except UpstreamError as nobody:
        raise ConfigError("URL", f"nobody answers at {options.url}.", "Start the server first.") from nobody
    print(f"{report.exchanges} exchanges, {report.frames_sent} frames sent, {report.frames_checked} checked")
    return report.problems


def _advice(url: str, cassette: Cassette) -> str:
    targets = {(one.opened.door, one.opened.method, one.opened.target) for one in cassette.exchanges}
    lines = [f"kaiwa 会話  再生中 / replaying {len(cassette.exchanges)} exchanges on {url}"]
    if cassette.cut:
        lines.append(f"  the recording is cut short: {cassette.cut}")
    for door, method, target in sorted(targets):
        base = url.replace("http", "ws", 1) if door == "websocket" else url
        lines.append(f"  {'WebSocket' if door == 'websocket' else method:<9}  {base}{target}")
    return "\n".join([*lines, "Any key will do. Ctrl-C で終了 / ends it."])
