"""An agent for a real server: its tools take down wishes, break, refuse, and one gives its words away."""

from __future__ import annotations

import logging
import sys

from kaiwa import Agent, ToolError, tool


@tool(changes=False)
def note_wish(wish: str) -> str:
    """Take down a wish."""
    return f"noted: {wish}"


@tool(changes=False)
def crash(wish: str) -> str:
    """Break."""
    raise RuntimeError(f"cannot take down {wish}")


@tool(changes=False)
def refuse(wish: str) -> str:
    """Refuse."""
    raise ToolError(f"nobody wishes for {wish}")


@tool(changes=False)
def tell_on(wish: str) -> str:
    """The planted fault: what no tool should do."""
    logging.getLogger("kaiwa.planted").debug("they wish for %s", wish)
    sys.stdout.write(f"they wish for {wish}\n")
    return "told"


agent = Agent(
    name="wishes",
    instructions="PlantedInstructions2008: take down every wish.",
    tools=[note_wish, crash, refuse, tell_on],
)
