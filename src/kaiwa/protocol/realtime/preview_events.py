"""Preview frames to GA events and back, whole frames: two functions for clients, two tables for servers.

Values inside frames are translated in `preview_settings` and `preview_items`. Knows neither JSON nor which
events an edition lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import UNSET, structs

from kaiwa.errors import PeerError
from kaiwa.events import client, server
from kaiwa.events.client import WireEvent
from kaiwa.events.server import ServerEvent
from kaiwa.events.value import Value
from kaiwa.protocol.realtime import preview_frames as frames
from kaiwa.protocol.realtime import preview_shapes as shapes
from kaiwa.protocol.realtime import rules
from kaiwa.protocol.realtime.preview_editions import (
    PATHS,
    Edition,
)
from kaiwa.protocol.realtime.preview_items import (
    item_meant,
    item_read,
    item_shown,
    item_told,
    params_meant,
    params_told,
    response_read,
    response_shown,
)
from kaiwa.protocol.realtime.preview_settings import (
    session_read,
    session_shown,
    settings_meant,
    settings_told,
    transcription_meant,
    transcription_read,
    transcription_shown,
    transcription_told,
)

# --- from the client ---------------------------------------------------------------------------


def meant(frame: Any) -> WireEvent:
    """Return the event a client's frame stands for. Raises PeerError in the dialect's own names."""
    try:
        return rules.checked(_as_event(frame))
    except PeerError as fault:
        if fault.param is None:
            raise
        message, param = _in_preview(fault.message), _in_preview(f"'{fault.param}'").strip("'")
        raise PeerError(fault.code, message, param=param, type=fault.type) from None


def _as_event(frame: Any) -> WireEvent:
    match frame:
        case frames.SessionUpdate(event_id=event_id, session=session):
            return client.SettingsChanged(event_id=event_id, session=settings_meant(session))
        case frames.TranscriptionSessionUpdate(event_id=event_id, session=session):
            return client.SettingsChanged(event_id=event_id, session=transcription_meant(session))
        case frames.ItemCreate(event_id=event_id, item=item, previous_item_id=previous):
            meant = item_meant(item, "item")
            return client.ItemCreated(event_id=event_id, item=meant, previous_item_id=previous)
        case frames.ResponseCreate(event_id=event_id, response=response):
            return client.ResponseRequested(event_id=event_id, response=params_meant(response))
        case _:
            return frame


def told(event: WireEvent) -> Value:
    match event:
        case client.SettingsChanged(event_id=event_id, session=session) if session.type == "transcription":
            told = transcription_told(session)
            return frames.TranscriptionSessionUpdate(event_id=event_id, session=told)
        case client.SettingsChanged(event_id=event_id, session=session):
            return frames.SessionUpdate(event_id=event_id, session=settings_told(session))
        case client.ItemCreated(event_id=event_id, item=item, previous_item_id=previous):
            return frames.ItemCreate(event_id=event_id, item=item_told(item), previous_item_id=previous)
        case client.ResponseRequested(event_id=event_id, response=response):
            return frames.ResponseCreate(event_id=event_id, response=params_told(response))
        case _:
            return event


def _in_preview(text: str) -> str:
    for ga, preview in PATHS.items():
        text = text.replace(f"'{ga}", f"'{preview}")
    return text


def _in_ga(text: str) -> str:
    for ga, preview in PATHS.items():
        text = text.replace(f"'{preview}", f"'{ga}")
    return text


# --- to the client -----------------------------------------------------------------------------

_RENAMED: Final[Mapping[type, type]] = {
    server.TextDelta: frames.TextDelta,
    server.TextDone: frames.TextDone,
    server.TranscriptDelta: frames.TranscriptDelta,
    server.TranscriptDone: frames.TranscriptDone,
    server.AudioDelta: frames.AudioDelta,
    server.AudioDone: frames.AudioDone,
}


def _recast(event: Any, kind: type[Any]) -> Any:
    """Return the same fields under the other dialect's name; deltas are not padded in this one."""
    names = [name for name in event.__struct_fields__ if name != "obfuscation"]
    return kind(**{name: getattr(event, name) for name in names})


def _recast_shown(kind: type) -> Callable[[Any, Edition], Any]:
    return lambda event, _edition: _recast(event, kind)


def _recast_read(kind: type) -> Callable[[Any], Any]:
    return lambda frame: _recast(frame, kind)


def _session_shown(event: Any, edition: Edition) -> Value:
    created = isinstance(event, server.SessionCreated)
    if event.session.type == "transcription":
        kind = frames.TranscriptionSessionCreated if created else frames.TranscriptionSessionUpdated
        return kind(event_id=event.event_id, session=transcription_shown(event.session, edition))
    kind = frames.SessionCreated if created else frames.SessionUpdated
    return kind(event_id=event.event_id, session=session_shown(event.session, edition))


def _unpadded(event: Any, _edition: Edition) -> Any:
    return event if event.obfuscation is UNSET else structs.replace(event, obfuscation=UNSET)


def _failed_shown(event: Any, _edition: Edition) -> server.Failed:
    if event.error.code == "unknown_parameter":  # named as the client wrote it, GA names included
        return event
    return structs.replace(event, error=_error_in(event.error, _in_preview))


