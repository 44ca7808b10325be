"""Connectivity checks, against the vectors of RFC 5769 and aioice's reader."""

from __future__ import annotations

import pytest
from aioice import stun as theirs
from hypothesis import given
from hypothesis import strategies as st

from kaiwa.transports.webrtc import stun

# RFC 5769, section 2.1
SAMPLE = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff"
    "80290008932ff9b151263b36000600096576746a3a683676592020200008001 49aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
    "80280004e57a3bcf".replace(" ", "")
)
KEY = b"VOkJxbRl1RmTxUk/WvJxBt"
TRANSACTION = b"abcdefghijkl"


def read_by_aioice(message: bytes) -> theirs.Message:
    read = theirs.parse_message(message)
    assert read.check_message_integrity(KEY)
    assert "FINGERPRINT" in read.attributes
    return read


def test_the_sample_request_of_the_standard_is_read() -> None:
    request = stun.read_request(SAMPLE)
    assert request is not None
    assert (request.username, request.controlled, request.nominates) == ("evtj:h6vY", True, False)
    assert request.is_from(KEY)
    assert not request.is_from(b"another password")


def test_a_changed_request_is_nobodys() -> None:
    changed = stun.read_request(SAMPLE.replace(b"evtj", b"evil"))
    assert changed is not None
    assert not changed.is_from(KEY)


@pytest.mark.parametrize("address", [("192.0.2.1", 32853), ("2001:db8:1234:5678:11:2233:4455:6677", 32853)])
def test_another_library_reads_the_answer(address: tuple[str, int]) -> None:
    answer = stun.success(TRANSACTION, address, KEY)
    read = read_by_aioice(answer)
    assert (read.message_method, read.message_class) == (theirs.Method.BINDING, theirs.Class.RESPONSE)
    assert read.transaction_id == TRANSACTION
    assert read.attributes["XOR-MAPPED-ADDRESS"] == address


def test_another_library_reads_the_role_conflict() -> None:
    read = read_by_aioice(stun.role_conflict(TRANSACTION, KEY))
    assert read.message_class is theirs.Class.ERROR
    assert read.attributes["ERROR-CODE"] == (487, "Role Conflict")


def test_our_own_request_is_read_by_both() -> None:
    made = stun.request(TRANSACTION, "ours:theirs", KEY, nominates=True)
    request = stun.read_request(made)
    assert request is not None
    assert (request.username, request.nominates, request.is_from(KEY)) == ("ours:theirs", True, True)
    assert read_by_aioice(made).attributes["USERNAME"] == "ours:theirs"


def test_what_follows_the_signature_is_not_believed() -> None:
    made = stun.request(TRANSACTION, "ours:theirs", KEY, nominates=False)
    smuggled = made + bytes.fromhex("00250000")
    grown = smuggled[:2] + (len(smuggled) - 20).to_bytes(2, "big") + smuggled[4:]
    request = stun.read_request(grown)
    assert request is not None
    assert not request.nominates


@given(st.binary(max_size=600), st.integers(0, len(SAMPLE)))
def test_no_datagram_breaks_the_reader(noise: bytes, cut: int) -> None:
    stun.read_request(noise)
    broken = SAMPLE[:cut] + noise[: len(SAMPLE) - cut]
    request = stun.read_request(broken)
    assert request is None or broken == SAMPLE or request.username is not None
