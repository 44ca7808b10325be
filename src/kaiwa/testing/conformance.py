"""Check what a server said in the Realtime protocol: single events of any dialect and whole GA transcripts.

Knows the shape of every server event and the orders of the reference (B2, B5, B6, E1); knows neither
sockets nor kaiwa's own events, so that any server's frames can be checked. A fault is a ConformanceError
that names the broken rule.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, cast

from kaiwa.testing.conformance_mcp import McpWork
from kaiwa.testing.conformance_rules import (
    ConformanceError,
    Conversation,
    Playback,
    Responses,
    Rule,
    Speech,
    Transcriptions,
    require,
)
from kaiwa.testing.conformance_shapes import SHAPES, Dialect, Shape

__all__ = ["ConformanceError", "check_server_event", "check_transcript"]

ServerFrame = str | bytes | Mapping[str, Any]

_ERROR_KEYS: Final = frozenset({"type", "code", "message", "param", "event_id"})
_ITEM_KEYS: Final = {
    "message": frozenset({"id", "status", "role", "content"}),
    "function_call": frozenset({"id", "status", "name", "call_id", "arguments"}),
    "function_call_output": frozenset({"id", "call_id", "output"}),
    "mcp_list_tools": frozenset({"id", "server_label", "tools"}),
    "mcp_call": frozenset({"id", "server_label", "name", "arguments", "output", "error"}),
    "mcp_approval_request": frozenset({"id", "server_label", "name", "arguments"}),
    "mcp_approval_response": frozenset({"id", "approval_request_id", "approve"}),
}
_PARTS_BY_ROLE: Final = {
    "system": frozenset({"input_text"}),
    "user": frozenset({"input_text", "input_audio", "input_image"}),
}
# What a response of each status carries in status_details.type; None means null.
_DETAILS: Final = {
    "in_progress": None,
    "completed": None,
    "cancelled": "cancelled",
    "incomplete": "incomplete",
    "failed": "failed",
}
_INTEGERS: Final = ("output_index", "content_index", "audio_start_ms", "audio_end_ms")


def check_server_event(frame: ServerFrame, dialect: Dialect = "ga") -> dict[str, Any]:
    """Return the event as a dict. Raises ConformanceError unless a strict client can read it."""
    shape = SHAPES[dialect]
    read: Any = json.loads(frame) if isinstance(frame, str | bytes) else dict(frame)
    require(isinstance(read, dict), "event.object", "an event is a JSON object")
    event = cast(dict[str, Any], read)
    name = str(event.get("type"))
    require(name in shape.fields, "event.type", f"{name!r} is no server event of the dialect {dialect}")
    for field in shape.fields[name]:
        require(field in event, "event.fields", f"{name} lacks {field!r}")
    if "event_id" in shape.fields[name]:
        event_id = event["event_id"]
        proper = isinstance(event_id, str) and event_id.startswith("event_")
        require(proper, "event.id", f"event_id {event_id!r} does not start with event_")
    for field in _INTEGERS:
        value = event.get(field, 0)
        require(type(value) is int and value >= 0, "event.integers", f"{field} is {value!r}")
    _check_objects(name, event, shape)
    return event


def _check_objects(name: str, event: dict[str, Any], shape: Shape) -> None:
    if "session" in event:
        _check_session(event["session"], shape)
    if "response" in event:
        _check_response(event["response"], shape, done=name == "response.done")
    if "item" in event:
        _check_item(event["item"], shape)
    if "part" in event:
        _check_part(event["part"])
    if name == "error":
        _check_keys("error", event["error"], _ERROR_KEYS)
    if name.endswith("input_audio_transcription.completed"):
        _check_transcription_usage(event["usage"])
    if name.endswith("input_audio_transcription.failed"):
        nulls = [key for key, value in event["error"].items() if value is None]
        require(not nulls, "transcription.error", f"{nulls} are null; clients drop such an event")


def _check_keys(what: str, given: Any, keys: Collection[str]) -> None:
    require(isinstance(given, dict), f"{what}.object", f"a {what} is a JSON object")
    missing = sorted(set(keys) - set(cast(dict[str, Any], given)))
    require(not missing, f"{what}.keys", f"a {what} lacks {missing}")


def _kind(value: Any) -> Any:
    return _of(value, "type")


def _of(value: Any, key: str) -> Any:
    return cast(dict[str, Any], value).get(key) if isinstance(value, dict) else None


def _check_session(session: Any, shape: Shape) -> None:
    # The preview's flat session has no type, so its object tells.
    kind = _kind(session) or str(_of(session, "object")).removeprefix("realtime.")
    transcription = kind in ("transcription", "transcription_session")
    _check_keys("session", session, shape.transcription_keys if transcription else shape.session_keys)
    require(str(session["id"]).startswith("sess_"), "session.id", f"{session['id']!r}")
    wanted = "realtime.transcription_session" if transcription else "realtime.session"
    require(session["object"] == wanted, "session.object", f"{session['object']!r} is not {wanted}")
    if "temperature" in session:
        fits = isinstance(session["temperature"], float)
        require(fits, "session.temperature", f"{session['temperature']!r} is not written as a decimal")


def _check_response(response: Any, shape: Shape, done: bool) -> None:
    _check_keys("response", response, shape.response_keys)
    status, details, usage = response["status"], response["status_details"], response["usage"]
    require(status in _DETAILS, "response.status", f"{status!r} is no status")
    require(done == (status != "in_progress"), "response.status", f"{status!r} at the wrong end")
    kind = _kind(details)
    require(kind == _DETAILS[status], "response.status_details", f"{status} with {details!r}")
    if done:
        _check_usage(usage)
    else:
        require(usage is None, "response.usage", "usage is null until the response is done")
        require(response["output"] == [], "response.output", "a new response has no output")
    for item in response["output"]:
        _check_item(item, shape)


def _check_usage(usage: Any) -> None:
    _check_keys("usage", usage, ("total_tokens", "input_tokens", "output_tokens"))
    _check_keys("usage", usage, ("input_token_details", "output_token_details"))
    taken, given = usage["input_token_details"], usage["output_token_details"]
    _check_keys("usage", taken, ("text_tokens", "audio_tokens", "cached_tokens", "cached_tokens_details"))
    _check_keys("usage", given, ("text_tokens", "audio_tokens"))
    total = usage["input_tokens"] + usage["output_tokens"]
    require(usage["total_tokens"] == total, "usage.sums", f"total_tokens is not {total}")
    for side, details in (("input_tokens", taken), ("output_tokens", given)):
        parts = sum(details.get(kind, 0) for kind in ("text_tokens", "audio_tokens", "image_tokens"))
        require(usage[side] == parts, "usage.sums", f"{side} is not the sum of its details, {parts}")


def _check_transcription_usage(usage: Any) -> None:
    kind = _kind(usage)
    keys = {"tokens": ("total_tokens", "input_tokens", "output_tokens"), "duration": ("seconds",)}
    require(kind in keys, "transcription.usage", f"{usage!r} is neither tokens nor duration")
    _check_keys("usage", usage, keys[str(kind)])


def _check_item(item: Any, shape: Shape) -> None:
    kind = _kind(item)
    require(kind in _ITEM_KEYS, "item.type", f"{kind!r} is no item type")
    _check_keys("item", item, _ITEM_KEYS[str(kind)])
    shown, wanted = item.get("object"), shape.item_object
    require(shown == wanted and (wanted is not None) == ("object" in item), "item.object", f"{shown!r}")
    status = item.get("status", "completed")
    require(status in ("in_progress", "completed", "incomplete"), "item.status", f"{status!r}")
    if kind == "message":
        assistant = item["role"] == "assistant"
        allowed = shape.assistant_parts if assistant else _PARTS_BY_ROLE.get(item["role"], frozenset[str]())
        for part in item["content"]:
            fits = part.get("type") in allowed
            require(fits, "item.content", f"{part.get('type')!r} in a message of {item['role']!r}")
            if part["type"] == "input_audio":
                require(
                    "transcript" in part,
                    "item.content",
                    "input_audio lacks its transcript, which may be null",
                )


def _check_part(part: Any) -> None:
    # Parts have the short names although items have the long ones (recorded frames).
    keys = {"text": "text", "audio": "transcript"}
    kind = _kind(part)
    require(kind in keys, "part.type", f"{kind!r} is neither text nor audio")
    _check_keys("part", part, (keys[str(kind)],))


def check_transcript(
    frames: Iterable[ServerFrame], *, complete: bool = True, at_front: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Return the events of one connection, from its first frame on, after checking their order.

    `complete` says that nothing is still going on at the end. `at_front` names the items that the client
    put before all others (`previous_item_id` "root"), which nothing in the server's frames tells.
    Raises ConformanceError, whose `position` is the index of the offending event.
    """
    conversation = Conversation(at_front)
    rules: list[Rule] = [
        conversation,
        Responses(conversation),
        Speech(conversation),
        Transcriptions(conversation),
        Playback(),
        McpWork(),
    ]
    events: list[dict[str, Any]] = []
    ids: set[str] = set()
    for position, frame in enumerate(frames):
        try:
            event = check_server_event(frame)
            _check_place(event, position, ids)
            for rule in rules:
                rule.see(event)
        except ConformanceError as error:
            error.position = position
            error.add_note(f"event {position}: {str(frame)[:400]}")
            raise
        events.append(event)
    if complete:
        for rule in rules:
            rule.end()
    return events


def _check_place(event: dict[str, Any], position: int, ids: set[str]) -> None:
    first = event["type"] == "session.created"
    require(first == (position == 0), "order.session_created", "session.created comes first and once")
    event_id = event.get("event_id")
    if event_id is not None:
        require(event_id not in ids, "event.id_unique", f"{event_id} was used before")
        ids.add(event_id)
