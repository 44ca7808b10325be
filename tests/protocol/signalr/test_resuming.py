"""Stateful reconnect: nothing is lost, nothing comes twice, whenever the transport breaks."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.manifest import rule
from tests.protocol.signalr.talk import Breakage, Talk, breakage, exactly, limited, said_twice, without

from kaiwa.protocol.signalr.connection import ServerConnection
from kaiwa.protocol.signalr.encoding import Outgoing
from kaiwa.protocol.signalr.happenings import Called
from kaiwa.protocol.signalr.limits import Limits
from kaiwa.protocol.signalr.messages import Ack, Invocation, Ping, Protocol, Sequence
from kaiwa.protocol.signalr.reading import MessageReader

Talks = Callable[..., Talk]


def written(one: Talk) -> list[object]:
    """Drain what the server wrote, acknowledgements and sequences among it; the client does not see it."""
    reader = MessageReader(one.client.protocol, 1 << 24)
    reader.feed(one.breakage.frame(one.server.take_payload()))
    found: list[object] = []
    while (message := reader.next()) is not None:
        found.append(message)
    return found


def say(one: Talk, *words: object) -> None:
    for word in words:
        one.server.send(Invocation("Say", [word]), one.now)


def words(one: Talk) -> list[object]:
    return [message.arguments[0] for message in one.heard() if isinstance(message, Invocation)]


@rule("S-45", broken_by=without("transport_attached"))
@rule("S-45", broken_by=said_twice(Invocation))
def test_what_was_on_its_way_when_the_socket_died_arrives_once_and_in_order(talk: Talks) -> None:
    one = talk(stateful=True, limits=Limits(parallel_invocations=99)).open()
    say(one, 1, 2)
    assert words(one) == [1, 2]
    say(one, 3)
    one.client.call("Note", "a")
    one.cut()
    say(one, 4)
    one.client.call("Note", "b")
    one.wait(5)
    one.reattach()
    say(one, 5)
    assert words(one) == [3, 4, 5]
    assert [called.arguments for called in one.started()] == [["a"], ["b"]]


@rule("S-45", broken_by=breakage(server=lambda server: _say_the_next_number(server)))
def test_sequence_names_the_oldest_message_that_is_not_acknowledged(talk: Talks) -> None:
    one = talk(stateful=True).open()
    say(one, 1, 2, 3)
    assert words(one) == [1, 2, 3]
    one.client.send(Ack(2))
    one.exchange()
    one.cut()
    one.server.transport_attached(one.now)
    assert written(one) == [Sequence(3), Invocation("Say", [3])]
    one.server.receive_bytes(Outgoing(Sequence(1)).encoded(one.client.protocol).payload, one.now)
    one.server.receive_bytes(Outgoing(Ack(3)).encoded(one.client.protocol).payload, one.now)
    one.server.transport_attached(one.now)
    assert written(one) == [Sequence(4)]


@rule("S-45", broken_by=limited(ack_delay_s=3.0))
def test_the_server_acknowledges_a_second_after_calls_and_not_for_pings(talk: Talks) -> None:
    one = talk(stateful=True).open()
    one.client.send(Ping())
    one.exchange()
    assert (one.server.next_timer() or 0) > 10
    for _ in range(3):
        one.client.call("Note")
    one.exchange()
    assert one.server.next_timer() == 1.0
    one.server.handle_timer(1.0)
    assert written(one) == [Ack(3)]


@rule(
    "S-45",
    broken_by=breakage(piece=lambda data: data.replace(b'":3', b'":1').replace(b"\x09\x03", b"\x09\x01")),
)
def test_a_sequence_beyond_what_arrived_closes(talk: Talks) -> None:
    one = talk(stateful=True).open()
    one.client.call("Note")
    one.started()
    one.client.send(Sequence(3))
    assert one.goodbye().error == "Sequence ID greater than amount of messages we've received."


@rule("S-45", broken_by=limited(resume_buffer_bytes=200_000))
def test_bytes_on_their_way_are_bounded_and_flow_again_with_the_acknowledgement(talk: Talks) -> None:
    one = talk(stateful=True).open()
    for number in range(15):
        one.server.send(Invocation("Say", [number, "x" * 10_000]), one.now)
    assert words(one) == list(range(10)) and not one.server.may_send
    one.wait(3)
    assert words(one) == [10, 11, 12, 13, 14] and one.server.may_send


@rule("S-45", broken_by=limited(resume_window_s=60.0))
def test_a_client_that_does_not_come_back_is_given_up(talk: Talks) -> None:
    one = talk(stateful=True).open()
    one.cut()
    assert not one.server.ended and one.server.resumable
    one.wait(15.0)
    assert one.server.ended and not one.server.resumable


@rule("S-45", broken_by=breakage(server=lambda server: setattr(server, "_stateful", True)))
def test_without_the_feature_its_messages_are_ignored_and_nothing_is_kept(talk: Talks) -> None:
    one = talk()
    one.client.shake_hands(version=2)
    one.exchange()
    one.server.opened(0.0)
    one.happened()
    one.client.send(Ack(7))
    one.client.send(Sequence(9))
    one.client.call("Note")
    (called,) = exactly(1, one.happened())
    assert isinstance(called, Called) and not one.server.resumable
    say(one, "x" * 60_000, "x" * 60_000)
    assert one.server.may_send and len(words(one)) == 2


def test_negotiating_it_is_not_enough_with_an_old_handshake(talk: Talks) -> None:
    one = talk(stateful=True)
    one.client.shake_hands(version=1)
    one.exchange()
    assert not one.server.resumable


def test_a_client_that_stays_away_too_long_with_too_much_kept_is_given_up(talk: Talks) -> None:
    one = talk(stateful=True, limits=Limits(kept_bytes=5_000)).open()
    one.cut()
    say(one, *["x" * 1000] * 6)
    assert one.ended().cause == "too slow"


steps = st.lists(st.sampled_from(["say", "call", "cut", "wait", "swap"]), max_size=40)


@settings(max_examples=80, deadline=None, database=None, derandomize=True)
@given(steps, st.sampled_from(["json", "messagepack"]))
def test_any_story_of_cuts_keeps_every_message_once_and_in_order(
    story: list[str], protocol: Protocol
) -> None:
    limits = Limits(parallel_invocations=99, resume_buffer_bytes=300)
    one = Talk(protocol, Breakage(), stateful=True, limits=limits).open()
    said, called, heard = 0, 0, []
    noted: list[object] = []
    for step in [*story, "cut", "wait", "wait"]:
        if step == "say":
            say(one, said)
            said += 1
        elif step == "call":
            one.client.call("Note", called)
            called += 1
        elif step == "cut":
            one.cut()
        elif step == "swap" or not one.connected:
            one.reattach()
        else:
            one.wait(1.5)
            heard += words(one)
            noted += [arguments[0] for arguments in finished(one)]
    for _ in range(40):
        one.wait(1.0)
        heard += words(one)
        noted += [arguments[0] for arguments in finished(one)]
    assert heard == list(range(said))
    assert noted == list(range(called))


def finished(one: Talk) -> list[list[object]]:
    started = one.started()
    for each in started:
        one.server.finish(each.call, one.now)
    return [each.arguments for each in started]


def _say_the_next_number(server: ServerConnection) -> None:
    """Read HubProtocol.md by the letter: Sequence carries the id of the next message, acknowledged or not."""
    attach = server.transport_attached

    def by_the_letter(now: float) -> None:
        attach(now)
        assert server.protocol is not None
        kept = server.take_payload()
        server.send(Sequence(4), now)
        reader = MessageReader(server.protocol, 1 << 24)
        reader.feed(kept)
        reader.next()

    server.transport_attached = by_the_letter  # type: ignore[method-assign]
