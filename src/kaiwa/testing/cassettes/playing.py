"""A player between a peer's frames and the clock: the one loop of all doors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from kaiwa.protocol.cassette.player import Player
from kaiwa.protocol.cassette.tape import Played

Receive = Callable[[], Awaitable[str | bytes | None]]
Give = Callable[[Played], Awaitable[None]]


class Clock:
    """The running loop's time."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()


async def play(player: Player, receive: Receive, give: Give, clock: Clock) -> None:
    """Play until everything recorded has happened, something else has, or the peer left.

    `receive` gives what the peer sends next, None when it left. It is cancelled when the play is over.
    """
    changed = asyncio.Event()
    player.start(clock.now())
    listening = asyncio.create_task(_listen(player, receive, changed, clock))
    try:
        while True:
            changed.clear()
            for entry in player.due(clock.now()):
                await give(entry)
            if player.finished:
                return
            await _wait(changed, player.next_timer(), clock)
            player.handle_timer(clock.now())
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def _listen(player: Player, receive: Receive, changed: asyncio.Event, clock: Clock) -> None:
    while (frame := await receive()) is not None:
        player.receive(frame, clock.now())
        changed.set()
    player.end(clock.now())
    changed.set()


async def _wait(changed: asyncio.Event, moment: float | None, clock: Clock) -> None:
    try:
        async with asyncio.timeout(None if moment is None else max(0.0, moment - clock.now())):
            await changed.wait()
    except TimeoutError:
        return
