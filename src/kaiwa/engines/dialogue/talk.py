# ruff: noqa: E501  (rows of words and patterns; a wide character counts twice)
"""Small talk and yes or no: what an utterance is when it asks for no tool. Knows no slot and no schema."""

from __future__ import annotations

import re

from kaiwa.engines.dialogue.text import normalize

_YES_JA = (
    r"はい|ええ|うん|そうです|そう|お願い(?:いた|致)?します|お願いします|大丈夫です|大丈夫|それで(?:いい|大丈夫|結構|お願いし)?(?:です|ます)?|"
    r"いいですよ?|結構です|オッケー(?:です)?|オーケー(?:です)?|ok(?:です)?|了解(?:です)?|もちろん(?:です)?|間違いありません|合って(?:い?ます|る)|"
    r"確定(?:して(?:ください)?|で)?|予約して(?:ください)?|注文して(?:ください)?|進めて(?:ください)?|よろしく(?:お願いします)?|その通り(?:です)?|"
    r"問題(?:ない|ありません)(?:です)?|おねがいします|ぜひ|よろしいです|キャンセルして(?:ください)?|取り消して(?:ください)?|変更して(?:ください)?|"
    r"送って(?:ください)?|実行して(?:ください)?|それで|では|じゃあ"
)
_YES_EN = (
    r"yes|yeah|yep|yup|sure|ok|okay|please|please do|go ahead|correct|right|that's right|that is right|that's correct|sounds good|"
    r"perfect|great|confirm|confirmed|absolutely|of course|definitely|do it|book it|that's fine|fine|exactly|looks good|all good|"
    r"i confirm|please confirm|cancel it|please book it|go for it|thank you|thanks"
)
_YES = re.compile(rf"(?:(?:{_YES_JA})(?:ね|よ)?[、。,.!！\s]*|(?:{_YES_EN})\b[,.!\s]*)+", re.IGNORECASE)
_WEAK_YES = re.compile(r"(?:では|じゃあ|thank you|thanks|結構です|right|great)[、。,.!！\s]*", re.IGNORECASE)
_NO = re.compile(
    r"^(?:いいえ|いえ|いや|違い|違う|ちが|やめ|待って|ちょっと待|まだ|キャンセル(?!して)|だめ|ダメ|不要|いらない|いりません|なし|"
    r"no\b|nope|nah|wait|don't|do not|not yet|cancel(?! it)|stop|never ?mind|hold on|wrong|incorrect)"
    r"|やめ(?:ます|たい|とき|てお)|しないで|結構ですので|違います|間違っ",
    re.IGNORECASE,
)
_CORRECTION = re.compile(
    r"^(?:いや|いえ|いいえ|違|やっぱ|すみません、?やっぱ|no\b|actually|sorry|instead|wait)|じゃなくて|ではなく|に変更|に変えて|make it|change (?:it|that) to|instead",
    re.IGNORECASE,
)
_KINDS: tuple[tuple[str, str], ...] = (
    ("identity", r"(?:あなた|君|きみ)は?(?:誰|だれ|何者|人間|AI|ロボット|本物)|人間ですか|AIですか|ロボットですか|言語モデル|ChatGPT|チャットGPT|GPT|LLM|お名前は(?:何|なん)|自己紹介"
     r"|who are you|are you (?:a |an )?(?:human|robot|bot|ai|real|language model|chatgpt|gpt|person)|what are you\b|what(?:'s| is) your name|introduce yourself"),
    ("abilities", r"何が(?:でき|出来)|なにができ|どんなこと(?:が|を)|できること|使い方|ヘルプ|助けて|what can you (?:do|help)|how can you help|^help\b|what do you do"),
    ("running", r"(?:今|いま)?(?:何|なに)を?(?:して|やって|実行)|進み具合|進捗|まだですか|終わりましたか|どうなって|結果は(?:まだ|どう)|what are you doing|what(?:'s| is) running|are you done|is it done|still (?:running|searching|working)|any progress|how(?:'s| is) (?:it|the search) going"),
    ("repeat", r"もう一度|もういちど|もう一回|もういっかい|聞こえな|聞き取れな|なんて(?:言|いい)|何て言|繰り返|say (?:that|it) again|repeat|pardon|come again|what did you say"),
    ("goodbye", r"さようなら|さよなら|失礼し?ます|バイバイ|またね|以上です|結構です$|good ?bye|\bbye\b|see you|that's all|that is all|nothing else"),
    ("thanks", r"ありがと|助かりました|どうも$|感謝|thank|cheers|appreciate"),
    ("greeting", r"(?:挨拶|あいさつ)を?(?:して|お願い)|say hello|greet (?:me|us|the)|^(?:こんにち[はわ]|こんばん[はわ]|おはよう|はじめまして|初めまして|もしもし|やあ|どうも|ハロー|hello|hi\b|hey|good (?:morning|afternoon|evening))"),
)  # fmt: skip
_COMPILED = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _KINDS)
_REQUEST = re.compile(
    r"[?？]|か[。]?$|教えて|調べて|検索して|知りたい|どう(?:です|$)|したい|てください|ほしい|お願い|探して|見せて|でしたっけ|ますか|"
    r"\b(?:what|how|when|where|which|is there|are there|do you|can you|could you|tell me|check|search|find|look|show|i want|i'd like|i need|please)\b",
    re.IGNORECASE,
)


def is_yes(text: str) -> bool:
    """Return whether the whole utterance agrees, and nothing else: a yes with more in it is no yes."""
    plain = normalize(text)
    if re.search(r"[?？]", plain) or not _YES.fullmatch(plain):
        return False
    return _WEAK_YES.fullmatch(plain) is None


def is_no(text: str) -> bool:
    return _NO.search(normalize(text)) is not None


def is_correction(text: str) -> bool:
    return _CORRECTION.search(normalize(text)) is not None


def is_request(text: str) -> bool:
    """Return whether the utterance asks for something, rather than answers."""
    return _REQUEST.search(normalize(text)) is not None


def kind_of(text: str) -> str | None:
    """Return which small talk an utterance is, or None."""
    plain = normalize(text)
    return next((kind for kind, pattern in _COMPILED if pattern.search(plain)), None)
