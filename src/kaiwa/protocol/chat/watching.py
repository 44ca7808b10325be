"""Watch an event stream of completions or responses go by, and let its bytes pass as they are. Pure.

Nearly every event is searched, not parsed: for usage, a finish, an error and the end. Until the first content
every event is read, since until then an answer can still be asked for elsewhere. What is let pass ends where
an event ends, so that a comment or an error may follow at any time; half an event waits for its other half.

Sources: HTML Living Standard, 9.2.6; OpenAI API reference, "Streaming"; Azure's habits: a first chunk without
choices, filter results without a delta, an error inside a 200, no `[DONE]`.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal, cast

import msgspec

from kaiwa.errors import UpstreamError
from kaiwa.protocol.chat.usage import TokensCounted, counted

Dialect = Literal["chat", "responses"]
MAX_EVENT_BYTES: Final = 4 * 1024 * 1024

_LINE_END: Final = rb"(?:\r\n|\n|\r(?!\n))"
_BLANK_LINE: Final = re.compile(_LINE_END + _LINE_END)
_LINE: Final = re.compile(rb"\r\n|\n|\r")
_STRAY: Final = re.compile(rb"[\r\n]*")
# A blank line that is cut in two: so much of what came before belongs into the search.
_OVERLAP: Final = 3
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_ENDS: Final = {"response.completed", "response.incomplete", "response.failed"}
_RESPONSE_ENDS: Final = tuple(f'"{name}"'.encode() for name in sorted(_ENDS))
_WORDS: Final = b'"content":"'
_NO_CONTENT: Final = ("role", "content_filter_results")


class _Choice(msgspec.Struct):
    delta: dict[str, Any] | None = None
    finish_reason: str | None = None


class _Deltas(msgspec.Struct):
    """What an answer begins with, and by which it is known that there is more in a chunk."""

    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None


_DELTAS: Final = msgspec.json.Decoder(_Deltas)


class Watcher:
    """What one stream has shown so far.

    `begun`: content came. `done`: the stream said that it is over. `finish_reason`: of the choice that
    finished last. `error`: the code of an error inside the stream, "" for one without a code. `usage`: what
    was told at last. `content_bytes` of events since the first with content, which was of `event_bytes`.
    `like`: the newest plain event up to its words and behind them; nearly all events differ in nothing else.
    """

    __slots__ = (
        "_choices",
        "_dialect",
        "_drop_usage",
        "_finished",
        "_spaced",
        "_tail",
        "begun",
        "content_bytes",
        "done",
        "error",
        "event_bytes",
        "finish_reason",
        "like",
        "usage",
    )

    def __init__(self, dialect: Dialect = "chat", *, choices: int = 1, drop_usage: bool = False) -> None:
        """`drop_usage`: an event of nothing but usage does not pass: the client did not ask for it."""
        self._dialect: Dialect = dialect
        self._choices = choices
        self._drop_usage = drop_usage
        self._tail = bytearray()
        self._finished: set[int] = set()
        self.begun = self.done = False
        self.error: str | None = None
        self.finish_reason: str | None = None
        self.usage: TokensCounted | None = None
        self._spaced = False
        self.like: tuple[bytes, bytes] | None = None
        self.event_bytes = 1
        self.content_bytes = 0

    @property
    def events(self) -> int:
        """About how many events with content came, by the size of the first: one is a token, more or less.

        Counting them would cost as much as passing them on.
        """
        return self.content_bytes // self.event_bytes

    @property
    def complete(self) -> bool:
        """Whether the answer may end here and is whole."""
        return self.done or (self._dialect == "chat" and len(self._finished) >= self._choices)

    def is_plain(self, data: bytes) -> bool:
        """Say whether this is one event that differs from the last in its words alone; then it may pass.

        Four comparisons, where `feed` searches five times. Words with a quotation mark are for `feed`.
        """
        if self.like is None:
            return False
        before, behind = self.like
        start, end = len(before), -len(behind)
        words = data[start:end]
        if (
            data[:start] != before
            or data[end:] != behind
            or len(data) < start - end
            or b'"' in words
            or b"\n" in words
        ):
            return False
        self.content_bytes += len(data)
        return True

    def feed(self, data: bytes) -> bytes:
        """Return what may pass: whole events. Raises UpstreamError when one outgrows MAX_EVENT_BYTES."""
        if self._tail:
            if _BLANK_LINE.search(self._tail[-_OVERLAP:] + data) is None:
                self._hold(data)
                return b""
            data = bytes(self._tail) + data
            self._tail.clear()
        if not data.endswith(b"\n\n"):
            end = _last_boundary(data)
            self._hold(data[end:])
            data = data[:end]
        return self._look(data) if data else data

    def begin(self, data: bytes) -> tuple[bytes, bytes]:
        """As `feed`, up to the first event with content: return what may pass, and what nobody looked at."""
        if self.begun or self._tail or b"\r" in data:
            return self.feed(data), b""
        passing: list[bytes] = []
        at, size = 0, len(data)
        while at < size and not self.begun:
            line = data.find(b"\n", at)
            plain = line >= 0 and data.startswith(b"\n\n", line) and data.startswith(b"data: {", at)
            end = (line if plain else data.find(b"\n\n", at)) + 2
            if end < 2:
                self._hold(data[at:])
                return b"".join(passing), b""
            event = data[at:end]
            known = plain and self._dialect == "chat" and self._read_deltas(event)
            passing.append(event if known else self._look(event))
            at = end
        return b"".join(passing), data[at:]

    def flush(self) -> bytes:
        """Take the proper end of a stream: what was held is its last event, though no blank line follows."""
        rest = bytes(self._tail)
        self._tail.clear()
        return self._look(rest)

    def _hold(self, data: bytes) -> None:
        self._tail += data
        if data:
            self.like = None  # what comes next is no event of its own
        if len(self._tail) > MAX_EVENT_BYTES:
            raise UpstreamError("upstream_garbled", "The service's answer holds an oversized event.")

    def _look(self, data: bytes) -> bytes:
        if self.begun and not self._telling(data):
            self.content_bytes += len(data)
            self.like = _around_words(data)
            return data
        return b"".join([event for event in events_in(data) if self._take(event)])

    def _take(self, event: bytes) -> bool:
        if self.begun:
            before = self._told()
            passes = self._read(event) if self._telling(event) else True
            if self._told() == before:  # words only, whatever they look like
                self.content_bytes += len(event)
            return passes
        passes = self._read(event)
        if self.begun:
            self.event_bytes = self.content_bytes = len(event)
        return passes

    def _told(self) -> tuple[object, ...]:
        return self.done, self.error, self.finish_reason, self.usage

    def _telling(self, data: bytes) -> bool:
        if self._dialect == "responses":
            return b'"error"' in data or any(end in data for end in _RESPONSE_ENDS)
        # A search costs 0.3 µs and that for a single letter half of it.
        if b'"usage":{' in data or b'finish_reason":"' in data or b'"error"' in data:
            return True
        if b"D" in data and b"[DONE]" in data:
            return True
        return self._spaced and (b'"usage": {' in data or b'finish_reason": "' in data)

    def _read(self, event: bytes) -> bool:
        """Learn from an event; say whether it passes."""
        data = _data_of(event)
        if data is None:
            return True
        if data == b"[DONE]":
            self.done = True
            return True
        self._spaced = self._spaced or b'": ' in data
        try:
            said = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return True  # not ours to judge
        if not isinstance(said, dict):
            return True
        if self._dialect == "responses":
            self._read_response(cast(dict[str, Any], said))
            return True
        return self._read_chunk(cast(dict[str, Any], said))

    def _read_deltas(self, event: bytes) -> bool:
        """Learn whether a chunk of nothing but deltas begins the answer; say no when there is more in it."""
        try:
            chunk = _DELTAS.decode(event[6:])
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return False
        begun = False
        for choice in chunk.choices or ():
            if choice.finish_reason is not None:
                return False
            begun = begun or (choice.delta is not None and _has_content(choice.delta))
        if chunk.usage is not None or chunk.error is not None:
            return False
        if begun:
            self.begun = True
            self.event_bytes = self.content_bytes = len(event)
            self._spaced = self._spaced or b'": ' in event
        return True

    def _read_response(self, said: dict[str, Any]) -> None:
        kind = said.get("type")
        if kind == "error":
            self.error = _code_of(said.get("error", said))
            return
        if isinstance(kind, str) and kind.endswith(".delta"):
            self.begun = True
        response = said.get("response")
        if kind not in _ENDS or not isinstance(response, dict):
            return
        whole = cast(dict[str, Any], response)
        self.usage = counted(whole.get("usage")) or self.usage
        self.done = True
        self.finish_reason = str(kind).removeprefix("response.")
        if kind == "response.failed":
            self.error = _code_of(whole.get("error"))
        else:
            self.begun = True

    def _read_chunk(self, said: dict[str, Any]) -> bool:
        if said.get("error") is not None:
            self.error = _code_of(said["error"])
            return True
        usage = counted(said.get("usage"))
        self.usage = usage or self.usage
        choices = said.get("choices")
        listed = cast(list[Any], choices) if isinstance(choices, list) else []
        for choice in listed:
            if isinstance(choice, dict):
                self._read_choice(cast(dict[str, Any], choice))
        return not (self._drop_usage and usage is not None and not listed)

    def _read_choice(self, choice: dict[str, Any]) -> None:
        delta = choice.get("delta")
        if isinstance(delta, dict) and _has_content(cast(dict[str, Any], delta)):
            self.begun = True
        reason, index = choice.get("finish_reason"), choice.get("index")
        if isinstance(reason, str):
            self.finish_reason = reason
            self._finished.add(index if isinstance(index, int) else 0)
            self.begun = True


def _around_words(data: bytes) -> tuple[bytes, bytes] | None:
    """Return one event of completions up to its words and behind them; None: it is something else."""
    start = data.find(_WORDS)
    if start < 0 or data.find(b"\n") != len(data) - 2:
        return None
    start += len(_WORDS)
    end = data.find(b'"', start)
    return None if end < 0 or data[end - 1 : end] == b"\\" else (data[:start], data[end:])


def _last_boundary(data: bytes) -> int:
    """Return where the last whole event ends, 0 when none does."""
    end = 0
    start = max(data.rfind(b"\n\n"), data.rfind(b"\r\n\r\n"), 0)
    for found in _BLANK_LINE.finditer(data, start):
        end = found.end()
    return end


def events_in(data: bytes) -> list[bytes]:
    """Cut whole events apart, each with the blank line that ends it.

    Further blank lines stand alone: they are no part of what follows, wherever a read ended.
    """
    events: list[bytes] = []
    start = 0
    for found in _BLANK_LINE.finditer(data):
        stray = _STRAY.match(data, start, found.end())
        if stray is not None and start < stray.end() < found.end():
            events.append(stray[0])
            start = stray.end()
        events.append(data[start : found.end()])
        start = found.end()
    if start < len(data):
        events.append(data[start:])
    return events


def _data_of(event: bytes) -> bytes | None:
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2 and b"\r" not in event:
        return event[6:-2]  # nearly always: one line
    lines = [line[5:].removeprefix(b" ") for line in _LINE.split(event) if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None


def _has_content(delta: dict[str, Any]) -> bool:
    for name, value in delta.items():  # noqa: SIM110 - half the time of `any`
        if value and name not in _NO_CONTENT:
            return True
    return False


def _code_of(error: object) -> str:
    """Return the code of an error, its type where it has none; never its words."""
    if not isinstance(error, dict):
        return ""
    told = cast(dict[str, Any], error)
    for value in (told.get("code"), told.get("type")):
        if isinstance(value, str | int) and _CODE.fullmatch(str(value)):
            return str(value)
    return ""
