"""One connection's worth of frames: what came back, and whether a peer may come back with that.

Knows the promises that hold whatever a peer sends; does not know how the frames were made.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.fuzz.house import KEY, House
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from kaiwa.protocol.realtime.dialects import Dialect
from kaiwa.testing.conformance import check_server_event, check_transcript

PATIENCE_S = 15.0
BREATH_S = 0.003
SENTINEL = "sentinel_of_the_fuzzer"
PATHS: dict[Dialect, str] = {
    "ga": "/v1/realtime?model=gpt-realtime",
    "preview": "/openai/realtime?api-version=2025-04-01-preview&deployment=gpt-realtime",
    "preview-2024-10-01": "/openai/realtime?api-version=2024-10-01-preview&deployment=gpt-realtime",
}
# Protocol error, broken UTF-8, message too big, expiry, slow consumer. 1011 would be a bug of ours.
DOCUMENTED_CODES = {1001, 1002, 1007, 1009, 1013}
# Whoever still sends when the server closes over an unreadable message may lose the close frame to a reset.
LOST = 1006


@dataclass(frozen=True)
class Binary:
    """A binary message; text that is no UTF-8 is a bare `bytes`."""

    data: bytes


@dataclass(frozen=True)
class Breath:
    """No frame: time for the server to begin an answer before the next frame meets it."""


Frame = str | bytes | Binary | Breath


@dataclass
class Outcome:
    received: list[str] = field(default_factory=list)
    ended: Literal["answered", "closed", "silent"] = "silent"
    close_code: int | None = None

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(frame) for frame in self.received]


async def exchange(
    port: int, dialect: Dialect, frames: Sequence[Frame], *, patience_s: float = PATIENCE_S
) -> Outcome:
    """Send the frames and then one that is always answered; take everything until its answer."""
    outcome = Outcome()
    socket = await connect(
        f"ws://127.0.0.1:{port}{PATHS[dialect]}",
        additional_headers={"api-key": KEY},
        compression=None,
        max_size=None,
        max_queue=None,
        ping_interval=None,
        close_timeout=1,
    )
    try:
        async with asyncio.timeout(patience_s):
            for frame in frames:
                await _send(socket, frame)
            nobody = {"type": "conversation.item.delete", "event_id": SENTINEL, "item_id": "nobody"}
            await socket.send(json.dumps(nobody))
            while outcome.ended == "silent":
                outcome.received.append(await socket.recv(decode=True))
                if SENTINEL in outcome.received[-1] and _answers_sentinel(outcome.received[-1]):
                    outcome.ended = "answered"
    except ConnectionClosed:
        outcome.ended, outcome.close_code = "closed", socket.close_code
    except TimeoutError:
        pass
    finally:
        await socket.close()
    return outcome


async def _send(socket: ClientConnection, frame: Frame) -> None:
    match frame:
        case Breath():
            await asyncio.sleep(BREATH_S)
        case Binary(data):
            await socket.send(data)
        case _:
            await socket.send(frame, text=True)


def _answers_sentinel(frame: str) -> bool:
    event = json.loads(frame)
    return event["type"] == "error" and event["error"]["event_id"] == SENTINEL


def _is_no_text(frame: Frame) -> bool:
    try:
        return isinstance(frame, bytes) and not frame.decode()
    except UnicodeDecodeError:
        return True


def is_garbage(frame: Frame, known_types: set[str]) -> bool:
    """True when no reader of this protocol could take the frame for an event."""
    if isinstance(frame, Binary | Breath):
        return isinstance(frame, Binary)
    try:
        value = json.loads(frame if isinstance(frame, str) else frame.decode())
    except (ValueError, RecursionError):
        return True
    named = value.get("type") if isinstance(value, dict) else None
    return not isinstance(named, str) or named not in known_types


def check(
    house: House,
    dialect: Dialect,
    frames: Sequence[Frame],
    known_types: set[str],
    *,
    patience_s: float = PATIENCE_S,
) -> Outcome:
    """Send the frames and hold what came back against every promise."""
    outcome = house.run(exchange(house.port, dialect, frames, patience_s=patience_s))
    crashes = house.complained()
    assert not crashes, f"crashed: {crashes[0]}"
    assert outcome.ended != "silent", f"silent: nothing for {patience_s} s after {outcome.received[-1:]}"
    if outcome.ended == "closed":
        allowed = DOCUMENTED_CODES | ({LOST} if any(map(_is_no_text, frames)) else set())
        assert outcome.close_code in allowed, f"crashed: closed with {outcome.close_code}"
    check_what_was_said(outcome, dialect, frames)
    if outcome.ended == "answered":
        refused = sum(event["type"] == "error" for event in outcome.events) - 1
        garbage = sum(is_garbage(frame, known_types) for frame in frames)
        assert refused >= garbage, f"unanswered: {garbage} frames of garbage, {refused} errors"
    return outcome


def check_what_was_said(outcome: Outcome, dialect: Dialect, frames: Sequence[Frame]) -> None:
    for frame in outcome.received:
        check_server_event(frame, dialect)
    if dialect == "ga":
        check_transcript(outcome.received, complete=False, at_front=_at_front(outcome, frames))


def _at_front(outcome: Outcome, frames: Sequence[Frame]) -> list[str]:
    """Whoever asks for the front gets it; without asking, only the first item follows nothing."""
    if not any("root" in str(frame) for frame in frames):
        return []
    added = (event for event in outcome.events if event["type"] == "conversation.item.added")
    return [event["item"]["id"] for event in added if event["previous_item_id"] is None]
