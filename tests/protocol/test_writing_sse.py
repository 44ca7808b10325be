"""Server-sent events: any text comes back whole, from a correct reader and from the simplest one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kaiwa.protocol.sse import PlainPieces, comment, event
from kaiwa.upstream.sse import EventStreamParser

TEXT = st.text(st.sampled_from("東京 ab\n:d"), max_size=12)


def test_an_event_names_itself_its_number_and_its_data() -> None:
    assert (
        event("一\n二", name="text", number="turn_1:3")
        == "id: turn_1:3\nevent: text\ndata: 一\ndata: 二\n\n".encode()
    )
    assert comment("waiting") == b": waiting\n\n"


@given(TEXT, st.integers(1, 5))
def test_a_correct_reader_gets_the_data_back_however_its_reads_are_cut(text: str, size: int) -> None:
    stream = comment() + event(text, number="1") + event("[DONE]")
    parser = EventStreamParser()
    told = [
        data for start in range(0, len(stream), size) for data in parser.feed(stream[start : start + size])
    ]
    assert told == [text.encode(), b"[DONE]"]


def simplest_reader(read: str) -> str:
    """What the page of the original relay takes from one read: everything between the first two `data:`."""
    return read.split("data:")[1].strip()


@given(st.lists(TEXT, max_size=8))
def test_the_simplest_reader_loses_nothing_but_line_ends_and_the_blanks_beside_them(words: list[str]) -> None:
    pieces = PlainPieces()
    out = [piece for word in words for piece in pieces.feed(word)] + list(pieces.flush())
    assert "".join(out) == "".join(words)
    if "data:" not in "".join(words):
        read = "".join(simplest_reader(event(piece).decode()) for piece in out)
        assert read == "".join(line.strip() for line in "".join(words).split("\n"))


def test_words_go_out_as_soon_as_they_can() -> None:
    pieces = PlainPieces()
    assert list(pieces.feed("こんにちは")) == ["こんにち"]
    assert list(pieces.feed("。")) == ["は"]
    assert list(pieces.flush()) == ["。"]
