"""The embedding without a model: who is near to whom, in Japanese and English."""

from __future__ import annotations

import math

from kaiwa.engines.hash_embedding import embed

KNOWN = [-0.354, 0.0, 0.0, 0.0, 0.0, 0.354, 0.0, 0.0, 0.0, 0.0, 0.354, 0.354, 0.0, 0.0, -0.707, 0.0]
# The same wish twice, in other words.
PAIRS = (
    ("明日の東京の天気を教えてください", "東京の明日の天気予報"),
    ("レンタカーを予約したい", "土曜日に車のレンタカー予約をお願いします"),
    ("機械学習の入門書を探しています", "機械学習について書かれた本はありますか"),
    ("予約をキャンセルするには", "予約のキャンセル方法を知りたい"),
    ("札幌の雪まつり", "札幌で雪まつりはいつ開かれますか"),
    ("パスワードを忘れました", "パスワードの再設定をしたい"),
    ("請求書の宛先を変更したい", "請求書に書かれる宛先の変更"),
    ("図書館の開館時間", "図書館は何時に開館しますか"),
    ("会議室の利用方法", "会議室を利用するには"),
    ("How do I reset my password?", "I forgot the password of my account, resetting it"),
    ("Weather in Kyoto tomorrow", "What will the weather be like in Kyoto?"),
    ("Cancel my reservation", "How can reservations be cancelled?"),
    ("Opening hours of the library", "When does the library open?"),
    ("renting a small car on Saturday", "I want to rent a car for Saturday"),
    ("change the billing address", "the address for billing changed"),
    ("export data as CSV", "How to export my data to a CSV file"),
)


def likeness(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_the_same_wish_in_other_words_is_the_nearest() -> None:
    wishes = [embed(wish) for wish, _ in PAIRS]
    for number, (_, words) in enumerate(PAIRS):
        near = [likeness(embed(words), wish) for wish in wishes]
        assert near.index(max(near)) == number, words


def test_texts_without_a_word_in_common_are_far_apart() -> None:
    assert likeness(embed("札幌の雪まつり"), embed("export data as CSV")) < 0.15


def test_width_and_case_make_no_difference() -> None:
    assert embed("ＣＳＶ ﾃﾞｰﾀ") == embed("csv データ")


def test_a_text_has_length_one_and_nothing_has_none() -> None:
    assert math.isclose(sum(value * value for value in embed("東京", 64)), 1)
    assert not any(embed("…!?"))


def test_a_vector_stays_what_it_is_from_release_to_release() -> None:
    vector = embed("kaiwa", 16)
    assert [round(value, 3) for value in vector] == KNOWN
