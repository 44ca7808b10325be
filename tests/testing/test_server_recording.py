"""A server that records itself: which files there are, who may read them, what never gets in, and when it ends."""

from __future__ import annotations

import logging
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from tests.server.live_server import live_server
from tests.server.running import at_home, running
from tests.testing.dialled import Dialled
from tests.testing.recorded import lines_of
from websockets.asyncio.client import connect

from kaiwa.cli.recording import recording_for, secrets_of
from kaiwa.errors import ConfigError
from kaiwa.server.settings import Settings
from kaiwa.testing.cassettes import load_cassette, replay_as_caller, replaying
from kaiwa.testing.cassettes.door import RecordedDoors, Shelf
from kaiwa.testing.service.sockets import listening

PATH = "/v1/realtime?model=gpt-realtime"
KEY, DEPLOYMENT_KEY = "key-of-the-house-0001", "key-of-a-deployment-0002"


def cassettes_in(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.jsonl"))


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def hidden(frames: list[str]) -> list[str]:
    """What was heard, as it may be kept."""
    return [frame.replace(DEPLOYMENT_KEY, "***") for frame in frames]


async def talk(url: str, key: str = "any", secret: str = DEPLOYMENT_KEY) -> list[str]:
    async with connect(url, additional_headers={"api-key": key}, proxy=None) as socket:
        peer = Dialled(socket)
        await peer.until("session.created")
        await peer.begin_in_text()
        part = {"type": "input_text", "text": f"my key is {secret}"}
        await peer.send(
            "conversation.item.create", item={"type": "message", "role": "user", "content": [part]}
        )
        await peer.send("response.create")
        await peer.until("response.done")
    return peer.frames


async def test_every_conversation_of_a_server_becomes_a_file_for_its_owner_alone_with_no_key_in_it(
    tmp_path: Path,
) -> None:
    shelf = tmp_path / "cassettes"
    settings = at_home(tmp_path, api_key=KEY, openai_api_key=DEPLOYMENT_KEY, engine="text", record_dir=shelf)
    furnish = recording_for(settings)
    assert furnish is not None, "the settings ask for it"
    async with running(settings, change=lambda server: furnish(server.config.app)) as server:  # type: ignore[arg-type]
        address = server.addresses[0].replace("http", "ws")
        frames = [await talk(address + PATH, KEY) for _ in range(2)]
    files = cassettes_in(shelf)
    assert len(files) == 2 and mode_of(shelf) == 0o700
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert mode_of(file) == 0o600 and KEY not in text and DEPLOYMENT_KEY not in text
    for file in files:
        async with replaying(load_cassette(file)) as replay:
            again = await talk(replay.url.replace("http", "ws") + PATH, secret="***")
            assert again in [hidden(lived) for lived in frames]
            assert replay.problems() == []


@pytest.mark.clients
async def test_a_server_says_loudly_that_it_records(tmp_path: Path) -> None:
    told = {"KAIWA_ENGINE": "text", "KAIWA_RECORD_DIR": str(tmp_path / "cassettes")}
    with live_server(tmp_path, told) as port:
        await talk(f"ws://127.0.0.1:{port}{PATH}")
    assert len(cassettes_in(tmp_path / "cassettes")) == 1


@asynccontextmanager
async def echoing(shelf: Shelf) -> AsyncIterator[str]:
    """A server that says back what it hears, three times."""

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            if "text" in message:
                for _ in range(3):
                    await send({"type": "websocket.send", "text": message["text"]})

    app = Starlette()
    app.router = echo  # type: ignore[assignment]
    app.add_middleware(RecordedDoors, shelf=shelf)
    async with listening(app, host="127.0.0.1", port=0) as port:
        yield f"ws://127.0.0.1:{port}"


def shelf_in(directory: Path, **given: Any) -> Shelf:
    usual: dict[str, Any] = {"files": 5, "max_mib": 1, "redact": (), "keys": ()}
    return Shelf(directory, **(usual | given))


async def say(url: str, text: str) -> list[str]:
    async with connect(url, proxy=None) as socket:
        await socket.send(text)
        return [str(await socket.recv()) for _ in range(3)]


async def test_a_directory_that_is_full_keeps_what_it_has_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "kaiwa.server")
    async with echoing(shelf_in(tmp_path, files=2)) as url:
        for number in range(4):
            assert await say(f"{url}/v1/realtime?model=m", f"{number}") == [f"{number}"] * 3
    kept = [lines_of(file)[2]["text"] for file in cassettes_in(tmp_path)]
    assert sorted(kept) == ["0", "1"]
    assert [record.message for record in caplog.records] == ["conversations are no longer recorded"]


