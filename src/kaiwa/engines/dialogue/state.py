"""What was said, asked, called and learnt so far: the history as one value. Decides nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from kaiwa.engines.dialogue.instructions import Persona
from kaiwa.engines.dialogue.intent import Wish
from kaiwa.engines.dialogue.learned import Entity
from kaiwa.engines.dialogue.schema import Slot, Tool
from kaiwa.engines.dialogue.when import When


@dataclass(slots=True)
class Call:
    """A function call of the history; `output` counts once `done`."""

    call_id: str
    name: str
    arguments: dict[str, Any]
    output: Any = None
    done: bool = False
    spoken: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """The question the engine put last."""

    kind: Literal["slot", "confirm", "change", "offer"]
    tool: Tool | None = None
    slot: Slot | None = None
    arguments: str = ""


@dataclass(slots=True)
class Turn:
    """The last user turn that has not been answered yet."""

    text: str
    small: str | None = None
    unheard: bool = False
    refused: bool = False
    dropped: bool = False
    filled: set[str] = field(default_factory=set[str])
    wished: bool = False
    agreed: bool = False
    stops: tuple[str, ...] = ()


@dataclass(slots=True)
class State:
    """One conversation as derived from its history."""

    tools: tuple[Tool, ...]
    language: str
    persona: Persona
    now: datetime
    when: When = field(default_factory=When)
    recent_when: When = field(default_factory=When)
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    recent: set[str] = field(default_factory=set[str])
    goal: Tool | None = None
    finished: Tool | None = None
    reads: list[Wish] = field(default_factory=list[Wish])
    last_read: Tool | None = None
    calls: list[Call] = field(default_factory=list[Call])
    entities: list[Entity] = field(default_factory=list[Entity])
    seen: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    heard: list[str] = field(default_factory=list[str])
    asked: Asked | None = None
    confirmed: Asked | None = None
    turn: Turn | None = None
    last_said: str = ""
    stoppable: tuple[str, ...] = ()
    progress: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def by_name(self) -> dict[str, Tool]:
        return {tool.name: tool for tool in self.tools}

    def running(self) -> list[Call]:
        return [call for call in self.calls if not call.done]

    def fresh_results(self) -> list[Call]:
        return [call for call in self.calls if call.done and not call.spoken]
