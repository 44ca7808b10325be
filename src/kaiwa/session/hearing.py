"""The user's audio on its way to the engine and into items: appended, told of, committed or cleared.

Joins the buffer, the turns and the words that are written down. Does not know responses or calls, nor what
follows from a turn.
"""

from __future__ import annotations

from typing import Literal

from kaiwa.events import engine, server
from kaiwa.events.config import AudioFormat, AudioInput, ServerVad, SessionConfig
from kaiwa.session import user_turns
from kaiwa.session.conversation import Conversation, Entry, user_audio
from kaiwa.session.input_audio import InputAudio
from kaiwa.session.items import Items
from kaiwa.session.outbox import Outbox
from kaiwa.session.policy import HostPolicy
from kaiwa.session.transcripts import Transcripts, transcription_of
from kaiwa.session.user_turns import TurnNews, UserTurns


class Hearing:
    def __init__(
        self,
        policy: HostPolicy,
        outbox: Outbox,
        conversation: Conversation,
        audio: InputAudio,
        turns: UserTurns,
        transcripts: Transcripts,
        items: Items,
    ) -> None:
        self._policy = policy
        self._outbox = outbox
        self._conversation = conversation
        self._audio = audio
        self._turns = turns
        self._transcripts = transcripts
        self._items = items
        self._mode: Literal["off", "voice", "turns"] | None = None

    @property
    def spoken_id(self) -> str | None:
        """The item that the peer was told is being spoken."""
        return self._turns.item_id if self._turns.announced else None

    # --- settings ------------------------------------------------------------------------------

    def set_format(self, format: AudioFormat) -> None:
        self._audio.set_format(format)

    def listen(self, wanted: AudioInput) -> None:
        """Have the engine look for what these settings need, if that is something else than before."""
        detection = wanted.turn_detection
        plain = isinstance(detection, ServerVad) and not self._policy.backchannels
        mode = "off" if detection is None else "voice" if plain else "turns"
        if mode != self._mode:
            self._mode = mode
            self._outbox.ask(engine.Listen(mode=mode))

    # --- audio ---------------------------------------------------------------------------------

    def append(self, audio: bytes, config: SessionConfig) -> tuple[TurnNews, ...]:
        """Take audio of the peer. Raises PeerError, and then nothing was taken."""
        pcm = self._audio.append(audio, self._policy.max_buffer_ms)
        if pcm:
            self._outbox.ask(engine.Hear(pcm=pcm))
        if config.audio.input.turn_detection is not None:
            return self._bound_buffer()
        if self._transcripts.followed is None:
            self._transcripts.follow(self.spoken_id, self._audio.start_ms, config)
        return ()

    def _bound_buffer(self) -> tuple[TurnNews, ...]:
        """End a turn that fills the buffer; else forget silence that was judged long ago."""
        if self._audio.buffered_ms > self._policy.max_buffer_ms - 1000:
            news = self._turns.cut(self._audio.heard_ms)
            if news:
                return news
        keep_ms = self._policy.keep_silence_ms + self._turns.prefix_ms
        old_ms = self._turns.judged_ms - keep_ms - self._audio.start_ms
        if old_ms > self._policy.discard_every_ms and self._turns.quiet:
            self._audio.forget(self._turns.judged_ms - keep_ms)
            self._discard()
        return ()

    def abandon(self) -> tuple[TurnNews, ...]:
        """Give up the turn in what was heard so far."""
        return self._turns.abandon(self._audio.heard_ms)

    def clear(self) -> None:
        """Forget what waits, once its turn is given up."""
        self._audio.take(self._audio.heard_ms)
        self._transcripts.unfollow()
        self._discard()
        self._outbox.send(server.InputAudioCleared)

    def _discard(self) -> None:
        self._outbox.ask(engine.Discard(until_ms=self._audio.start_ms))

    # --- what becomes of it --------------------------------------------------------------------

    def began(self, turn: user_turns.Began, config: SessionConfig) -> None:
        start_ms = max(turn.start_ms, self._audio.start_ms)
        self._outbox.send(server.SpeechStarted, audio_start_ms=start_ms, item_id=turn.item_id)
        self._transcripts.follow(turn.item_id, start_ms, config)

    def paused(
        self, pause: user_turns.Paused, generate: engine.Generate | None, config: SessionConfig
    ) -> None:
        """Have the engine prepare for the end of the turn, and perhaps its answer too."""
        self._outbox.ask(
            engine.Prepare(
                item_id=pause.item_id,
                start_ms=max(pause.start_ms, self._audio.start_ms),
                end_ms=pause.end_ms,
                generate=generate,
                transcribe=transcription_of(pause.item_id, config),
            )
        )

    def ended(self, turn: user_turns.Ended, config: SessionConfig) -> None:
        self._outbox.send(server.SpeechStopped, audio_end_ms=turn.end_ms, item_id=turn.item_id)
        self._commit(turn.item_id, turn.start_ms, turn.end_ms, config)

    def check_commit(self) -> None:
        """Raises PeerError when there is too little to commit."""
        self._audio.check_commit(self._policy.min_commit_ms)

    def commit_all(self, spoken_id: str | None, config: SessionConfig) -> str:
        """Make one item of all that waits, as the peer wants it, and return its id.

        `spoken_id`: the item that the peer was told is being spoken; its turn was abandoned since.
        """
        end_ms = self._audio.heard_ms
        item_id = spoken_id or self._transcripts.followed or self._outbox.new_id("item")
        if spoken_id is not None and config.audio.input.turn_detection is not None:
            self._outbox.send(server.SpeechStopped, audio_end_ms=end_ms, item_id=item_id)
        self._commit(item_id, self._audio.start_ms, end_ms, config)
        return item_id

    def commit_silence(self, lasted_ms: int, config: SessionConfig) -> None:
        """Make an item of the silence that has lasted so long (idle_timeout_ms)."""
        end_ms = self._audio.heard_ms
        start_ms = max(self._audio.taken_ms, end_ms - lasted_ms)
        item_id = self._outbox.new_id("item")
        self._outbox.send(
            server.TimeoutTriggered, audio_start_ms=start_ms, audio_end_ms=end_ms, item_id=item_id
        )
        self._commit(item_id, start_ms, end_ms, config)

    def _commit(self, item_id: str, start_ms: int, end_ms: int, config: SessionConfig) -> None:
        start_ms = max(start_ms, self._audio.start_ms)
        end_ms = max(start_ms, min(end_ms, self._audio.heard_ms))
        self._outbox.send(
            server.InputAudioCommitted, previous_item_id=self._conversation.last_id, item_id=item_id
        )
        self._items.show(item_id, self._entry(item_id, start_ms, end_ms, config.audio.input.format))
        self._outbox.ask(engine.Commit(item_id=item_id, start_ms=start_ms, end_ms=end_ms))
        self._audio.take(end_ms)
        self._discard()
        self._transcripts.commit(item_id, config)

    def _entry(self, item_id: str, start_ms: int, end_ms: int, format: AudioFormat) -> Entry:
        entry = Entry(item=user_audio(item_id), audio_ms=end_ms - start_ms)
        if audio := self._audio.stretch(start_ms, end_ms):
            entry.sound = self._conversation.sounds.keep(format, audio)
        return entry
