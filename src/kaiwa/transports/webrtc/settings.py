"""What a server decides about its calls: ports, addresses, sound and limits. Values only."""

from __future__ import annotations

from kaiwa.events.value import Value


class MediaSettings(Value, kw_only=True):
    """`host`: an address to listen at; `0.0.0.0` and `::` for every address of this machine.

    `ports`: one UDP port for each media process; 0 for any that is free. `public_addresses`: where peers
    reach this server if not at its own addresses, as `203.0.113.7` or `203.0.113.7:40000`. `own_process`
    False: media runs in the caller's event loop.
    """

    host: str = "127.0.0.1"
    ports: tuple[int, ...] = (0,)
    public_addresses: tuple[str, ...] = ()
    own_process: bool = True
    bitrate: int = 32_000
    complexity: int = 5
    lossy: bool = False
    max_calls: int = 256
    silent_s: float = 8.0
    """A peer that sends nothing for so long is gone."""
    connect_s: float = 30.0
    """A peer that has not connected by then never will."""
    max_queued_s: float = 600.0
    """Sound that waits to be played; what comes on top of it is dropped."""
