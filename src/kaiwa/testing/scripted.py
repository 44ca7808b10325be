"""An engine that plays what a test tells it and remembers what it was asked. Knows no model and no audio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from kaiwa.events.engine import (
    EngineCommand,
    EngineEvent,
    Generate,
    GenerationEnded,
    TextDelta,
    ToolCalled,
)

Reply = Callable[[EngineCommand], Sequence[EngineEvent]]


class ScriptedEngine:
    """Fits `kaiwa.interfaces.Engine`. `reply` says what follows a command; `say` adds events at any time."""

    def __init__(self, reply: Reply | None = None) -> None:
        self._reply = reply or echo
        self._events: asyncio.Queue[EngineEvent | Exception] = asyncio.Queue()
        self.asked: list[EngineCommand] = []
        self.closed = 0

    def ask(self, command: EngineCommand) -> None:
        self.asked.append(command)
        self.say(*self._reply(command))

    def say(self, *events: EngineEvent) -> None:
        for event in events:
            self._events.put_nowait(event)

    def crash(self, error: Exception) -> None:
        """Let `events` raise once what was said before is taken: a bug inside an engine."""
        self._events.put_nowait(error)

    async def events(self) -> AsyncIterator[EngineEvent]:
        while True:
            event = await self._events.get()
            if isinstance(event, Exception):
                raise event
            yield event

    async def close(self) -> None:
        self.closed += 1


def answering(command: Generate, text: str) -> tuple[EngineEvent, ...]:
    """Return a whole answer in words."""
    rid = command.response_id
    return TextDelta(response_id=rid, text=text), GenerationEnded(response_id=rid)


def calling(command: Generate, name: str, arguments: str = "{}") -> tuple[EngineEvent, ...]:
    """Return a whole answer that calls one tool."""
    rid = command.response_id
    return (
        ToolCalled(response_id=rid, index=0, name=name, arguments=arguments),
        GenerationEnded(response_id=rid),
    )


def last_text(command: Generate) -> str:
    """Return the words of the newest item: a message's text or a call's output; "" for anything else."""
    item = command.history[-1] if command.history else None
    content = getattr(item, "content", ())
    return "".join(getattr(part, "text", "") for part in content) or str(getattr(item, "output", ""))


def echo(command: EngineCommand) -> Sequence[EngineEvent]:
    """Answer every question with its own words."""
    return answering(command, last_text(command)) if isinstance(command, Generate) else ()
