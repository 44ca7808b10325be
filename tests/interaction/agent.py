"""The agent that all doors lead to, and the record of what it did."""

from __future__ import annotations

import asyncio
from typing import Literal

from kaiwa.errors import ToolError
from kaiwa.tools.agent import Agent
from kaiwa.tools.function import tool


class Record:
    """What tools were run with, in order; `released` lets the slow one come to its end."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, str]] = []
        self.released = asyncio.Event()
        self.begun = asyncio.Event()

    def clear(self) -> None:
        self.__init__()


RECORD = Record()


@tool
def measure(room: Literal["kitchen", "attic"]) -> str:
    """Measure the temperature of a room."""
    RECORD.runs.append(("measure", room))
    return f"21 degrees in the {room}"


@tool(background=True, timeout_s=20)
async def survey(house: Literal["villa", "cottage"]) -> str:
    """Measure a whole house, which takes long."""
    RECORD.runs.append(("survey", house))
    RECORD.begun.set()
    await RECORD.released.wait()
    return f"3 rooms in the {house}"


@tool
def open_window(room: Literal["kitchen", "attic"]) -> str:
    """Open a window."""
    RECORD.runs.append(("open_window", room))
    raise ToolError("The window is stuck.")


agent = Agent(
    name="bodies",
    instructions="You look after a house.",
    tools=[measure, survey, open_window],
    language="en",
    filler="",
)