def _error_in(error: Any, renamed: Callable[[str], str]) -> server.ErrorDetail:
    return server.ErrorDetail(
        type=error.type,
        code=error.code,
        message=renamed(error.message),
        param=error.param and renamed(f"'{error.param}'").strip("'"),
        event_id=error.event_id,
    )


_SHOWN: Final[Mapping[type, Callable[[Any, Edition], Any]]] = {
    **{ga: _recast_shown(preview) for ga, preview in _RENAMED.items()},
    server.SessionCreated: _session_shown,
    server.SessionUpdated: _session_shown,
    server.ItemAdded: lambda event, _: frames.ItemCreated(
        event_id=event.event_id, previous_item_id=event.previous_item_id, item=item_shown(event.item)
    ),
    server.ItemRetrieved: lambda event, _: frames.ItemRetrieved(
        event_id=event.event_id, item=item_shown(event.item)
    ),
    server.OutputItemAdded: lambda event, _: frames.OutputItemAdded(
        event_id=event.event_id,
        response_id=event.response_id,
        output_index=event.output_index,
        item=item_shown(event.item),
    ),
    server.OutputItemDone: lambda event, _: frames.OutputItemDone(
        event_id=event.event_id,
        response_id=event.response_id,
        output_index=event.output_index,
        item=item_shown(event.item),
    ),
    server.ResponseCreated: lambda event, edition: frames.ResponseCreated(
        event_id=event.event_id, response=response_shown(event.response, edition)
    ),
    server.ResponseDone: lambda event, edition: frames.ResponseDone(
        event_id=event.event_id, response=response_shown(event.response, edition)
    ),
    server.ArgumentsDelta: _unpadded,
    server.McpArgumentsDelta: _unpadded,
    server.InputTranscriptionDelta: _unpadded,
    server.Failed: _failed_shown,
}

# --- from an upstream --------------------------------------------------------------------------


def _part_read(kind: type[Any]) -> Callable[[Any], Any]:
    def read(frame: frames.ContentPartAdded | frames.ContentPartDone) -> Any:
        given = frame.content if frame.part is UNSET else frame.part
        spoken = isinstance(given, shapes.Audio)
        part = (
            server.AudioPart(transcript=given.transcript or "")
            if spoken
            else server.TextPart(text=given.text if isinstance(given, shapes.Text) else "")
        )
        return kind(
            event_id=frame.event_id,
            response_id=frame.response_id,
            item_id=frame.item_id,
            output_index=frame.output_index,
            content_index=frame.content_index,
            part=part,
        )

    return read


_READ: Final[Mapping[type, Callable[[Any], Any]]] = {
    **{preview: _recast_read(ga) for ga, preview in _RENAMED.items()},
    frames.SessionCreated: lambda frame: server.SessionCreated(
        event_id=frame.event_id, session=session_read(frame.session)
    ),
    frames.SessionUpdated: lambda frame: server.SessionUpdated(
        event_id=frame.event_id, session=session_read(frame.session)
    ),
    frames.TranscriptionSessionCreated: lambda frame: server.SessionCreated(
        event_id=frame.event_id, session=transcription_read(frame.session)
    ),
    frames.TranscriptionSessionUpdated: lambda frame: server.SessionUpdated(
        event_id=frame.event_id, session=transcription_read(frame.session)
    ),
    frames.ItemCreated: lambda frame: server.ItemAdded(
        event_id=frame.event_id, previous_item_id=frame.previous_item_id, item=item_read(frame.item)
    ),
    frames.ItemRetrieved: lambda frame: server.ItemRetrieved(
        event_id=frame.event_id, item=item_read(frame.item)
    ),
    frames.OutputItemAdded: lambda frame: server.OutputItemAdded(
        event_id=frame.event_id,
        response_id=frame.response_id,
        output_index=frame.output_index,
        item=item_read(frame.item),
    ),
    frames.OutputItemDone: lambda frame: server.OutputItemDone(
        event_id=frame.event_id,
        response_id=frame.response_id,
        output_index=frame.output_index,
        item=item_read(frame.item),
    ),
    frames.ResponseCreated: lambda frame: server.ResponseCreated(
        event_id=frame.event_id, response=response_read(frame.response)
    ),
    frames.ResponseDone: lambda frame: server.ResponseDone(
        event_id=frame.event_id, response=response_read(frame.response)
    ),
    frames.ContentPartAdded: _part_read(server.ContentPartAdded),
    frames.ContentPartDone: _part_read(server.ContentPartDone),
    frames.ArgumentsDone: _recast_read(server.ArgumentsDone),
    frames.InputTranscriptionDelta: _recast_read(server.InputTranscriptionDelta),
    frames.InputTranscriptionCompleted: _recast_read(server.InputTranscriptionCompleted),
    frames.InputAudioCommitted: _recast_read(server.InputAudioCommitted),
    frames.Failed: lambda frame: server.Failed(event_id=frame.event_id, error=_error_in(frame.error, _in_ga)),
}


def as_frame(event: ServerEvent, edition: Edition) -> Any:
    """Return what a client is shown; events that are the same in both dialects come back as they are."""
    show = _SHOWN.get(type(event))
    return show(event, edition) if show is not None else event


def as_event(frame: object) -> Any:
    """Return what an upstream's frame means."""
    read = _READ.get(type(frame))
    return read(frame) if read is not None else frame
