"""Write the SDP answer of a lite server: one audio line, one channel, every address it can be reached at.

Knows the text of SDP and what an offer says; opens nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from kaiwa.events.value import Value
from kaiwa.transports.webrtc.offer import Codec, Direction, Line, Offer

MAX_MESSAGE_BYTES: Final = 1024 * 1024
"""The largest message the data channel takes."""

STREAM: Final = "realtimeapi"
_ANSWERS: Final[dict[Direction, Direction]] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}
_LOCAL_PREFERENCE: Final = 65535


class Address(Value):
    """An address a peer may send to."""

    ip: str
    port: int


class Facts(Value, kw_only=True):
    """What the server says of itself in one answer. `addresses`: the best first."""

    session_id: int
    ufrag: str
    password: str
    fingerprint: str
    ssrc: int
    addresses: tuple[Address, ...]


def setup_of(offer: Offer) -> str:
    """Return who begins the DTLS handshake: this server, unless the peer insists."""
    return "passive" if offer.setup == "active" else "active"


def write_answer(offer: Offer, facts: Facts) -> str:
    taken = [offer.audio] if offer.channel is None else sorted((offer.audio, offer.channel))
    mids = " ".join(mid for at in taken if (mid := offer.lines[at].mid) is not None)
    lines = [
        "v=0",
        f"o=- {facts.session_id} 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        *([f"a=group:BUNDLE {mids}"] if offer.bundled and mids else []),
        f"a=msid-semantic: WMS {STREAM}",
    ]
    for at, line in enumerate(offer.lines):
        if at == offer.audio:
            lines += _audio(line, offer.codec, facts) + _transport(offer, facts, at == taken[0])
        elif at == offer.channel:
            lines += _channel(line, offer, facts) + _transport(offer, facts, at == taken[0])
        else:
            lines += [f"m={line.kind} 0 {line.profile} {line.formats or '0'}", *_mid(line), "a=inactive"]
    return "\r\n".join(lines) + "\r\n"


def _audio(line: Line, codec: Codec, facts: Facts) -> list[str]:
    direction = _ANSWERS[line.direction]
    sends = direction in ("sendrecv", "sendonly")
    kind = codec.payload_type
    return [
        f"m=audio {facts.addresses[0].port} {line.profile} {kind}",
        _connection(facts),
        f"a={direction}",
        *_mid(line),
        # The stock client plays the first stream of the track; exactly one msid a line.
        *([f"a=msid:{STREAM} audio", f"a=ssrc:{facts.ssrc} cname:{STREAM}"] if sends else []),
        "a=rtcp-mux",
        *_format(codec.name, kind),
        "a=ptime:20",
    ]


def _format(name: str, kind: int) -> list[str]:
    if name == "opus":
        # Without useinbandfec a browser sends no error correction; usedtx would make holes in what we hear.
        return [f"a=rtpmap:{kind} opus/48000/2", f"a=fmtp:{kind} minptime=10;useinbandfec=1"]
    return [f"a=rtpmap:{kind} {name.upper()}/8000"]


def _channel(line: Line, offer: Offer, facts: Facts) -> list[str]:
    return [
        f"m=application {facts.addresses[0].port} {line.profile} {line.formats}",
        _connection(facts),
        *_mid(line),
        f"a=sctp-port:{offer.sctp_port}",
        f"a=max-message-size:{MAX_MESSAGE_BYTES}",
    ]


def _transport(offer: Offer, facts: Facts, first: bool) -> list[str]:
    return [
        f"a=ice-ufrag:{facts.ufrag}",
        f"a=ice-pwd:{facts.password}",
        f"a=fingerprint:sha-256 {facts.fingerprint}",
        f"a=setup:{setup_of(offer)}",
        *(_candidates(facts.addresses) if first else []),
    ]


def _candidates(addresses: Sequence[Address]) -> list[str]:
    # Every candidate stands here, as there is no way to add one later.
    lines = [
        f"a=candidate:{at + 1} 1 udp {126 << 24 | (_LOCAL_PREFERENCE - at) << 8 | 255}"
        f" {address.ip} {address.port} typ host"
        for at, address in enumerate(addresses)
    ]
    return [*lines, "a=end-of-candidates"]


def _connection(facts: Facts) -> str:
    ip = facts.addresses[0].ip
    return f"c=IN IP{ip_address(ip).version} {ip}"


def _mid(line: Line) -> list[str]:
    return [] if line.mid is None else [f"a=mid:{line.mid}"]
