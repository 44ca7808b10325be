"""The fake Azure of the relays' bench: streams of completions as fast as asyncio protocols can write them.

What a request meets stands in its last message, as JSON (`Wish`), so that it comes through every relay. Each
chunk is a write of its own; the next one waits for the next turn of the loop, or for its time. Knows nothing
of who asks. `GET /told/ID` says what became of a request with an id.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
from multiprocessing.connection import Connection
from typing import Any, Final, cast

import msgspec

_SAFE: Final[dict[str, Any]] = {"filtered": False, "severity": "safe"}
_FILTERS: Final[dict[str, Any]] = dict.fromkeys(("hate", "self_harm", "sexual", "violence"), _SAFE)
_BASE: Final[dict[str, Any]] = {
    "id": "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012",
    "object": "chat.completion.chunk",
    "created": 1763700000,
    "model": "gpt-4o-2024-11-20",
    "system_fingerprint": "fp_0123456789",
}
MOST_CHUNKS: Final = 2000
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-ms-region: Fake\r\n"
    b"azureml-model-session: fake-1\r\ntransfer-encoding: chunked\r\n\r\n"
)
_LAST: Final = b"0\r\n\r\n"


class Wish(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a request asks of the fake. `fault` strikes the first `times` requests with this `id`."""

    chunks: int = 100
    pace_ms: float = 0
    id: str = ""
    fault: str = ""
    times: int = 1
    at: int = 5
    """The chunk before which a fault within the answer strikes."""
    first_s: float = 0
    """How long the first content takes, head and filter results being there."""
    retry_after: tuple[str, str] | None = None


class Told(msgspec.Struct):
    """What became of the requests with one id."""

    attempts: int = 0
    ended: str = ""
    left_at: float = 0
    written: int = 0


# --- the events ----------------------------------------------------------------------------------------


def _event(chunk: object) -> bytes:
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"


