# ruff: noqa: E501  (rows of words and patterns; a wide character counts twice)
"""Values for slots in what was said: choices, numbers, places, codes, free text. Knows no dialogue state."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from kaiwa.engines.dialogue import dates_en, dates_ja
from kaiwa.engines.dialogue.lexicon import notions, spoken_forms
from kaiwa.engines.dialogue.names import person_in
from kaiwa.engines.dialogue.numerals import with_digits_en, with_digits_ja
from kaiwa.engines.dialogue.schema import Slot, Tool, as_object
from kaiwa.engines.dialogue.text import (
    heard_ratio,
    is_japanese,
    name_tokens,
    normalize,
    reading,
    skeleton,
    strip_fillers,
    words,
)
from kaiwa.engines.dialogue.validity import fits
from kaiwa.engines.dialogue.when import When

_COUNTED = {
    "people": ("人前|人|名様|名|people|persons?|guests?|adults?|passengers?|of us", "people guests party persons adults seats passengers size 人数"),
    "amount": ("円|ドル|ユーロ|ポンド|元|ウォン|dollars?|euros?|yen|pounds?|[$€¥]", "amount price money sum value 金額"),
    "things": ("つ|枚|個|台|冊|本|杯|皿|箱|袋|セット|点|パック|pizzas?|pieces?|copies|bottles?|boxes|items?|units?|larges?|smalls?|mediums?",
               "quantity qty count number amount copies pieces units 数量 枚数 個数"),
    "hours": ("時間|hours?", "hours"), "minutes": ("分|minutes?", "minutes duration"), "rooms": ("部屋|室|rooms?", "rooms"),
    "nights": ("泊|nights?", "nights days"), "age": ("歳|years old", "age"),
}  # fmt: skip
_COURTESY = re.compile(
    r"(?:(?:を|で|に|が|は|と)?(?:お願い(?:いた|致)?します|お願いしたい(?:です|んですが)?|ください|下さい|結構です|大丈夫です|いいです|"
    r"希望(?:です|します)|です(?:ね|が|けど)?|だ|にします|にしてください|にして|がいいです|がいい|と申します|なんですが|なのですが|かな|まで|の方|のほう)"
    r"|[、。?？!！.\s]|(?:,? ?please)|(?:,? ?thanks)|(?:,? ?thank you))+$",
    re.IGNORECASE,
)
_QUERY_JA = (
    r"[「『](?P<t>.+?)[」』]", r"^(?P<t>[^、。]{1,20}?)は[?？。]?$", r"(?P<t>.+?)(?:について|に関して|に関する|に関連|のことを|のこと(?=教|知|調))",
    r"(?P<t>.+?)の(?:情報|記事|資料|論文|文献|データ|書籍|本)(?:を|が|は|って|ある|あり|$)",
    r"^(?P<t>[^、。]{1,20}?)は[?？。]?$",
    r"(?P<t>.+?)(?:って(?:何|なに|どんな)|とは(?:何|なに)?)", r"(?P<t>.+?)を?(?:検索|調べ|探し|探す|探して|サーチ|教えて|知りたい)",
)  # fmt: skip
_QUERY_EN = (
    r"[\"“'](?P<t>.+?)[\"”']", r"\b(?:about|regarding|on the topic of|information on|info on|articles on|papers on)\s+(?P<t>.+)",
    r"\b(?:search|look|looking|query|find|google)\b(?: (?:me|up|for|the database for|the database|in|out|information|anything))*\s+(?P<t>.+)",
    r"\bwhat(?: is|'s| are) (?P<t>.+)",
)  # fmt: skip
_THING_JA = (
    r"[「『](?P<t>.+?)[」』]", r"^(?P<t>[^、。]{1,20}?)は[?？。]?$", r"(?P<t>.+?)(?:という(?:本|商品|映画|曲))",
    r"(?P<t>.+?)(?:の(?:在庫|値段|価格|料金|貸出|取り置き|追加|検索)|は?(?:まだ)?(?:ありますか|あります|ある|売って|置いて|残って|いくら))",
    r"(?P<t>.+?)を(?:[^、。を]{0,8})(?:注文|借り|予約|頼み|頼む|お願い|ください|下さい|欲しい|ほしい|買い|購入|探|\d)", r"(?P<t>.+?)(?:が|を)(?:欲しい|ほしい|いい)",
)  # fmt: skip
_THING_EN = (
    r"[\"“](?P<t>.+?)[\"”]",
    r"\b(?:do you have|have you got|is there|are there|got)\s+(?:any |a |an |the |some )?(?P<t>.+?)(?: in stock| available| left|\?|$)",
    r"\b(?:stock of|price of|copies of|copy of|many|much is|much are)\s+(?:the |a )?(?P<t>.+?)(?: do you have| are there| in stock| left|\?|$)",
    r"\b(?:order|buy|borrow|get|reserve|want|have|like|need)\s+(?:to (?:order|buy|borrow|get|reserve|have) )?(?:a |an |the |some |\d+ )?(?P<t>.+?)(?: please|,|\?|\.|$)",
)  # fmt: skip
_ANY = re.compile(
    r"どちらでも|どれでも|どっちでも|何でも|なんでも|おまかせ|お任せ|\beither\b|\bany\b|no preference|doesn't matter",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Za-z]{1,5}[- ]?\d[\dA-Za-z]*(?:-[\dA-Za-z]+)*|\d{3,}(?:-\d+)*|\d{1,3}(?:-\d+)+)(?![A-Za-z0-9])"
)
_SPOKEN_LETTERS = {
    "アール": "R",
    "エー": "A",
    "ビー": "B",
    "シー": "C",
    "ディー": "D",
    "ピー": "P",
    "ティー": "T",
    "エス": "S",
    "エックス": "X",
}
_PHONE = re.compile(r"(?<!\d)(?:\+?\d{1,3}[- ]?)?\(?0?\d{1,4}\)?[- の]?\d{2,4}[- の]?\d{3,4}(?!\d)")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
_PLACE_EN = re.compile(
    r"\b(?:in|at|for|near|around|of|to|from)\s+(?:the )?(?P<t>[A-Za-z][A-Za-z'-]+(?:\s+[A-Z][A-Za-z'-]+)*)"
)
_NOT_PLACE = {"the", "a", "an", "today", "tomorrow", "tonight", "this", "next", "me", "now", "my", "like", "weather", "us", "noon", "two",
              "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "about", "any", "ai", "stock"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """One utterance in the forms that extraction needs."""

    text: str
    japanese: bool
    digits: str
    timeless: str
    when: When


@lru_cache(maxsize=1024)
def said(text: str, now: datetime) -> Said:
    """Return an utterance analysed. `now` decides what tomorrow is."""
    plain = normalize(text)
    japanese = is_japanese(plain)
    digits = with_digits_ja(plain) if japanese else with_digits_en(plain)
    when = dates_ja.parse_ja(plain, now) if japanese else dates_en.parse_en(plain, now)
    timeless = dates_ja.without_when(plain) if japanese else dates_en.without_when(plain)
    return Said(plain, japanese, digits, timeless, when)


def bare_answer(text: str) -> str:
    """Return an answer without its courtesies: マルゲリータでお願いします becomes マルゲリータ."""
    text = strip_fillers(normalize(text))
    text = re.sub(
        r"^(?:はい|ええ|うん|いや|いいえ|違います|やっぱり|yes|no|sure|actually|make it|it's|the)[、,。. ]+",
        "",
        text,
        flags=re.IGNORECASE,
    )
    return _COURTESY.sub("", text).strip(" 、。,.?!？！") or text.strip(" 、。,.?!？！")


@dataclass(frozen=True, slots=True, order=True)
class Hit:
    """Where and how surely an option was said: in writing beats by sound, a later place beats an earlier."""

    sureness: int
    place: int
    length: int


def choice_in(utterance: Said, options: tuple[Any, ...], asked: bool) -> Any | None:
    """Return the option that was said; of several the last that was not taken back (SUVじゃなくて)."""
    hits = [(hit, option) for option in options if (hit := _hit(utterance, option, asked)) is not None]
    return max(hits, key=lambda pair: pair[0])[1] if hits else None


def choices_in_order(utterance: Said, options: tuple[Any, ...]) -> list[Any]:
    """Return the options that were said, in the order of the words."""
    hits = [(hit.place, option) for option in options if (hit := _hit(utterance, option, True)) is not None]
    return [option for _, option in sorted(hits, key=lambda pair: pair[0])]


def _hit(utterance: Said, option: Any, asked: bool) -> Hit | None:
    if isinstance(option, str):
        return _option_at(utterance, option, asked)
    match = re.search(rf"(?<!\d){re.escape(str(option))}(?!\d)", utterance.digits) if asked else None
    return Hit(3, match.end(), 1) if match else None


def _option_at(utterance: Said, option: str, asked: bool) -> Hit | None:
    text, lowered = utterance.text, utterance.text.lower()
    hits: list[Hit] = []
    for form in spoken_forms(option):
        place = _form_at(form, text, lowered, asked)
        if place >= 0 and not re.match(r"(?:じゃな|ではな|でな|以外|は(?:いや|嫌|やめ))", text[place:]):
            hits.append(Hit(3, place, len(form)))
        elif place < 0 and is_japanese(form) and len(sound := reading(form)) >= 4:
            heard = reading(text)
            if sound in heard:
                hits.append(Hit(2, heard.find(sound), len(form)))
            elif len(sound) >= 5 and heard_ratio(sound, heard) <= 0.2:
                hits.append(Hit(1, 0, len(form)))
    if not hits and not is_japanese(option) and len(skeleton(option)) >= 3:
        loans = [loan for loan in re.findall(r"[ァ-ヶー]{3,}", text) if skeleton(option) == skeleton(loan)]
        hits += [Hit(2, text.find(loan) + len(loan), len(loan)) for loan in loans]
    return max(hits) if hits else None


def _form_at(form: str, text: str, lowered: str, asked: bool) -> int:
    """Return where the form ends in the text, or -1. A single letter counts only when it was asked for."""
    if is_japanese(form):
        if len(form) == 1 and not asked:
            return -1
        place = text.rfind(form)
        return place + len(form) if place >= 0 else -1
    if len(form) == 1:
        match = re.search(rf"(?<![A-Za-z]){re.escape(form.upper())}(?:サイズ| size)", text)
        match = match or re.search(rf"(?<=[\u3040-\u9fff]){re.escape(form.upper())}(?=[\u3040-\u9fff])", text)
        match = match or (
            re.search(rf"(?<![A-Za-z]){re.escape(form)}(?![A-Za-z])", text, re.IGNORECASE) if asked else None
        )
        return match.end() if match else -1
    if len(form) <= 3 and not asked and form.lower() in ("on", "off", "en", "ja", "low", "hot", "asc"):
        return -1
    match = re.search(rf"(?<![A-Za-z]){re.escape(form.lower())}(?:s|es)?(?![A-Za-z])", lowered)
    return match.end() if match else -1


def list_in(utterance: Said, slot: Slot, asked: bool) -> list[str] | None:
    """Return the several values of an array slot."""
    if slot.options:
        found = [str(o) for o in slot.options if isinstance(o, str) and _option_at(utterance, o, asked)]
        return found or None
    if not asked or re.search(r"なし|いらない|不要|\bnone\b|\bno\b|nothing", utterance.text.lower()):
        return [] if asked and not slot.required else None
    parts = re.split(r"、|,|と|\band\b|および", bare_answer(utterance.text))
    return [part.strip() for part in parts if part.strip()] or None


def number_in(utterance: Said, slot: Slot, alone: bool) -> int | float | None:
    """Return the number meant for a slot: by its counter, or any number when it is the only candidate."""
    tokens = set(name_tokens(slot.name))
    counters = [counter for counter, names in _COUNTED.values() if tokens & set(names.split())]
    text = dates_en.without_when(utterance.digits) if not utterance.japanese else utterance.digits
    for counter in counters:
        match = re.search(
            rf"[$€¥]\s?(\d{{1,9}}(?:\.\d+)?)|(\d{{1,9}}(?:\.\d+)?)\s?(?:{counter})(?!時|月|日)",
            text,
            re.IGNORECASE,
        )
        if match:
            return _number(match[1] or match[2], slot)
    if tokens & {"people", "party", "guests", "size"} and (
        found := re.search(r"\bfor (\d{1,3})\b|party of (\d{1,3})", text)
    ):
        return _number(found[1] or found[2], slot)
    if not alone:
        return None
    rest = utterance.timeless
    rest = with_digits_ja(rest) if utterance.japanese else with_digits_en(rest)
    match = re.search(r"(?<![\d-])(\d{1,9}(?:\.\d+)?)(?!\d|[-:/])", rest) or re.search(
        r"([一二三四五六七八九十百]+)", rest
    )
    if match is None:
        return None
    digits = match[1] if match[1][0].isascii() else re.sub(r"\D", "", with_digits_ja(match[1] + "個"))
    return _number(digits, slot)


def _number(digits: str, slot: Slot) -> int | float | None:
    value: float = float(digits)
    if slot.schema.get("type") == "integer" or value == int(value):
        whole = int(value)
        return whole if slot.schema.get("type") in ("integer", "number", None) else None
    return value


def flag_in(utterance: Said, slot: Slot, asked: bool) -> bool | None:
    """Return yes or no for a boolean: an answer when asked, else the option's own words said or refused."""
    from kaiwa.engines.dialogue.talk import is_no, is_yes

    if asked and is_no(utterance.text):
        return False
    if asked and (
        is_yes(utterance.text) or re.search(r"お願い|あり|付け|つけ|希望|with|please", utterance.text)
    ):
        return True
    about = re.findall(r"[\u4e00-\u9fff]{2,}|[ァ-ヶー]{3,}", slot.description)
    about += [
        token
        for token in name_tokens(slot.name)
        if len(token) > 3 and token not in ("with", "include", "has")
    ]
    for word in about:
        place = utterance.text.lower().find(word)
        if place >= 0:
            around = utterance.text.lower()[max(place - 12, 0) : place + len(word) + 6]
            return re.search(r"なし|無し|不要|いら|without|\bno\b|don't", around) is None
    return None


