"""Who follows a request on its way through the relay, if anybody does: a trace. Protocols only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kaiwa.gateway.asking import Asked
from kaiwa.gateway.ended import StreamEnded


class Following(Protocol):
    """One request. `trace_id` is for its line in the log."""

    @property
    def trace_id(self) -> str: ...

    def headers(self) -> Sequence[tuple[str, str]]:
        """Return what the next attempt's request bears, instead of the client's own fields of these names."""
        ...

    def ended(self, ended: StreamEnded) -> None: ...


class Followers(Protocol):
    def follow(self, asked: Asked) -> Following:
        """A request is about to be relayed."""
        ...
