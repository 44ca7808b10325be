"""How a hub connection begins: handshake, greeting, frames."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.contract.manifest import rule
from tests.protocol.signalr.talk import Breakage, Talk, breakage, limited, missed

from kaiwa.protocol.signalr.connection import ServerConnection
from kaiwa.protocol.signalr.encoding import Outgoing
from kaiwa.protocol.signalr.happenings import HANDSHAKE_REFUSED, HandshakeDone
from kaiwa.protocol.signalr.limits import Limits
from kaiwa.protocol.signalr.messages import Invocation, Protocol

Talks = Callable[..., Talk]
UNEXPECTED = "An unexpected error occurred during connection handshake."
polite = breakage(frame=lambda data: b"{}\x1e")
REFUSED = [
    (b'{"protocol":"xml","version":1}\x1e', "The protocol 'xml' is not supported."),
    (
        b'{"protocol":"json","version":9}\x1e',
        "The server does not support version 9 of the 'json' protocol.",
    ),
    (b"hello\x1e", UNEXPECTED),
    (b'{"type":6}\x1e', UNEXPECTED),
    (b'{"protocol":"json","version":"1"}\x1e', UNEXPECTED),
    (b"x" * 32769, "Handshake was canceled."),
]


@rule("S-30", broken_by=polite)
@pytest.mark.parametrize(("request_bytes", "error"), REFUSED)
def test_a_handshake_the_server_cannot_take_is_answered_and_ends(
    talk: Talks, request_bytes: bytes, error: str
) -> None:
    one = talk()
    one.client.send_bytes(request_bytes)
    one.exchange()
    assert one.client.response is not None and one.client.response.error == error
    assert one.ended().cause == HANDSHAKE_REFUSED


@rule("S-30", broken_by=limited(handshake_timeout_s=14.0))
def test_a_client_that_does_not_shake_hands_is_let_go_after_fifteen_seconds(talk: Talks) -> None:
    one = talk()
    one.wait(14.9)
    assert one.client.response is None and not one.server.ended
    one.wait(0.1)
    assert one.client.response is not None and one.client.response.error == "Handshake was canceled."


@rule("S-30", broken_by=breakage(piece=lambda data: data.replace(b'"version":', b'"version":4')))
@pytest.mark.parametrize("version", [0, 1, 2])
def test_versions_up_to_two_are_welcome(talk: Talks, version: int) -> None:
    one = talk()
    one.client.shake_hands(version=version)
    one.exchange()
    assert one.client.response is not None and one.client.response.error is None
    assert one.happened() == [HandshakeDone(one.client.protocol, version)]


def test_the_detail_of_a_bad_handshake_is_told_only_when_wanted(talk: Talks) -> None:
    one = talk(limits=Limits(detailed_errors=True))
    one.client.send_bytes(b'{"version":1}\x1e')
    one.exchange()
    assert one.client.response is not None
    assert (
        one.client.response.error
        == f"{UNEXPECTED} InvalidDataException: Missing required property 'protocol'."
    )


def test_messagepack_is_refused_where_only_text_passes(talk: Talks) -> None:
    one = talk(binary=False)
    one.client.shake_hands()
    one.exchange()
    error = one.client.response and one.client.response.error
    assert error is None if one.client.protocol == "json" else str(error).startswith("Cannot use the")


@rule("S-31", broken_by=breakage(server=lambda server: _hasten(server)))
def test_calls_that_come_with_the_handshake_wait_for_the_greeting(talk: Talks) -> None:
    one = talk()
    one.client.shake_hands()
    one.client.call("Early")
    assert [type(happening) for happening in one.happened()] == [HandshakeDone]
    assert not one.server.wants_input
    one.server.send(Invocation("Welcome"), one.now)
    assert one.heard() == [Invocation("Welcome")]
    one.server.opened(one.now)
    assert [called.target for called in one.started()] == ["Early"]


@rule("S-31", broken_by=missed(HandshakeDone))
def test_a_greeting_that_fails_closes_without_an_invitation(talk: Talks) -> None:
    one = talk()
    one.client.shake_hands()
    assert [type(happening) for happening in one.happened()] == [HandshakeDone]
    one.server.close(one.now, error="The hub is shut.")
    close = one.goodbye()
    assert (close.error, close.allow_reconnect) == ("The hub is shut.", False)


@rule("S-16", broken_by=breakage(frame=lambda data: bytes([data[0] ^ 3]) + data[1:]))
def test_json_goes_out_in_text_frames_and_messagepack_in_binary_ones(
    protocol: Protocol, planted: Breakage | None
) -> None:
    change = (planted or Breakage()).frame
    one = Talk(protocol)
    one.client.shake_hands()
    one.server.receive_bytes(one.client.take_payload(), 0.0)
    opcode = 0x81 if protocol == "json" else 0x82
    assert change(one.server.take_frame()) == bytes([opcode, 3]) + b"{}\x1e"
    for size, head in ((60_000, 4), (70_000, 10), (10, 2)):
        one.server.send(Invocation("Say", ["x" * size]), 0.0)
        payload = Outgoing(Invocation("Say", ["x" * size])).encoded(protocol).payload
        frame = change(one.server.take_frame())
        assert frame[0] == opcode and frame[head:] == payload
        assert frame[1] == {2: len(payload), 4: 126, 10: 127}[head]


@rule("S-16", broken_by=breakage(frame=lambda data: bytes([data[0] ^ 3]) + data[1:]))
def test_a_refused_handshake_is_a_text_frame(planted: Breakage | None) -> None:
    server = ServerConnection(Limits(), 0.0)
    server.receive_bytes(b"nonsense\x1e", 0.0)
    assert (planted or Breakage()).frame(server.take_frame())[0] == 0x81


@rule("S-17", broken_by=breakage(frame=lambda data: data[:-1]))
def test_one_frame_carries_the_answer_to_the_handshake_and_all_that_follows(talk: Talks) -> None:
    one = talk()
    one.client.shake_hands()
    one.client.call("First")
    one.client.call("Second")
    one.server.receive_bytes(one.client.take_payload(), one.now)
    one.server.send(Invocation("A"), one.now)
    one.server.send(Invocation("B"), one.now)
    assert one.heard() == [Invocation("A"), Invocation("B")]


@rule("S-49", broken_by=breakage(server=lambda server: _encode_anew(server)))
def test_a_broadcast_is_encoded_once_for_each_protocol(planted: Breakage | None) -> None:
    talks = [Talk(protocol, planted).open() for protocol in ("json", "messagepack") for _ in range(3)]
    token = Outgoing(Invocation("token", ["hello"]))
    for one in talks:
        one.server.send(token, 0.0)
    frames = [one.server.take_frame() for one in talks]
    assert len({id(frame) for frame in frames}) == 2, "connections of one protocol share the very same bytes"
    assert frames[0][2:] == b'{"type":1,"target":"token","arguments":["hello"]}\x1e'


def _hasten(server: ServerConnection) -> None:
    receive = server.receive_bytes

    def hasty(data: bytes, now: float) -> None:
        receive(data, now)
        server.opened(now)

    server.receive_bytes = hasty  # type: ignore[method-assign]


def _encode_anew(server: ServerConnection) -> None:
    send = server.send
    server.send = lambda message, now: send(Invocation("token", ["hello"]), now)  # type: ignore[method-assign]
