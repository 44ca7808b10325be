"""Which settings an operator may pin, and the refusal of a frame that would change one.

Works on the JSON of frames, so that a setting kaiwa has never heard of passes and a pinned one does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast

from kaiwa.errors import PeerError

PINNABLE: Final[Mapping[str, str]] = {
    "instructions": "instructions",
    "voice": "audio.output.voice",
    "speed": "audio.output.speed",
    "output_format": "audio.output.format",
    "input_format": "audio.input.format",
    "transcription": "audio.input.transcription",
    "turn_detection": "audio.input.turn_detection",
    "noise_reduction": "audio.input.noise_reduction",
    "output_modalities": "output_modalities",
    "tools": "tools",
    "tool_choice": "tool_choice",
    "parallel_tool_calls": "parallel_tool_calls",
    "max_output_tokens": "max_output_tokens",
    "model": "model",
    "prompt": "prompt",
    "truncation": "truncation",
    "tracing": "tracing",
    "reasoning": "reasoning",
    "temperature": "temperature",
    "include": "include",
}
_ABSENT: Final = object()


def refusal(body: Mapping[str, Any], pinned: Iterable[str], effective: Mapping[str, Any]) -> PeerError | None:
    """Return why a session.update or response.create is refused; None when it touches nothing pinned.

    Saying a pinned setting again as it is (`effective`) changes nothing and passes; so does null in
    response.create, which asks for the session's value.
    """
    holder = "session" if body.get("type") == "session.update" else "response"
    for path in _paths(pinned):
        given = _at(body.get(holder), path)
        if given is _ABSENT or (holder == "response" and given is None):
            continue
        if given != _at(effective, path):
            return _pinned(f"{holder}.{path}", body.get("event_id"))
    return None


def _paths(pinned: Iterable[str]) -> Iterator[str]:
    for name in pinned:
        yield PINNABLE[name]
        if name == "instructions":
            yield PINNABLE["prompt"]  # a stored prompt would bring instructions of its own


def _at(value: Any, path: str) -> Any:
    for step in path.split("."):
        if not isinstance(value, Mapping):
            return _ABSENT
        value = cast(Mapping[str, Any], value).get(step, _ABSENT)
    return value


def _pinned(param: str, event_id: object) -> PeerError:
    return PeerError(
        "parameter_pinned",
        f"'{param}' is set by the operator of this server and cannot be changed by a client. "
        "Nothing of this event was applied.",
        param=param,
        event_id=event_id if isinstance(event_id, str) else None,
    )
