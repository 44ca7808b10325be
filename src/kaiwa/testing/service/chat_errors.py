"""How Azure and OpenAI say no to a chat request: the bodies.

Source: Azure OpenAI reference, "Error handling" and "Content filtering". Knows values only.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from kaiwa.testing.service.chat_events import STRUCK
from kaiwa.testing.service.flavours import Flavour

_FILTERED: Final = "The prompt was stopped by the content management policy. Change it and try again."


def filtered_prompt(flavour: Flavour) -> dict[str, Any]:
    """Return the body of a 400 of the prompt's filter."""
    error: dict[str, Any] = {"message": _FILTERED, "type": None, "param": "prompt", "code": "content_filter"}
    if flavour == "azure":
        error |= {"status": 400, "innererror": _inner()}
    else:
        error |= {"type": "invalid_request_error", "param": None, "code": "content_policy_violation"}
    return {"error": error}


def _inner() -> dict[str, Any]:
    return {"code": "ResponsibleAIPolicyViolation", "content_filter_result": STRUCK}


def error_in_stream(code: str, message: str) -> bytes:
    """Return the event that stands where a chunk is expected, inside a 200."""
    error = {"message": message, "type": "server_error", "param": None, "code": code}
    return b"data: " + msgspec.json.encode({"error": error}) + b"\n\n"
