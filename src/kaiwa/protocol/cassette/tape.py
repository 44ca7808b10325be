"""The lines of a cassette: one header, then what crossed the wire, in the order in which it did.

JSON lines, UTF-8. Knows how a line is written and read, one version of the format, and how lines become
exchanges. Does not know what a frame means. A file may end in the middle of a line: its recorder was killed.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from kaiwa.errors import KaiwaError

VERSION: Final = 1
Side = Literal["client", "server"]


class CassetteError(KaiwaError):
    """This is no cassette, or one that cannot be read."""


class UnknownCassetteVersion(CassetteError):
    """The cassette is of a version that this kaiwa does not know."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line. `recorded` is the only wall-clock time; all others are milliseconds since then."""

    kaiwa_cassette: int = VERSION
    recorded: str = ""
    recorder: str = ""
    clock: str = "monotonic_ms"
    redacted: tuple[str, ...] = ()


class Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="what", omit_defaults=True):
    """`at`: milliseconds since the recording began. `on`: the number of the exchange, from 1."""

    at: float
    on: int = 0


class Opened(Line, frozen=True, tag="open"):
    """A connection or a request. `target` is path and query without credentials."""

    door: Literal["websocket", "http"]
    target: str
    method: str = "GET"
    dialect: str | None = None
    subprotocols: tuple[str, ...] = ()


class Frame(Line, frozen=True, tag="frame"):
    """One WebSocket message, the body of a request, or one piece of an answer's body, as it came."""

    by: Side
    text: str

    @property
    def data(self) -> str | bytes:
        return self.text


class Bytes(Line, frozen=True, tag="bytes"):
    """The same where it is not text: a binary message, or a piece that ends within a character."""

    by: Side
    base64: str

    @property
    def data(self) -> str | bytes:
        return base64.b64decode(self.base64)


class Head(Line, frozen=True, tag="head"):
    """Status and the few headers of an answer that mean something to its reader.

    Of a WebSocket: the answer to an upgrade that was refused.
    """

    status: int
    headers: dict[str, str] = {}

    @property
    def by(self) -> Side:
        return "server"


class Ended(Line, frozen=True, tag="end"):
    """Who ended it, and how: the close code of a WebSocket; of HTTP none, or 1006 when it broke off."""

    by: Side
    code: int | None = None
    reason: str = ""


class Cut(Line, frozen=True, tag="cut"):
    """The recorder stopped writing here, though the conversations went on."""

    why: str


Played = Frame | Bytes | Head | Ended
Entry = Opened | Played | Cut
_ENTRY: Final = msgspec.json.Decoder(Entry)
_ENCODER: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Numbered:
    """A line and where it stands in its file."""

    line: int
    entry: Played


@dataclass(slots=True)
class Exchange:
    """One connection or request, from its opening on. `cut`: what followed was not written down."""

    opened: Opened
    line: int
    entries: list[Numbered] = field(default_factory=list[Numbered])
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Cassette:
    """A whole cassette. `cut` says why it ends early; None: it does not."""

    header: Header
    exchanges: tuple[Exchange, ...]
    cut: str | None = None


def written(entry: Header | Entry) -> bytes:
    """Return the line of a header or an entry, with its line feed."""
    return _ENCODER.encode(entry) + b"\n"


def read_cassette(lines: Iterable[bytes], name: str = "the cassette") -> Cassette:
    """Read a whole cassette. Raises CassetteError with the number of the line that is wrong."""
    header: Header | None = None
    exchanges: dict[int, Exchange] = {}
    cut: str | None = None
    for number, line in enumerate(lines, 1):
        if header is None:
            header = _header(line, name)
            continue
        try:
            entry = _ENTRY.decode(line)
        except msgspec.DecodeError as wrong:
            if not line.endswith(b"\n"):
                cut = "its recorder was killed"
                break
            raise CassetteError(f"{name}, line {number}: {wrong}.") from wrong
        if isinstance(entry, Cut):
            cut = entry.why
            break
        _file(exchanges, number, entry, name)
    if header is None:
        raise CassetteError(f"{name} is empty.")
    for exchange in exchanges.values():
        exchange.cut = not exchange.entries or not isinstance(exchange.entries[-1].entry, Ended)
    return Cassette(header, tuple(exchanges.values()), cut)


def _header(line: bytes, name: str) -> Header:
    try:
        version = msgspec.json.decode(line, type=dict[str, object]).get("kaiwa_cassette")
    except msgspec.DecodeError as wrong:
        raise CassetteError(f"{name} is no cassette: its first line is not a header.") from wrong
    if version is None:
        raise CassetteError(f"{name} is no cassette: its first line has no `kaiwa_cassette`.")
    if version != VERSION:
        raise UnknownCassetteVersion(
            f"{name} is of version {version}; this kaiwa reads version {VERSION}."
            " Record it again, or read it with the kaiwa that wrote it."
        )
    try:
        return msgspec.json.decode(line, type=Header)
    except msgspec.DecodeError as wrong:
        raise CassetteError(f"{name}, line 1: {wrong}.") from wrong


def _file(exchanges: dict[int, Exchange], number: int, entry: Opened | Played, name: str) -> None:
    if isinstance(entry, Opened):
        if entry.on in exchanges:
            raise CassetteError(f"{name}, line {number}: exchange {entry.on} was opened before.")
        exchanges[entry.on] = Exchange(entry, number)
        return
    exchange = exchanges.get(entry.on)
    if exchange is None:
        raise CassetteError(f"{name}, line {number}: exchange {entry.on} was never opened.")
    exchange.entries.append(Numbered(number, entry))
