"""The bytes of the hub protocol, both ways, against vectors of our own in tests/data/signalr."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.manifest import rule
from tests.protocol.signalr.talk import Breakage, breakage

from kaiwa.protocol.signalr import json_codec, messages
from kaiwa.protocol.signalr.encoding import Outgoing
from kaiwa.protocol.signalr.faults import InvalidMessage
from kaiwa.protocol.signalr.framing import with_length
from kaiwa.protocol.signalr.reading import MessageReader

DATA = Path(__file__).parents[2] / "data" / "signalr"
LIMIT = 32 * 1024
Vector = dict[str, Any]
torn = breakage(frame=lambda data: data[:-2] + data[-1:], piece=lambda data: data[:-2] + data[-1:])


def vectors(protocol: str) -> list[Vector]:
    listed = json.loads((DATA / f"{protocol}.json").read_text(encoding="utf-8"))
    for one in listed:
        json_wire = protocol == "json"
        one["bytes"] = one["wire"].encode() + b"\x1e" if json_wire else bytes.fromhex(one["wire"])
    return listed


def value(vector: Vector) -> messages.HubMessage | None:
    if vector["message"] is None:
        return None
    fields = dict(vector["message"])
    return getattr(messages, fields.pop("kind"))(**fields)


def read(protocol: messages.Protocol, data: bytes) -> messages.HubMessage | None:
    reader = MessageReader(protocol, LIMIT)
    reader.feed(data)
    return reader.next()


def check_vectors(protocol: messages.Protocol, planted: Breakage) -> None:
    for vector in vectors(protocol):
        data = planted.piece(vector["bytes"])
        if "error" in vector:
            with pytest.raises(InvalidMessage) as refused:
                read(protocol, data)
            assert str(refused.value) == vector["error"], vector["name"]
            continue
        try:
            found = read(protocol, data)
        except InvalidMessage as fault:
            pytest.fail(f"{vector['name']}: {fault}")
        assert found == value(vector), vector["name"]
        if vector.get("both"):
            assert found is not None
            written = planted.frame(Outgoing(found).encoded(protocol).payload)
            assert written == vector["bytes"], vector["name"]


@rule("S-32", broken_by=torn)
def test_json_messages_are_read_in_any_order_written_in_one_and_refused_in_the_known_words(
    planted: Breakage | None,
) -> None:
    check_vectors("json", planted or Breakage())


@rule("S-33", broken_by=torn)
def test_messagepack_messages_are_read_written_and_refused_item_by_item(planted: Breakage | None) -> None:
    check_vectors("messagepack", planted or Breakage())


@rule("S-33", broken_by=breakage(piece=lambda data: data.replace(b"\xd6\xff", b"\xd6\x05")))
def test_messagepack_carries_times_and_bytes(planted: Breakage | None) -> None:
    when = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)
    payload = Outgoing(messages.StreamItem("7", [when, b"\x00\xff"])).encoded("messagepack").payload
    assert b"\xd6\xff" in payload, "timestamps are extension -1"
    assert read("messagepack", (planted or Breakage()).piece(payload)) == messages.StreamItem(
        "7", [when, b"\x00\xff"]
    )


@rule("S-47", broken_by=breakage(piece=lambda data: data.replace(b"Foo", b"").replace(b'"":42', b"")))
def test_a_header_that_is_no_text_is_a_fault_and_text_is_ignored(planted: Breakage | None) -> None:
    piece = (planted or Breakage()).piece
    good = b'{"type":6,"headers":{"Foo":"bar"}}\x1e'
    assert read("json", good) == messages.Ping()
    with pytest.raises(InvalidMessage, match="Expected header 'Foo' to be of type String"):
        read("json", piece(b'{"type":6,"headers":{"Foo":42}}\x1e'))


@rule(
    "S-17",
    broken_by=breakage(piece=lambda data: data[1:]),
)
@pytest.mark.parametrize("protocol", ["json", "messagepack"])
def test_messages_are_found_wherever_the_stream_is_cut(
    protocol: messages.Protocol, planted: Breakage | None
) -> None:
    good = [one for one in vectors(protocol) if one.get("both")]
    stream = b"".join(one["bytes"] for one in good)
    cutting = (planted or Breakage()).piece

    @settings(max_examples=40, deadline=None, database=None, derandomize=True, report_multiple_bugs=False)
    @given(st.lists(st.integers(1, len(stream) - 1), unique=True, max_size=40))
    def any_cut(places: list[int]) -> None:
        reader, found, ends = MessageReader(protocol, LIMIT), [], [0, *sorted(places), len(stream)]
        for start, end in pairwise(ends):
            reader.feed(cutting(stream[start:end]))
            try:
                while (message := reader.next()) is not None:
                    found.append(message)
            except InvalidMessage as fault:
                raise AssertionError(str(fault)) from fault
        assert found == [value(one) for one in good]

    any_cut()


@pytest.mark.parametrize("protocol", ["json", "messagepack"])
def test_pieces_that_wait_unread_lose_nothing(protocol: messages.Protocol) -> None:
    good = [one for one in vectors(protocol) if one.get("both")]
    stream = b"".join(one["bytes"] for one in good)
    reader, found = MessageReader(protocol, LIMIT), []
    for start in range(0, len(stream), 7):
        reader.feed(stream[start : start + 7])
        if start % 5 == 0 and (message := reader.next()) is not None:
            found.append(message)
    while (message := reader.next()) is not None:
        found.append(message)
    assert found == [value(one) for one in good]


@settings(max_examples=300, deadline=None, database=None, derandomize=True, report_multiple_bugs=False)
@given(st.binary(max_size=64), st.sampled_from(["json", "messagepack"]))
def test_any_bytes_are_a_message_or_a_fault_of_the_peer(data: bytes, protocol: messages.Protocol) -> None:
    framed = data + b"\x1e" if protocol == "json" else with_length(data)
    try:
        read(protocol, framed)
    except InvalidMessage as fault:
        assert str(fault)


@pytest.mark.parametrize(
    "data", [b"[" * 30_000, b'{"type":1' + b'{"a":' * 6_000, b"9" * 30_000, b'{"type":1e999}']
)
def test_json_that_is_meant_to_hurt_is_a_fault_of_the_peer(data: bytes) -> None:
    with pytest.raises(InvalidMessage):
        json_codec.decode(data)


def test_what_cannot_be_encoded_is_said_to_the_caller() -> None:
    for protocol in ("json", "messagepack"):
        with pytest.raises(TypeError):
            Outgoing(messages.StreamItem("7", object())).encoded(protocol)
