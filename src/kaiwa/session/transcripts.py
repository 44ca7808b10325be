"""The writing down of the user's words: exactly one outcome for every item it was asked for (K-164).

Where the client asks for a model that streams, the words of an item that is still spoken are told under the
id it will have (K-292).
"""

from __future__ import annotations

from msgspec import UNSET

from kaiwa.events import engine, server
from kaiwa.events.config import SessionConfig
from kaiwa.events.logprobs import INCLUDED
from kaiwa.session.conversation import Conversation
from kaiwa.session.outbox import Outbox

STREAMING_MODELS = ("gpt-realtime-whisper", "gpt-live-transcribe")


def streams(model: str | None) -> bool:
    """Say whether a transcription model of this name tells words while they are spoken."""
    return (model or "").startswith(STREAMING_MODELS)


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
        self._followed: str | None = None

    @property
    def followed(self) -> str | None:
        """The id of the item whose words are told while it is spoken."""
        return self._followed

    def follow(self, item_id: str | None, start_ms: int, config: SessionConfig) -> None:
        """Have the words of the audio from `start_ms` on told while it is spoken; None: for a new item."""
        wanted = config.audio.input.transcription
        if wanted is None or not streams(wanted.model):
            return
        self._followed = item_id or self._outbox.new_id("item")
        command = transcription_of(self._followed, config)
        assert command is not None, "transcription is on"
        self._outbox.ask(engine.Follow(start_ms=start_ms, transcribe=command))

    def unfollow(self) -> None:
        """The item that was followed will not come."""
        if self._followed is not None:
            self._outbox.ask(engine.Unfollow(item_id=self._followed))
            self._followed = None

    def commit(self, item_id: str, config: SessionConfig) -> None:
        """The item is complete: ask for its words, or for those that were not told yet."""
        if self._followed != item_id:
            self.unfollow()
        self._followed = None
        self.ask(transcription_of(item_id, config))

    def ask(self, command: engine.Transcribe | None) -> None:
        if command is not None:
            self._pending[command.item_id] = command
            self._outbox.ask(command)

    def piece(self, event: engine.TranscriptDelta) -> None:
        known = event.item_id in self._pending or event.item_id == self._followed
        if known and event.text:
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
