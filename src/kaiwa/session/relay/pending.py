"""What was said to the service and is not known to have arrived: sound of a turn under way, and wishes.

Knows GA frames in their order, and which event of the service tells that one was taken. Sends nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from kaiwa.events.relay import PassedFrame

APPEND: Final = "input_audio_buffer.append"
COMMIT: Final = "input_audio_buffer.commit"
# While nobody speaks, what came before the onset of the next turn; else a turn of half a minute.
QUIET_BYTES: Final = 96 * 1024
SPEECH_BYTES: Final = 2 * 1024 * 1024
# What may be under way when a service takes a turn that it ended itself. The silence that it waited for is
# longer: nothing of the turn is in this, and would be heard as another one.
UNDER_WAY_MS: Final = 150
# A service answers each; of one that does not, the oldest go.
MOST_WISHES: Final = 256
_SMALL_BYTES: Final = 512
_ANSWERED_BY: Final[Mapping[str, str]] = {
    "session.updated": "session.update",
    "response.created": "response.create",
    "input_audio_buffer.committed": COMMIT,
    "input_audio_buffer.cleared": "input_audio_buffer.clear",
    "conversation.item.truncated": "conversation.item.truncate",
    "conversation.item.deleted": "conversation.item.delete",
    "conversation.item.retrieved": "conversation.item.retrieve",
    "conversation.item.added": "conversation.item.create",
}
TYPES: Final = frozenset({"error", "conversation.item.added"})


class Pending:
    """Bounded in sound: of more than fits the oldest goes. Wishes are few, and the service answers each."""

    def __init__(self) -> None:
        self._frames: deque[PassedFrame] = deque()
        self._sound_bytes = 0
        self.keeps_bytes = QUIET_BYTES
        self.bytes_per_ms = 64.0
        """Of the caller's sound, as base64."""
        self.wishes = 0
        """How many wishes are not answered yet."""

    def add(self, frame: PassedFrame) -> None:
        if frame.type in ("response.cancel", "output_audio_buffer.clear"):
            return  # about what the ended session was saying
        self._frames.append(frame)
        if frame.type != APPEND:
            self.wishes += 1
            if self.wishes > MOST_WISHES:
                self._drop(lambda frame: frame.type != APPEND)
            return
        self._sound_bytes += _size(frame)
        self._bound()

    def answered(self, kind: str) -> None:
        """The service has said that it took the oldest wish of a kind."""
        wish = _ANSWERED_BY.get(kind)
        if wish is None:
            return
        if wish == COMMIT:
            self._committed()
            return
        self._drop(lambda frame: frame.type == wish)

    def refused(self, event_id: str) -> None:
        """The service has answered the wish with this id by an error."""
        self._drop(lambda frame: frame.event_id == event_id and frame.type != APPEND)

    def take(self) -> list[PassedFrame]:
        """Return all of it, in order, and forget it."""
        frames = list(self._frames)
        self._frames.clear()
        self._sound_bytes = self.wishes = 0
        return frames

    def _drop(self, fits: Callable[[PassedFrame], bool]) -> None:
        """Forget the oldest wish that fits."""
        if not self.wishes:
            return
        for frame in self._frames:
            if fits(frame):
                self._frames.remove(frame)
                self.wishes -= 1
                return

    def _committed(self) -> None:
        """A turn is over: its sound is the service's now, up to the commit where one was sent."""
        commits = [frame for frame in self._frames if frame.type == COMMIT]
        if not commits:
            self.keeps_bytes = int(UNDER_WAY_MS * self.bytes_per_ms)
            self._bound()
            self.keeps_bytes = QUIET_BYTES
            return
        kept: deque[PassedFrame] = deque()
        before = True
        for frame in self._frames:
            if before and frame is commits[0]:
                before = False
            elif not before or frame.type != APPEND:
                kept.append(frame)
        self._frames = kept
        self.wishes -= 1
        self._sound_bytes = sum(_size(frame) for frame in kept if frame.type == APPEND)

    def _bound(self) -> None:
        while self._sound_bytes > self.keeps_bytes:
            oldest = next(frame for frame in self._frames if frame.type == APPEND)
            self._frames.remove(oldest)
            self._sound_bytes -= _size(oldest)


def _size(frame: PassedFrame) -> int:
    return _SMALL_BYTES if frame.frame is None else len(frame.frame)
