"""Who follows the calls of a hub's methods, if anybody does: a trace. Protocols only."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol


class Following(Protocol):
    """One call of a method."""

    def entered(self) -> AbstractContextManager[object]:
        """Whoever starts the method does it inside."""
        ...

    def over(self, error: str | None) -> None:
        """It has ended; `error` is a code, None when it went well."""
        ...


Follow = Callable[[str, str], Following]
"""Takes the hub's name and the method's, which is "" for one that the hub does not have."""