def places_in(utterance: Said) -> list[str]:
    """Return the places named, in order."""
    if not utterance.japanese:
        found = [match["t"].strip() for match in _PLACE_EN.finditer(utterance.timeless)]
        return [place for place in found if place.split()[0].lower() not in _NOT_PLACE]
    found: list[str] = []
    run: list[str] = []
    for word in (*words(utterance.text), None):
        if (
            word is not None
            and (word.kind[2] == "地域" or (word.kind[1] == "接尾" and word.kind[2] == "地域"))
        ) or (
            word is not None
            and run
            and word.kind[0] == "名詞"
            and re.search(r"(?:駅|空港|港|タワー|ホテル|病院|前|店|市|区|町|県)$", word.text)
        ):
            run.append(word.text)
        elif run:
            found.append("".join(run))
            run = []
    return list(dict.fromkeys(found))


def sided_place(utterance: Said, end: bool) -> str | None:
    """Return where a trip starts or ends: 渋谷駅から羽田空港まで, "from A to B"."""
    if utterance.japanese:
        pattern = (
            r"(?P<t>[^、。\sをはがに]{2,16}?)(?:まで|へ|に行)"
            if end
            else r"(?P<t>[^、。\sをはが]{2,16}?)(?:から|に迎え|で乗)"
        )
        rest = (
            utterance.timeless.split("から", 1)[1]
            if end and "から" in utterance.timeless
            else utterance.timeless
        )
        match = re.search(pattern, rest)
        return match["t"].lstrip("、のに") if match and not re.fullmatch(r"[\d時分]+", match["t"]) else None
    lead = "to" if end else "from|at"
    stop = r"(?= (?:to|from|at|for|please|on|tomorrow|today)\b|[,.?]|$)"
    skip = r"(?!go |get |be |book |order |rent |reserve )"
    match = re.search(
        rf"\b(?:{lead}) {skip}(?:the )?(?P<t>[A-Za-z][\w' -]{{1,40}}?){stop}", utterance.timeless
    )
    return match["t"].strip() if match else None


