"""The writing down of the user's words: exactly one outcome for every item it was asked for (K-164)."""

from __future__ import annotations

from msgspec import UNSET

from kaiwa.events import engine, server
from kaiwa.events.config import SessionConfig
from kaiwa.events.logprobs import INCLUDED
from kaiwa.session.conversation import Conversation
from kaiwa.session.outbox import Outbox


def transcription_of(item_id: str, config: SessionConfig) -> engine.Transcribe | None:
    """Return what an engine is asked for an item's words; None while transcription is off."""
    wanted = config.audio.input.transcription
    if wanted is None:
        return None
    return engine.Transcribe(
        item_id=item_id,
        model=wanted.model,
        language=wanted.language,
        prompt=wanted.prompt,
        logprobs=INCLUDED in (config.include or ()),
    )


class Transcripts:
    def __init__(self, outbox: Outbox, conversation: Conversation) -> None:
        self._outbox = outbox
        self._conversation = conversation
        self._pending: dict[str, engine.Transcribe] = {}

    def ask(self, command: engine.Transcribe | None) -> None:
        if command is not None:
            self._pending[command.item_id] = command
            self._outbox.ask(command)

    def piece(self, event: engine.TranscriptDelta) -> None:
        if event.item_id in self._pending and event.text:
            self._outbox.send(
                server.InputTranscriptionDelta, item_id=event.item_id, content_index=0, delta=event.text
            )

    def done(self, event: engine.TranscriptDone) -> None:
        asked = self._pending.pop(event.item_id, None)
        if asked is None:
            return
        self._conversation.set_transcript(event.item_id, event.text)
        self._outbox.send(
            server.InputTranscriptionCompleted,
            item_id=event.item_id,
            content_index=0,
            transcript=event.text,
            usage=event.usage,
            logprobs=event.logprobs if asked.logprobs else UNSET,
        )

    def failed(self, event: engine.TranscriptFailed) -> None:
        if self._pending.pop(event.item_id, None) is None:
            return
        error = server.TranscriptionError(
            type=event.error.type, message=event.error.message, code=event.error.code or UNSET
        )
        self._outbox.send(
            server.InputTranscriptionFailed, item_id=event.item_id, content_index=0, error=error
        )
