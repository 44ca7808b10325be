"""What a caller's request becomes before it goes to a model: names, parameters, lengths and tools. Pure."""

from __future__ import annotations

from typing import Any, Literal

from kaiwa.policy.caller import Caller

Operation = Literal["chat/completions", "responses", "embeddings"]


def shape(caller: Caller, body: dict[str, Any], operation: Operation) -> dict[str, Any]:
    """Return the body that may be sent for this caller; the given one is left as it is.

    What is allowed as it is comes back equal. Raises PeerError: `model_not_found` for a model the caller may
    not use (answered as 404, as one that does not exist), `tool_not_allowed`, `invalid_value`.
    """
    raise NotImplementedError
