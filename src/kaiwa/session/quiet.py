"""Whether a conversation is between two turns, so that it may be ended without cutting anybody short.

Looks at what crosses the peer's doorway, of host and relayed sessions alike. Knows types of events;
nothing of why somebody wants to end it.
"""

from __future__ import annotations

from typing import Final

from kaiwa.events import client, server
from kaiwa.events.client import ClientEvent
from kaiwa.events.relay import PassedFrame
from kaiwa.events.server import ServerEvent

SETTLING_S: Final = 1.0
"""After a turn or a word of the peer: what follows from it is under way, and not to be seen yet."""
_BEGINS: Final = frozenset({"response.created"})
_ENDS: Final = frozenset({"response.done"})
_SPEAKS: Final = "input_audio_buffer.speech_started"
_PAUSES: Final = "input_audio_buffer.speech_stopped"
_SOUND: Final = "input_audio_buffer.append"
_PLAYS: Final = "output_audio_buffer.started"
_PLAYED: Final = frozenset({"output_audio_buffer.stopped", "output_audio_buffer.cleared"})


class Quiet:
    """Tell it all that is said and heard; `since` is None while a turn goes on."""

    def __init__(self, now: float) -> None:
        self._last = now
        self._open = 0
        self._speaks = False
        self._plays = False

    @property
    def since(self) -> float | None:
        """When the last turn was over, and what may follow of it; None: one goes on."""
        return None if self._open or self._speaks or self._plays else self._last + SETTLING_S

    def said(self, event: ServerEvent, now: float) -> None:
        """Note what the peer is told."""
        kind = _type_of(event)
        if kind is None:
            return
        self._last = now
        if kind in _BEGINS:
            self._open += 1
        elif kind in _ENDS:
            self._open = max(0, self._open - 1)
        elif kind == _PLAYS or kind in _PLAYED:
            self._plays = kind == _PLAYS
        else:
            self._speaks = kind == _SPEAKS

    def heard(self, event: ClientEvent, now: float) -> None:
        """Note what the peer says; the sound of a silent microphone is nothing."""
        sound = type(event) is client.AudioAppended or (
            isinstance(event, PassedFrame) and event.type == _SOUND
        )
        if not sound:
            self._last = now


_OWN: Final[dict[type, str]] = {
    server.ResponseCreated: "response.created",
    server.ResponseDone: "response.done",
    server.SpeechStarted: _SPEAKS,
    server.SpeechStopped: _PAUSES,
    server.OutputAudioStarted: _PLAYS,
    server.OutputAudioStopped: "output_audio_buffer.stopped",
    server.OutputAudioCleared: "output_audio_buffer.cleared",
}
_LOOKED_AT: Final = _BEGINS | _ENDS | _PLAYED | {_SPEAKS, _PAUSES, _PLAYS}


def _type_of(event: ServerEvent) -> str | None:
    if isinstance(event, PassedFrame):
        return event.type if event.type in _LOOKED_AT else None
    return _OWN.get(type(event))
