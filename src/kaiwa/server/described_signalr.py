"""What the addresses of SignalR take and give, for `/openapi.json`. Knows shapes only."""

from __future__ import annotations

from typing import Any, Final

from kaiwa.server.operations import JSON, Operation, Query
from kaiwa.server.signalr_endpoints import BroadcastRequest, NegotiateAnswer, TokensAnswer, TokensRequest

_OK: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["ok"],
    "properties": {"ok": {"type": "boolean"}},
}
NEGOTIATE: Final = Operation(
    "Tell a page where the hub is, with a token for it",
    "signalr",
    {200: {JSON: NegotiateAnswer}},
    (403, 502, 503),
    query=(Query("userId", "Under which name users' messages reach the page; needs the scope admin"),),
)
BROADCAST: Final = Operation(
    "Send one text to everybody at the hub",
    "signalr",
    {200: {JSON: _OK}},
    (400, 413, 429, 503),
    takes={JSON: BroadcastRequest},
)
ASK: Final = Operation(
    "Ask an agent, and stream its answer through the hub",
    "signalr",
    {200: {JSON: TokensAnswer}},
    (400, 404, 413, 429, 503),
    takes={JSON: TokensRequest},
    body_needed=False,
)
