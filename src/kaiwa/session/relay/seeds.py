"""What a service's session was told of the conversation before it, and what the peer changes of that.

Knows GA frames as JSON objects. Items are told in words: an answer that was spoken in a session before has
no sound in this one, so the service cannot cut it off (`unsupported_content_type`). Its words are told anew
instead.
"""

from __future__ import annotations

from typing import Any

from kaiwa.events.relay import PassedFrame, UpstreamSaid
from kaiwa.session.outbox import Ids
from kaiwa.session.relay.aliases import Aliases, body_of, part_of
from kaiwa.session.relay.transcript import Item, Transcript

_ECHOES = frozenset({"conversation.item.added", "conversation.item.done", "conversation.item.created"})
# Sound is counted in frames on both sides, and a frame may be under way.
_UNDER_WAY_MS = 100


class Seeds:
    """The seeded items of one session at a service after another."""

    def __init__(self, transcript: Transcript, aliases: Aliases, *, ids: Ids) -> None:
        self._transcript = transcript
        self._aliases = aliases
        self._ids = ids
        self._seeded: set[str] = set()
        # The service's ids of items whose deletion the peer did not ask for.
        self._replaced: set[str] = set()

    def plant(self) -> list[Item]:
        """Return what a new session is told, oldest first. The session before is forgotten."""
        items = self._transcript.seeds()
        self._seeded = {str(item["id"]) for item in items}
        self._replaced.clear()
        for item_id in self._seeded:
            self._aliases.forget(item_id)
        return items

    def is_echo(self, said: UpstreamSaid) -> bool:
        """Whether a service only says that it was told."""
        if said.type in _ECHOES:
            return part_of(said.body, "item").get("id") in self._seeded
        if said.type != "conversation.item.deleted" or said.body is None:
            return False
        item_id = str(said.body.get("item_id"))
        if item_id in self._replaced:
            self._replaced.discard(item_id)
            return True
        self._seeded.discard(item_id)
        return False

    def cut_off(self, frame: PassedFrame) -> UpstreamSaid | None:
        """Return what a service with the sound would say to a truncation; None: this one may be asked."""
        if frame.type != "conversation.item.truncate" or not self._seeded:
            return None
        wish = body_of(frame)
        item_id, end_ms = str(wish.get("item_id")), wish.get("audio_end_ms")
        told = self._transcript.find(item_id) if item_id in self._seeded else None
        if told is None or not told.spoken or not isinstance(end_ms, int):
            return None
        if not 0 <= end_ms <= told.alignment.audio_ms + _UNDER_WAY_MS:
            return None
        kind, event_id = "conversation.item.truncated", self._ids("event")
        body = {"type": kind, "event_id": event_id, "item_id": item_id}
        body |= {"content_index": wish.get("content_index", 0), "audio_end_ms": end_ms}
        return UpstreamSaid(type=kind, event_id=event_id, body=body)

    def told_anew(self, item_id: str) -> list[dict[str, Any]]:
        """Return what to tell the session, so that it knows of an item what the transcript does now.

        Under another id: nowhere is it said that one may be used again.
        """
        theirs = self._aliases.theirs(item_id)
        self._replaced.add(theirs)
        wishes: list[dict[str, Any]] = [{"type": "conversation.item.delete", "item_id": theirs}]
        if (item := self._transcript.seed(item_id)) is not None:
            before = self._aliases.theirs(self._transcript.before(item_id, among=self._seeded))
            item = {**item, "id": self._ids("item")}
            self._aliases.add(item["id"], item_id)
            wishes.append({"type": "conversation.item.create", "previous_item_id": before, "item": item})
        return wishes
