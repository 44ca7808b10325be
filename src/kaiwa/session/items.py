"""What a peer does to the items of the conversation, and how finished items are shown.

Source: Realtime reference B1, K-66 to K-92. Does not know responses or turns.
"""

from __future__ import annotations

from kaiwa.audio.formats import HOUSE_BYTES_PER_MS
from kaiwa.events import client, engine, server
from kaiwa.events.config import SessionConfig
from kaiwa.events.items import AnyItem, ClientItem, FunctionCall, FunctionCallOutput
from kaiwa.session import errors
from kaiwa.session.alignment import Alignment
from kaiwa.session.calls import CallLedger
from kaiwa.session.conversation import Conversation, Entry, whole
from kaiwa.session.input_audio import InputAudio
from kaiwa.session.item_rules import audio_of, check_item, stored, wants_transcript, words_of
from kaiwa.session.outbox import Outbox
from kaiwa.session.transcripts import Transcripts, transcription_of


class Items:
    def __init__(
        self,
        outbox: Outbox,
        conversation: Conversation,
        audio: InputAudio,
        transcripts: Transcripts,
        calls: CallLedger,
    ) -> None:
        self._outbox = outbox
        self._conversation = conversation
        self._audio = audio
        self._transcripts = transcripts
        self._calls = calls

    def show(self, item_id: str, entry: Entry, after: str | None = None) -> None:
        """Add a finished item and say so."""
        previous = self._conversation.add(item_id, entry, after)
        self._outbox.send(server.ItemAdded, previous_item_id=previous, item=entry.item)
        self._outbox.send(server.ItemDone, previous_item_id=previous, item=entry.item)

    def retell(self) -> None:
        """Show every item again, as it is now."""
        previous: str | None = None
        for item_id in self._conversation.ids:
            entry = self._conversation.entry(item_id)
            assert entry is not None, "what is in the order is there"
            self._outbox.send(server.ItemAdded, previous_item_id=previous, item=entry.item)
            if getattr(entry.item, "status", None) != "in_progress":
                self._outbox.send(server.ItemDone, previous_item_id=previous, item=entry.item)
            previous = item_id

    def create(self, event: client.ItemCreated, config: SessionConfig) -> None:
        """Add a peer's item. Raises PeerError, and then nothing was added."""
        item, after = event.item, event.previous_item_id
        check_item(item)
        if item.id and item.id in self._conversation:
            raise errors.duplicate_item(item.id)
        self._conversation.check_place(after)
        self._check_call(item)
        audio = audio_of(item)
        pcm = self._audio.whole(audio, "item.content[0].audio")
        item_id = item.id or self._outbox.new_id("item")
        entry = _entry_of(stored(item, item_id, self._outbox.new_id), pcm)
        if audio:
            entry.sound = self._conversation.sounds.keep(config.audio.input.format, audio)
        self.show(item_id, entry, after)
        if pcm and wants_transcript(entry.item):
            self._outbox.ask(engine.Remember(item_id=item_id, pcm=pcm))
            self._transcripts.ask(transcription_of(item_id, config))

    def retrieve(self, item_id: str) -> None:
        entry = self._conversation.entry(item_id)
        if entry is None:
            raise errors.unknown_item("retrieve", item_id)
        self._outbox.send(server.ItemRetrieved, item=whole(entry))

    def truncate(self, event: client.ItemTruncateRequested) -> None:
        self._conversation.truncate(event.item_id, event.content_index, event.audio_end_ms)
        self._outbox.send(
            server.ItemTruncated,
            item_id=event.item_id,
            content_index=event.content_index,
            audio_end_ms=event.audio_end_ms,
        )

    def delete(self, item_id: str) -> str | None:
        """Delete an item; return the id of a running call that went with it."""
        item = self._conversation.delete(item_id)
        self._outbox.send(server.ItemDeleted, item_id=item_id)
        if isinstance(item, FunctionCall) and self._calls.running(str(item.call_id)):
            self._calls.forget(str(item.call_id))
            return str(item.call_id)
        return None

    def _check_call(self, item: ClientItem) -> None:
        if isinstance(item, FunctionCallOutput):
            self._conversation.check_output(item, "item.call_id")
            if self._calls.running(item.call_id):
                raise errors.answered_call(item.call_id, "item.call_id")
        elif isinstance(item, FunctionCall) and item.call_id and self._conversation.knows_call(item.call_id):
            raise errors.duplicate_call(item.call_id)


def finish(outbox: Outbox, conversation: Conversation, item_id: str, item: AnyItem) -> None:
    """Show an item's last state, unless it was deleted."""
    if item_id in conversation:
        conversation.replace(item_id, item)
        previous = conversation.previous_id(item_id)
        outbox.send(server.ItemDone, previous_item_id=previous, item=item)


def _entry_of(item: ClientItem, pcm: bytes) -> Entry:
    audio_ms = len(pcm) / HOUSE_BYTES_PER_MS
    alignment = Alignment()
    alignment.add_text(words_of(item))
    alignment.add_audio(audio_ms)
    return Entry(item=item, audio_ms=audio_ms, alignment=alignment if pcm else None)
