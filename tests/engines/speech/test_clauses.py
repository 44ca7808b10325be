"""Answers are cut where a speaker would breathe, and nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaiwa.engines.speech.clauses import ClauseSplitter, split_clauses
from kaiwa.engines.speech.japanese import count_morae

TEXTS = st.text(
    alphabet="あいうかきはをにでが東京駅車コンパクト10、。！？「」（） \nabcABC.,!?;:'\"-", max_size=80
)


@given(TEXTS, st.sampled_from(["ja", "en", None]))
def test_the_pieces_joined_are_the_text(text: str, language: str | None) -> None:
    pieces = split_clauses(text, language)
    assert "".join(pieces) == text
    assert all(pieces)


@given(TEXTS, st.sampled_from(["ja", "en"]), st.integers(1, 5))
def test_a_growing_text_is_cut_like_the_whole(text: str, language: str, step: int) -> None:
    splitter = ClauseSplitter(language)
    pieces = [piece for at in range(0, len(text), step) for piece in splitter.feed(text[at : at + step])]
    assert pieces + splitter.flush() == split_clauses(text, language)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        (
            "かしこまりました。来週の土曜日、東京駅ですね。",
            ["かしこまりました。", "来週の土曜日、東京駅ですね。"],
        ),
        ("はい、少々お待ちください。", ["はい、", "少々お待ちください。"]),
        (
            "東京駅ではコンパクトカーが空いています。",
            ["東京駅では", "コンパクトカーが空いています。"],
        ),
        ("「よろしいですか？」とのことです。", ["「よろしいですか？」", "とのことです。"]),
        ("料金は8,800円です。", ["料金は8,800円です。"]),
    ],
)
def test_japanese_is_cut_at_sentences_commas_and_for_the_first_at_a_particle(
    text: str, pieces: list[str]
) -> None:
    assert split_clauses(text, "ja") == pieces


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Sure, I can help. Which day?", ["Sure, ", "I can help. ", "Which day?"]),
        ("It costs 8,800.50 yen.", ["It costs 8,800.50 yen."]),
        ("Dr. Smith is here. Fine.", ["Dr. Smith is here. ", "Fine."]),
    ],
)
def test_english_is_cut_at_sentences_and_at_the_first_comma(text: str, pieces: list[str]) -> None:
    assert split_clauses(text, "en") == pieces


@pytest.mark.parametrize(
    "answer",
    [
        "かしこまりました。ご希望の日時をお聞かせください。",
        "東京駅ではコンパクトカーとSUVがご利用いただけます。",
        "はい、承知いたしました。",
        "来週の土曜日は、東京駅と新宿の店舗が空いております。",
        "予約番号はR-001です。",
    ],
)
def test_the_first_piece_of_a_usual_answer_is_short(answer: str) -> None:
    assert count_morae(split_clauses(answer, "ja")[0]) <= 12
