"""The rule of the last word, in tables: what sounds done, what goes on, and what depends on the question."""

from __future__ import annotations

import pytest

from kaiwa.engines.speech.turns import turn_completeness

DONE = 0.7
GOES_ON = 0.3

COMPLETE_JA = [
    "はい",
    "いいえ、違います",
    "来週の土曜日に車を借りたいんですけど",
    "東京駅でお願いします",
    "コンパクトカーはありますか",
    "朝十時から夕方六時までです",
    "予約を変更したいのですが",
    "その車で大丈夫です",
    "保険も付けてください",
    "それでいいですよ",
    "いくらになりますか",
    "明日の天気を教えて下さい",
    "もう一度お願いできますか",
    "明日の天気を教えて",
    "二泊三日で借ります",
    "名前は山田太郎です",
    "ありがとうございました",
    "キャンセルしたいんですが",
    "一番安いのはどれですか",
    "子供用のシートは要りません",
    "駅から歩いて行けますか？",
    "雨が降るでしょうか",
    "それで結構です",
    "あ、そうですか",
    "では予約しましょう",
    "電話番号は変わりました",
    "予約はもう取れたかな",
    "五人乗れますよね",
    "まだ決めていません",
    "今日は何曜日でしたっけ",
    "よろしくお願いします",
]

INCOMPLETE_JA = [
    "えーと",
    "あのー",
    "来週の土曜日に",
    "東京駅で",
    "コンパクトカーが",
    "朝十時から",
    "予約を変更して",
    "その車は",
    "保険も付けたいので",
    "もし雨が降れば",
    "明日の天気を",
    "二泊三日の",
    "私の名前は",
    "キャンセルすると",
    "一番安い車で、あと",
    "駅から歩いて",
    "子供が二人いるから",
    "それから",
    "もしかしたら",
    "新宿か渋谷の",
    "車を借りて",
    "大きい荷物があるので",
    "十時に着いたら",
    "できれば",
    "この",
    "友達と一緒に",
    "安くて",
    "東京に行くんだけど、その",
    "予約番号が",
    "急いでいるのに",
]


@pytest.mark.parametrize("text", COMPLETE_JA)
def test_a_finished_japanese_sentence_sounds_done(text: str) -> None:
    assert turn_completeness(text, "ja") >= DONE


@pytest.mark.parametrize("text", INCOMPLETE_JA)
def test_an_unfinished_japanese_sentence_sounds_as_if_it_goes_on(text: str) -> None:
    assert turn_completeness(text, "ja") <= GOES_ON


@pytest.mark.parametrize("text", [f"{text}。" for text in COMPLETE_JA[:8]])
def test_the_recogniser_s_full_stop_changes_nothing(text: str) -> None:
    assert turn_completeness(text, "ja") >= DONE


@pytest.mark.parametrize("text", ["東京駅で。", "来週の土曜日に。", "えーと。"])
def test_a_full_stop_after_a_particle_is_not_believed(text: str) -> None:
    assert turn_completeness(text, "ja") <= GOES_ON


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("来週の土曜日", "date"),
        ("十一月二十八日", "date"),
        ("明日", "date"),
        ("朝十時", "time"),
        ("18時半", "time"),
        ("四人", "number"),
        ("山田太郎", "name"),
        ("コンパクト", "choice"),
        ("コンパクトで", "choice"),
        ("東京駅", "choice"),
        ("R001", "id"),
    ],
)
def test_a_bare_noun_is_done_when_it_is_what_was_asked_for(text: str, kind: str) -> None:
    assert turn_completeness(text, "ja", kind=kind) >= DONE  # type: ignore[arg-type]
    assert turn_completeness(text, "ja", kind="open") < 0.5


def test_a_particle_goes_on_even_when_the_slot_is_named() -> None:
    assert turn_completeness("来週の土曜日の", "ja", kind="date") <= GOES_ON


COMPLETE_EN = [
    "What's the weather like?",
    "Tell me a story about tardigrades.",
    "Yes",
    "No, thanks",
    "I would like to rent a car next Saturday",
    "Tokyo station please",
    "That sounds good to me",
    "Can you book the compact one",
    "From ten to six",
    "Thank you",
    "My name is John Smith",
    "Cancel my reservation",
]
INCOMPLETE_EN = [
    "I'd like to",
    "Can I get the",
    "Tokyo station and",
    "um",
    "I was thinking about, uh",
    "Next Saturday at",
    "If it rains then I",
    "I want a car with",
    "Because my",
    "Do you have any",
    "So...",
    "It depends whether",
]


@pytest.mark.parametrize("text", COMPLETE_EN)
def test_a_finished_english_sentence_sounds_done(text: str) -> None:
    assert turn_completeness(text, "en") >= DONE


@pytest.mark.parametrize("text", INCOMPLETE_EN)
def test_an_unfinished_english_sentence_sounds_as_if_it_goes_on(text: str) -> None:
    assert turn_completeness(text, "en") <= GOES_ON


@pytest.mark.parametrize(("text", "kind"), [("Saturday", "date"), ("ten thirty", "time"), ("John", "name")])
def test_a_bare_english_noun_is_done_when_it_is_what_was_asked_for(text: str, kind: str) -> None:
    assert turn_completeness(text, "en", kind=kind) >= DONE  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", " ", "。", "?!"])
def test_no_words_are_no_evidence(text: str) -> None:
    assert turn_completeness(text) == 0.5
