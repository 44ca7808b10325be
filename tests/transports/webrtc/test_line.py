"""Orders and reports over a socket pair."""

from __future__ import annotations

import asyncio
import socket

from kaiwa.transports.webrtc.line import Line
from kaiwa.transports.webrtc.orders import (
    Flush,
    Order,
    Play,
    Report,
    Taken,
    Tell,
    order_decoder,
    report_decoder,
)


async def two_ends(orders: list[Order], reports: list[Report]) -> tuple[Line, Line]:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    server = Line(report_decoder, reports.append)
    media = Line(order_decoder, orders.append)
    await loop.create_unix_connection(lambda: server, sock=ours)
    await loop.create_unix_connection(lambda: media, sock=theirs)
    return server, media


async def test_values_arrive_whole_and_in_order_however_large() -> None:
    orders: list[Order] = []
    reports: list[Report] = []
    server, media = await two_ends(orders, reports)
    said = [Tell(call=1, frame="あ" * 300_000), Flush(call=2), Play(call=1, sound=bytes(range(256)) * 1000)]
    for order in said:
        server.send(order)
    media.send(Taken(call=1, size=3))
    server.close()
    await media.gone.wait()
    assert orders == said
    media.close()


async def test_an_end_that_is_gone_takes_nothing_and_holds_nobody_up() -> None:
    orders: list[Order] = []
    server, media = await two_ends(orders, [])
    media.close()
    await server.gone.wait()
    server.send(Flush(call=1))
    try:
        await server.room()
    except ConnectionError:
        return
    raise AssertionError("room() must not give hope")


async def test_an_end_that_reads_slowly_leaves_no_room() -> None:
    server, media = await two_ends([], [])
    assert server._transport is not None and media._transport is not None
    media._transport.pause_reading()
    while server.has_room:
        server.send(Play(call=1, sound=bytes(1_000_000)))
    media._transport.resume_reading()
    async with asyncio.timeout(20):
        await server.room()
    for end in (server, media):
        end.close()
        await end.gone.wait()
