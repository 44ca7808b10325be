"""An answer asked for again: words told before are told once."""

from __future__ import annotations

import pytest

from kaiwa.session.relay.overlap import Overlap


def told_again(told: str, kept: str, *pieces: str) -> tuple[str, str]:
    overlap = Overlap(told, kept)
    fresh = "".join([*(overlap.push(piece) for piece in pieces), overlap.finish()])
    return told + fresh, overlap.verdict


@pytest.mark.parametrize(
    ("told", "kept", "pieces", "whole", "verdict"),
    [
        ("", "", ("All ", "new."), "All new.", "goes on"),
        ("One two ", "One two ", ("three ", "four."), "One two three four.", "goes on"),
        ("One two three ", "One ", ("two ", "three ", "four."), "One two three four.", "goes on"),
        ("One two ", "", ("One ", "two ", "three."), "One two three.", "repeats"),
        ("One two ", "One two ", ("One two", " three."), "One two three.", "repeats"),
        ("東京駅に", "東京駅", ("に三台", "あります"), "東京駅に三台あります", "goes on"),
        ("One two ", "One ", ("Sorry: ", "three."), "One two Sorry: three.", "differs"),
    ],
)
def test_words_come_once(told: str, kept: str, pieces: tuple[str, ...], whole: str, verdict: str) -> None:
    assert told_again(told, kept, *pieces) == (whole, verdict)
