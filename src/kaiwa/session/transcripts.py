"""The writing down of the user's words: exactly one outcome for every item it was asked for (K-164)."""

from __future__ import annotations

from msgspec import UNSET

from kaiwa.events import engine, server
from kaiwa.events.config import Transcription
from kaiwa.session.conversation import Conversation
from kaiwa.session.outbox import Outbox


class Transcripts:
    def __init__(self, outbox: Outbox, conversation: Conversation) -> None:
        self._outbox = outbox
        self._conversation = conversation
        self._pending: set[str] = set()

    def ask(self, item_id: str, wanted: Transcription | None) -> None:
        if wanted is None:
            return
        self._pending.add(item_id)
        self._outbox.ask(
            engine.Transcribe(
                item_id=item_id, model=wanted.model, language=wanted.language, prompt=wanted.prompt
            )
        )

    def piece(self, event: engine.TranscriptDelta) -> None:
        if event.item_id in self._pending and event.text:
            self._outbox.send(
                server.InputTranscriptionDelta, item_id=event.item_id, content_index=0, delta=event.text
            )

    def done(self, event: engine.TranscriptDone) -> None:
        if event.item_id not in self._pending:
            return
        self._pending.discard(event.item_id)
        self._conversation.set_transcript(event.item_id, event.text)
        self._outbox.send(
            server.InputTranscriptionCompleted,
            item_id=event.item_id,
            content_index=0,
            transcript=event.text,
            usage=event.usage,
        )

    def failed(self, event: engine.TranscriptFailed) -> None:
        if event.item_id not in self._pending:
            return
        self._pending.discard(event.item_id)
        error = server.TranscriptionError(
            type=event.error.type, message=event.error.message, code=event.error.code or UNSET
        )
        self._outbox.send(
            server.InputTranscriptionFailed, item_id=event.item_id, content_index=0, error=error
        )
