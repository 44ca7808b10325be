# ruff: noqa: E501  (rows of words and patterns; a wide character counts twice)
"""People's names in what was said. Knows how people introduce themselves; knows no slot."""

from __future__ import annotations

import re

from kaiwa.engines.dialogue.text import is_japanese, normalize, strip_fillers, words

_INTRODUCED = re.compile(
    r"(?:(?:お?名前|氏名|名義|予約名|代表者)は|(?:わたし|わたくし|私|僕|ぼく)は)?[、 ]*"
    r"(?P<name>[^\s、。はがをに\d]{2,12}?)(?:と(?:申し|もうし|言い|いい)ます)"
)
_NAMED = re.compile(
    r"(?:お?名前|氏名|名義|予約名|代表者名?)(?:は|が|を)[、 ]*(?P<name>[^\s、。\d]{2,12}?)(?:です|で(?!す)|になり|。|$|、|に)"
)
_COPULA = re.compile(
    r"(?:(?:と|って)(?:申し|もうし|言い|いい)ます|でございます|です|だ|でお願い(?:いた)?します|で予約.*|でお願い.*|さんです|でいいです)?(?:けど|が|ね|よ)?[。!．.\s]*$"
)
_LEAD = re.compile(
    r"^(?:はい|ええ|うん|えっと|えーと|あの|予約名は|名義は|お?名前は|氏名は|わたしは|私は|僕は|いや|いいえ|違います|違って)[、。\s]*"
)
_NOT_NAME = re.compile(
    r"お願い|ください|どう|何|いつ|分から|わから|すみません|ありがと|です|ます|して|たい|[?？]|まで|から|時|はい|いいえ"
)
_ENGLISH = re.compile(
    r"\b(?:my name is|my name's|name is|the name is|under the name(?: of)?|this is|under|i am|i'm|call me|it's for|put it under)\s+"
    r"(?P<name>[A-Za-z][A-Za-z'.-]+(?:\s+[A-Z][A-Za-z'-]+){0,2})",
    re.IGNORECASE,
)  # fmt: skip
_NOT_ENGLISH = {
    "looking", "calling", "fine", "good", "sorry", "here", "interested", "trying", "not", "in", "a", "an", "the", "going", "just",
    "sure", "afraid", "planning", "staying", "very", "so", "yes", "no", "ok", "okay", "please", "right", "wrong", "what",
}  # fmt: skip


def person_in(text: str, asked: bool) -> str | None:
    """Return the name a person gives. When a name was asked for, the bare answer counts too."""
    text = normalize(text)
    if not is_japanese(text):
        return _english(text, asked)
    for pattern in (_INTRODUCED, _NAMED):
        match = pattern.search(text)
        if match and not _NOT_NAME.search(match["name"]):
            return _clean(match["name"])
    if found := _by_words(text, asked):
        return found
    if not asked:
        return None
    bare = _COPULA.sub("", _LEAD.sub("", strip_fillers(text)))
    bare = _clean(bare)
    plausible = 1 < len(bare) <= 14 and not _NOT_NAME.search(bare) and not re.search(r"\d|[、。]", bare)
    return bare if plausible else None


def _by_words(text: str, asked: bool) -> str | None:
    """Return a family and given name that the dictionary knows, if it stands as a statement."""
    run: list[str] = []
    kinds: list[str] = []
    for word in (*words(text), None):
        if word is not None and word.kind[2] == "人名":
            run.append(word.text)
            kinds.append(word.kind[3])
            continue
        if run:
            stated = word is None or word.text in ("です", "と", "で", "、", "。", "さん", "様", "の", "名義")
            if stated and ("姓" in kinds and "名" in kinds):
                return "".join(run)
            if (
                asked
                and stated
                and re.search(r"(?:です|と申します|と言います)?[。]?$", text)
                and len(text) <= len("".join(run)) + 8
            ):
                return "".join(run)
        run, kinds = [], []
    return None


def _clean(name: str) -> str:
    return re.sub(r"(?:さん|様|さま)$", "", re.sub(r"\s+", " ", name)).strip(" 、。「」")


def _english(text: str, asked: bool) -> str | None:
    match = _ENGLISH.search(text)
    if match and match["name"].split()[0].lower() not in _NOT_ENGLISH:
        name = " ".join(
            part for part in match["name"].split() if part.lower() not in ("and", "please", "from")
        )
        if asked or name[:1].isupper() or "name" in match[0].lower():
            return _titled(name)
    bare = re.sub(
        r"^(?:yes|sure|ok|okay|it's|its|it is|the name|that's)[,.]?\s+",
        "",
        strip_fillers(text),
        flags=re.IGNORECASE,
    )
    bare = re.sub(r"[,.]?\s*(?:please|thanks|thank you)?[.!]*$", "", bare, flags=re.IGNORECASE)
    plausible = re.fullmatch(r"[A-Za-z][A-Za-z'.-]*(?: [A-Za-z][A-Za-z'.-]*){0,3}", bare)
    if asked and plausible and not {part.lower() for part in bare.split()} & _NOT_ENGLISH:
        return _titled(bare)
    return None


def _titled(name: str) -> str:
    name = name.strip(" .,")
    return name if any(char.isupper() for char in name) else name.title()
