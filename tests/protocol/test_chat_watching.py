"""Streams of completions watched as they go by: the same words and the same bytes, however they are cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kaiwa.errors import UpstreamError
from kaiwa.protocol.chat import watching
from kaiwa.protocol.chat.usage import TokensCounted, counted
from kaiwa.protocol.chat.watching import Watcher

ROLE = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
FILTERED = {"choices": [], "prompt_filter_results": [{"prompt_index": 0}], "usage": None}
ASYNCHRONOUS = {
    "choices": [{"index": 0, "content_filter_offsets": {"check_offset": 3}, "finish_reason": None}]
}
USAGE = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}}
FINISH = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def text(words: str, index: int = 0) -> dict:
    return {"choices": [{"index": index, "delta": {"content": words}, "finish_reason": None}]}


def stream(*events: dict | str | bytes, compact: bool = True, end: str = "\n") -> bytes:
    separators = (",", ":") if compact else (", ", ": ")
    raw = b""
    for event in events:
        if isinstance(event, bytes):
            raw += event
            continue
        data = (
            event if isinstance(event, str) else json.dumps(event, separators=separators, ensure_ascii=False)
        )
        raw += f"data: {data}{end}{end}".encode()
    return raw


def watched(raw: bytes, cuts: list[int] = [], early: bool = False, **given) -> tuple[Watcher, bytes]:  # noqa: B006
    """`early`: as a relay asks, first words before what came with them, and plain events at sight."""
    watcher, out, at = Watcher(**given), b"", 0
    for cut in [*sorted(cuts), len(raw)]:
        passing, rest = watcher.begin(raw[at:cut]) if early and not watcher.begun else (b"", raw[at:cut])
        out += passing + (rest if early and watcher.is_plain(rest) else watcher.feed(rest))
        at = max(at, cut)
    return watcher, out + watcher.flush()


def verdict(watcher: Watcher) -> tuple:
    told = watcher
    return told.begun, told.done, told.complete, told.finish_reason, told.error, told.usage, told.events


EVENTS = st.lists(
    st.sampled_from(
        [
            ROLE, FILTERED, ASYNCHRONOUS, USAGE, FINISH, text("こんにちは"), text(' "usage":{ [DONE] "error" '), "[DONE]",
            b": comment\n\n", {"error": {"code": "x", "message": "m"}}, "not json", b"event: a\ndata: 1\ndata: 2\n\n", b"\n",
        ]
    ),
    max_size=8,
)  # fmt: skip


@example(
    events=[FINISH, ROLE, b": comment\n\n", b"event: a\ndata: 1\ndata: 2\n\n", b"\n"],
    compact=True,
    drop=False,
    cuts=[],
)
@example(events=[ROLE, b"\n", FINISH, FINISH], compact=False, drop=False, cuts=[106])
@example(events=[b"\n", text("a"), text("a"), text("a")], compact=True, drop=False, cuts=[])
@given(
    events=EVENTS, compact=st.booleans(), drop=st.booleans(), cuts=st.lists(st.integers(0, 2000), max_size=30)
)
def test_any_split_gives_the_same_verdict_and_the_same_bytes(events, compact, drop, cuts):
    raw = stream(*events, compact=compact)
    whole, out = watched(raw, drop_usage=drop)
    pieces, same = watched(raw, cuts, drop_usage=drop)
    assert (verdict(pieces), same) == (verdict(whole), out)
    ends = [at + 2 for at in range(len(raw)) if raw[at : at + 2] == b"\n\n"]
    one_by_one, same = watched(raw, ends, drop_usage=drop)
    assert (verdict(one_by_one), same) == (verdict(whole), out)
    early, same = watched(raw, cuts, early=True, drop_usage=drop)
    assert (verdict(early), same) == (verdict(whole), out)
    if not drop:
        assert out == raw


@given(
    ends=st.lists(st.sampled_from(["\n", "\r\n", "\r"]), min_size=3, max_size=3),
    cuts=st.lists(st.integers(0, 600), max_size=30),
)
def test_any_line_end_is_known_wherever_it_is_cut(ends, cuts):
    raw = b"".join(
        stream(event, end=end) for event, end in zip((text("a"), FINISH, "[DONE]"), ends, strict=True)
    )
    watcher, out = watched(raw, cuts)
    assert out == raw
    assert (watcher.begun, watcher.finish_reason, watcher.done) == (True, "stop", True)


def test_only_whole_events_pass():
    raw = stream(ROLE, text("a"))
    watcher = Watcher()
    passed = [watcher.feed(raw[at : at + 1]) for at in range(len(raw))]
    assert [piece for piece in passed if piece] == [stream(ROLE), stream(text("a"))]


@pytest.mark.parametrize("quiet", [ROLE, FILTERED, ASYNCHRONOUS, b": waiting\n\n"])
def test_what_brings_no_content_does_not_begin_the_answer(quiet):
    assert watched(stream(quiet))[0].begun is False


@pytest.mark.parametrize(
    "delta",
    [{"content": "a"}, {"tool_calls": [{"index": 0}]}, {"refusal": "no"}, {"reasoning_content": "hm"}],
)
def test_content_of_every_kind_begins_the_answer(delta):
    assert watched(stream({"choices": [{"index": 0, "delta": delta}]}))[0].begun is True


@pytest.mark.parametrize("compact", [True, False])
def test_the_end_is_read_behind_content(compact):
    watcher, _ = watched(stream(text("a"), text("b"), FINISH, USAGE, "[DONE]", compact=compact), [40, 90])
    assert (watcher.finish_reason, watcher.done) == ("stop", True)
    assert watcher.usage == TokensCounted(input=9, output=3)


def test_an_answer_is_whole_without_done_when_every_choice_finished():
    assert watched(stream(text("a"), FINISH))[0].complete is True
    assert watched(stream(text("a")))[0].complete is False
    assert watched(stream(text("a"), FINISH), choices=2)[0].complete is False
    second = {"choices": [{"index": 1, "delta": {}, "finish_reason": "length"}]}
    assert watched(stream(text("a"), FINISH, second), choices=2)[0].complete is True


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": "content_filter", "type": "t"}, "content_filter"),
        ({"code": None, "type": "server_error"}, "server_error"),
        ({"code": 429}, "429"),
        ({"code": "words of a prompt"}, ""),
        ("words", ""),
    ],
)
@pytest.mark.parametrize("before", [ROLE, text("a")])
def test_an_error_inside_the_stream_is_seen_with_its_code_only(error, code, before):
    assert watched(stream(before, {"error": error}))[0].error == code


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("last", [FINISH, USAGE, "[DONE]", {"error": {"code": "x"}}])
def test_what_comes_alone_behind_content_is_seen_as_well(last, compact):
    watcher = Watcher()
    watcher.feed(stream(text("a"), compact=compact))
    watcher.feed(stream(text("b"), compact=compact))
    before = verdict(watcher)[:-1]
    watcher.feed(stream(last, compact=compact))
    assert verdict(watcher)[:-1] != before


def test_words_that_look_like_an_end_are_words():
    watcher, _ = watched(stream(text("a"), text('[DONE] "error":{} "finish_reason":"stop" "usage":{}')))
    assert (watcher.done, watcher.error, watcher.finish_reason, watcher.usage) == (False, None, None, None)


def test_usage_that_was_not_asked_for_does_not_pass_and_nothing_else_is_lost():
    watcher, out = watched(stream(FILTERED, text("a"), FINISH, USAGE, "[DONE]"), drop_usage=True)
    assert out == stream(FILTERED, text("a"), FINISH, "[DONE]")
    assert watcher.usage is not None


def test_a_stream_of_responses_is_known_by_its_types():
    created = {"type": "response.created", "response": {"error": None, "usage": None}}
    delta = {"type": "response.output_text.delta", "delta": "a"}
    ended = {
        "type": "response.completed",
        "response": {
            "usage": {"input_tokens": 5, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 1}}
        },
    }
    assert watched(stream(created), dialect="responses")[0].begun is False
    assert watched(stream(created, delta), dialect="responses")[0].complete is False
    watcher, _ = watched(stream(created, delta, ended), [30, 60], dialect="responses")
    assert (watcher.begun, watcher.complete, watcher.finish_reason) == (True, True, "completed")
    assert watcher.usage == TokensCounted(input=5, cached=1, output=2)
    failed = {"type": "response.failed", "response": {"error": {"code": "server_error"}}}
    assert watched(stream(created, failed), dialect="responses")[0].error == "server_error"
    assert watched(stream({"type": "error", "code": "x1"}), dialect="responses")[0].error == "x1"


def test_an_event_without_end_is_refused_and_costs_no_more_than_its_bytes(monkeypatch):
    monkeypatch.setattr(watching, "MAX_EVENT_BYTES", 1000)
    watcher = Watcher()
    with pytest.raises(UpstreamError):
        for _ in range(1001):
            watcher.feed(b"x")


def test_usage_is_read_as_every_operation_writes_it():
    audio = {"prompt_tokens": 4, "prompt_tokens_details": {"audio_tokens": 3, "cached_tokens": 2}}
    assert counted(audio) == TokensCounted(input=4, cached=2, audio_input=3)
    assert counted({"prompt_tokens": "many", "completion_tokens": -1}) == TokensCounted()
    assert counted(None) is None
