"""The three transports, seen as bytes."""

from __future__ import annotations

import asyncio
import json

from tests.contract.manifest import rule
from tests.hub.bending import other_options, other_status, other_words, without_header
from tests.hub.conftest import Opens
from tests.hub.house import HELLO, House, soon
from websockets.exceptions import InvalidStatus

EVENTS = {"accept": "text/event-stream"}
SHORT = {"disconnect_s": 0.5}


async def _polled(home: House, **options: object) -> str:
    """Return the place of a connection over long polling that has said hello and heard the answer."""
    place = f"?id={await home.negotiated()}"
    first = await home.ask("GET", place)
    assert (first.status, first.body) == (200, b"")
    await home.ask("POST", place, body=HELLO)
    assert (await home.ask("GET", place)).body == b"{}\x1e"
    return place


def _call(target: str, *arguments: object) -> bytes:
    call = {"type": 1, "invocationId": "1", "target": target, "arguments": arguments}
    return json.dumps(call).encode() + b"\x1e"


@rule("S-15", broken_by=other_status(404, 400))
async def test_a_web_socket_is_refused_before_it_is_accepted(house: Opens) -> None:
    async with house() as home:
        async with home.socket() as fresh:
            await fresh.hello()
        token = await home.negotiated()
        async with home.socket(f"?id={token}") as socket:
            await socket.hello()
            statuses = [await _status(home, f"?id={token}"), await _status(home, "?id=nobody")]

    assert statuses == [409, 404]


async def _status(home: House, query: str) -> int:
    try:
        async with home.socket(query):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


@rule("S-18", broken_by=other_words(b"\x03\xe8", b"\x03\xed"))
async def test_a_close_without_a_code_is_answered_with_1000(house: Opens) -> None:
    async with house() as home:
        reader, writer = await asyncio.open_connection("127.0.0.1", home.port)
        writer.write(
            b"GET /room HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
        )
        await soon(reader.readuntil(b"\r\n\r\n"), "the upgrade")
        writer.write(bytes((0x88, 0x80, 1, 2, 3, 4)))
        answer = home.bend.said(await soon(reader.read(), "the close"))
        writer.close()

    assert answer == bytes((0x88, 2, 0x03, 0xE8))


@rule("S-20", broken_by=other_words(b'"type":7', b'"type":6'))
async def test_after_the_word_close_the_socket_is_closed_with_1000(house: Opens) -> None:
    async with house() as home, home.socket() as socket:
        await socket.hello()
        await socket.send(type=1, target="leave", arguments=[])
        last = await socket.record()
        code = await socket.close_code()

    assert last["type"] == 7
    assert not last.get("allowReconnect")
    assert code == 1000


@rule("S-21", broken_by=without_header(b"content-encoding"))
@rule("S-22", broken_by=other_words(b"data: ", b"date: "))
async def test_an_event_stream_begins_at_once_and_has_a_line_for_each_write(house: Opens) -> None:
    async with house() as home:
        place = f"?id={await home.negotiated()}"
        stream = await home.begin("GET", place, EVENTS)
        first = await stream.until(b":\r\n")
        await home.ask("POST", place, body=HELLO)
        second = await soon(stream.until(b"{}\x1e"), "the answer")
        stream.writer.close()

    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.headers["cache-control"].replace(" ", "") == "no-cache,no-store"
    assert stream.headers.get("content-encoding") == "identity"
    assert stream.headers["x-accel-buffering"] == "no"
    assert b":\r\n" in first
    assert b"data: {}\x1e\r\n\r\n" in second


@rule("S-23", broken_by=other_words(b"Binary", b"binary"))
async def test_message_pack_does_not_go_over_an_event_stream(house: Opens) -> None:
    async with house() as home:
        place = f"?id={await home.negotiated()}"
        stream = await home.begin("GET", place, EVENTS)
        await home.ask("POST", place, body=b'{"protocol":"messagepack","version":1}\x1e')
        answer = await soon(stream.until(b"\x1e"), "the refusal")
        stream.writer.close()

    words = (
        "Cannot use the 'messagepack' protocol on the current transport. "
        "The transport does not support 'Binary' transfer format."
    )
    assert words.encode() in answer


@rule("S-24", broken_by=other_options(keep_alive_s=60.0))
async def test_an_event_stream_has_pings_and_ends_with_its_client(house: Opens) -> None:
    async with house(keep_alive_s=0.3) as home:
        place = f"?id={await home.negotiated()}"
        stream = await home.begin("GET", place, EVENTS)
        await home.ask("POST", place, body=HELLO)
        try:
            await stream.until(b'data: {"type":6}\x1e', home.patience_s)
        finally:
            stream.writer.close()
        await home.until(lambda: home.hub.seen == ["came", "went"], "the hub is told")


