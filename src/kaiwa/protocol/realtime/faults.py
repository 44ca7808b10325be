"""The service's own sentences for what is wrong with a frame. Source: Realtime reference B7.

Knows codes and wordings; does not know how a fault is found or sent. Each function returns a `PeerError`
whose `param` is the dotted path of the offending field.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from kaiwa.errors import PeerError

# As the service lists them, two names of its other interface included (reference B7).
CLIENT_TYPES: Final = (
    "session.update",
    "session.close",
    "input_audio_buffer.append",
    "session.input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "conversation.item.create",
    "conversation.item.truncate",
    "conversation.item.delete",
    "conversation.item.retrieve",
    "response.create",
    "response.cancel",
)

_QUOTED_LIMIT: Final = 100


def invalid_json() -> PeerError:
    return PeerError("invalid_json", "Invalid event: failed to parse JSON value.")


def binary_frame() -> PeerError:
    message = "Expected a text WebSocket message; binary frames are not supported."
    return PeerError("invalid_event", message)


def not_an_object(got: str) -> PeerError:
    return PeerError("invalid_event", f"Invalid event: expected an object, but got {got} instead.")


def type_missing() -> PeerError:
    return PeerError("invalid_event", "The 'type' field is missing.")


def type_not_a_string(got: str) -> PeerError:
    message = f"Invalid type for 'type': expected a string, but got {got} instead."
    return PeerError("invalid_event", message, param="type")


def unknown_type(value: str) -> PeerError:
    return unsupported("type", value, CLIENT_TYPES)


def missing(param: str) -> PeerError:
    message = f"Missing required parameter: '{param}'."
    return PeerError("missing_required_parameter", message, param=param)


def unknown(param: str) -> PeerError:
    return PeerError("unknown_parameter", f"Unknown parameter: '{param}'.", param=param)


def wrong_type(param: str, expected: Iterable[str], got: str) -> PeerError:
    wanted = _in_words(list(dict.fromkeys(expected)), "or")
    message = f"Invalid type for '{param}': expected {wanted}, but got {got} instead."
    return PeerError("invalid_type", message, param=param)


def unsupported(param: str, value: object, supported: Sequence[object]) -> PeerError:
    listed = _in_words([f"'{choice}'" for choice in supported], "and")
    message = f"Invalid value: '{_shown(value)}'. Supported values are: {listed}."
    return PeerError("invalid_value", message, param=param)


def unsupported_modalities(
    param: str, given: Sequence[str], speaking: Sequence[str] = ("audio",)
) -> PeerError:
    """`speaking` is what the dialect calls a spoken answer."""
    message = f"Invalid modalities: {list(given)}. Supported combinations are: ['text'] and {list(speaking)}."
    return PeerError("invalid_value", message, param=param)


def too_long(param: str, limit: int, length: int) -> PeerError:
    message = (
        f"Invalid '{param}': string too long. Expected a string with maximum length {limit}, "
        f"but got a string with length {length} instead."
    )
    return PeerError("string_above_max_length", message, param=param)


def too_short(param: str) -> PeerError:
    message = (
        f"Invalid '{param}': empty string. Expected a string with minimum length 1, "
        "but got an empty string instead."
    )
    return PeerError("invalid_value", message, param=param)


def too_many_pairs(param: str, limit: int, count: int) -> PeerError:
    message = (
        f"Invalid '{param}': too many properties. Expected an object with at most {limit} properties, "
        f"but got an object with {count} properties instead."
    )
    return PeerError("object_above_max_properties", message, param=param)


def below_minimum(param: str, limit: float, value: float) -> PeerError:
    message = (
        f"Invalid '{param}': {_number(value)} below minimum value. "
        f"Expected a value >= {limit}, but got {_shown(value)} instead."
    )
    return PeerError("invalid_value", message, param=param)


def above_maximum(param: str, limit: float, value: float) -> PeerError:
    message = (
        f"Invalid '{param}': {_number(value)} above maximum value. "
        f"Expected a value <= {limit}, but got {_shown(value)} instead."
    )
    return PeerError("invalid_value", message, param=param)


def bad_audio(param: str = "audio") -> PeerError:
    message = (
        f"Invalid '{param}'. Expected base64-encoded audio bytes (mono PCM16 at 24kHz) "
        "but got an invalid value."
    )
    return PeerError("invalid_value", message, param=param)


def audio_too_large(param: str, limit: int, size: int) -> PeerError:
    message = (
        f"Invalid '{param}': too much audio. Expected at most {limit} bytes, but got {size} bytes instead."
    )
    return PeerError("invalid_value", message, param=param)


def unreadable(param: str | None) -> PeerError:
    """The last resort: a frame that fits no event although no single field is to blame."""
    return PeerError("invalid_event", "Invalid event: it could not be read.", param=param)


def json_kind(value: object) -> str:
    """Return the word the service uses for a JSON value's type."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a decimal"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"


def _number(value: float) -> str:
    return "integer" if isinstance(value, int) else "decimal"


def _shown(value: object) -> str:
    # A peer's megabyte is not sent back to it.
    text = str(value)
    return text if len(text) <= _QUOTED_LIMIT else text[:_QUOTED_LIMIT] + "..."


def _in_words(choices: Sequence[str], last: str) -> str:
    match len(choices):
        case 0 | 1:
            return "".join(choices)
        case 2:
            return f"{choices[0]} {last} {choices[1]}"
        case _:
            return f"{', '.join(choices[:-1])}, {last} {choices[-1]}"
