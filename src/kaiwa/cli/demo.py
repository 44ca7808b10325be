"""The demo: a recorded caller books a car through the WebSocket; judged by tool arguments and the row.

Knows how server, caller, script and judge are put together. Does not know how results are shown.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo

from websockets.exceptions import InvalidHandshake

from kaiwa.apps.demo.judge import Misunderstanding, ObservedCall, judge_call, judge_row
from kaiwa.apps.demo.script import Script, load_script, load_sound
from kaiwa.cli.local_server import ServerProcess
from kaiwa.errors import ConfigError
from kaiwa.testing.call import Call
from kaiwa.testing.caller import CallerManners, SimulatedCaller, SpokenLine

TurnDetection = Literal["semantic_vad", "server_vad"]


class DemoView(Protocol):
    """Who shows the call while it runs."""

    def note(self, text: str) -> None: ...

    def line(self, moment_s: float, line: SpokenLine) -> None: ...

    def event(self, moment_s: float, event: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class DemoOptions:
    """`url` None: start a server of our own with a fresh database."""

    script: Path
    wav: Path | None
    url: str | None = None
    turn_detection: TurnDetection = "semantic_vad"
    silence_ms: int | None = None
    pace: float = 1.0
    api_key: str | None = None


@dataclass
class DemoResult:
    script: Script
    today: date
    call: Call
    row: dict[str, Any] | None
    database_seen: bool
    misunderstandings: list[Misunderstanding] = field(default_factory=list[Misunderstanding])
    wall_s: float = 0.0

    @property
    def ok(self) -> bool:
        return not self.misunderstandings


async def run_demo(options: DemoOptions, view: DemoView) -> DemoResult:
    """Make the call and judge it. Raises ConfigError when the script or the server is unusable."""
    began_s = time.monotonic()
    script = load_script(options.script)
    lines = [
        SpokenLine(line.id, line.text, load_sound(options.script, line), line.interrupt_after_ms)
        for line in script.lines
    ]
    async with _server(options, script, view) as (url, database):
        today = datetime.now(ZoneInfo(script.timezone)).date()
        caller = SimulatedCaller(
            url,
            lines,
            session=session_settings(script.language, options),
            headers={"Authorization": f"Bearer {options.api_key}"} if options.api_key else None,
            manners=CallerManners(pace=options.pace),
            observer=view.event,
            on_line=view.line,
        )
        try:
            call = await caller.run()
        except (OSError, InvalidHandshake) as error:
            raise ConfigError("url", f"nobody answers at {url} ({error}).", "Start `kaiwa serve`.") from error
        row = await asyncio.to_thread(read_reservation, database) if database else None
    if options.wav:
        await asyncio.to_thread(call.write_wav, options.wav)
    result = DemoResult(script, today, call, row, database_seen=database is not None)
    result.misunderstandings = judge(result)
    result.wall_s = time.monotonic() - began_s
    return result


def session_settings(language: str, options: DemoOptions) -> dict[str, Any]:
    """Return the `session` of the caller's session.update."""
    detection: dict[str, Any] = {"type": options.turn_detection}
    if options.turn_detection == "server_vad":
        detection["silence_duration_ms"] = options.silence_ms or 500
    transcription = {"model": "whisper-1", "language": language}
    return {
        "type": "realtime",
        "audio": {"input": {"transcription": transcription, "turn_detection": detection}},
    }


def judge(result: DemoResult) -> list[Misunderstanding]:
    """Every misunderstanding, in the order of the script; a turn without an answer counts as one."""
    call = result.call
    observed = [
        ObservedCall(line_id=tool.line_id, name=tool.name, arguments=tool.arguments, output=tool.output)
        for tool in call.tools
    ]
    found = [
        Misunderstanding(line_id=turn.line_id, problem=turn.problem) for turn in call.turns if turn.problem
    ]
    said = {turn.line_id for turn in call.turns}
    unsaid = [line.id for line in result.script.lines if line.id not in said]
    if unsaid:
        found.append(
            Misunderstanding(line_id=unsaid[0], problem=f"was never said; the call ended: {call.ended}")
        )
    found += judge_call(result.script, observed, result.today)
    if result.database_seen:
        found += judge_row(result.script, result.row, result.today)
    order = {line.id: index for index, line in enumerate(result.script.lines)}
    return sorted(found, key=lambda one: order.get(one.line_id, len(order)))


def read_reservation(database: Path) -> dict[str, Any] | None:
    """Read the newest reservation with plain SQL, past all of our code; None when there is none."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        connection.row_factory = sqlite3.Row
        row = connection.execute(
            "SELECT r.number, l.name AS location, v.vehicle_type, v.vehicle_model, v.registration,"
            " r.customer_name, r.starts_at AS start, r.ends_at AS end, r.status"
            " FROM reservations r JOIN vehicles v USING (vehicle_id) JOIN locations l ON l.id = v.location_id"
            " ORDER BY r.id DESC LIMIT 1"
        ).fetchone()
    connection.close()
    return dict(row) if row else None


@asynccontextmanager
async def _server(
    options: DemoOptions, script: Script, view: DemoView
) -> AsyncGenerator[tuple[str, Path | None]]:
    if options.url:
        yield options.url, None
        return
    with tempfile.TemporaryDirectory(prefix="kaiwa-demo-") as folder:
        database = Path(folder) / "demo.db"
        view.note("starting the server …")
        began_s = time.monotonic()
        async with ServerProcess(script.agent, database) as server:
            view.note(f"{server.url}  (ready after {time.monotonic() - began_s:.1f} s)")
            yield server.url, database
