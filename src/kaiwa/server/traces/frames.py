"""What a trace reads of the events of steps: names of responses and items, and words where they are wanted.

A relayed frame is text whose body is mostly not read. Here it is, for steps only: a few in each turn.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from kaiwa.events import server
from kaiwa.events.items import FunctionCall, McpCall, Message
from kaiwa.events.relay import PassedFrame
from kaiwa.events.response import Response
from kaiwa.events.server import ServerEvent


class Part(Struct):
    text: str | None = None
    transcript: str | None = None


class Output(Struct):
    type: str = ""
    content: list[Part] | None = None


class Answered(Struct):
    id: str = ""
    output: list[Output] | None = None


class Facts(Struct):
    """`response` is there in `response.created` and `response.done`."""

    response_id: str = ""
    item_id: str = ""
    transcript: str = ""
    response: Answered | None = None

    @property
    def answer(self) -> str:
        """The id of the response that the event is about."""
        return self.response_id or ("" if self.response is None else self.response.id)

    @property
    def calls(self) -> bool:
        """Whether the response asked for tools."""
        return any(item.type in _CALLS for item in self._output)

    @property
    def words(self) -> str:
        """What the response said."""
        parts = (part for item in self._output for part in item.content or ())
        return "".join(part.text or part.transcript or "" for part in parts)

    @property
    def _output(self) -> list[Output]:
        return [] if self.response is None else self.response.output or []


_CALLS: Final = frozenset({"function_call", "mcp_call"})
_NOTHING: Final = Facts()
_read: Final = msgspec.json.Decoder(Facts).decode


def facts_in(event: ServerEvent) -> Facts:
    """Return what an event of a step says; nothing, where it cannot be read."""
    if not isinstance(event, PassedFrame):
        return _of_own(event)
    try:
        if event.body is not None:
            return msgspec.convert(event.body, Facts)
        return _NOTHING if event.frame is None else _read(event.frame)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return _NOTHING


def _of_own(event: ServerEvent) -> Facts:
    told: Any = event
    given = isinstance(event, server.ResponseCreated | server.ResponseDone)
    return Facts(
        response_id=getattr(told, "response_id", ""),
        item_id=getattr(told, "item_id", ""),
        transcript=getattr(told, "transcript", ""),
        response=_answered(told.response) if given else None,
    )


def _answered(response: Response) -> Answered:
    output: list[Output] = []
    for item in response.output:
        if isinstance(item, FunctionCall | McpCall):
            output.append(Output("function_call"))
        elif isinstance(item, Message):
            parts = [
                Part(getattr(part, "text", None), getattr(part, "transcript", None)) for part in item.content
            ]
            output.append(Output("message", parts))
    return Answered(response.id, output)
