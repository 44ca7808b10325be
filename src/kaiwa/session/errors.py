"""The sentences a peer hears when it breaks a rule. Source: Realtime reference B7."""

from __future__ import annotations

from kaiwa.errors import SERVER_ERROR, PeerError
from kaiwa.events.client import FrameRejected

EXPIRED = "Your session hit the maximum duration of {minutes} minutes."


def listed(values: tuple[str, ...]) -> str:
    """Return the values in the service's way of listing: 'a', 'b', and 'c'."""
    quoted = [f"'{value}'" for value in values]
    if len(quoted) < 3:
        return " and ".join(quoted)
    return ", ".join(quoted[:-1]) + f", and {quoted[-1]}"


def invalid_value(param: str, value: object, supported: tuple[str, ...]) -> PeerError:
    message = f"Invalid value: '{value}'. Supported values are: {listed(supported)}."
    return PeerError("invalid_value", message, param=param)


def out_of_range(param: str, value: object, rule: str) -> PeerError:
    return PeerError(
        "invalid_value", f"Invalid '{param}': expected {rule}, but got {value} instead.", param=param
    )


def too_long(param: str, length: int, limit: int) -> PeerError:
    message = (
        f"Invalid '{param}': string too long. Expected a string with maximum length {limit}, "
        f"but got a string with length {length} instead."
    )
    return PeerError("string_above_max_length", message, param=param)


def missing(param: str) -> PeerError:
    return PeerError("missing_required_parameter", f"Missing required parameter: '{param}'.", param=param)


def invalid_modalities(given: tuple[str, ...], param: str) -> PeerError:
    message = f"Invalid modalities: {list(given)}. Supported combinations are: ['text'] and ['audio']."
    return PeerError("invalid_value", message, param=param)


def wrong_session_type(realtime: bool) -> PeerError:
    ours, theirs = ("realtime", "transcription") if realtime else ("transcription", "realtime")
    message = f"Passing a {theirs} session update event to a {ours} session is not allowed."
    return PeerError("invalid_parameter", message, param="session.type")


def no_model_here() -> PeerError:
    message = "You must not provide a model parameter for transcription sessions."
    return PeerError("invalid_parameter", message, param="session.model")


def voice_locked() -> PeerError:
    message = "Cannot update a conversation's voice if assistant audio is present."
    return PeerError("cannot_update_voice", message, param="session.audio.output.voice")


def bad_audio(param: str, expected: str = "mono PCM16 at 24kHz") -> PeerError:
    message = f"Invalid '{param}'. Expected base64-encoded audio bytes ({expected}) but got an invalid value."
    return PeerError("invalid_value", message, param=param)


def buffer_full(limit_ms: int) -> PeerError:
    message = f"The input audio buffer is full: at most {limit_ms}ms of audio may wait for a commit."
    return PeerError("input_audio_buffer_full", message, param="audio")


def commit_too_small(buffered_ms: float, minimum_ms: int) -> PeerError:
    message = (
        "Error committing input audio buffer: buffer too small. "
        f"Expected at least {minimum_ms}ms of audio, but buffer only has {buffered_ms:.2f}ms of audio."
    )
    return PeerError("input_audio_buffer_commit_empty", message)


def already_responding(response_id: str) -> PeerError:
    message = (
        f"Conversation already has an active response in progress: {response_id}. "
        "Wait until the response is finished before creating a new one."
    )
    return PeerError("conversation_already_has_active_response", message)


def too_many_responses(limit: int) -> PeerError:
    message = f"Too many out-of-band responses in progress: at most {limit} may run at once."
    return PeerError("rate_limit_exceeded", message, param="response.conversation")


def nothing_to_cancel() -> PeerError:
    return PeerError("response_cancel_not_active", "Cancellation failed: no active response found")


def no_response_here() -> PeerError:
    message = "A transcription session creates no responses."
    return PeerError("invalid_parameter", message, param="type")


def unknown_item(verb: str, item_id: str) -> PeerError:
    """`verb` is retrieve, delete or truncate."""
    gerund = {"retrieve": "retrieving", "delete": "deleting", "truncate": "truncating"}[verb]
    message = f"Error {gerund} item: the item with id '{item_id}' does not exist."
    return PeerError(f"item_{verb}_invalid_item_id", message, param="item_id")


def unknown_previous_item(item_id: str) -> PeerError:
    message = f"Error adding item: the previous item with id '{item_id}' does not exist."
    return PeerError("item_create_invalid_previous_item_id", message, param="previous_item_id")


def duplicate_item(item_id: str) -> PeerError:
    message = f"Error adding item: an item with id '{item_id}' already exists."
    return PeerError("item_create_duplicate_item_id", message, param="item.id")


def unknown_reference(param: str, item_id: str) -> PeerError:
    message = f"Error creating response: the item with id '{item_id}' does not exist."
    return PeerError("invalid_value", message, param=param)


def unknown_call(call_id: str, param: str) -> PeerError:
    return PeerError(
        "invalid_tool_call_id", f"Tool call ID '{call_id}' not found in conversation.", param=param
    )


def answered_call(call_id: str, param: str) -> PeerError:
    return PeerError("invalid_tool_call_id", f"Tool call ID '{call_id}' already has an output.", param=param)


def not_truncatable() -> PeerError:
    return PeerError("unsupported_content_type", "Only model output audio messages can be truncated")


def already_shorter(audio_ms: int, audio_end_ms: int) -> PeerError:
    message = f"Audio content of {audio_ms}ms is already shorter than {audio_end_ms}ms"
    return PeerError("invalid_value", message, param="audio_end_ms")


def session_expired(minutes: int) -> PeerError:
    return PeerError("session_expired", EXPIRED.format(minutes=minutes))


def engine_lost(message: str) -> PeerError:
    return PeerError("server_error", message, type=SERVER_ERROR)


def unknown_request(request_id: str) -> PeerError:
    message = f"Error adding item: no approval request with id '{request_id}' waits for an answer."
    return PeerError("invalid_value", message, param="item.approval_request_id")


def answered_request(request_id: str) -> PeerError:
    message = f"Error adding item: the approval request with id '{request_id}' was answered before."
    return PeerError("invalid_value", message, param="item.approval_request_id")


def duplicate_call(call_id: str) -> PeerError:
    message = f"Error adding item: a call with id '{call_id}' already exists."
    return PeerError("invalid_value", message, param="item.call_id")


def rejected(frame: FrameRejected) -> PeerError:
    return PeerError(
        frame.code,
        frame.message,
        param=frame.param,
        event_id=frame.rejected_event_id,
        type=frame.error_type,
    )