def code_in(utterance: Said) -> str | None:
    """Return a reference such as R-001 or 1234-5678 as the caller gives it."""
    text = utterance.text
    for spoken, letter in _SPOKEN_LETTERS.items():
        text = re.sub(rf"{spoken}(?=[-ー のダッシュハイフン]*[\d〇零一二三四五六七八九])", letter, text)
    text = re.sub(r"(?<=[A-Z])(?:の|ダッシュ|ハイフン)(?=[\d〇零一二三四五六七八九])", "-", text)
    row = "〇一二三四五六七八九"
    text = re.sub(
        r"[〇零一二三四五六七八九]{2,}",
        lambda m: "".join(str(row.find(c.replace("零", "〇"))) for c in m[0]),
        text,
    )
    text = re.sub(r"(?<=\d)の(?=\d)", "-", text)
    match = _CODE.search(dates_ja.without_when(text) if utterance.japanese else text)
    if match is None:
        return None
    return re.sub(r"(?<=[A-Za-z])\s(?=\d)", "-", match[0]).upper()


def topic_in(utterance: Said, role: str) -> str | None:
    """Return the free words a search or a product slot is about."""
    japanese = utterance.japanese
    text = strip_fillers(utterance.text if role == "query" else utterance.timeless)
    patterns = (
        (_QUERY_JA if japanese else _QUERY_EN) if role == "query" else (_THING_JA if japanese else _THING_EN)
    )
    for pattern in patterns:
        match = re.search(pattern, text, 0 if japanese else re.IGNORECASE)
        if match and (topic := _tidy(match["t"], japanese)):
            return topic
    return None


