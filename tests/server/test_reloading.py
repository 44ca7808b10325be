"""Settings change in a running server by SIGHUP: what may change does, streams go on, a broken file changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from tests.server.live_server import health
from tests.server.running import at_home

from kaiwa.cli.local_server import free_port
from kaiwa.server.app import create_app
from kaiwa.server.configuration import read_configuration
from kaiwa.server.reloading import Reloading
from kaiwa.server.settings import Settings
from kaiwa.testing.service import running_service
from kaiwa.testing.service.chat_habits import Habits

SETTINGS = """
port = {port}
engine = "text"
api_key = "{key}"
log_level = "{log_level}"
log_format = "json"
allowed_origins = ["{origin}"]
session_minutes = {minutes}
database = "{database}"
chat_pace_ms = {pace}
drain_s = 1

[[upstreams]]
name = "stand-in"
base_url = "{upstream}/v1"
api_key = "key-of-the-stand-in"
models = ["gpt-4o"]

[prices.models."gpt-4o"]
output = {price}
"""


class House:
    """A real server process in a folder with a `kaiwa.toml`."""

    def __init__(self, folder: Path, upstream: str) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._known: dict[str, object] = {"port": self.port, "key": "first", "log_level": "info", "pace": 10}
        self._known |= {"origin": "https://a.example", "minutes": 60, "price": 1}
        self._known |= {"database": str(folder / "desk.db"), "upstream": upstream}
        self.process: asyncio.subprocess.Process

    def write(self, **changed: object) -> None:
        self._known |= changed
        (self.folder / "kaiwa.toml").write_text(SETTINGS.format(**self._known))

    def hang_up(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def log(self) -> list[dict[str, str]]:
        lines = (self.folder / "log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    async def logged(self, message: str, times: int = 1) -> dict[str, str]:
        async with asyncio.timeout(20):
            while True:
                found = [line for line in self.log() if message in line["message"]]
                if len(found) >= times:
                    return found[-1]
                await asyncio.sleep(0.02)

    async def status(self, http: aiohttp.ClientSession, key: str, origin: str | None = None) -> int:
        headers = {"authorization": f"Bearer {key}"} | ({"origin": origin} if origin else {})
        async with http.get(f"{self.url}/api/pool", headers=headers) as answer:
            return answer.status


@asynccontextmanager
async def serving(folder: Path, upstream: str) -> AsyncIterator[House]:
    house = House(folder, upstream)
    house.write()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("KAIWA_", "AZURE_"))}
    with (folder / "log").open("wb") as log:
        house.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "kaiwa", "serve", cwd=folder, env=clean, stdout=log, stderr=log
        )
        try:
            async with asyncio.timeout(60):
                while not await asyncio.to_thread(_is_up, house.port):
                    assert house.process.returncode is None, (folder / "log").read_text()
                    await asyncio.sleep(0.05)
            yield house
        finally:
            house.process.terminate()
            await asyncio.wait_for(house.process.wait(), 20)


def _is_up(port: int) -> bool:
    try:
        return bool(health(port))
    except OSError:
        return False


async def test_settings_change_while_a_stream_runs_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    habits = Habits(chunks_per_s=40, chunks=120)
    async with running_service(habits=habits) as service, serving(tmp_path, service.url) as house:
        async with aiohttp.ClientSession() as http:
            asked = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "go"}]}
            headers = {"authorization": "Bearer first"}
            address = f"{house.url}/v1/chat/completions"
            async with http.post(address, json=asked, headers=headers) as stream:
                assert stream.status == 200
                first = await stream.content.readline()

                house.write(key="second", origin="https://b.example", price=9, log_level="debug", pace=20)
                house.hang_up()
                changed = await house.logged("the settings were read anew")
                assert changed["settings"].split(", ") == [
                    "KAIWA_LOG_LEVEL",
                    "KAIWA_API_KEY",
                    "KAIWA_ALLOWED_ORIGINS",
                    "KAIWA_PRICES",
                ]
                waiting = await house.logged("these settings wait for a restart")
                assert waiting["settings"] == "KAIWA_CHAT_PACE_MS"
                assert [await house.status(http, key) for key in ("first", "second")] == [401, 200]
                pages = ["https://a.example", "https://b.example"]
                assert [await house.status(http, "second", page) for page in pages] == [403, 200]

                house.write(key="third", minutes=0)
                house.hang_up()
                wrong = await house.logged("the new settings are not used")
                assert "kaiwa.toml:8" in wrong["settings"] and "above 0" in wrong["cause"]
                assert [await house.status(http, key) for key in ("third", "second")] == [401, 200]

                rest = (first + await stream.content.read()).decode()
        pieces = [line for line in rest.splitlines() if line.startswith("data: {")]
        assert rest.rstrip().endswith("data: [DONE]") and len(pieces) >= habits.chunks
        assert house.process.returncode is None
    log = (tmp_path / "log").read_text()
    assert not [secret for secret in ("first", "second", "third") if f'"{secret}"' in log]


def taken_by(settings: Settings) -> tuple[Reloading, list[Settings], list[Settings]]:
    """Return a reloading, what the next reading gives (first), and what was put in force."""
    given: list[Settings] = []
    taken: list[Settings] = []
    reloading = Reloading(settings, lambda: given[0], lambda new: lambda: taken.append(new), lambda: None)
    return reloading, given, taken


async def test_what_needs_a_restart_stays_as_it_was(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = at_home(tmp_path, max_sessions=4)
    reloading, given, taken = taken_by(before)
    given.append(at_home(tmp_path, max_sessions=5, time_zone="UTC", api_key="k"))
    with caplog.at_level("INFO", "kaiwa.server"):
        await reloading.reload()
    assert [(one.max_sessions, one.time_zone, one.api_key) for one in taken] == [(5, before.time_zone, None)]
    told = {record.message: record.settings for record in caplog.records}  # type: ignore[attr-defined]
    assert told == {
        "the settings were read anew": "KAIWA_MAX_SESSIONS",
        "these settings wait for a restart": "KAIWA_TIME_ZONE, KAIWA_API_KEY",
    }
    given[0] = at_home(tmp_path, max_sessions=4)
    await reloading.reload()
    assert (taken[-1].max_sessions, reloading.settings) == (4, before)


async def test_a_part_that_refuses_keeps_all_parts_as_they_were(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of pins and deployments only the parts know whether they can be used."""
    settings = at_home(tmp_path, max_sessions=2, engine="text")
    given: list[Settings] = []
    app = create_app(settings, reread=lambda: given[0])
    for changed in ({"pinned": ("nonsense",)}, {"upstreams": "[{}]"}):
        given[:] = [at_home(tmp_path, max_sessions=9, engine="text", **changed)]
        await app.state.reloading.reload()
        assert app.state.reloading.settings is settings
        assert "the new settings are not used" in caplog.records[-1].message
    given[:] = [at_home(tmp_path, max_sessions=9, engine="text")]
    await app.state.reloading.reload()
    assert app.state.reloading.settings.max_sessions == 9


async def test_the_environment_of_a_process_does_not_change_but_its_files_do(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("KAIWA_FILLER_MS=1\n")
    environ = {"KAIWA_MAX_SESSIONS": "3"}

    def read() -> Settings:
        return read_configuration(environ=environ, folder=tmp_path).demand()

    taken: list[Settings] = []
    reloading = Reloading(read(), read, lambda new: lambda: taken.append(new), lambda: None)
    (tmp_path / ".env").write_text("KAIWA_FILLER_MS=2\nKAIWA_MAX_SESSIONS=9\n")
    await reloading.reload()
    assert [(one.filler_ms, one.max_sessions) for one in taken] == [(2, 3)]
