"""An answer whose session at the service ended in the middle, and the answer that goes on with it elsewhere.

To the peer both are one: what comes of the second is shown as more of the first, and nothing twice. Knows GA
frames as JSON objects; asks for nothing and sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from kaiwa.events.relay import UpstreamSaid
from kaiwa.session.outbox import Ids
from kaiwa.session.relay.aliases import Aliases, part_of
from kaiwa.session.relay.overlap import Overlap

Item = dict[str, Any]
SOUND: Final = "response.output_audio.delta"
_DELTAS: Final = frozenset(
    {
        "response.output_audio_transcript.delta",
        "response.output_text.delta",
        "response.function_call_arguments.delta",
    }
)
_WHOLES: Final = frozenset(
    {
        "response.output_audio_transcript.done",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    }
)
# What has to be looked into while an answer goes on.
TYPES: Final = _DELTAS | _WHOLES | {
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
}  # fmt: skip


@dataclass(slots=True)
class Answer:
    """An answer under way, as far as the peer was told of it. `asked`: the frame that asked for it."""

    response: Item
    asked: Mapping[str, Any] = field(default_factory=dict[str, Any])
    done: list[Item] = field(default_factory=list[Item])
    open: Item | None = None
    has_part: bool = False
    told_ms: float = 0.0

    @property
    def id(self) -> str:
        return str(self.response.get("id"))


class Splice:
    """Feed it what the service says of the second answer, in order.

    `told`: the words that the peer was told of the open item; `kept`: those that the service was told.
    """

    def __init__(self, answer: Answer, told: str, kept: str, aliases: Aliases) -> None:
        self.answer = answer
        self._done, self._open = tuple(answer.done), answer.open
        self._kept = kept
        self._aliases = aliases
        self._overlap = Overlap(told, kept)
        self._skip_ms, self._told_ms = 0.0, answer.told_ms
        self._held: list[tuple[UpstreamSaid, float]] = []
        self._began = False
        self._joined = False
        self._first = True

    @property
    def item_id(self) -> str:
        """The item that both answers are told in, if there is one."""
        return "" if self._open is None else str(self._open.get("id"))

    @property
    def repeats(self) -> bool:
        """Whether the second answer begins with the words of the first."""
        return self._overlap.verdict == "repeats"

    def hear(self, said: UpstreamSaid, audio_ms: float = 0.0) -> list[UpstreamSaid]:
        """Return what the peer is to be told. `audio_ms` of sound is in it."""
        shown = self._heard(said, audio_ms)
        behind = len(self._done)
        return [_shifted(one, behind) for one in shown] if behind else shown

    def _heard(self, said: UpstreamSaid, audio_ms: float) -> list[UpstreamSaid]:
        body = said.body or {}
        match said.type:
            case "response.created" if not self._began:
                self._began = True
                theirs = part_of(body, "response")
                self._aliases.add(theirs.get("id"), self.answer.id)
                self._aliases.add(theirs.get("conversation_id"), self.answer.response.get("conversation_id"))
                return []
            case "response.output_item.added" if self._first:
                self._first = False
                return self._join(said, part_of(body, "item"))
            case "conversation.item.added" if self._is_joined(part_of(body, "item").get("id")):
                return []
            case "response.content_part.added" if self._is_joined(body.get("item_id")):
                shown, self.answer.has_part = not self.answer.has_part, True
                return [said] if shown else []
            case kind if kind == SOUND:
                return self._sound(said, audio_ms)
            case kind if kind in _DELTAS and self._is_joined(body.get("item_id")):
                return self._words(said, body)
            case "response.output_audio.done":
                return [*self._rest(), said]
            case kind if kind in _WHOLES and self._is_of_answer(body):
                return [*self._rest(), self._whole(said, body)]
            case _:
                return [said]

    def _join(self, said: UpstreamSaid, item: Item) -> list[UpstreamSaid]:
        """Take the second answer's first item for the one that was left open, if it is of its kind."""
        mine = self._open
        if mine is None or mine.get("type") != item.get("type"):
            return [said]
        self._joined = True
        self._aliases.add(item.get("id"), mine.get("id"))
        self._aliases.add(item.get("call_id"), mine.get("call_id"))
        return []

    def _is_of_answer(self, body: Mapping[str, Any]) -> bool:
        """Whether a frame is about the answer, and not about an item that was told before it."""
        if body.get("response_id") == self.answer.id or "response" in body:
            return True
        return self._is_joined(part_of(body, "item").get("id"))

    def _is_joined(self, item_id: object) -> bool:
        mine = self._open
        return self._joined and mine is not None and item_id == mine.get("id")

    def _words(self, said: UpstreamSaid, body: Mapping[str, Any]) -> list[UpstreamSaid]:
        was_open = self._overlap.verdict == "open"
        fresh = self._overlap.push(str(body.get("delta") or ""))
        if self._overlap.verdict == "open":
            return []
        shown = [_with(said, {**body, "delta": fresh})] if fresh else []
        if not was_open:
            return [said] if shown else []
        return [*shown, *self._rest()]

    def _sound(self, said: UpstreamSaid, audio_ms: float) -> list[UpstreamSaid]:
        """Hold sound back while its words may be a repetition; drop what was heard of a repetition."""
        if self._overlap.verdict == "open":
            self._held.append((said, audio_ms))
            return []
        if self._skip_ms >= audio_ms > 0:
            self._skip_ms -= audio_ms
            return []
        self._skip_ms = 0.0
        return [said]

    def _rest(self) -> list[UpstreamSaid]:
        """Return the sound that was held back, once it is known what it belongs to."""
        if self._overlap.verdict == "open":
            self._overlap.finish()
        if self._overlap.verdict == "repeats":
            self._skip_ms, self._told_ms = self._skip_ms + self._told_ms, 0.0
        held, self._held = self._held, []
        return [one for said, audio_ms in held for one in self._sound(said, audio_ms)]

    def _whole(self, said: UpstreamSaid, body: Mapping[str, Any]) -> UpstreamSaid:
        """Return a frame that tells a whole of both answers together."""
        changed = dict(body)
        if self._is_joined(body.get("item_id")):
            for key in ("transcript", "text"):
                if isinstance(body.get(key), str):
                    changed[key] = self._together(str(body[key]))
            if isinstance(body.get("part"), dict):
                changed["part"] = self._part(body["part"])
        item = part_of(body, "item")
        if self._is_joined(item.get("id")):
            changed["item"] = self._item(item)
        if said.type == "response.done":
            response = part_of(body, "response")
            output = [self._item(item) for item in cast("list[Any]", response.get("output") or [])]
            changed["response"] = {**response, "output": [*self._done, *output]}
        return _with(said, changed) if changed != body else said

    def _item(self, item: Any) -> Any:
        if not isinstance(item, dict):
            return item
        fields = cast(Item, item)
        if not self._is_joined(fields.get("id")):
            return fields
        content = [self._part(part) for part in cast("list[Any]", fields.get("content") or [])]
        return {**fields, "content": content} if content else fields

    def _part(self, part: Any) -> Any:
        if not isinstance(part, dict):
            return part
        fields = cast(Item, part)
        words = {
            key: self._together(str(fields[key]))
            for key in ("transcript", "text")
            if isinstance(fields.get(key), str)
        }
        return {**fields, **words}

    def _together(self, words: str) -> str:
        return words if self._overlap.verdict == "repeats" else joined(self._kept, words)


