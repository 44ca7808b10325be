"""What a visitor's choice is on the wire: one `session.update`, and the events that tell of an old talk.

Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from environment import Choice

RATE_HZ = 24_000
MOST_RETOLD = 200
LANGUAGES_SPOKEN = {"ja": "日本語", "en": "English"}
UNKNOWN = json.dumps(
    {"error": "The line broke before the result came. Nobody knows whether this was carried out."}
)
NEEDS_NEW_LINE = ("agent", "voice", "language", "instructions")
"""Another agent is another session; a voice stays once it was heard; no words mean the agent's own."""


def update(choice: Choice, *, voice_on: bool, transcription: str, first: bool) -> dict[str, Any]:
    """`first`: the session begins, so that what may be set only then goes along."""
    audio: dict[str, Any] = {
        "input": {
            "format": {"type": "audio/pcm", "rate": RATE_HZ},
            "transcription": {"model": transcription, "language": choice.language},
            "turn_detection": _turns(choice),
        }
    }
    session: dict[str, Any] = {"type": "realtime", "audio": audio}
    session["output_modalities"] = ["audio"] if voice_on else ["text"]
    if first:
        audio["output"] = {"format": {"type": "audio/pcm", "rate": RATE_HZ}}
        if choice.voice:
            audio["output"]["voice"] = choice.voice
        if choice.instructions.strip():
            session["instructions"] = choice.instructions
    return {"type": "session.update", "session": session}


def _turns(choice: Choice) -> dict[str, Any]:
    shared = {"type": choice.vad, "create_response": True, "interrupt_response": True}
    if choice.vad == "semantic_vad":
        return shared
    return shared | {"threshold": choice.threshold, "silence_duration_ms": choice.silence_ms}


def typed(text: str, item_id: str) -> dict[str, Any]:
    return _item({"id": item_id} | _message("user", text))


def retold(steps: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return events that tell a new session what Chainlit's steps of an old talk hold, the newest 200.

    Of the agent's words only those that were heard; a call without a result is one of unknown outcome.
    """
    events: list[dict[str, Any]] = []
    for step in list(steps)[-MOST_RETOLD:]:
        events += _step(step)
    return events


def _step(step: dict[str, Any]) -> list[dict[str, Any]]:
    metadata = step.get("metadata") or {}
    if metadata.get("aside"):
        return []
    if call_id := metadata.get("call_id"):
        call = {"type": "function_call", "call_id": call_id, "name": step["name"]}
        output = metadata.get("result") or UNKNOWN
        return [
            _item(call | {"arguments": metadata.get("arguments") or "{}"}),
            _item({"type": "function_call_output", "call_id": call_id, "output": output}),
        ]
    text = metadata.get("heard", step.get("output") or "")
    roles = {"user_message": "user", "assistant_message": "assistant"}
    role = roles.get(step.get("type", ""))
    return [_item(_message(role, text))] if role and text.strip() else []


def _message(role: str, text: str) -> dict[str, Any]:
    kind = "input_text" if role == "user" else "output_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def _item(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "conversation.item.create", "item": item}


def agent_for(agent: str, language: str, known: Iterable[str]) -> str:
    """The agent's name in the language that was chosen, if there is one."""
    name = agent.removesuffix("-en") + ("-en" if language == "en" else "")
    return name if name in set(known) else agent