def _tidy(topic: str, japanese: bool) -> str:
    if japanese:
        topic = re.split(r"[、。]", topic)[-1]
        topic = re.sub(
            r"^(?:では|じゃあ|次は|今度は|あと|それと|データベースで|ネットで|資料で|お店に)",
            "",
            strip_fillers(topic),
        )
        return re.sub(r"(?:の情報|の記事|のこと|を|が|は|に|で)$", "", topic).strip()
    topic = re.sub(r"[?.!]+$", "", topic)
    topic = re.sub(
        r",?\s+(?:please|for me|thanks|thank you|in the database|right now)$", "", topic, flags=re.IGNORECASE
    )
    return re.sub(r"^(?:the|a|an|some|any)\s+", "", topic).strip()


def value_for(
    slot: Slot, utterance: Said, asked: bool, learned: list[str], tool: Tool, fresh: bool
) -> Any | None:
    """Return what the utterance says for a slot other than time and learnt ids, or None.

    `fresh` is True when the utterance itself asks for the tool: free words are taken only then or when asked.
    """
    value = _raw_value(slot, utterance, asked, learned, tool, fresh)
    if value is None and asked and (known := slot.options or tuple(learned)):
        return known[0] if _ANY.search(utterance.text) and fits(known[0], slot.schema) else None
    if value is None and asked and slot.role in ("thing", "note", "query", "place", "unknown", "code", "id"):
        value = bare_answer(utterance.text) if slot.schema.get("type") in ("string", None) else None
    return value if value is not None and fits(value, slot.schema) else None


