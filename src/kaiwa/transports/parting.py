"""The end of listening: who was accepted in the last moment is known when a server ends its connections."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

# A task makes the transport of who was accepted, and a callback tells its protocol.
_TURNS_TO_BE_KNOWN: Final = 3


async def stop_accepting(servers: Sequence[asyncio.Server]) -> None:
    """Close the ports, and return when every connection that was accepted has been made.

    For use before uvicorn's shutdown, which asks only the connections made by then to end. Another would keep
    the server until its patience is over and stay open after it; a socket for which the asyncio of Python
    3.11 has no transport yet when its `Server` closes is not even found again.
    """
    loop = asyncio.get_running_loop()
    for server in servers:
        for listening in server.sockets:
            with suppress(NotImplementedError):  # Windows' loop, which accepts in another way
                loop.remove_reader(listening.fileno())
    await _turns()
    for server in servers:
        server.close()
    await _turns()  # uvloop's loop accepts until now


async def _turns() -> None:
    for _ in range(_TURNS_TO_BE_KNOWN):
        await asyncio.sleep(0)
