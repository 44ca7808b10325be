"""The short cut past events that differ in their words alone: it must see what the long way sees."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.gateway.raw_upstream import chunk
from tests.gateway.relaying import DONE, FILTERED, FINISH, ROLE, USAGE, event, text

from kaiwa.gateway.passing import Passing
from kaiwa.protocol.chat.watching import Watcher

ERROR = {"error": {"code": "server_error", "message": "no"}}
TEXTS = st.text(st.sampled_from('aé"\\ \n[DONE]{}'), max_size=8).map(text)
EVENTS = st.one_of(TEXTS, st.sampled_from([FINISH, USAGE, ERROR])).map(lambda said: event(said))


def seen(watcher: Watcher) -> dict[str, Any]:
    names = ("begun", "done", "error", "finish_reason", "usage", "complete", "events")
    return {name: getattr(watcher, name) for name in names}


@settings(deadline=None)
@given(st.lists(st.one_of(EVENTS, EVENTS, st.just(DONE)), max_size=20))
def test_the_short_cut_sees_what_the_long_way_sees(pieces: list[bytes]):
    short, long = Watcher(), Watcher()
    for piece in pieces:
        passed = piece if short.is_plain(piece) else short.feed(piece)
        assert passed == long.feed(piece)
        assert seen(short) == seen(long)


@pytest.mark.parametrize(
    "other",
    [
        event(text("b"), text("c")),
        event(text('b"')),
        event(FINISH),
        event(text("b"))[:-1],
        event({**text("b"), "usage": {"prompt_tokens": 1}}),
        event(text("b")).replace(b"b", b"b\n\ndata: [DONE]\n\n"),
    ],
)
def test_only_words_may_differ(other: bytes):
    watcher = Watcher()
    watcher.feed(event(text("a")))
    watcher.feed(event(text("a")))
    assert watcher.is_plain(event(text("words, " + json.dumps("あ")[1:-1])))
    assert not watcher.is_plain(other)


def test_nothing_is_plain_behind_half_an_event():
    watcher = Watcher()
    for _ in range(2):
        watcher.feed(event(text("a")))
    watcher.feed(b"data: ")
    assert not watcher.is_plain(event(text("b")))


class Counted:
    """Fits `kaiwa.gateway.passing.Counting`."""

    due_bytes = 0

    def __init__(self) -> None:
        self.told: list[int] = []

    def grew(self, watcher: Watcher) -> None:
        self.told.append(watcher.content_bytes)


@settings(deadline=None)
@given(st.lists(st.one_of(TEXTS.map(event), EVENTS, st.just(DONE)), max_size=20), st.data())
def test_chunks_that_pass_say_what_the_long_way_says(pieces: list[bytes], data: st.DataObject):
    short, long, passed, counted = Watcher(), Watcher(), list[bytes](), Counted()
    passing = Passing(short, passed.append, counted)
    for piece in pieces:
        framed = data.draw(st.sampled_from([chunk(piece), chunk(piece) * 2, chunk(piece)[:-3], piece]))
        if passing.chunk(framed):
            assert framed == passed[-1] == chunk(piece)
            assert counted.told[-1] == short.content_bytes
            assert long.feed(piece) == piece
        else:
            assert short.feed(piece) == long.feed(piece)
        assert seen(short) == seen(long)
    assert len(counted.told) == len(passed)


def test_words_pass_in_the_chunk_they_came_in():
    watcher, passed, counted = Watcher(), list[bytes](), Counted()
    passing = Passing(watcher, passed.append, counted)
    assert not passing.chunk(chunk(event(text("a"))))
    watcher.feed(event(text("a")))
    watcher.feed(event(text("b")))
    counted.due_bytes = watcher.content_bytes + 1
    plain = chunk(event(text("あ, and more words")))
    assert passing.chunk(plain) and passed == [plain] and len(counted.told) == 1
    for other in (
        plain[:-1],
        plain[1:],
        plain + b"0\r\n\r\n",
        plain.replace(b"and", b'a"d'),
        plain.replace(b"and", b"a\nd"),
        plain.replace(b"\r\n", b"\n\n", 1),
        plain.replace(b"data", b"dato"),
        chunk(event(text("b"), text("c"))),
        chunk(event(FINISH)),
        chunk(event(text("b")).replace(b':"b"', b':"')),
        chunk(event(text("w" * 5000))),
    ):
        assert not passing.chunk(other)
    watcher.feed(b"data: ")
    assert not passing.chunk(plain), "half an event waits"
    assert passed == [plain]


def delta(**said: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": said, "finish_reason": None}]}


BEGINNINGS: list[dict[str, Any]] = [
    ROLE,
    FILTERED,
    {"choices": [{"index": 0, "content_filter_offsets": {"check_offset": 44}}]},
    delta(),
    delta(role="assistant", content="", refusal=None),
    delta(role="assistant", content=None),
    delta(role="assistant", tool_calls=[{"index": 0, "id": "call_1"}]),
    delta(content='"choices":[]'),
    delta(reasoning_content="hm"),
    delta(content=""),
]
BEFORE = st.lists(st.one_of(st.sampled_from([*BEGINNINGS, FINISH, USAGE, ERROR]), TEXTS), max_size=8)


@settings(deadline=None)
@given(BEFORE)
def test_a_beginning_means_the_same_in_one_read_or_in_many_or_with_blanks(said: list[dict[str, Any]]):
    at_once, apart, blanks = Watcher(), Watcher(), Watcher()
    whole = event(*said)
    assert at_once.feed(whole) == whole
    for one in said:
        assert apart.feed(event(one)) == event(one)
        blanks.feed(b"data: " + json.dumps(one).encode() + b"\n\n")  # never taken for plain
    assert seen(at_once) == seen(apart)
    assert {**seen(blanks), "events": 0} == {**seen(apart), "events": 0}


@settings(deadline=None)
@given(BEFORE, st.lists(st.integers(0, 2000), max_size=4), st.booleans())
def test_a_beginning_is_left_where_words_come_and_nothing_is_lost(
    said: list[dict[str, Any]], cuts: list[int], blanks: bool
):
    written = [event(one) for one in said]
    if blanks:
        written = [b"data: " + json.dumps(one).encode() + b"\n\n" for one in said]
    whole = b"".join([b": a comment\n\n", *written])
    ends = sorted({min(cut, len(whole)) for cut in cuts} | {len(whole)})
    in_steps, at_once, passed = Watcher(), Watcher(), b""
    for start, end in zip([0, *ends], ends, strict=False):
        began = in_steps.begun
        passing, rest = in_steps.begin(whole[start:end])
        assert not rest or (in_steps.begun and not began)
        passed += passing + in_steps.feed(rest)
    assert passed == at_once.feed(whole) == whole
    assert seen(in_steps) == seen(at_once)
