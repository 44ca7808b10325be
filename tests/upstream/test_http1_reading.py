"""Heads and bodies of answers, read strictly and cut anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaiwa.errors import UpstreamError
from kaiwa.upstream.http1.bodies import SIZE_LINES, ChunkedBody, SizedBody
from kaiwa.upstream.http1.heads import Origin, Request, parse_head

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "head",
    [
        OK + b"content-length: 5\r\ncontent-length: 6",
        OK + b"content-length: 5\r\nContent-Length: 5",
        OK + b"content-length: 5, 5",
        OK + b"content-length: +5",
        OK + b"content-length: 0x5",
        OK + b"content-length: -1",
        OK + b"content-length: 5\r\ntransfer-encoding: chunked",
        OK + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        OK + b"transfer-encoding: gzip, chunked",
        OK + b"transfer-encoding: \x0bchunked",
        OK + b"transfer-encoding : chunked",
        OK + b"x-folded: a\r\n b",
        OK + b"x-nul: a\x00b",
        OK + b"x-line: a\nb: c",
        OK + b": nameless",
        OK + b"\r\n".join(b"x-%d: 1" % number for number in range(201)),
        b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked",
        b"HTTP/2 200 OK",
        b"HTTP/1.1 99 Low",
        b"HTTP/1.1 2000 High",
        b"ICY 200 OK",
        b"",
    ],
)
def test_a_head_that_can_be_read_in_two_ways_is_refused(head: bytes):
    with pytest.raises(UpstreamError) as refused:
        parse_head(head)
    assert refused.value.code == "upstream_garbled"


def test_a_head_tells_status_fields_and_framing():
    head = parse_head(OK + b"Content-Type: a\r\nX-A:  1 \r\nx-a: 2\r\nTransfer-Encoding: Chunked")
    assert head.status == 200
    assert head.headers == {"content-type": "a", "x-a": "1, 2", "transfer-encoding": "Chunked"}
    assert (head.framing, head.keep_alive) == ("chunked", True)
    assert parse_head(b"HTTP/1.1 200 \r\nconnection: Close\r\ncontent-length: 0").keep_alive is False
    assert parse_head(b"HTTP/1.1 200 OK").framing == "until_close"
    assert parse_head(b"HTTP/1.1 204 No Content").framing == "sized"


@pytest.mark.parametrize(
    "data",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"1_0\r\n",
        b" 5\r\nhello\r\n",
        b"5\r\nhello!\r\n",
        b"5\r\nhello\n\n",
        b"fffffffff\r\n",
        b"\r\n",
        b"5" + b";x" * 3000,
        b"0\r\nx: " + b"y" * 20_000,
    ],
)
def test_chunks_of_a_bad_size_are_refused(data: bytes):
    with pytest.raises(UpstreamError):
        ChunkedBody().feed(data)


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    extension=st.sampled_from([b"", b";a=b", b" ;q"]),
    trailer=st.sampled_from([b"", b"x-a: 1\r\n"]),
    excess=st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n"]),
    cuts=st.lists(st.integers(0, 300), max_size=12),
)
def test_chunks_give_the_same_body_however_they_are_cut(chunks, extension, trailer, excess, cuts):
    raw = b"".join(b"%X%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in chunks)
    raw += b"0\r\n" + trailer + b"\r\n" + excess
    body, out, at = ChunkedBody(), b"", 0
    for cut in [*sorted(cuts), len(raw)]:
        out += body.feed(raw[at:cut])
        at = max(at, cut)
    assert (out, body.done, body.excess) == (b"".join(chunks), True, bool(excess))


def test_a_sized_body_takes_no_more_than_its_size():
    body = SizedBody(3)
    assert (body.feed(b"ab"), body.done) == (b"ab", False)
    assert (body.feed(b"cd"), body.done, body.excess) == (b"c", True, True)


def test_a_request_cannot_be_made_into_two():
    origin = Origin("http", "h", 80)
    assert Request(origin, "/a", "h", [("x", "1")], b"{}").encoded() == (
        b"POST /a HTTP/1.1\r\nhost: h\r\nx: 1\r\naccept-encoding: identity\r\ncontent-length: 2\r\n\r\n{}"
    )
    for path, value in (("/a\r\nx: 1", ""), ("/a", "b\r\nx: 1"), ("/a", "b\nc"), ("/a", "b\rc")):
        with pytest.raises(AssertionError):
            Request(origin, path, "h", [("x", value)]).encoded()


def test_a_whole_chunk_is_known_by_its_length_and_first_line():
    framed = {len(b"%x\r\n" % size) + size + 2: b"%x\r\n" % size for size in range(1, 4096)}
    for length in range(-1, 5000):
        assert SIZE_LINES[length] == framed.get(length, b"")
