"""Calls in both directions: order, ids, streams, uploads, cancelling, results of the client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.contract.manifest import rule
from tests.protocol.signalr.talk import Talk, breakage, exactly, limited, missed, said_twice, unsaid, without

from kaiwa.protocol.signalr.happenings import (
    Called,
    Cancelled,
    ClientAnswered,
    Ended,
    UploadEnded,
    UploadItem,
)
from kaiwa.protocol.signalr.limits import Limits
from kaiwa.protocol.signalr.messages import Completion, Invocation, StreamItem

Talks = Callable[..., Talk]


@rule("S-34", broken_by=said_twice(Completion))
@rule("S-34", broken_by=unsaid(Completion))
def test_an_invocation_with_an_id_gets_one_completion_and_one_without_gets_none(talk: Talks) -> None:
    one = talk().open()
    wanted = one.client.invoke("Add", 1, 2)
    one.client.call("Note", "x")
    (add,) = exactly(1, one.started())
    assert (add.target, add.arguments, add.invocation_id) == ("Add", [1, 2], wanted)
    one.server.finish(add.call, one.now, result=3)
    (note,) = exactly(1, one.started())
    assert note.invocation_id is None
    one.server.finish(note.call, one.now, result="nobody asked")
    one.server.finish(add.call, one.now, result=4)
    assert one.heard() == [Completion(wanted, 3)]


@rule(
    "S-34",
    broken_by=breakage(
        said=lambda message: [Completion(message.invocation_id, message.result or None, message.error)]
    ),
)
def test_no_result_the_result_none_and_an_error_are_three_things(talk: Talks) -> None:
    one = talk().open()
    outcomes: list[dict[str, Any]] = [{}, {"result": None}, {"result": [1]}, {"error": "no"}]
    for outcome in outcomes:
        wanted = one.client.invoke("Do")
        (called,) = exactly(1, one.started())
        one.server.finish(called.call, one.now, **outcome)
        assert one.heard() == [Completion(wanted, **outcome)]


def test_a_result_that_cannot_be_encoded_leaves_the_call_running(talk: Talks) -> None:
    one = talk().open()
    wanted = one.client.invoke("Do")
    (called,) = exactly(1, one.started())
    with pytest.raises(TypeError):
        one.server.finish(called.call, one.now, result=object())
    one.server.finish(called.call, one.now, error="no")
    assert one.heard() == [Completion(wanted, error="no")]


@rule("S-38", broken_by=unsaid(StreamItem))
@rule("S-38", broken_by=without("send_item"))
def test_a_stream_is_items_and_a_completion_without_a_result(talk: Talks) -> None:
    one = talk().open()
    wanted = one.client.stream("Count", 2)
    (called,) = exactly(1, one.started())
    assert called.streams
    one.server.send_item(called.call, 1, one.now)
    one.server.send_item(called.call, 2, one.now)
    one.server.finish(called.call, one.now)
    one.server.send_item(called.call, 3, one.now)
    assert one.heard() == [StreamItem(wanted, 1), StreamItem(wanted, 2), Completion(wanted)]


@rule(
    "S-38",
    broken_by=breakage(piece=lambda data: data.replace(b"Again", b"Count").replace(b"\x011", b"\x019")),
)
@rule("S-38", broken_by=unsaid(Completion))
def test_an_id_in_use_is_refused_and_free_again_when_its_call_ends(talk: Talks) -> None:
    one = talk().open()
    wanted = one.client.stream("Count")
    (called,) = exactly(1, one.started())
    one.client.send(Invocation("Again", [], wanted))
    assert one.started() == []
    assert one.heard() == [Completion(wanted, error=f"Invocation ID '{wanted}' is already in use.")]
    one.server.finish(called.call, one.now)
    one.client.send(Invocation("Again", [], wanted))
    assert [again.target for again in one.started()] == ["Again"]


@rule("S-39", broken_by=missed(Cancelled))
def test_a_cancelled_stream_is_stopped_even_before_its_first_step(talk: Talks) -> None:
    one = talk().open()
    wanted = one.client.stream("Count")
    one.client.cancel("unknown")
    one.client.cancel(wanted)
    one.client.cancel(wanted)
    called, cancelled = exactly(2, one.happened())
    assert isinstance(called, Called) and cancelled == Cancelled(called.call)
    one.server.finish(called.call, one.now)
    assert one.heard() == [Completion(wanted)]


@rule("S-39", broken_by=unsaid(Completion))
def test_an_invocation_that_is_cancelled_while_it_waits_never_starts_and_is_answered(talk: Talks) -> None:
    one = talk().open()
    one.client.call("Slow")
    wanted = one.client.invoke("Next")
    one.client.cancel(wanted)
    (slow,) = exactly(1, one.started())
    assert one.heard() == [Completion(wanted, error="The invocation was canceled before it started.")]
    one.server.finish(slow.call, one.now)
    assert one.started() == []


@rule("S-40", broken_by=missed(UploadItem))
@rule("S-40", broken_by=missed(UploadEnded))
def test_the_items_of_an_upload_reach_their_call_and_others_nobody(talk: Talks) -> None:
    one = talk().open()
    stream = one.client.upload_id()
    one.client.upload("99", "lost")
    one.client.invoke("Sum", stream_ids=[stream])
    one.client.upload(stream, 1, 2)
    one.client.end_upload(stream, "broken")
    one.client.upload(stream, "late")
    called, *rest = one.happened()
    assert isinstance(called, Called) and called.stream_ids == [stream]
    call = called.call
    assert rest == [
        UploadItem(call, stream, 1),
        UploadItem(call, stream, 2),
        UploadEnded(call, stream, "broken"),
    ]


@rule("S-40", broken_by=limited(upload_items=11))
@rule("S-40", broken_by=without("item_taken"))
def test_an_upload_waits_when_ten_items_are_not_taken(talk: Talks) -> None:
    one = talk().open()
    stream = one.client.upload_id()
    one.client.invoke("Sum", stream_ids=[stream])
    one.client.upload(stream, *range(12))
    called, *items = one.happened()
    assert isinstance(called, Called)
    assert len(items) == 10 and not one.server.wants_input
    one.server.item_taken(called.call, stream, one.now)
    assert one.happened() == [UploadItem(called.call, stream, 10)]
    one.server.item_taken(called.call, stream, one.now)
    one.server.item_taken(called.call, stream, one.now)
    assert one.happened() == [UploadItem(called.call, stream, 11)] and one.server.wants_input


@rule("S-40", broken_by=without("finish"))
def test_the_uploads_of_a_method_end_with_it(talk: Talks) -> None:
    one = talk().open()
    stream = one.client.upload_id()
    one.client.invoke("Sum", stream_ids=[stream])
    one.client.upload(stream, *range(12))
    called = one.happened()[0]
    assert isinstance(called, Called)
    one.server.finish(called.call, one.now, result=0)
    assert one.happened() == [] and one.server.wants_input


@rule("S-41", broken_by=limited(parallel_invocations=2))
def test_plain_invocations_run_one_after_the_other_and_streams_beside_them(talk: Talks) -> None:
    one = talk().open()
    stream = one.client.upload_id()
    for name in ("A", "B", "C"):
        one.client.call(name)
    one.client.stream("Count")
    one.client.invoke("Sum", stream_ids=[stream])
    one.client.upload(stream, 1)
    first, count, total, item = exactly(4, one.happened())
    assert [getattr(called, "target", None) for called in (first, count, total)] == ["A", "Count", "Sum"]
    assert isinstance(item, UploadItem) and isinstance(first, Called)
    order = ["A"]
    while first is not None:
        one.server.finish(first.call, one.now)
        first = next(iter(one.started()), None)
        order += [first.target] if first else []
    assert order == ["A", "B", "C"]


def test_as_many_invocations_run_at_once_as_the_limit_says(talk: Talks) -> None:
    one = talk(limits=Limits(parallel_invocations=3)).open()
    for name in "ABCDE":
        one.client.call(name)
    running = one.started()
    assert [called.target for called in running] == ["A", "B", "C"]
    one.server.finish(running[1].call, one.now)
    assert [called.target for called in one.started()] == ["D"]


def test_too_many_waiting_invocations_stop_the_reading_and_lose_nothing(talk: Talks) -> None:
    one = talk(limits=Limits(waiting_invocations=4)).open()
    for number in range(20):
        one.client.call("Note", number)
    (called,) = exactly(1, one.started())
    assert not one.server.wants_input
    seen = []
    while called is not None:
        seen += called.arguments
        one.server.finish(called.call, one.now)
        called = next(iter(one.started()), None)
    assert seen == list(range(20)) and one.server.wants_input


@rule("S-42", broken_by=missed(ClientAnswered))
def test_the_clients_answer_resolves_the_servers_question_once(talk: Talks) -> None:
    one = talk().open()
    for question in ("s1", "s2", "s3"):
        one.server.invoke_client(question, "Ask", [question], one.now)
    assert one.heard() == [Invocation("Ask", [name], name) for name in ("s1", "s2", "s3")]
    one.client.send(Completion("other", 0))
    one.client.send(Completion("s2", 2))
    one.client.send(Completion("s2", 3))
    one.client.send(Completion("s1", error="no"))
    one.client.send(Completion("s3"))
    assert one.happened() == [
        ClientAnswered("s2", 2),
        ClientAnswered("s1", error="no"),
        ClientAnswered("s3", error="Client didn't provide a result."),
    ]


@rule("S-42", broken_by=missed(ClientAnswered))
def test_a_client_that_goes_fails_what_it_was_asked(talk: Talks) -> None:
    one = talk().open()
    one.server.invoke_client("s1", "Ask", [], one.now)
    one.cut()
    answer, ended = exactly(2, one.happened())
    assert isinstance(ended, Ended)
    assert answer == ClientAnswered("s1", error="The client disconnected before it answered.")
    one.server.invoke_client("s2", "Ask", [], one.now)
    assert [type(late) for late in one.server.happenings()] == [ClientAnswered]


@rule("S-46", broken_by=limited(max_message_bytes=64 * 1024))
def test_a_message_over_the_limit_closes_however_it_is_cut(talk: Talks) -> None:
    one = talk().open()
    for _ in range(4):
        one.client.call("Note", "x" * 20_000)
    (called,) = exactly(1, one.started())
    one.server.finish(called.call, one.now)
    assert len(one.started()) == 1, "many messages in one piece may be larger than the limit"
    one = talk().open()
    one.client.call("Note", "x" * 40_000)
    data = one.client.take_payload()
    for start in range(0, len(data), 1000):
        one.client.send_bytes(data[start : start + 1000])
        one.exchange()
    close = one.goodbye()
    assert close.error is not None and not close.allow_reconnect
    assert close.error.startswith("The maximum message size of 32768B was exceeded.")
    assert one.ended().cause == "protocol broken"


@rule("S-32", broken_by=without("close"))
def test_a_message_that_is_none_is_answered_by_a_close_with_the_reason(talk: Talks) -> None:
    one = talk().open()
    bad = b'{"type":1}\x1e' if one.client.protocol == "json" else b"\x05\x93\x01\x80\xa17"
    one.client.send_bytes(bad)
    one.client.call("TooLate")
    told = {
        "json": "Missing required property 'target'.",
        "messagepack": "Reading 'target' as String failed.",
    }
    assert one.goodbye().error == told[one.client.protocol]
    assert one.ended().error == told[one.client.protocol]


def test_the_machine_never_raises_for_what_a_client_sends(talk: Talks) -> None:
    for data, broken in ((b"\xff\x1e", "json"), (b"\x80" * 9, "messagepack"), (b"\x01\x1e", "both")):
        one = talk().open()
        one.server.receive_bytes(data, 0.0)
        assert one.server.ended == (broken in ("both", one.client.protocol))