async def test_a_file_that_is_full_is_cut_and_the_talk_goes_on(tmp_path: Path) -> None:
    half = "x" * 500_000
    async with echoing(shelf_in(tmp_path)) as url:
        assert await say(f"{url}/v1/realtime", half) == [half] * 3
    (file,) = cassettes_in(tmp_path)
    assert file.stat().st_size < 1024 * 1024
    assert "the file was full" in file.read_text(encoding="utf-8")


async def test_sockets_that_are_no_conversation_are_not_recorded(tmp_path: Path) -> None:
    async with echoing(shelf_in(tmp_path)) as url:
        await say(f"{url}/client/?hub=chat", "a")
    assert not cassettes_in(tmp_path)


async def test_words_are_blackened_where_that_was_asked_for(tmp_path: Path) -> None:
    async with echoing(shelf_in(tmp_path, redact=("words",))) as url:
        await say(f"{url}/v1/realtime", '{"type":"conversation.item.create","item":{"text":"Sato"}}')
    (file,) = cassettes_in(tmp_path)
    assert "Sato" not in file.read_text(encoding="utf-8") and "xxxx" in file.read_text(encoding="utf-8")


async def test_what_a_server_recorded_is_a_caller_for_another(tmp_path: Path) -> None:
    async with echoing(shelf_in(tmp_path)) as url:
        await say(f"{url}/v1/realtime", '{"type":"session.update"}')
        (file,) = cassettes_in(tmp_path)
        report = await replay_as_caller(load_cassette(file), url)
    assert report.exchanges == 1 and report.problems == []


async def test_a_token_to_come_back_with_is_a_secret(tmp_path: Path) -> None:
    frame = '{"type":"kaiwa.session.resume","token":"Ab12.secret","last_event_id":"event_1"}'
    async with echoing(shelf_in(tmp_path)) as url:
        await say(f"{url}/v1/realtime?resume=Ab12.secret&model=m", frame)
        await say(f"{url}/v1/realtime?resume=on", "hello")
    kept = "".join(file.read_text(encoding="utf-8") for file in cassettes_in(tmp_path))
    assert "Ab12" not in kept and "event_1" in kept and "?model=m" in kept and "resume=on" in kept


def test_a_directory_that_cannot_be_used_is_told_by_the_settings_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="KAIWA_RECORD_DIR"):
        shelf_in(tmp_path / "file")


def test_keys_within_lists_of_deployments_are_secrets_too() -> None:
    entries = '[{"endpoint": "https://a.example", "deployment": "d", "api_key": "within-a-list-0003"}]'
    settings = Settings(_env_file=None, api_key=KEY, upstreams=entries, realtime_upstreams=entries)  # type: ignore[call-arg]
    assert {KEY, "within-a-list-0003"} <= set(secrets_of(settings))
    assert "rentacar.db" not in secrets_of(settings)


def test_what_cannot_be_blackened_is_told_and_what_can_is_read_from_one_line() -> None:
    with pytest.raises(ValueError, match="there are words, audio, ids"):
        Settings(_env_file=None, record_redact="wordz")  # type: ignore[call-arg]
    assert Settings(_env_file=None, record_redact="words, ids").record_redact == ("words", "ids")  # type: ignore[call-arg]
