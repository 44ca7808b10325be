"""What the peer hears where the server paces playback (WebRTC): output_audio_buffer events and truncation.

Source: Realtime reference B6 (WebRTC playout). Elsewhere the client owns playback and this does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kaiwa.events import client, server
from kaiwa.events.own import WordsHeard
from kaiwa.session.conversation import Conversation
from kaiwa.session.floor import Floor
from kaiwa.session.outbox import Outbox


class PacedOutput:
    """`truncate` is told of each item that was cut off, and how many ms of it were heard."""

    def __init__(
        self, enabled: bool, outbox: Outbox, floor: Floor, truncate: Callable[[str, int], None]
    ) -> None:
        self.enabled = enabled
        self._outbox = outbox
        self._floor = floor
        self._truncate = truncate
        self._response_id: str | None = None

    def sent(self, response_id: str) -> None:
        """Note that audio of this response is on its way."""
        if self.enabled and self._response_id != response_id:
            self._finish(server.OutputAudioStopped)
            self._response_id = response_id
            self._outbox.send(server.OutputAudioStarted, response_id=response_id)

    def drained_at(self) -> float | None:
        if self._response_id is None or self._floor.generating:
            return None
        return self._floor.until

    def handle_timer(self, now: float) -> None:
        due = self.drained_at()
        if due is not None and now >= due:
            self._finish(server.OutputAudioStopped)

    def cut(self, now: float) -> None:
        """Stop the sound and keep of each item only what was heard."""
        if self.enabled and self._response_id is not None:
            # Of an answer that was made slower than it sounds all is heard, and its words still run ahead.
            cut_off = self._floor.sounding(now) or self._floor.latest
            heard = [(item_id, self._floor.heard_ms(item_id, now)) for item_id in cut_off]
            self._floor.silence(now)
            self._finish(server.OutputAudioCleared)
            for item_id, heard_ms in heard:
                self._truncate(item_id, heard_ms)
        self._floor.silence(now)

    def lose(self, moment: float, now: float) -> bool:
        """Nobody hears since that moment: keep of each item what was heard; True when one was cut off."""
        if not self.enabled:
            return False
        cut_off = self._floor.unheard_since(moment)
        self._floor.silence(now)
        self._finish(server.OutputAudioCleared)
        for item_id, heard_ms in cut_off:
            self._truncate(item_id, heard_ms)
        return bool(cut_off)

    def resume(self, sounds: Sequence[client.Sounding], now: float) -> None:
        """The server plays the sound from here on, and these first; what went out before was heard."""
        self.enabled = True
        self._floor.skip(now)
        for one in sounds:
            self._floor.again(one.item_id, one.audio_ms, now)
            self.sent(one.response_id)

    def _finish(self, kind: type[server.OutputAudioStopped] | type[server.OutputAudioCleared]) -> None:
        if self._response_id is not None:
            self._outbox.send(kind, response_id=self._response_id)
            self._response_id = None


def truncating(conversation: Conversation, outbox: Outbox) -> Callable[[str, int], None]:
    """Return what keeps of an item of this conversation only the part that was heard, and says so."""

    def truncate(item_id: str, heard_ms: int) -> None:
        entry = conversation.entry(item_id)
        if entry is None:
            return
        end_ms = min(heard_ms, int(entry.audio_ms))
        conversation.truncate(item_id, 0, end_ms)
        outbox.send(server.ItemTruncated, item_id=item_id, content_index=0, audio_end_ms=end_ms)
        outbox.send(WordsHeard, item_id=item_id, transcript=entry.heard or "")

    return truncate
