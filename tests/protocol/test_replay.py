"""What is kept for whoever comes late: in order, once, and never more than the bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaiwa.protocol.replay import Forgotten, ReplayLog


def test_a_late_reader_gets_everything_after_its_number_once_and_in_order() -> None:
    log: ReplayLog[str] = ReplayLog()
    for word in ("一", "二", "三"):
        log.add(word, len(word))
    assert list(log.after(1)) == [(2, "二"), (3, "三")]
    assert list(log.after(3)) == []


def test_what_was_forgotten_is_told_instead_of_skipped() -> None:
    log: ReplayLog[int] = ReplayLog(kept_bytes=1000)
    for number in range(100):
        log.add(number, 100)
    with pytest.raises(Forgotten):
        list(log.after(0))
    with pytest.raises(Forgotten):
        list(log.after(101))


@given(st.lists(st.integers(0, 400), max_size=60), st.integers(200, 2000))
def test_any_reader_sees_a_gapless_tail_or_is_told(sizes: list[int], kept_bytes: int) -> None:
    log: ReplayLog[int] = ReplayLog(kept_bytes)
    for position, size in enumerate(sizes, 1):
        assert log.add(position, size) == position
        newest_alone = size + 100 > kept_bytes
        assert log.size_bytes <= kept_bytes or newest_alone
    for number in range(len(sizes) + 1):
        try:
            told = list(log.after(number))
        except Forgotten:
            continue
        assert told == [(position, position) for position in range(number + 1, len(sizes) + 1)]
