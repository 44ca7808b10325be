"""Who is let in, who is refused and how, and which frames are taken: over real sockets."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.server.live_server import health, live_server
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from kaiwa.testing.conformance import check_server_event

KEY = "the-key-of-this-house"
SESSIONS = 4
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    settings = {
        "KAIWA_API_KEY": KEY,
        "KAIWA_MAX_SESSIONS": str(SESSIONS),
        "KAIWA_ALLOWED_ORIGINS": "https://allowed.example",
    }
    with live_server(tmp_path_factory.mktemp("server"), settings) as port:
        yield port


def knock(port: int, *, key: str | None = KEY, query: str = "?model=gpt-realtime", **options: Any) -> connect:
    headers = {"api-key": key} if key else {}
    return connect(
        f"ws://127.0.0.1:{port}/v1/realtime{query}", additional_headers=headers, max_size=None, **options
    )


async def hear(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(10):
        return check_server_event(await socket.recv())


async def refusal(socket: ClientConnection) -> tuple[str, int]:
    """Return the code of the one error event and the close code after it."""
    event = await hear(socket)
    assert event["type"] == "error"
    assert event["error"]["message"]
    with pytest.raises(ConnectionClosed):
        await hear(socket)
    assert socket.close_code is not None
    return event["error"]["code"], socket.close_code


async def nobody_inside(port: int) -> None:
    """Wait until the server has let go of everybody who left."""
    async with asyncio.timeout(10):
        while json.loads(await asyncio.to_thread(health, port))["sessions"]:  # noqa: ASYNC110 another process
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("key", [None, "wrong", KEY + "x"])
async def test_a_missing_or_wrong_key_is_refused_in_band(port: int, key: str | None) -> None:
    async with knock(port, key=key) as socket:
        assert await refusal(socket) == ("invalid_api_key", 3000)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", ("missing_model", 4000)),
        ("?model=", ("missing_model", 4000)),
        ("?model=nobody", ("model_not_found", 4004)),
    ],
)
async def test_a_model_that_is_missing_or_unknown_is_refused_in_band(
    port: int, query: str, told: tuple[str, int]
) -> None:
    async with knock(port, query=query) as socket:
        assert await refusal(socket) == told


@pytest.mark.parametrize(
    "options",
    [
        {"additional_headers": {"api-key": KEY}},
        {"additional_headers": {"Authorization": f"Bearer {KEY}"}},
        {"additional_headers": {"Authorization": f"bearer {KEY}"}},
        {"subprotocols": ["realtime", f"openai-insecure-api-key.{KEY}"]},
    ],
)
async def test_the_key_is_found_wherever_clients_put_it(port: int, options: dict[str, Any]) -> None:
    async with connect(f"ws://127.0.0.1:{port}/openai/v1/realtime?model=gpt-realtime", **options) as socket:
        assert (await hear(socket))["type"] == "session.created"


async def test_the_key_may_stand_in_the_address(port: int) -> None:
    async with knock(port, key=None, query=f"?model=gpt-realtime&api-key={KEY}") as socket:
        assert (await hear(socket))["type"] == "session.created"


async def test_of_the_offered_subprotocols_only_realtime_is_chosen(port: int) -> None:
    offered: Any = ["realtime", f"openai-insecure-api-key.{KEY}", "openai-beta.realtime-v1"]
    async with knock(port, key=None, subprotocols=offered) as socket:
        assert socket.subprotocol == "realtime"


async def test_without_an_offer_no_subprotocol_is_chosen(port: int) -> None:
    async with knock(port) as socket:
        assert socket.subprotocol is None


@pytest.mark.parametrize(
    "origin", ["https://foreign.example", "http://127.0.0.1.foreign.example", "null", "http://[::1"]
)
async def test_a_page_from_elsewhere_is_refused(port: int, origin: Any) -> None:
    async with knock(port, origin=origin) as socket:
        assert await refusal(socket) == ("insufficient_permissions", 3000)


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:5173", "http://localhost:3000", "http://[::1]:80", "https://allowed.example"]
)
async def test_a_page_of_this_machine_or_an_allowed_one_is_let_in(port: int, origin: Any) -> None:
    async with knock(port, origin=origin) as socket:
        assert (await hear(socket))["type"] == "session.created"


async def test_a_full_house_says_so_and_takes_the_next_when_somebody_left(port: int) -> None:
    await nobody_inside(port)
    guests = [await knock(port) for _ in range(SESSIONS)]
    for guest in guests:
        assert (await hear(guest))["type"] == "session.created"
    async with knock(port) as late:
        assert await refusal(late) == ("server_busy", 1013)
    for guest in guests:
        await guest.close()
    await nobody_inside(port)
    async with knock(port) as socket:
        assert (await hear(socket))["type"] == "session.created"


@pytest.mark.parametrize("frame", [b"\x00\x01", "no json", "[]", '{"type":"nothing.known"}', '{"no":"type"}'])
async def test_a_frame_that_cannot_be_read_is_an_error_and_the_conversation_goes_on(
    port: int, frame: str | bytes
) -> None:
    async with knock(port) as socket:
        await hear(socket)
        await socket.send(frame)
        assert (await hear(socket))["type"] == "error"
        await socket.send('{"type":"input_audio_buffer.clear"}')
        assert (await hear(socket))["type"] == "input_audio_buffer.cleared"


async def test_audio_of_sixteen_mebibytes_in_one_frame_is_taken(port: int) -> None:
    async with knock(port) as socket:
        await hear(socket)
        audio = {"input": {"turn_detection": None}}
        await socket.send(
            json.dumps({"type": "session.update", "session": {"type": "realtime", "audio": audio}})
        )
        assert (await hear(socket))["type"] == "session.updated"
        sound = base64.b64encode(bytes(12 * MIB)).decode()
        await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": sound}))
        await socket.send('{"type":"input_audio_buffer.clear"}')
        assert (await hear(socket))["type"] == "input_audio_buffer.cleared"


async def test_a_frame_beyond_every_measure_closes_the_connection(port: int) -> None:
    async with knock(port) as socket:
        await hear(socket)
        with pytest.raises(ConnectionClosed):
            await socket.send("x" * (25 * MIB))
            while True:
                await hear(socket)
        assert socket.close_code == 1009
    await nobody_inside(port)
