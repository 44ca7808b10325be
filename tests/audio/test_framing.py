"""Chunks are 100 to 400 ms long, whole, and hold every byte in order."""

from hypothesis import given
from hypothesis import strategies as st

from kaiwa.audio.framing import Chunker


@given(st.lists(st.binary(max_size=200), max_size=30))
def test_chunks_hold_every_byte_in_bounds(pieces):
    chunker = Chunker(bytes_per_ms=2, min_ms=10, max_ms=40)
    full = [chunk for piece in pieces for chunk in chunker.push(piece)]
    rest = chunker.flush()
    whole = b"".join(pieces)
    assert b"".join(full + rest) == whole[: len(whole) // 2 * 2]
    assert all(20 <= len(chunk) <= 80 and len(chunk) % 2 == 0 for chunk in full)
    assert all(0 < len(chunk) < 20 for chunk in rest)
    assert chunker.flush() == []


def test_house_audio_is_cut_at_four_hundred_ms():
    chunker = Chunker()
    assert chunker.push(bytes(48 * 99)) == []
    assert [len(chunk) // 48 for chunk in chunker.push(bytes(48 * 851))] == [400, 400, 150]


def test_g711_may_have_an_odd_length():
    chunker = Chunker(bytes_per_ms=8, sample_bytes=1)
    assert [len(chunk) for chunk in chunker.push(bytes(801))] == [801]
