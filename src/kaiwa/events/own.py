"""What kaiwa tells that the Realtime API has no event for. Only peers that ask for it are told.

Names begin with `kaiwa.`, so that none can come to mean something else in the original protocol.
"""

from __future__ import annotations

from kaiwa.events.value import Value


class _OwnEvent(Value, tag_field="type", kw_only=True):
    event_id: str


class ToolProgressed(_OwnEvent, tag="kaiwa.tool.progress", kw_only=True):
    """How far a call is that kaiwa carries out: `fraction` of the whole, and what it does now."""

    call_id: str
    fraction: float
    text: str


class WordsHeard(_OwnEvent, tag="kaiwa.item.heard", kw_only=True):
    """The words that had been heard of an answer that was cut off where the server plays the sound."""

    item_id: str
    transcript: str


OwnEvent = ToolProgressed | WordsHeard
OWN_EVENTS = (ToolProgressed, WordsHeard)
