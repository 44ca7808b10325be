"""The functions the service is told of: the peer's and, beside them, those that kaiwa runs itself.

A function of the peer hides kaiwa's of the same name, as in a host session. Knows JSON of tools; sends
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from kaiwa.events.tools import ToolSpec
from kaiwa.session.stopping import standing_tool

Tools = list[Any]


def offered(specs: Sequence[ToolSpec]) -> tuple[ToolSpec, ...]:
    """Return the agent's tools and, where one of them takes long, the one that stops it.

    It stands there all the time: a `session.update` for each call would be seen by the peer.
    """
    stop = standing_tool(specs)
    return (*specs, stop) if stop is not None else tuple(specs)


class OfferedTools:
    """What the peer asked for counts once the service has taken it (`accepted`)."""

    def __init__(self, specs: Sequence[ToolSpec], theirs: object = None) -> None:
        """`theirs` are the peer's tools that the session begins with."""
        self._ours = {spec.name: _as_json(spec) for spec in specs}
        self._theirs: Tools = cast(Tools, theirs) if isinstance(theirs, list) else []
        self._proposed: dict[str, Tools | None] = {}

    def __bool__(self) -> bool:
        return bool(self._ours)

    @property
    def names(self) -> frozenset[str]:
        """The functions whose calls kaiwa carries out now."""
        return frozenset(self._ours) - _names(self._theirs)

    @property
    def theirs(self) -> Tools:
        return self._theirs

    def beside(self, theirs: object) -> Tools:
        """Return the peer's tools with kaiwa's behind them."""
        given = cast(Tools, theirs) if isinstance(theirs, list) else []
        taken = _names(given)
        return [*given, *(tool for name, tool in self._ours.items() if name not in taken)]

    def lost(self, session: Mapping[str, Any]) -> Tools | None:
        """Return what to offer instead when a peer of the service has taken kaiwa's tools out; else None."""
        given = session.get("tools")
        theirs = cast(Tools, given) if isinstance(given, list) else []
        return None if self.names <= _names(theirs) else self.beside(theirs)

    def propose(self, event_id: str, session: Mapping[str, Any]) -> None:
        """The peer's session.update with this id is on its way."""
        given = session.get("tools", False)
        self._proposed[event_id] = None if given is False else cast(Tools, given or [])

    def accepted(self) -> str | None:
        """The service took the oldest update; return its id."""
        if not self._proposed:
            return None
        event_id = next(iter(self._proposed))
        theirs = self._proposed.pop(event_id)
        self._theirs = self._theirs if theirs is None else theirs
        return event_id

    def refused(self, event_id: str) -> None:
        self._proposed.pop(event_id, None)


def _names(tools: Tools) -> frozenset[str]:
    return frozenset(
        str(cast(Mapping[str, Any], tool).get("name")) for tool in tools if isinstance(tool, Mapping)
    )


def _as_json(spec: ToolSpec) -> dict[str, Any]:
    return {
        "type": "function",
        "name": spec.name,
        "description": spec.description,
        "parameters": spec.parameters,
    }
