"""The debug view: the newest events of both directions in a side panel. Names sound, never shows it."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from typing import Any

from chainlit.context import context

import chainlit as cl

MOST_LINES = 150
PAUSE_S = 0.5
LONGEST = 300
OFTEN = ("input_audio_buffer.append",)


class EventsView:
    def __init__(self, words: dict[str, str]) -> None:
        self._words = words
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        self._drawn_at = 0.0
        self._drawing: asyncio.Task[None] | None = None
        self._began = time.monotonic()
        self.shown = False

    async def note(self, way: str, event: dict[str, Any]) -> None:
        """Write an event down, and draw at most twice a second."""
        if event["type"] in OFTEN:
            return
        now = time.monotonic()
        facts = {key: value for key, value in event.items() if key not in ("type", "event_id", "delta")}
        if "audio" not in event["type"] or "transcript" in event["type"]:
            facts |= {key: event[key] for key in ("delta",) if key in event}
        text = json.dumps(facts, ensure_ascii=False)
        self._lines.append(f"{now - self._began:8.3f} {way} {event['type']}  {text[:LONGEST]}")
        if self.shown and self._drawing is None:
            wait_s = max(0.0, self._drawn_at + PAUSE_S - now)
            self._drawing = asyncio.create_task(self._draw_after(wait_s))

    async def _draw_after(self, wait_s: float) -> None:
        """Draw once for all that comes in the meantime."""
        await asyncio.sleep(wait_s)
        self._drawing = None
        self._drawn_at = time.monotonic()
        await self.draw()

    async def draw(self) -> None:
        """Show the lines, newest first; without the wish for them, close the panel."""
        if not self.shown:
            await context.emitter.emit("set_sidebar_elements", {"elements": [], "key": None})
            return
        lines = "\n".join(reversed(self._lines))
        await cl.ElementSidebar.set_title(self._words["debug_title"])
        await cl.ElementSidebar.set_elements(
            [cl.Text(name=self._words["debug_title"], content=f"```\n{lines}\n```", display="side")]
        )
