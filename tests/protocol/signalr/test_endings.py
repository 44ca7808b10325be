"""Pings, silence and the ways a hub connection ends."""

from __future__ import annotations

from collections.abc import Callable

from tests.contract.manifest import rule
from tests.protocol.signalr.talk import Talk, breakage, exactly, limited, missed, unsaid, without

from kaiwa.protocol.signalr.happenings import Called, Ended
from kaiwa.protocol.signalr.limits import Limits
from kaiwa.protocol.signalr.messages import Close, Invocation, Ping

Talks = Callable[..., Talk]
SILENT = "Client hasn't sent a message/ping within the configured ClientTimeoutInterval."


@rule("S-43", broken_by=unsaid(Ping))
@rule("S-43", broken_by=limited(keep_alive_s=10.0))
def test_the_server_pings_after_fifteen_seconds_without_another_write(talk: Talks) -> None:
    one = talk().open()
    one.wait(14.9)
    assert one.heard() == []
    one.wait(0.1)
    assert one.heard() == [Ping()]
    one.wait(10)
    one.server.send(Invocation("Say"), one.now)
    one.wait(14.9)
    assert one.heard() == [Invocation("Say")]
    one.wait(0.1)
    assert one.heard() == [Ping()]


def test_a_transport_that_keeps_itself_alive_is_not_pinged(talk: Talks) -> None:
    one = talk(pings=False).open()
    one.wait(100)
    assert one.heard() == [] and one.server.next_timer() is None


@rule("S-43", broken_by=missed(Ended))
@rule("S-43", broken_by=limited(client_timeout_s=20.0))
def test_a_client_that_pinged_once_must_not_fall_silent(talk: Talks) -> None:
    one = talk().open()
    one.wait(100)
    assert not one.server.ended, "one that never pings is never timed out"
    one.client.send(Ping())
    one.exchange()
    one.wait(29.9)
    assert not one.server.ended
    one.client.send(Ping())
    one.exchange()
    one.wait(29.9)
    one.heard()
    assert not one.server.ended
    one.wait(0.1)
    ended = one.ended()
    assert (ended.cause, ended.error) == ("client silent", SILENT)
    assert Close(SILENT) in one.heard()


@rule("S-43", broken_by=limited(parallel_invocations=2))
def test_the_clients_time_does_not_run_while_its_method_does(talk: Talks) -> None:
    one = talk().open()
    one.client.send(Ping())
    one.client.call("Long")
    (called,) = exactly(1, one.started())
    one.wait(300)
    assert not one.server.ended
    one.server.finish(called.call, one.now)
    one.wait(29.9)
    assert not one.server.ended
    one.wait(0.2)
    assert one.server.ended


@rule("S-44", broken_by=unsaid(Close))
@rule("S-44", broken_by=breakage(said=lambda message: [Close(allow_reconnect=False)]))
def test_a_server_that_shuts_down_invites_its_clients_back(talk: Talks) -> None:
    one = talk(stateful=True).open()
    one.server.close(one.now, allow_reconnect=True)
    assert one.goodbye() == Close(None, True)
    assert one.ended().error is None
    assert not one.server.resumable


@rule("S-44", broken_by=breakage(said=lambda message: [Close(allow_reconnect=True)]))
def test_a_connection_that_is_aborted_does_not_come_back(talk: Talks) -> None:
    one = talk(stateful=True).open()
    assert one.server.resumable
    one.server.close(one.now)
    assert one.goodbye() == Close(None, False)
    assert not one.server.resumable and one.ended().cause == "server closed"


@rule("S-44", broken_by=missed(Ended))
def test_a_client_that_says_close_ends_gracefully_or_with_its_error(talk: Talks) -> None:
    for error in (None, "out of memory"):
        one = talk(stateful=True).open()
        one.client.call("Long")
        one.client.send(Close(error))
        one.client.call("Never")
        called, ended = exactly(2, one.happened())
        assert isinstance(called, Called)
        assert isinstance(ended, Ended) and (ended.cause, ended.error) == ("client closed", error)
        one.server.finish(called.call, one.now)
        one.server.send(Invocation("Late"), one.now)
        assert one.goodbye() == Close()


@rule("S-44", broken_by=without("transport_lost"))
def test_a_dropped_transport_ends_a_connection_that_cannot_resume(talk: Talks) -> None:
    one = talk().open()
    one.cut()
    assert one.server.ended
    assert one.ended().cause == "transport lost"


def test_a_client_that_takes_nothing_is_let_go(talk: Talks) -> None:
    one = talk(limits=Limits(kept_bytes=10_000)).open()
    for _ in range(20):
        one.server.send(Invocation("Say", ["x" * 1000]), one.now)
    ended = one.ended()
    assert ended.cause == "too slow"
    assert one.heard()[-1] == Close("The client does not take its messages fast enough.", True)
