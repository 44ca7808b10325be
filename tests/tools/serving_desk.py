"""An agent for `kaiwa mcp` in tests: `serving_desk:agent`. What it did stands in the file of SERVING_LOG."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

from pydantic import Field

from kaiwa import Agent, ToolContext, ToolError, tool


def note(line: str) -> None:
    with Path(os.environ["SERVING_LOG"]).open("a", encoding="utf-8") as log:
        log.write(f"{line}\n")


@tool(changes=False)
def double(number: Annotated[int, Field(ge=0, description="what to double")]) -> int:
    """Double a number."""
    return number * 2


@tool(changes=False)
def refuse() -> str:
    """Refuse."""
    raise ToolError("Closed on Mondays.")


@tool(changes=False)
def stumble() -> str:
    """Break."""
    raise RuntimeError("secret")


@tool(changes=False, background=True)
async def search(context: ToolContext) -> dict[str, int]:
    """Search slowly."""
    context.progress(0.5, "half")
    context.say("one so far")
    context.progress(0.5, "still half")
    return {"found": 2}


@tool(changes=False, background=True)
async def wait(context: ToolContext) -> str:
    """Wait until stopped."""
    note("began")
    try:
        await asyncio.sleep(60)
    finally:
        note("stopped")
    return "waited"


@tool(changes=True, confirm=True)
async def book(context: ToolContext, car: str) -> dict[str, str]:
    """Book a car."""
    note(f"booked {car} {context.idempotency_key}")
    return {"car": car}


@tool(changes=True)
async def change(context: ToolContext, car: str) -> dict[str, str]:
    """Change a car."""
    note(f"changed {car} {context.idempotency_key}")
    return {"car": car}


agent = Agent("desk", "Serve.", [double, refuse, stumble, search, wait, book, change], language="en")