def _choice(delta: dict[str, Any], finish: str | None, filters: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _BASE | {"choices": [choice | {"content_filter_results": filters}]}


PROMPT: Final = _event(
    {"id": "", "object": "", "created": 0, "model": "", "choices": []}
    | {"prompt_filter_results": [{"prompt_index": 0, "content_filter_results": _FILTERS}]}
)
ROLE: Final = _event(_choice({"role": "assistant", "content": "", "refusal": None}, None, {}))
FINISH: Final = _event(_choice({}, "stop", {}))
FILTERED: Final = _event(_choice({}, "content_filter", _FILTERS | {"violence": {"filtered": True}}))
# The asynchronous filter's judgement: no delta at all.
JUDGED: Final = _event(
    {"id": "", "object": "", "created": 0, "model": ""}
    | {
        "choices": [
            {
                "index": 0,
                "finish_reason": None,
                "content_filter_results": _FILTERS,
                "content_filter_offsets": {"check_offset": 44, "start_offset": 44, "end_offset": 198},
            }
        ]
    }
)
_SPENT: Final[dict[str, Any]] = {"prompt_tokens": 40, "completion_tokens": 100, "total_tokens": 140}
_NO_CHOICES: Final[list[Any]] = []
USAGE: Final = _event(_BASE | {"choices": _NO_CHOICES, "usage": _SPENT})
ERROR: Final = _event({"error": {"message": "Failed.", "type": "server_error", "code": "server_error"}})
DONE: Final = b"data: [DONE]\n\n"
WORDS: Final = [_event(_choice({"content": f" w{n:04}"}, None, _FILTERS)) for n in range(MOST_CHUNKS)]


def events_of(wish: Wish, usage: bool, fault: str) -> list[bytes]:
    """Return the events of an answer, in order, as a client must get them."""
    words = WORDS[: wish.chunks]
    if fault == "asynchronous_filter":
        words = [event for word in words for event in (word, JUDGED)]
    finish = FILTERED if fault == "filtered" else FINISH
    return [
        PROMPT,
        ROLE,
        *words,
        finish,
        *([USAGE] if usage else []),
        *([] if fault == "no_done" else [DONE]),
    ]


def _framed(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)


# Framing costs once, not for each of a million chunks.
_FRAMED: Final = {
    event: _framed(event) for event in (PROMPT, ROLE, FINISH, FILTERED, JUDGED, USAGE, ERROR, DONE, *WORDS)
}


# --- a connection --------------------------------------------------------------------------------------


class _Fake(asyncio.Protocol):
    """One connection: a question, its answer, the next question."""

    def __init__(self, told: dict[str, Told]) -> None:
        self._all_told = told
        self._loop = asyncio.get_running_loop()
        self._read = bytearray()
        self._told: Told | None = None
        self._timer: asyncio.Handle | None = None
        self._steps: list[bytes] = []
        self._position = 0
        self._pace_s = 0.0
        self._due = 0.0
        self._ending = ""
        self._full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._told is not None and not self._told.ended:
            self._told.ended, self._told.left_at = "left", time.monotonic()
            self._told.written = self._position
        self._steps = []

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        if self._steps and self._timer is None:
            self._go()

    def data_received(self, data: bytes) -> None:
        self._read += data
        end = self._read.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._read, 0, end)
        whole = end + 4 + (int(length[1]) if length else 0)
        if len(self._read) < whole:
            return
        head, body = bytes(self._read[:end]), bytes(self._read[end + 4 : whole])
        del self._read[:whole]
        self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET /told/"):
            self._tell(head.split(b" ", 2)[1].removeprefix(b"/told/").decode())
            return
        asked = cast(dict[str, Any], msgspec.json.decode(body))
        wish = msgspec.json.decode(asked["messages"][-1]["content"], type=Wish)
        self._told = self._all_told.setdefault(wish.id, Told()) if wish.id else None
        fault = wish.fault
        if self._told is not None:
            self._told.attempts += 1
            self._told.ended = ""
            fault = fault if self._told.attempts <= wish.times else ""
        if not self._fails_at_once(wish, fault):
            options: dict[str, Any] = asked.get("stream_options") or {}
            self._begin(wish, bool(options.get("include_usage")), fault)

    def _tell(self, name: str) -> None:
        said = msgspec.json.encode(self._all_told.get(name, Told()))
        self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(said), said))

    def _fails_at_once(self, wish: Wish, fault: str) -> bool:
        match fault:
            case "refused" | "failed":
                status = b"429 Too Many Requests" if fault == "refused" else b"500 Internal Server Error"
                code = b"429" if fault == "refused" else b"server_error"
                body = b'{"error":{"code":"%b","message":"Not now."}}' % code
                retry = "{}: {}\r\n".format(*wish.retry_after).encode() if wish.retry_after else b""
                self._transport.write(
                    b"HTTP/1.1 %b\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n%b"
                    % (status, retry, len(body), body)
                )
                self._over("refused")
            case "reset":
                self._over("reset")
                self._reset()
            case "silent":
                self._transport.write(_HEAD + _FRAMED[PROMPT])
            case _:
                return False
        return True

    def _begin(self, wish: Wish, usage: bool, fault: str) -> None:
        events = events_of(wish, usage, fault)
        self._steps = [_FRAMED[event] for event in events]
        self._ending = "whole"
        if fault in ("cut", "cut_cleanly", "error_within", "reset_within"):
            self._steps = self._steps[: 2 + wish.at]
            self._ending = fault
        if fault == "error_first":
            self._steps, self._ending = [_FRAMED[PROMPT], _FRAMED[ERROR]], "whole"
        if fault == "fragments":
            joined = b"".join(self._steps)
            self._steps = [joined[at : at + 97] for at in range(0, len(joined), 97)]
        self._position, self._pace_s = 0, wish.pace_ms / 1000
        self._transport.write(_HEAD)
        if wish.first_s:
            self._transport.write(self._steps[0])
            self._position = 1
        self._due = self._loop.time() + wish.first_s
        self._await_next()

    def _await_next(self) -> None:
        if self._pace_s or self._due > self._loop.time():
            self._timer = self._loop.call_at(self._due, self._go)
        else:
            self._timer = self._loop.call_soon(self._go)

    def _go(self) -> None:
        self._timer = None
        if self._full:
            return  # until resume_writing
        steps, position = self._steps, self._position
        if position < len(steps):
            self._transport.write(steps[position])
            self._position = position + 1
            # The filter's results and the role come together with the first words.
            self._due += self._pace_s if position > 1 else 0
            self._await_next()
        else:
            self._end()

    def _end(self) -> None:
        self._steps = []
        ending = self._ending
        self._over(ending)
        match ending:
            case "cut":
                self._transport.close()
            case "reset_within":
                self._reset()
            case "error_within":
                self._transport.write(_FRAMED[ERROR] + _LAST)
            case _:
                self._transport.write(_LAST)

    def _over(self, how: str) -> None:
        if self._told is not None:
            self._told.ended, self._told.written = how, self._position
        self._told = None

    def _reset(self) -> None:
        plain: socket.socket = self._transport.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


async def serve(ready: Connection, ports: int) -> None:
    """Listen on so many ports, each a deployment's; all say the same."""
    told: dict[str, Told] = {}
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(lambda: _Fake(told), "127.0.0.1", 0, backlog=4096) for _ in range(ports)
    ]
    ready.send([server.sockets[0].getsockname()[1] for server in servers])
    await asyncio.Event().wait()
