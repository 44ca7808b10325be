"""The arithmetic of the benchmark: a wrong quantile would be believed for years."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.corpus import bare, edit_distance, utterances
from bench.figures import Figure, keep, p50_p95, quantile


def test_quantiles_are_measured_values() -> None:
    values = [float(value) for value in range(101)]

    assert (quantile(values, 0.5), quantile(values, 0.95), quantile([7.0], 0.95)) == (50.0, 95.0, 7.0)
    assert [figure.value for figure in p50_p95("x", values, "ms")] == [50.0, 95.0]


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [("", "", 0), ("駅前点", "駅前店", 1), ("abc", "", 3), ("kitten", "sitting", 3)],
)
def test_edit_distance_counts_changes(one: str, other: str, distance: int) -> None:
    assert edit_distance(one, other) == edit_distance(other, one) == distance


def test_only_letters_and_digits_are_compared() -> None:
    assert bare("１０時、 Ａm。") == bare("10時am")


def test_figures_of_other_parts_stay_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "latest.json"
    keep("a", [Figure("a.ms", 1, "ms")], path)
    keep("b", [Figure("b.ms", 2, "ms"), Figure("b.given_up_ms", 2, "ms")], path)
    keep("b", [Figure("b.ms", 3, "ms")], path)

    assert json.loads(path.read_text()) == {"a.ms": 1, "b.ms": 3}


def test_the_corpus_has_sound_for_every_line() -> None:
    assert all(0.8 < utterance.seconds < 8 for language in ("ja", "en") for utterance in utterances(language))
