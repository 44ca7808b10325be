"""Heads of HTTP/1.1: requests written, answers read strictly. Opens no socket.

Whatever two readers could take for two different things is refused, never guessed at: whoever forwards bytes
must not let one answer be taken for two. Source: RFC 9112, sections 2.2, 4, 5, 6.3 and 11.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import msgspec

from kaiwa.errors import UpstreamError

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_FIELDS: Final = 200
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_LENGTH: Final = re.compile(rb"[0-9]{1,15}")
_BODILESS: Final = (204, 304)

Framing = Literal["chunked", "sized", "until_close"]


class Origin(NamedTuple):
    """Where connections go."""

    scheme: Literal["http", "https"]
    host: str
    port: int


class Request(msgspec.Struct, frozen=True):
    """One question. `authority` is what the Host header says. Nothing of it is ever shown."""

    origin: Origin
    path: str
    authority: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    method: str = "POST"

    def __repr__(self) -> str:
        return f"Request({self.method})"

    def encoded(self) -> bytes:
        """Return it as bytes. Compression is never asked for: the body is passed on as it comes."""
        head = _request_head(self.method, self.path, self.authority, tuple(self.headers))
        return b"%b%d\r\n\r\n%b" % (head, len(self.body), self.body)


@lru_cache(maxsize=256)  # the same client asks the same service with the same head, but for its length
def _request_head(method: str, path: str, authority: str, headers: tuple[tuple[str, str], ...]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"host: {authority}"]
    lines += [f"{name}: {value}" for name, value in headers]
    lines += ["accept-encoding: identity", "content-length: "]
    text = "\r\n".join(lines)
    assert text.count("\n") == len(lines) - 1 == text.count("\r"), "no value holds a line end"
    return text.encode("latin-1")


class ResponseHead(msgspec.Struct, frozen=True):
    """What came before the body. `headers`: names in lower case, values of a repeated one joined."""

    status: int
    headers: Mapping[str, str]
    framing: Framing
    length: int
    keep_alive: bool

    def __repr__(self) -> str:
        return f"ResponseHead({self.status})"


def parse_head(raw: bytes) -> ResponseHead:
    """Read everything before the empty line. Raises UpstreamError for what is not plainly one answer."""
    first, *lines = raw.split(b"\r\n")
    status, modern = _status(first)
    if len(lines) > MAX_FIELDS:
        raise _garbled("has too many header fields")
    headers = _fields(lines)
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    return ResponseHead(status, headers, *_framing(coding, length, headers.get("connection"), status, modern))


@lru_cache(maxsize=64)
def _status(line: bytes) -> tuple[int, bool]:
    """Return the status, and whether this is HTTP/1.1."""
    found = _STATUS_LINE.fullmatch(line)
    if found is None:
        raise _garbled("does not speak HTTP/1.1")
    return int(found[2]), found[1] == b"1"


def _fields(lines: Sequence[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, value = _field(line)
        if name in headers:
            if name in ("content-length", "transfer-encoding"):
                raise _garbled("gives its length twice")
            value = f"{headers[name]}, {value}"
        headers[name] = value
    return headers


@lru_cache(maxsize=256)  # most lines of a service are in each of its answers
def _field(line: bytes) -> tuple[str, str]:
    found = _FIELD.fullmatch(line)
    if found is None:  # a folded line, a blank before the colon, a control character
        raise _garbled("has a malformed header field")
    return found[1].decode("ascii").lower(), found[2].rstrip(b" \t").decode("latin-1")


@lru_cache(maxsize=256)
def _framing(
    coding: str | None, length: str | None, connection: str | None, status: int, modern: bool
) -> tuple[Framing, int, bool]:
    """Return how the body ends, its length if that is known, and whether the connection is kept."""
    if coding is not None and (length is not None or not modern or coding.lower() != "chunked"):
        raise _garbled("has a length that can be read in two ways")
    if length is not None and _LENGTH.fullmatch(length.encode("latin-1")) is None:
        raise _garbled("has a length that is no number")
    keeps = modern and (connection is None or "close" not in _options(connection))
    if status in _BODILESS:
        return "sized", 0, keeps
    if coding is not None:
        return "chunked", 0, keeps
    return ("until_close", 0, False) if length is None else ("sized", int(length), keeps)


def _options(connection: str) -> set[str]:
    return {option.strip().lower() for option in connection.split(",")}


def _garbled(what: str) -> UpstreamError:
    return UpstreamError("upstream_garbled", f"The service's answer {what}.", retryable=True)
