"""How a call came out, and what a model reads of it. Knows sentences; runs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from kaiwa.events.tools import ToolCall
from kaiwa.tools.function import Tool
from kaiwa.tools.results import write_error

AnyTool = Tool[..., Any]
Kind = Literal[
    "completed", "refused", "arguments", "unknown", "timed out", "crashed", "stopped", "duplicate", "held"
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`output` is what the model reads; `kind` is for the log."""

    output: str
    kind: Kind

    @property
    def failed(self) -> bool:
        return self.kind != "completed"


@dataclass(frozen=True, slots=True)
class LateResult:
    """The outcome of a call whose conversation was over when it came."""

    conversation_id: str
    call_id: str
    tool: str
    arguments: str
    output: str
    failed: bool


def refused(sentence: str, kind: Kind = "refused") -> Outcome:
    return Outcome(write_error(sentence), kind)


def crashed(entry: AnyTool) -> Outcome:
    sentence = f"{entry.name} broke off because of an internal fault.{_doubt(entry)}"
    return Outcome(write_error("Function execution failed", sentence), "crashed")


def late(entry: AnyTool) -> Outcome:
    sentence = f"{entry.name} gave no answer within {entry.timeout_s:g} seconds.{_doubt(entry)}"
    return Outcome(write_error("Function execution timed out", sentence), "timed out")


def running_already(entry: AnyTool) -> Outcome:
    return refused(
        f"{entry.name} is running already with these arguments; its result will follow.", "duplicate"
    )


def held_back(entry: AnyTool, call: ToolCall) -> Outcome | None:
    """Return why a change must not be made now, or None when it may."""
    if entry.changes and call.unprompted:
        return refused("Nothing was done: the caller has not spoken since. Ask whether to go ahead.", "held")
    if entry.rules.confirm and not call.agreed:
        return Outcome(write_error("Not confirmed", _read_back(entry)), "held")
    return None


def _read_back(entry: AnyTool) -> str:
    return (
        "Nothing was done yet. Read these values back to the caller in one short sentence and ask whether to "
        f"go ahead. After the caller has agreed, call {entry.name} again with exactly the same arguments."
    )


def _doubt(entry: AnyTool) -> str:
    return " Whether it changed anything is unknown." if entry.changes else ""
