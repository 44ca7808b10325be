"""How a client is let into a hub once it has shaken hands, and how the hub learns that it has gone.

Both are tasks of the hub: they wait for its hooks, and for the other processes of a backplane.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from kaiwa.hub import wording
from kaiwa.hub.calls import log
from kaiwa.hub.context import CURRENT, Context
from kaiwa.hub.errors import HubException

if TYPE_CHECKING:
    from kaiwa.hub.connection import Connection

FIRST_WORD_S: Final = 0.5
"""Clients other than the JavaScript one say nothing by themselves."""


async def greet(connection: Connection) -> None:
    """Let it in, tell the hub, and let its calls start."""
    board, machine = connection.switchboard, connection.machine
    assert machine is not None, "who shook hands has a machine"
    if machine.resumable:
        await _hear_first_word(connection)
    CURRENT.set(Context(connection))
    try:
        await board.admit(connection)
        connection.let_go()
        await board.hub.on_connected()
    except Exception as fault:  # noqa: BLE001 - the edge of a hub's hook, and of its backplane
        log.exception("a client could not be let into a hub", extra={"connection_id": connection.id})
        connection.let_go()
        connection.close(wording.refused(fault, board.options.detailed_errors))
        return
    connection.greeted = True
    now = board.now()
    machine.opened(now)
    connection.settle(now)


async def _hear_first_word(connection: Connection) -> None:
    """Send nothing that counts before the client counts.

    The JavaScript client begins to only after it has seen the handshake's answer, and says so by a ping;
    what comes along with the answer it would take twice after a reconnect.
    """
    board = connection.switchboard
    connection.word = asyncio.Event()
    connection.settle(board.now())
    with suppress(TimeoutError):
        async with asyncio.timeout(FIRST_WORD_S):
            await connection.word.wait()
    connection.word = None
    connection.settle(board.now())


async def say_goodbye(connection: Connection, error: str | None) -> None:
    """Let what runs end, then tell the hub, then drop the connection from its groups."""
    board, running = connection.switchboard, connection.cancel_calls()
    if connection.greeting is not None:
        running.append(connection.greeting)
    if running:
        await asyncio.wait(running)
    if connection.greeted:
        CURRENT.set(Context(connection))
        try:
            await board.hub.on_disconnected(HubException(error) if error else None)
        except Exception:  # noqa: BLE001 - the edge of a hub's hook
            log.exception("a hub's on_disconnected failed", extra={"connection_id": connection.id})
    await board.dismiss(connection)
