"""Server-sent events come out the same, however the bytes were cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaiwa.errors import UpstreamError
from kaiwa.upstream.sse import MAX_EVENT_BYTES, EventStreamParser

line_ends = st.sampled_from(["\n", "\r\n", "\r"])
data_lines = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12)


def parse(*pieces: bytes) -> list[str]:
    parser = EventStreamParser()
    return [event.decode() for piece in pieces for event in parser.feed(piece)]


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


@given(
    events=st.lists(st.lists(data_lines, min_size=1, max_size=3), max_size=5),
    noise=st.sampled_from(["", ": keep-alive{}", "event: x{}", "id: 7{}", "retry: 10{}", "{}"]),
    end=line_ends,
    bom=st.booleans(),
    places=st.lists(st.integers(0, 10_000), max_size=12),
)
def test_any_cut_gives_the_same_events(
    events: list[list[str]], noise: str, end: str, bom: bool, places: list[int]
) -> None:
    blocks = ["".join(f"data: {line}{end}" for line in lines) + end for lines in events]
    text = "\ufeff" * bom + "".join(noise.format(end) + block for block in blocks) + end
    expected = ["\n".join(lines) for lines in events]
    assert parse(*cut(text.encode(), places)) == expected


def test_one_byte_at_a_time_gives_the_same_events() -> None:
    stream = "data: 会\r\ndata: 話\r\n\r\ndata:two\rdata: lines\r\rdata\n\n: only a comment\n\n".encode()
    assert parse(*[bytes([byte]) for byte in stream + b"\n"]) == ["会\n話", "two\nlines", ""]


def test_an_event_without_its_empty_line_is_not_given_out() -> None:
    assert parse(b"data: one\n\ndata: half\n") == ["one"]


def test_an_endless_event_is_refused() -> None:
    with pytest.raises(UpstreamError, match="oversized"):
        parse(*[b"data: " + b"x" * 65536 + b"\n"] * (MAX_EVENT_BYTES // 65536 + 1))
