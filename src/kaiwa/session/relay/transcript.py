"""What a relayed conversation has come to so far: its items, in words, as far as they were heard.

Reads GA frames of the service in order; sends nothing. It is what another session is told when the one at
the service ends before the conversation does.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from kaiwa.events.relay import UpstreamSaid
from kaiwa.session.alignment import Alignment
from kaiwa.session.outbox import Ids
from kaiwa.session.relay.aliases import part_of

Item = dict[str, Any]
# What the session has to look into for it.
TYPES: Final = frozenset(
    {
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.deleted",
        "conversation.item.truncated",
        "conversation.item.input_audio_transcription.completed",
        "response.output_item.done",
        "response.output_audio_transcript.delta",
        "response.output_text.delta",
        "response.function_call_arguments.delta",
    }
)
MOST_ITEMS: Final = 500
"""Of a longer conversation the newest items are told."""
_DELTAS: Final = frozenset(
    {
        "response.output_audio_transcript.delta",
        "response.output_text.delta",
        "response.function_call_arguments.delta",
    }
)
_UNWRITTEN: Final = "(The caller said something here that was not written down.)"


@dataclass(slots=True)
class Told:
    """One item. `words` was told of it so far; `spoken`: with sound; `heard` set: it was cut off there."""

    item: Item
    words: str = ""
    spoken: bool = False
    alignment: Alignment = field(default_factory=Alignment)
    heard: str | None = None
    done: bool = False

    @property
    def sounded(self) -> str:
        """The words whose sound was told, too; all of them where there is no sound."""
        return self.alignment.heard(self.alignment.audio_ms) if self.spoken else self.words


class Transcript:
    def __init__(self) -> None:
        self._told: dict[str, Told] = {}
        self._order: list[str] = []

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._told

    def find(self, item_id: str) -> Told | None:
        return self._told.get(item_id)

    @property
    def newest(self) -> Told | None:
        return self._told[self._order[-1]] if self._order else None

    def hear(self, kind: str, body: Mapping[str, Any]) -> None:
        item_id = str(body.get("item_id"))
        told = self._told.get(item_id)
        match kind:
            case "conversation.item.added":
                self._add(part_of(body, "item"), body.get("previous_item_id"))
            case "conversation.item.done" | "response.output_item.done":
                self._complete(part_of(body, "item"))
            case "conversation.item.deleted":
                if self._told.pop(item_id, None) is not None:
                    self._order.remove(item_id)
            case "conversation.item.truncated" if told is not None:
                told.heard = told.alignment.heard(float(body.get("audio_end_ms") or 0))
            case "conversation.item.input_audio_transcription.completed" if told is not None:
                told.words = str(body.get("transcript") or "")
            case _ if kind in _DELTAS and told is not None:
                self._word(kind, told, str(body.get("delta") or ""))
            case _:
                pass

    def sounded(self, item_id: str, audio_ms: float) -> None:
        """So much sound of an item was told."""
        if (told := self._told.get(item_id)) is not None:
            told.spoken = True
            told.alignment.add_audio(audio_ms)

    def seeds(self) -> list[Item]:
        """Return what another session is told, oldest first: nothing unfinished, nothing unheard."""
        seeds = (_seed(self._told[item_id]) for item_id in self._order[-MOST_ITEMS:])
        return [seed for seed in seeds if seed is not None]

    def seed(self, item_id: str) -> Item | None:
        """Return what another session is told of one item; None: nothing."""
        told = self._told.get(item_id)
        return None if told is None else _seed(told)

    def before(self, item_id: str, *, among: Container[str]) -> str:
        """Return which of these items another session has before one, as a service names it: `root`: none."""
        place = self._order.index(item_id)
        known = (one for one in reversed(self._order[:place]) if one in among and self.seed(one) is not None)
        return next(known, "root")

    def retold(self, ids: Ids) -> list[UpstreamSaid]:
        """Return the frames that tell of every item as it is, oldest first."""
        frames: list[UpstreamSaid] = []
        previous: object = None
        for item in (self._told[item_id].item for item_id in self._order):
            kinds = ["conversation.item.added"]
            kinds += ["conversation.item.done"] if item.get("status") != "in_progress" else []
            for kind in kinds:
                event_id = ids("event")
                body = {"type": kind, "event_id": event_id, "previous_item_id": previous, "item": item}
                frames.append(UpstreamSaid(type=kind, event_id=event_id, body=body))
            previous = item.get("id")
        return frames

    def _add(self, item: Item, previous: object) -> None:
        item_id = str(item.get("id"))
        if item_id in self._told:
            return
        self._told[item_id] = Told(item)
        if isinstance(previous, str) and previous in self._told:
            self._order.insert(self._order.index(previous) + 1, item_id)
        else:
            self._order.append(item_id)
        if len(self._order) > 2 * MOST_ITEMS:
            for old in self._order[:MOST_ITEMS]:
                del self._told[old]
            self._order = self._order[MOST_ITEMS:]

    def _complete(self, item: Item) -> None:
        told = self._told.get(str(item.get("id")))
        if told is not None:
            told.item, told.done = item, item.get("status") != "in_progress"
            words = _words_of(item)
            if words and told.heard is None:
                told.words = words

    def _word(self, kind: str, told: Told, delta: str) -> None:
        told.words += delta
        if kind == "response.output_audio_transcript.delta":
            told.spoken = True
            told.alignment.add_text(delta)


def spoken_item(item_id: str, words: str) -> Item:
    """Return an item of the agent's that holds these words."""
    content = [{"type": "output_text", "text": words}]
    return {"id": item_id, "type": "message", "role": "assistant", "content": content}


def _seed(told: Told) -> Item | None:
    item = told.item
    match item.get("type"):
        case "message":
            return _message(told)
        case "function_call" if item.get("status") != "in_progress" and told.done:
            return {key: item[key] for key in ("id", "type", "call_id", "name", "arguments") if key in item}
        case "function_call_output":
            return {key: item[key] for key in ("id", "type", "call_id", "output") if key in item}
        case _:
            return None  # calls of MCP servers cannot be told: their results are in the answers


def _message(told: Told) -> Item | None:
    item, role = told.item, told.item.get("role")
    if role == "assistant":
        words = told.words if told.heard is None else told.heard
        return spoken_item(str(item.get("id")), words) if told.done and words.strip() else None
    content = [_part(part, told) for part in cast("list[Any]", item.get("content") or [])]
    kept = [part for part in content if part is not None]
    return {"id": item.get("id"), "type": "message", "role": role, "content": kept} if kept else None


def _part(part: Any, told: Told) -> Item | None:
    if not isinstance(part, dict):
        return None
    given = cast(Item, part)
    match given.get("type"):
        case "input_audio":
            words = str(given.get("transcript") or "") or told.words
            return {"type": "input_text", "text": words or _UNWRITTEN}
        case "input_text":
            return {"type": "input_text", "text": given.get("text")}
        case _:
            return given


def _words_of(item: Item) -> str:
    parts = [
        cast(Item, part) for part in cast("list[Any]", item.get("content") or []) if isinstance(part, dict)
    ]
    return "".join(str(part.get("transcript") or part.get("text") or "") for part in parts)
