"""The items of a conversation in their order: what is shown, and what the model gets to read.

Does not know events, responses in progress or who asks.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field

import msgspec

from kaiwa.events.items import (
    AnyItem,
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    McpListTools,
    Message,
    OutputAudio,
)
from kaiwa.session import errors
from kaiwa.session.alignment import Alignment
from kaiwa.session.sounds import Sound, Sounds

ROOT = "root"


@dataclass(slots=True)
class Entry:
    """One item. `heard` replaces the transcript in the model's eyes after a truncation; `called` is the name
    by which a model called a tool that has another on its MCP server; `passing` is not read by a model."""

    item: AnyItem
    audio_ms: float = 0.0
    alignment: Alignment | None = field(default=None)
    heard: str | None = None
    sound: Sound | None = None
    called: str | None = None
    passing: bool = False


class Conversation:
    def __init__(self, conversation_id: str, sounds: Sounds) -> None:
        self.id = conversation_id
        self.sounds = sounds
        self._order: list[str] = []
        self._entries: dict[str, Entry] = {}
        self._answered: set[str] = set()

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._entries

    def __len__(self) -> int:
        return len(self._order)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all items, in order."""
        return tuple(self._order)

    @property
    def last_id(self) -> str | None:
        return self._order[-1] if self._order else None

    def entry(self, item_id: str) -> Entry | None:
        return self._entries.get(item_id)

    def add(self, item_id: str, entry: Entry, after: str | None = None) -> str | None:
        """Insert an item (None: at the end, "root": at the front) and return its predecessor's id."""
        if after is None:
            previous = self.last_id
            self._order.append(item_id)
        elif after == ROOT:
            previous = None
            self._order.insert(0, item_id)
        else:
            previous = after
            self._order.insert(self._order.index(after) + 1, item_id)
        self._entries[item_id] = entry
        if isinstance(entry.item, FunctionCallOutput):
            self._answered.add(entry.item.call_id)
        return previous

    def previous_id(self, item_id: str) -> str | None:
        """Return the id of the item before this one, None for the first or an unknown one."""
        if item_id not in self._entries:
            return None
        place = len(self._order) - 1
        while self._order[place] != item_id:
            place -= 1
        return self._order[place - 1] if place else None

    def replace(self, item_id: str, item: AnyItem) -> None:
        """Show the item's newer state, unless it was deleted. A truncated part keeps its words hidden."""
        entry = self._entries.get(item_id)
        if entry is not None:
            entry.item = item if entry.heard is None else with_transcript(item, "")

    def delete(self, item_id: str) -> AnyItem:
        entry = self._entries.pop(item_id, None)
        if entry is None:
            raise errors.unknown_item("delete", item_id)
        self._order.remove(item_id)
        if entry.sound is not None:
            entry.sound.forget()
        return entry.item

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """Forget the words of an assistant's audio after `audio_end_ms`; raises PeerError."""
        entry = self._entries.get(item_id)
        if entry is None:
            raise errors.unknown_item("truncate", item_id)
        if not spoken_by_agent(entry) or content_index != 0:
            raise errors.not_truncatable()
        if audio_end_ms < 0:
            raise errors.out_of_range("audio_end_ms", audio_end_ms, "a number not below 0")
        if audio_end_ms > entry.audio_ms:
            raise errors.already_shorter(int(entry.audio_ms), audio_end_ms)
        entry.heard = entry.alignment.heard(audio_end_ms) if entry.alignment else ""
        entry.audio_ms = float(audio_end_ms)
        entry.item = with_transcript(entry.item, "")
        if entry.sound is not None:
            entry.sound.cut(audio_end_ms)

    def set_transcript(self, item_id: str, text: str) -> None:
        entry = self._entries.get(item_id)
        if entry is not None:
            entry.item = with_transcript(entry.item, text)

    def call(self, call_id: str) -> FunctionCall | None:
        """Return the completed call with this id that is still part of the conversation."""
        for item_id in reversed(self._order):
            item = self._entries[item_id].item
            if isinstance(item, FunctionCall) and item.call_id == call_id and item.status == "completed":
                return item
        return None

    def knows_call(self, call_id: str) -> bool:
        return any(
            isinstance(entry.item, FunctionCall) and entry.item.call_id == call_id
            for entry in self._entries.values()
        )

    def answered(self, call_id: str) -> bool:
        return call_id in self._answered

    def check_place(self, after: str | None) -> None:
        if after not in (None, ROOT) and after not in self._entries:
            raise errors.unknown_previous_item(str(after))

    def check_output(self, output: FunctionCallOutput, param: str) -> None:
        if self.call(output.call_id) is None:
            raise errors.unknown_call(output.call_id, param)
        if output.call_id in self._answered:
            raise errors.answered_call(output.call_id, param)

    def referred(self, item_id: str, param: str) -> Entry:
        entry = self._entries.get(item_id)
        if entry is None:
            raise errors.unknown_reference(param, item_id)
        return entry

    def context(self) -> list[Entry]:
        """Return what a model may read, oldest first: nothing unfinished, nothing unheard.

        A call whose answer was deleted goes with it; a call without an answer is still running.
        """
        outputs = {
            entry.item.call_id
            for entry in self._entries.values()
            if isinstance(entry.item, FunctionCallOutput)
        }
        calls = {
            entry.item.call_id for entry in self._entries.values() if isinstance(entry.item, FunctionCall)
        }
        return [
            entry
            for entry in (self._entries[item_id] for item_id in self._order)
            if self._readable(entry, outputs, calls)
        ]

    def _readable(self, entry: Entry, outputs: set[str], calls: Container[object]) -> bool:
        item = entry.item
        if entry.passing:
            return False
        if isinstance(item, FunctionCallOutput):
            return item.call_id in calls
        if isinstance(item, FunctionCall):
            deleted_answer = item.call_id in self._answered and item.call_id not in outputs
            return item.status == "completed" and not deleted_answer
        if not isinstance(item, Message):
            return not isinstance(item, McpListTools)
        return item.status != "in_progress" and entry.heard != "" and bool(item.content)


def readable(entry: Entry) -> AnyItem:
    """Return the item as a model reads it."""
    return entry.item if entry.heard is None else with_transcript(entry.item, entry.heard)


def whole(entry: Entry) -> AnyItem:
    """Return the item with its sound, as far as that is kept."""
    item = entry.item
    if not isinstance(item, Message) or entry.sound is None or not entry.sound.audio:
        return item
    heard = [part for part in item.content if isinstance(part, InputAudio | OutputAudio)]
    if len(heard) != 1:
        return item
    full = msgspec.structs.replace(heard[0], audio=bytes(entry.sound.audio))
    content = tuple(full if part is heard[0] else part for part in item.content)
    return msgspec.structs.replace(item, content=content)


def spoken_by_agent(entry: Entry) -> bool:
    """True for an assistant's audio, also while it is still streaming and has no content yet."""
    item = entry.item
    if not isinstance(item, Message) or item.role != "assistant":
        return False
    if not item.content:
        return entry.alignment is not None
    return isinstance(item.content[0], OutputAudio)


def with_transcript(item: AnyItem, text: str) -> AnyItem:
    """Return the item with the words of its audio parts replaced."""
    if not isinstance(item, Message):
        return item
    content = tuple(
        msgspec.structs.replace(part, transcript=text) if isinstance(part, InputAudio | OutputAudio) else part
        for part in item.content
    )
    return msgspec.structs.replace(item, content=content)


def user_audio(item_id: str) -> Message:
    """Return the item of a committed piece of the user's speech."""
    return Message(id=item_id, status="completed", role="user", content=(InputAudio(transcript=None),))