def _raw_value(
    slot: Slot, utterance: Said, asked: bool, learned: list[str], tool: Tool, fresh: bool
) -> Any | None:
    role = slot.role
    if (
        role == "choice"
        and len(twins := [other for other in tool.slots if other.options == slot.options]) > 1
    ):
        return _paired(slot, twins, utterance, asked)
    if role == "choice":
        return choice_in(utterance, slot.options, asked)
    if role == "list":
        return list_in(utterance, slot, asked)
    if role == "number":
        numbers = [other for other in tool.slots if other.role == "number"]
        return number_in(utterance, slot, asked or (fresh and len(numbers) == 1))
    if role == "flag":
        return flag_in(utterance, slot, asked)
    if role == "person":
        return person_in(utterance.text, asked)
    if role in ("phone", "email"):
        match = (_PHONE if role == "phone" else _EMAIL).search(utterance.text)
        return match[0].replace("の", "-") if match else None
    if role in ("code", "id"):
        return (
            code_in(utterance)
            if asked or fresh or re.search(r"番号|number|code|ID", utterance.text)
            else None
        )
    if role == "place":
        return _place_value(slot, utterance, asked, learned, tool, fresh)
    if learned and (known := choice_in(utterance, tuple(learned), asked)) is not None:
        return known
    if fresh and (role == "query" or (role == "thing" and slot.required)):
        return _free_words(slot, utterance, tool)
    return None


def _paired(slot: Slot, twins: list[Slot], utterance: Said, asked: bool) -> Any | None:
    """Return the choice of one of several slots with the same options: the first said goes into the first."""
    named = choices_in_order(utterance, slot.options)
    if len(named) >= len(twins):
        ends = {"to", "target", "destination", "end"}
        ranked = sorted(twins, key=lambda twin: bool(set(name_tokens(twin.name)) & ends))
        return named[ranked.index(slot)]
    return named[0] if named and asked else None


def _place_value(
    slot: Slot, utterance: Said, asked: bool, learned: list[str], tool: Tool, fresh: bool
) -> str | None:
    tokens = set(name_tokens(slot.name))
    rivals = [other for other in tool.slots if other.role == "place" and other.required]
    if len(rivals) > 1:
        ends = bool(tokens & {"destination", "to", "dropoff", "end", "arrival"}) or "目的" in slot.description
        found = sided_place(utterance, ends)
        if found is not None:
            return found
        return bare_answer(utterance.text) if asked else None
    if learned and (known := choice_in(utterance, tuple(learned), asked)) is not None:
        return known
    places = places_in(utterance) if asked or fresh else []
    return places[0] if places else None


def _free_words(slot: Slot, utterance: Said, tool: Tool) -> str | None:
    topic = topic_in(utterance, slot.role)
    if topic is None or as_object(slot.schema).get("format"):
        return None
    if (
        slot.role == "thing"
        and notions(topic)
        and len(topic) <= 4
        and notions(topic) <= (tool.topics | {tool.action})
    ):
        return None
    return topic