def joined(before: str, after: str) -> str:
    """Return both, with a space between words of Latin letters that have none."""
    glued = before[-1:].isascii() and before[-1:].isalnum() and after[:1].isascii() and after[:1].isalnum()
    return f"{before} {after}" if glued else before + after


def closing(answer: Answer, words: str, status: str, ids: Ids) -> list[UpstreamSaid]:
    """Return the events that end an answer to which nothing more comes."""
    frames = [] if answer.open is None else _closing_item(answer, answer.open, words)
    items = [frame["item"] for frame in frames if frame["type"] == "response.output_item.done"]
    details = {"type": "cancelled", "reason": "turn_detected"} if status == "cancelled" else None
    done = {
        **answer.response,
        "status": status,
        "status_details": details,
        "output": [*answer.done, *items],
        "usage": _NO_USAGE,
    }
    frames.append({"type": "response.done", "response": done})
    return [_said(frame, ids) for frame in frames]


def _closing_item(answer: Answer, item: Item, words: str) -> list[Item]:
    place = {
        "response_id": answer.id,
        "item_id": item.get("id"),
        "output_index": len(answer.done),
        "content_index": 0,
    }
    ended: Item = {**item, "status": "incomplete"}
    frames: list[Item] = []
    if item.get("type") == "message" and answer.has_part:
        spoken = "audio" in cast(Sequence[Any], answer.response.get("output_modalities") or ["audio"])
        if spoken:
            ended["content"] = [{"type": "output_audio", "transcript": words}]
            frames += [
                {"type": "response.output_audio.done", **place},
                {"type": "response.output_audio_transcript.done", **place, "transcript": words},
                {
                    "type": "response.content_part.done",
                    **place,
                    "part": {"type": "audio", "transcript": words},
                },
            ]
        else:
            ended["content"] = [{"type": "output_text", "text": words}]
            frames += [
                {"type": "response.output_text.done", **place, "text": words},
                {"type": "response.content_part.done", **place, "part": {"type": "text", "text": words}},
            ]
    done = {"response_id": answer.id, "output_index": len(answer.done), "item": ended}
    frames.append({"type": "conversation.item.done", "previous_item_id": None, "item": ended})
    frames.append({"type": "response.output_item.done", **done})
    return frames


_NO_USAGE: Final = {
    "total_tokens": 0,
    "input_tokens": 0,
    "output_tokens": 0,
    "input_token_details": {
        "text_tokens": 0,
        "audio_tokens": 0,
        "image_tokens": 0,
        "cached_tokens": 0,
        "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 0, "audio_tokens": 0},
}


def _said(frame: Item, ids: Ids) -> UpstreamSaid:
    event_id = ids("event")
    body = {"type": frame["type"], "event_id": event_id, **frame}
    return UpstreamSaid(type=str(frame["type"]), event_id=event_id, body=body)


def _shifted(said: UpstreamSaid, by: int) -> UpstreamSaid:
    """Return the frame with its item behind those of the first answer."""
    if said.body is not None:
        index = said.body.get("output_index")
        return _with(said, {**said.body, "output_index": index + by}) if isinstance(index, int) else said
    text = (said.frame or "").replace('"output_index":0', f'"output_index":{by}', 1)
    return UpstreamSaid(type=said.type, event_id=said.event_id, frame=text)


def _with(said: UpstreamSaid, body: Mapping[str, Any]) -> UpstreamSaid:
    return UpstreamSaid(type=said.type, event_id=said.event_id, body=dict(body))
