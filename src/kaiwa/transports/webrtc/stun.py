"""Binding requests and their answers: what an ICE-lite server needs of STUN. Pure bytes.

Source: RFC 8489 (message, XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY, FINGERPRINT), RFC 8445 (ICE attributes).
"""

from __future__ import annotations

import hmac
from binascii import crc32
from ipaddress import IPv4Address, ip_address
from struct import Struct, error
from typing import Final

from kaiwa.events.value import Value

_HEADER: Final = Struct("!HHI12s")
_ATTRIBUTE: Final = Struct("!HH")
_COOKIE: Final = 0x2112A442
_FINGERPRINT_MASK: Final = 0x5354554E

_REQUEST: Final = 0x0001
_SUCCESS: Final = 0x0101
_FAILURE: Final = 0x0111

_USERNAME: Final = 0x0006
_INTEGRITY: Final = 0x0008
_ERROR_CODE: Final = 0x0009
_XOR_MAPPED_ADDRESS: Final = 0x0020
_PRIORITY: Final = 0x0024
_USE_CANDIDATE: Final = 0x0025
_FINGERPRINT: Final = 0x8028
_ICE_CONTROLLED: Final = 0x8029
_ICE_CONTROLLING: Final = 0x802A

_INTEGRITY_BYTES: Final = 24
_FINGERPRINT_BYTES: Final = 8
_MAX_BYTES: Final = 548
"""What a STUN message may measure when nothing is known of the path (RFC 8489, section 6.1)."""


class BindingRequest(Value, kw_only=True):
    """A connectivity check. `username` is ours and theirs with a colon between them."""

    transaction_id: bytes
    username: str
    nominates: bool = False
    controlled: bool = False
    signed: bytes = b""
    signature: bytes = b""

    def is_from(self, key: bytes) -> bool:
        """Say whether who sent this knows the password."""
        return hmac.compare_digest(hmac.digest(key, self.signed, "sha1"), self.signature)


def read_request(data: bytes) -> BindingRequest | None:
    """Return the connectivity check in a datagram; None for anything else, whole or broken."""
    if len(data) > _MAX_BYTES or len(data) < _HEADER.size:
        return None
    kind, length, cookie, transaction_id = _HEADER.unpack_from(data)
    if kind != _REQUEST or cookie != _COOKIE or length != len(data) - _HEADER.size or length % 4:
        return None
    try:
        return _with_attributes(data, transaction_id)
    except (error, UnicodeDecodeError):
        return None


def _with_attributes(data: bytes, transaction_id: bytes) -> BindingRequest | None:
    username: str | None = None
    nominates = controlled = False
    at = _HEADER.size
    while at < len(data):
        kind, size = _ATTRIBUTE.unpack_from(data, at)
        value = data[at + 4 : at + 4 + size]
        if kind == _INTEGRITY:
            # What follows it is not covered by it, and so is not looked at.
            if username is None or size != _INTEGRITY_BYTES - 4 or len(value) != size:
                return None
            return BindingRequest(
                transaction_id=transaction_id,
                username=username,
                nominates=nominates,
                controlled=controlled,
                signed=_of_length(data[:at], at - _HEADER.size + _INTEGRITY_BYTES),
                signature=value,
            )
        if kind == _USERNAME:
            username = value.decode()
        nominates = nominates or kind == _USE_CANDIDATE
        controlled = controlled or kind == _ICE_CONTROLLED
        at += 4 + size + -size % 4
    return None


def success(transaction_id: bytes, seen_at: tuple[str, int], key: bytes) -> bytes:
    """Return the answer that tells a peer the address its check came from."""
    return _signed(
        _SUCCESS, transaction_id, _attribute(_XOR_MAPPED_ADDRESS, _xored(seen_at, transaction_id)), key
    )


def role_conflict(transaction_id: bytes, key: bytes) -> bytes:
    """Return the answer to a peer that takes itself for the controlled one, as a lite server always is.

    Source: RFC 8445, section 7.3.1.1.
    """
    reason = b"\x00\x00\x04\x57Role Conflict"
    return _signed(_FAILURE, transaction_id, _attribute(_ERROR_CODE, reason), key)


def request(
    transaction_id: bytes, username: str, key: bytes, *, nominates: bool, tie_breaker: int = 1
) -> bytes:
    """Return a check as a controlling peer sends it."""
    body = _attribute(_USERNAME, username.encode()) + _attribute(_PRIORITY, (1).to_bytes(4, "big"))
    body += _attribute(_ICE_CONTROLLING, tie_breaker.to_bytes(8, "big"))
    if nominates:
        body += _attribute(_USE_CANDIDATE, b"")
    return _signed(_REQUEST, transaction_id, body, key)


def _signed(kind: int, transaction_id: bytes, body: bytes, key: bytes) -> bytes:
    message = _HEADER.pack(kind, len(body) + _INTEGRITY_BYTES, _COOKIE, transaction_id) + body
    message += _attribute(_INTEGRITY, hmac.digest(key, message, "sha1"))
    message = _of_length(message, len(message) - _HEADER.size + _FINGERPRINT_BYTES)
    mark = crc32(message) ^ _FINGERPRINT_MASK
    return message + _attribute(_FINGERPRINT, mark.to_bytes(4, "big"))


def _of_length(message: bytes, length: int) -> bytes:
    return message[:2] + length.to_bytes(2, "big") + message[4:]


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(kind, len(value)) + value + bytes(-len(value) % 4)


def _xored(address: tuple[str, int], transaction_id: bytes) -> bytes:
    ip = ip_address(address[0].partition("%")[0])
    mask = _COOKIE.to_bytes(4, "big") + transaction_id
    family = 1 if isinstance(ip, IPv4Address) else 2
    port = address[1] ^ (_COOKIE >> 16)
    return (
        bytes((0, family))
        + port.to_bytes(2, "big")
        + bytes(a ^ b for a, b in zip(ip.packed, mask, strict=False))
    )
