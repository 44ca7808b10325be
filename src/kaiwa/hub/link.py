"""What a connection needs of the transport that carries it at the moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Link(Protocol):
    """What carries a connection now. It takes the machine's output when it can write."""

    name: str
    binary: bool
    pings: bool
    lingers: bool
    """Last words wait for the client to come and read them."""

    def wake(self) -> None:
        """There is output, or the end has come: take what there is."""
        ...

    def abort(self) -> None:
        """Drop the client, without last words."""
        ...

    def pause(self) -> None:
        """Read no more of the client until `resume`."""
        ...

    def resume(self) -> None: ...

    async def readable(self) -> None:
        """Wait while reading is paused."""
        ...

    @property
    def straight(self) -> Callable[[bytes], None] | None:
        """Writes a frame at once; None: `wake` is the only way."""
        ...

    @property
    def congested(self) -> bool:
        """The client takes less than is sent to it."""
        ...

    def check(self, now: float) -> float | None:
        """Abort when the client stalls; return when to check again, None while it does not."""
        ...