@rule("S-25", broken_by=other_options(poll_s=60.0))
async def test_a_poll_waits_for_something_to_say(house: Opens) -> None:
    async with house(poll_s=0.4) as home:
        place = await _polled(home)
        nothing = await home.ask("GET", place)
        waits = asyncio.create_task(home.ask("GET", place))
        await asyncio.sleep(0)
        await home.ask("POST", place, body=_call("echo", "here") + _call("echo", "there"))
        something = await waits
        overtaken = asyncio.create_task(home.ask("GET", place))
        await home.until(lambda: _turn(home) >= 3, "the poll waits")
        newest = asyncio.create_task(home.ask("GET", place))
        answers = await overtaken, await newest

    assert (nothing.status, nothing.body) == (200, b"")
    assert something.headers["content-type"] == "application/octet-stream"
    assert b'"here"' in something.body
    assert [one.status for one in answers] == [204, 200]


def _turn(home: House) -> int:
    [connection] = home.hub._board.registry.connections.values()
    return getattr(connection.link, "turn", 0)


@rule("S-26", broken_by=without_header(b"pragma"))
async def test_polls_are_not_kept_by_caches(house: Opens) -> None:
    async with house(poll_s=0.1) as home:
        place = await _polled(home)
        answer = await home.ask("GET", place)

    assert answer.headers["cache-control"] == "no-cache, no-store"
    assert answer.headers.get("pragma") == "no-cache"
    assert answer.headers["expires"].startswith("Thu, 01 Jan 1970")


@rule("S-27", broken_by=other_status(202, 200))
async def test_deleting_ends_polls_and_nothing_else(house: Opens) -> None:
    async with house() as home:
        place = await _polled(home)
        waits = asyncio.create_task(home.ask("GET", place))
        await home.until(lambda: _turn(home) >= 2, "the poll waits")
        deleted = await home.ask("DELETE", place)
        pending = await waits
        after = await home.ask("GET", place)
        streamed = f"?id={await home.negotiated()}"
        stream = await home.begin("GET", streamed, EVENTS)
        refused = await home.ask("DELETE", streamed)
        stream.writer.close()
        await home.until(lambda: "went" in home.hub.seen, "the hub is told")

    assert (deleted.status, pending.status, after.status) == (202, 204, 404)
    assert refused.status == 400
    assert refused.body == b"Cannot terminate this connection using the DELETE endpoint."


@rule("S-28", broken_by=other_options(disconnect_s=60.0))
async def test_last_words_are_read_by_the_next_poll_and_who_stops_polling_is_gone(house: Opens) -> None:
    async with house(disconnect_s=0.5, keep_alive_s=0.2, poll_s=0.45) as home:
        place = await _polled(home)
        quiet = await home.ask("GET", place)
        await home.ask("POST", place, body=_call("leave"))
        last = await home.ask("GET", place)
        end = await home.ask("GET", place)
        await _polled(home)
        await home.until(lambda: home.hub.seen.count("went") == 2, "the silent one is gone")

    assert quiet.body == b""  # no ping
    assert b'"type":7' in last.body
    assert end.status == 204


@rule("S-29", broken_by=other_words(b"\x09\x95", b"\x08\x95"))
async def test_polls_carry_message_pack(house: Opens) -> None:
    async with house() as home:
        place = f"?id={await home.negotiated()}"
        await home.ask("GET", place)
        await home.ask("POST", place, body=b'{"protocol":"messagepack","version":1}\x1e')
        hello = await home.ask("GET", place)
        # [1, {}, "1", "Echo", ["hi"], []], with its length before it
        await home.ask("POST", place, body=b"\x0f\x96\x01\x80\xa11\xa4Echo\x91\xa2hi\x90")
        answer = await home.ask("GET", place)

    assert hello.body == b"{}\x1e"
    assert answer.body == b"\x09\x95\x03\x80\xa11\x03\xa2hi"


@rule("S-44", broken_by=other_words(b"allowReconnect", b"allow"))
async def test_a_hub_that_ends_sends_everybody_away_with_leave_to_come_back(house: Opens) -> None:
    async with house() as home, home.socket() as socket:
        await socket.hello()
        await home.until(lambda: home.hub.seen == ["came"], "the hub is told")
        stopping = asyncio.create_task(home.hub._board.stop())
        last = await socket.record()
        await stopping

    assert (last["type"], last.get("allowReconnect")) == (7, True)
    assert home.hub.seen == ["came", "went"]
