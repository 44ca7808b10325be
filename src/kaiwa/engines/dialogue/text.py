"""Text as said or heard: normal forms, readings, fuzzy search. Knows no tool and no dialogue."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, cast

LANGUAGE_JA = "ja"
LANGUAGE_EN = "en"
_KANA_KANJI = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff々〇]")
_CJK_GAP = re.compile(r"(?<=[\u3040-\u30ff\u4e00-\u9fff、。])\s+(?=[\u3040-\u30ff\u4e00-\u9fff0-9、。])")
_CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[\u3040-\u30ff\u4e00-\u9fff々ー]+")
_FILLERS = re.compile(
    r"^(?:(?:えー?っ?と|えー|あの[ーう]?|あのう|そのー|うーん|ええと|んー|まあ|じゃあ?|では|それでは|それじゃあ?|すみません|すいません|"
    r"ちょっと|あと|それと|それから|uh|um|well|so|ok|okay|please|hi|hello|hey|then|and|こんにちは)[、,。.\s]*)+",
    re.IGNORECASE,
)
_HIRAGANA_TO_KATAKANA = {code: code + 0x60 for code in range(0x3041, 0x3097)}


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a morphological analysis; `kind` is the part of speech with its subgroups."""

    text: str
    kind: tuple[str, str, str, str]
    sound: str


def normalize(text: str) -> str:
    """Return half-width digits and letters, one kind of blank, no blanks between Japanese characters."""
    folded = unicodedata.normalize("NFKC", text).replace("〜", "から").replace("~", "から")
    return _CJK_GAP.sub("", " ".join(folded.split()))


def is_japanese(text: str) -> bool:
    return _KANA_KANJI.search(text) is not None


def language_of(text: str) -> str | None:
    """Return the language a text is in, or None when it holds too little: SUV is either."""
    if is_japanese(text):
        return LANGUAGE_JA
    spelled = [word for word in re.findall(r"[A-Za-z]{2,}", text) if not word.isupper()]
    return LANGUAGE_EN if len(spelled) >= 2 or (spelled and len(spelled[0]) > 2) else None


def has_dictionary() -> bool:
    """Say whether Japanese can be read here: the dictionary comes with the speech packages."""
    return find_spec("pyopenjtalk") is not None


def strip_fillers(text: str) -> str:
    """Return the text without the hesitations and courtesies it starts with."""
    return _FILLERS.sub("", text).strip()


@lru_cache(maxsize=2048)
def words(text: str) -> tuple[Word, ...]:
    """Return the words of a Japanese text with part of speech and pronunciation."""
    if not is_japanese(text):
        return ()
    import pyopenjtalk

    analysis = cast(
        list[dict[str, Any]],
        pyopenjtalk.run_frontend(text[:300], use_vanilla=True),
    )
    return tuple(
        Word(
            text=unicodedata.normalize("NFKC", str(node["string"])),
            kind=(
                str(node["pos"]),
                str(node["pos_group1"]),
                str(node["pos_group2"]),
                str(node["pos_group3"]),
            ),
            sound=str(node["pron"]).replace("’", ""),
        )
        for node in analysis
    )


@lru_cache(maxsize=2048)
def reading(text: str) -> str:
    """Return the katakana reading as spoken, without marks; Latin text comes back in lower case."""
    text = normalize(text)
    if not is_japanese(text):
        return text.lower()
    if re.fullmatch(r"[\u3040-\u30ff]+", text) and len(text) < 12:
        return fold_kana(text)
    return fold_kana("".join(word.sound for word in words(text)))


def fold_kana(kana: str) -> str:
    """Return katakana with long vowels written one way and punctuation gone."""
    kana = kana.translate(_HIRAGANA_TO_KATAKANA)
    kana = re.sub(r"[、。?？!！・\s「」]", "", kana)
    kana = re.sub(r"(?<=[オコソトノホモヨロゴゾドボポョォ])[ウオ]", "ー", kana)
    kana = re.sub(r"(?<=[ウクスツヌフムユルグズブプュ])ウ", "ー", kana)
    kana = re.sub(r"(?<=[エケセテネヘメレゲゼデベペ])イ", "ー", kana)
    return kana.replace("ヂ", "ジ").replace("ヅ", "ズ").replace("ヲ", "オ").replace("ヴ", "ブ")


def distance_within(needle: str, hay: str) -> tuple[int, int]:
    """Return (edits, end) of the best place where `needle` occurs in `hay` (Sellers' algorithm)."""
    row = list(range(len(needle) + 1))
    best, best_end = row[-1], 0
    for end, char in enumerate(hay, start=1):
        diagonal, row[0] = row[0], 0
        for index, wanted in enumerate(needle, start=1):
            cost = min(row[index] + 1, row[index - 1] + 1, diagonal + (wanted != char))
            diagonal, row[index] = row[index], cost
        if row[-1] < best:
            best, best_end = row[-1], end
    return best, best_end


@lru_cache(maxsize=4096)
def heard_ratio(needle: str, hay: str) -> float:
    """Return how much of the reading `needle` is missing in the reading `hay`: 0.0 is all there."""
    if not needle:
        return 1.0
    if needle in hay:
        return 0.0
    return distance_within(needle, hay[:80])[0] / len(needle)


def longest_common(left: str, right: str) -> str:
    """Return the longest run of characters both texts hold."""
    best = ""
    for start in range(len(left)):
        while start + len(best) < len(left) and left[start : start + len(best) + 1] in right:
            best = left[start : start + len(best) + 1]
    return best


@lru_cache(maxsize=4096)
def name_tokens(identifier: str) -> tuple[str, ...]:
    """Return the words of an identifier: shopId, shop_id and shop-id are alike."""
    return tuple(part.lower() for part in _CAMEL.findall(identifier))


_ROMAJI_ROWS = {
    "カキクケコ": "k", "サスセソ": "s", "シ": "s", "タテト": "t", "チ": "t", "ツ": "t", "ナニヌネノ": "n",
    "ハヒヘホフ": "h", "マミムメモ": "m", "ラリルレロ": "r", "ガギグゲゴ": "g", "ザズゼゾ": "z", "ジ": "z",
    "ダデドヂヅ": "d", "バビブベボ": "b", "パピプペポ": "p", "ヴ": "b", "ン": "n", "ワヲ": "w", "ヤユヨ": "y",
}  # fmt: skip
_CONSONANT = {kana: letter for row, letter in _ROMAJI_ROWS.items() for kana in row}


@lru_cache(maxsize=4096)
def skeleton(word: str) -> str:
    """Return the consonants of a loanword, so that マルゲリータ meets margherita and タクシー meets taxi."""
    if is_japanese(word):
        letters = "".join(_CONSONANT.get(kana, "") for kana in fold_kana(word))
    else:
        letters = word.lower()
        for pair, one in (
            ("sh", "s"),
            ("ch", "t"),
            ("th", "s"),
            ("ph", "h"),
            ("ck", "k"),
            ("gh", "g"),
            ("x", "ks"),
        ):
            letters = letters.replace(pair, one)
        letters = re.sub(r"c(?=[eiy])", "s", letters).translate(str.maketrans("clqvfj", "krkbhz"))
        letters = re.sub(r"[^bdghkmnprstwyz]", "", letters)
    return re.sub(r"(.)\1+", r"\1", letters.replace("m", "n"))
