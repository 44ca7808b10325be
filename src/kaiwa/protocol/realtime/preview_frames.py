"""The preview frames that GA lacks or shapes otherwise, and the unions of all that may arrive. No behaviour.

Source: Realtime reference B1 and B2. Fields that GA requires and early services leave out have a
default here.
"""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from kaiwa.events import client, server
from kaiwa.events.usage import TokenTranscriptionUsage, TranscriptionUsage
from kaiwa.events.value import Value
from kaiwa.protocol.realtime import preview_shapes as shapes

# --- from the client ---------------------------------------------------------------------------


class _Told(Value, tag_field="type", kw_only=True):
    event_id: client.EventId | None = None


class SessionUpdate(_Told, tag="session.update", kw_only=True):
    session: shapes.SessionUpdate


class TranscriptionSessionUpdate(_Told, tag="transcription_session.update", kw_only=True):
    session: shapes.TranscriptionUpdate


class ItemCreate(_Told, tag="conversation.item.create", kw_only=True):
    item: shapes.ClientItem
    previous_item_id: str | None = None


class ResponseCreate(_Told, tag="response.create", kw_only=True):
    response: shapes.ResponseParams | None | UnsetType = UNSET


ClientFrame = (
    SessionUpdate
    | TranscriptionSessionUpdate
    | ItemCreate
    | ResponseCreate
    | client.AudioAppended
    | client.AudioCommitted
    | client.AudioCleared
    | client.OutputAudioCleared
    | client.ItemRetrieveRequested
    | client.ItemTruncateRequested
    | client.ItemDeleteRequested
    | client.ResponseCancelled
)

# --- from the server ---------------------------------------------------------------------------


class _Said(Value, tag_field="type", kw_only=True):
    event_id: str


class SessionCreated(_Said, tag="session.created", kw_only=True):
    session: shapes.Session


class SessionUpdated(_Said, tag="session.updated", kw_only=True):
    session: shapes.Session


class TranscriptionSessionCreated(_Said, tag="transcription_session.created", kw_only=True):
    session: shapes.TranscriptionSession


class TranscriptionSessionUpdated(_Said, tag="transcription_session.updated", kw_only=True):
    session: shapes.TranscriptionSession


class ItemCreated(_Said, tag="conversation.item.created", kw_only=True):
    previous_item_id: str | None = None
    item: shapes.Item


class ItemRetrieved(_Said, tag="conversation.item.retrieved", kw_only=True):
    item: shapes.Item


class ResponseCreated(_Said, tag="response.created", kw_only=True):
    response: shapes.Response


class ResponseDone(_Said, tag="response.done", kw_only=True):
    response: shapes.Response


class _OutputItem(_Said, kw_only=True):
    response_id: str
    output_index: int
    item: shapes.Item


class OutputItemAdded(_OutputItem, tag="response.output_item.added", kw_only=True):
    pass


class OutputItemDone(_OutputItem, tag="response.output_item.done", kw_only=True):
    pass


class _ContentPart(_Said, kw_only=True):
    """The first Azure services write `content` for `part`."""

    response_id: str
    item_id: str
    output_index: int
    content_index: int
    part: shapes.Text | shapes.Audio | UnsetType = UNSET
    content: shapes.Text | shapes.Audio | UnsetType = UNSET


class ContentPartAdded(_ContentPart, tag="response.content_part.added", kw_only=True):
    pass


class ContentPartDone(_ContentPart, tag="response.content_part.done", kw_only=True):
    pass


class TextDelta(server.TextDelta, tag="response.text.delta", kw_only=True):
    pass


class TextDone(server.TextDone, tag="response.text.done", kw_only=True):
    pass


class TranscriptDelta(server.TranscriptDelta, tag="response.audio_transcript.delta", kw_only=True):
    pass


class TranscriptDone(server.TranscriptDone, tag="response.audio_transcript.done", kw_only=True):
    pass


class AudioDelta(server.AudioDelta, tag="response.audio.delta", kw_only=True):
    pass


class AudioDone(server.AudioDone, tag="response.audio.done", kw_only=True):
    pass


class ArgumentsDone(server.ArgumentsDone, tag="response.function_call_arguments.done", kw_only=True):
    name: str = ""


class InputTranscriptionDelta(
    server.InputTranscriptionDelta, tag="conversation.item.input_audio_transcription.delta", kw_only=True
):
    content_index: int = 0


class InputTranscriptionCompleted(
    server.InputTranscriptionCompleted,
    tag="conversation.item.input_audio_transcription.completed",
    kw_only=True,
):
    content_index: int = 0
    usage: TranscriptionUsage = TokenTranscriptionUsage(total_tokens=0, input_tokens=0, output_tokens=0)


class InputAudioCommitted(server.InputAudioCommitted, tag="input_audio_buffer.committed", kw_only=True):
    previous_item_id: str | None = None


class ErrorDetail(server.ErrorDetail, kw_only=True):
    type: str = "server_error"
    code: str | None = None
    message: str = ""
    param: str | None = None
    event_id: str | None = None


class Failed(_Said, tag="error", kw_only=True):
    error: ErrorDetail


ServerFrame = (
    SessionCreated
    | SessionUpdated
    | TranscriptionSessionCreated
    | TranscriptionSessionUpdated
    | ItemCreated
    | ItemRetrieved
    | ResponseCreated
    | ResponseDone
    | OutputItemAdded
    | OutputItemDone
    | ContentPartAdded
    | ContentPartDone
    | TextDelta
    | TextDone
    | TranscriptDelta
    | TranscriptDone
    | AudioDelta
    | AudioDone
    | ArgumentsDone
    | InputTranscriptionDelta
    | InputTranscriptionCompleted
    | InputAudioCommitted
    | Failed
    | server.ItemTruncated
    | server.ItemDeleted
    | server.InputTranscriptionFailed
    | server.InputAudioCleared
    | server.SpeechStarted
    | server.SpeechStopped
    | server.OutputAudioStarted
    | server.OutputAudioStopped
    | server.OutputAudioCleared
    | server.ArgumentsDelta
    | server.RateLimitsUpdated
)
