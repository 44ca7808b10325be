"""Read a peer's SDP offer: the few facts of it that a server with one audio line and one channel needs.

Knows the text of SDP; opens nothing. Candidates are not looked at: a lite server learns the peer's address
from its checks, so offers without candidates and with `.local` names are all the same.
Source: RFC 8866 (SDP), RFC 9429 (JSEP), RFC 8841 (the data channel's line).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from kaiwa.errors import PeerError
from kaiwa.events.value import Value

MAX_BYTES: Final = 64 * 1024
MAX_LINES: Final = 16
"""How many m-lines an offer may have."""

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
CodecName = Literal["opus", "pcmu", "pcma"]

_CODECS: Final[dict[tuple[str, int], CodecName]] = {
    ("opus", 48000): "opus",
    ("pcmu", 8000): "pcmu",
    ("pcma", 8000): "pcma",
}
_STATIC: Final[dict[int, CodecName]] = {0: "pcmu", 8: "pcma"}
_HASHES: Final = ("sha-256", "sha-384", "sha-512")
_DEFAULT_MESSAGE_BYTES: Final = 65536


class Codec(Value, kw_only=True):
    name: CodecName
    payload_type: int


class Line(Value, kw_only=True):
    """One m-line. `ports` are what follows the kind, as it came; what is refused is answered with it."""

    kind: str
    profile: str
    formats: str
    mid: str | None
    direction: Direction = "sendrecv"


class Offer(Value, kw_only=True):
    """`audio` and `channel` are places in `lines`; `channel` None: the peer wants no data channel."""

    lines: tuple[Line, ...]
    audio: int
    channel: int | None
    codec: Codec
    bundled: bool
    ufrag: str
    fingerprints: tuple[tuple[str, str], ...]
    setup: Literal["actpass", "active", "passive"]
    max_message_bytes: int = _DEFAULT_MESSAGE_BYTES
    sctp_port: int = 5000


class _Section:
    """The lines of the session or of one m-line: attributes by name, in order."""

    def __init__(self, head: str) -> None:
        self.head = head
        self._attributes: dict[str, list[str]] = {}

    def add(self, line: str) -> None:
        if line.startswith("a="):
            name, _, value = line[2:].partition(":")
            self._attributes.setdefault(name, []).append(value.strip())

    def all(self, name: str) -> list[str]:
        return self._attributes.get(name, [])

    def first(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)


def read_offer(sdp: str) -> Offer:
    """Return what an offer says. Raises PeerError with a sentence for one that cannot be answered."""
    if len(sdp) > MAX_BYTES:
        raise _refused(f"it is longer than {MAX_BYTES} bytes")
    session, *sections = _sections(sdp)
    if len(sections) > MAX_LINES:
        raise _refused(f"it has more than {MAX_LINES} m-lines")
    lines = tuple(_line(section) for section in sections)
    audio = _audio_of(lines)
    codec = _codec_of(sections[audio], lines[audio])
    channel = next((at for at, line in enumerate(lines) if _is_channel(line)), None)
    bundle = _bundle(session)
    if channel is not None and not {lines[audio].mid, lines[channel].mid} <= set(bundle):
        raise _refused("its audio and its data channel are not in one BUNDLE group")
    of_channel = sections[channel] if channel is not None else _Section("")
    return Offer(
        lines=lines,
        audio=audio,
        channel=channel,
        codec=codec,
        bundled=bool(bundle),
        ufrag=_credential("ice-ufrag", sections[audio], session, 4),
        fingerprints=_fingerprints(sections[audio], session),
        setup=_setup(sections[audio], session),
        max_message_bytes=_number(of_channel.first("max-message-size"), _DEFAULT_MESSAGE_BYTES),
        sctp_port=_number(of_channel.first("sctp-port"), 5000),
    )


def _refused(why: str) -> PeerError:
    return PeerError("invalid_sdp", f"The SDP offer cannot be answered: {why}.", param="sdp")


def _sections(sdp: str) -> list[_Section]:
    if not sdp.lstrip().startswith("v=0"):
        raise _refused("it does not begin with v=0")
    sections = [_Section("")]
    for line in sdp.split("\n"):
        line = line.strip()
        if line.startswith("m="):
            sections.append(_Section(line[2:]))
        sections[-1].add(line)
    return sections


def _line(section: _Section) -> Line:
    words = section.head.split()
    if len(words) < 4:
        raise _refused("an m-line is broken")
    return Line(
        kind=words[0],
        profile=words[2],
        # A rejected line keeps its port 0, and is no candidate for anything.
        formats=" ".join(words[3:]) if words[1] != "0" else "",
        mid=_token(section.first("mid")),
        direction=_direction(section),
    )


def _token(value: str | None) -> str | None:
    if value is not None and (
        len(value) > 64 or not value.isascii() or not value.isprintable() or " " in value
    ):
        raise _refused("a mid is broken")
    return value


def _direction(section: _Section) -> Direction:
    for direction in ("sendrecv", "sendonly", "recvonly", "inactive"):
        if section.all(direction):
            return direction
    return "sendrecv"


def _audio_of(lines: tuple[Line, ...]) -> int:
    for at, line in enumerate(lines):
        if line.kind == "audio" and line.formats:
            return at
    raise _refused("it has no m=audio line")


def _is_channel(line: Line) -> bool:
    return line.kind == "application" and line.profile.endswith("DTLS/SCTP") and line.formats != ""


def _bundle(session: _Section) -> list[str]:
    for group in session.all("group"):
        words = group.split()
        if words[:1] == ["BUNDLE"]:
            return words[1:]
    return []


def _codec_of(section: _Section, line: Line) -> Codec:
    known = list(_known_codecs(section, line))
    if not known:
        raise _refused("it offers neither Opus nor G.711")
    return next((codec for codec in known if codec.name == "opus"), known[0])


def _known_codecs(section: _Section, line: Line) -> Iterator[Codec]:
    maps = dict(value.split(None, 1) for value in section.all("rtpmap") if len(value.split(None, 1)) == 2)
    for word in line.formats.split():
        if not word.isdecimal() or int(word) > 127:
            raise _refused("a payload type is no number up to 127")
        name, _, rest = maps.get(word, "").partition("/")
        rate = rest.partition("/")[0]
        codec = _CODECS.get((name.lower(), _number(rate, 0))) if name else _STATIC.get(int(word))
        if codec is not None:
            yield Codec(name=codec, payload_type=int(word))


def _credential(name: str, section: _Section, session: _Section, least: int) -> str:
    value = section.first(name) or session.first(name)
    if value is None:
        raise _refused(f"it has no a={name}")
    if not least <= len(value) <= 256:
        raise _refused(f"its a={name} has a wrong length")
    return value


def _fingerprints(section: _Section, session: _Section) -> tuple[tuple[str, str], ...]:
    given = (value.split() for value in section.all("fingerprint") or session.all("fingerprint"))
    known = tuple(
        (words[0].lower(), words[1]) for words in given if len(words) == 2 and words[0].lower() in _HASHES
    )
    if not known:
        raise _refused("it has no a=fingerprint with sha-256 or stronger")
    return known


def _setup(section: _Section, session: _Section) -> Literal["actpass", "active", "passive"]:
    match section.first("setup") or session.first("setup") or "actpass":
        case "actpass" | "active" | "passive" as known:
            return known
        case _:
            raise _refused("its a=setup is none of actpass, active and passive")


def _number(value: str | None, default: int) -> int:
    return int(value) if value is not None and value.isdecimal() and len(value) < 11 else default
