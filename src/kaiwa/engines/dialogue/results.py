# ruff: noqa: E501  (rows of words and patterns; a wide character counts twice)
"""Tool results as short spoken sentences. Says only what the result says; knows no particular tool."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, cast

from kaiwa.engines.dialogue.learned import label_of
from kaiwa.engines.dialogue.lexicon import label_ja, notions
from kaiwa.engines.dialogue.phrases import joined, phrase, say, spoken
from kaiwa.engines.dialogue.schema import Slot, Tool
from kaiwa.engines.dialogue.text import is_japanese, name_tokens

_NAMED_LIMIT = 4
_TYPE_KEYS = ("type", "category", "kind", "class")
_SKIP = {
    "success",
    "ok",
    "query",
    "timestamp",
    "language",
    "currency",
    "unit",
    "units",
    "lang",
    "count",
    "total_count",
    "id",
    "status_code",
    "source",
}
_SKIP_TOKENS = {"id", "uuid", "url", "lat", "lon", "latitude", "longitude", "timezone"}
_PLACE_KEYS = ("city", "location", "place", "area", "region", "product", "item", "title", "name")
_UNIT_TOKENS = {"c", "f", "percent", "jpy", "yen", "usd"}
_UNITS_JA = {
    "car": "台",
    "taxi": "台",
    "volume": "冊",
    "room": "室",
    "location": "店舗",
    "hotel": "軒",
    "table": "席",
    "pizza": "種類",
}
_COUNT_LABELS_EN = {
    "car": "cars",
    "location": "shops",
    "room": "rooms",
    "hotel": "hotels",
    "volume": "books",
    "table": "tables",
}


def is_error(value: Any) -> bool:
    """Return whether a result reports a failure."""
    if isinstance(value, dict):
        fields = cast(dict[str, Any], value)
        if fields.get("error") or fields.get("errors") or fields.get("isError") is True:
            return True
        if fields.get("success") is False or fields.get("ok") is False:
            return True
        return str(fields.get("status", "")).lower() in ("error", "failed", "failure")
    return (
        isinstance(value, str)
        and re.match(r"(?i)\s*(?:error|exception|failed|エラー|失敗)\b", value) is not None
    )


def main_list(value: Any, depth: int = 0) -> tuple[str, list[Any]] | None:
    """Return the list a result is about, with its key: the first, outermost one."""
    if isinstance(value, list):
        return "", cast(list[Any], value)
    if not isinstance(value, dict) or depth > 3:
        return None
    fields = cast(dict[str, Any], value)
    lists = [(str(key), cast(list[Any], inner)) for key, inner in fields.items() if isinstance(inner, list)]
    if lists:
        return max(lists, key=lambda pair: len(pair[1]) > 0)
    for inner in fields.values():
        if isinstance(inner, dict) and (found := main_list(inner, depth + 1)) is not None:
            return found
    return None


def is_empty(value: Any) -> bool:
    """Return whether a result says that there is nothing."""
    if value is None or value in ("", [], {}):
        return True
    if isinstance(value, dict):
        fields = cast(dict[str, Any], value)
        if fields.get("available") is False or fields.get("isAvailable") is False:
            return True
        found = main_list(fields)
        if found is not None:
            return not found[1]
        return any(
            fields.get(key) == 0 for key in ("count", "available", "availableCount", "remaining", "total")
        )
    return False


def groups(value: Any, key: str | None = None) -> Counter[str]:
    """Return how many objects of each type a result lists, by `key` or by a field that names a type."""
    found = main_list(value)
    counted: Counter[str] = Counter()
    for row in (found[1] if found else [])[:500]:
        if isinstance(row, dict):
            fields = cast(dict[str, Any], row)
            name = key if key in fields else _type_key(fields) if key is None else None
            kind = fields.get(name) if name else None
            if isinstance(kind, str):
                amount = next(
                    (fields[k] for k in ("count", "available", "quantity") if type(fields.get(k)) is int), 1
                )
                counted[kind] += int(amount)
    return counted


def _type_key(fields: dict[str, Any]) -> str | None:
    return next((key for key in fields if name_tokens(key)[-1:] and name_tokens(key)[-1] in _TYPE_KEYS), None)


def speak(value: Any, tool: Tool | None, arguments: dict[str, Any], language: str) -> str:
    """Return a result in one to three sentences."""
    if is_error(value):
        return speak_error(value, language)
    if isinstance(value, str):
        return _sentence(_shortened(spoken(value, language)), language)
    if isinstance(value, dict) and tool is not None and tool.changes:
        return speak_done(cast(dict[str, Any], value), tool, language)
    if is_empty(value):
        key = "no_free" if tool is not None and tool.checks else "none"
        return phrase(language, key)
    found = main_list(value)
    if found is not None:
        return _speak_list(found[0], found[1], tool, language)
    if isinstance(value, dict):
        return _speak_fields(cast(dict[str, Any], value), arguments, language) or phrase(language, "ok")
    answer = say(value, language)
    return _sentence(f"{answer}です" if language == "ja" else f"The answer is {answer}", language)


def speak_error(value: Any, language: str) -> str:
    """Return an apology, with the reason only when it is a sentence in the caller's language."""
    reason = ""
    if isinstance(value, dict):
        fields = cast(dict[str, Any], value)
        raw = fields.get("message") or fields.get("error") or ""
        inner = cast(dict[str, Any], raw).get("message") if isinstance(raw, dict) else raw
        reason = inner if isinstance(inner, str) else ""
    readable = is_japanese(reason) == (language == "ja") and not re.search(
        r"[{}<>_]|Error|Exception|Traceback", reason
    )
    said = (
        _sentence(_shortened(spoken(reason, language)), language)
        if reason and readable and len(reason) < 120
        else ""
    )
    apology = (
        phrase(language, "error")
        if not said
        else ("申し訳ございません。" if language == "ja" else "I'm sorry.") + _gap(language) + said
    )
    return apology + _gap(language) + phrase(language, "retry")


def speak_done(fields: dict[str, Any], tool: Tool, language: str) -> str:
    """Return that a change was made, with the number it got, or the tool's own words for an undoing."""
    own = fields.get("message")
    if (
        tool.action in ("cancel", "update")
        and isinstance(own, str)
        and is_japanese(own) == (language == "ja")
    ):
        return _sentence(_shortened(spoken(own, language)), language)
    said = phrase(language, "done", action=action_noun(tool, language))
    for key, value in _flat(fields):
        tokens = name_tokens(key)
        if (
            tokens[-1:]
            and tokens[-1] in ("id", "number", "code", "no", "reference")
            and isinstance(value, (str, int))
        ):
            if _names_other(tokens, tool):
                continue
            label = number_label(tokens, tool, language)
            said += f"{label}は{value}です。" if language == "ja" else f" Your {label} is {value}."
            break
    keys = [
        (k, v)
        for k, v in _flat(fields)
        if set(name_tokens(k)) & {"total", "price", "eta", "due", "arrival", "fare", "minutes"}
    ]
    return said + _gap(language) * bool(keys) + _pairs(keys[:2], language)


def _names_other(tokens: tuple[str, ...], tool: Tool) -> bool:
    """Return whether an id belongs to something the caller gave, not to what was made."""
    given = {name_tokens(slot.name) for slot in tool.slots}
    return tokens in given and len(tokens) > 1


def number_label(tokens: tuple[str, ...], tool: Tool, language: str) -> str:
    if language == "en":
        noun = " ".join(token for token in tokens if token not in ("id", "number", "no"))
        return noun if "code" in tokens else f"{noun or action_noun(tool, 'en')} number"
    noun = label_ja(tuple(token for token in tokens if token not in ("id", "number", "no")))
    if noun:
        return noun if noun.endswith(("番号", "コード")) else f"{noun}番号"
    return f"{action_noun(tool, 'ja').lstrip('ご')}番号"


def action_noun(tool: Tool, language: str) -> str:
    """Return what a changing tool does, as a noun for Japanese and a noun for English."""
    words = set(name_tokens(tool.name)) | set(re.findall(r"[a-z]+", tool.description.lower()))
    table = (
        ("cancel", "取り消し", "cancellation"), ("update", "変更", "change"), ("send", "送信", "message"), ("pay", "お支払い", "payment"),
    )  # fmt: skip
    for action, japanese, english in table:
        if tool.action == action:
            return japanese if language == "ja" else english
    if words & {"order"} or "注文" in tool.description:
        return "ご注文" if language == "ja" else "order"
    if words & {"loan", "borrow", "lend"} or "貸出" in tool.description:
        return "貸出のお手続き" if language == "ja" else "loan"
    if words & {"taxi", "cab", "ride"} or "配車" in tool.description:
        return "配車の手配" if language == "ja" else "ride"
    booking = (
        words & {"book", "reserve", "reservation", "booking", "appointment", "rent"}
        or "予約" in tool.description
    )
    if booking:
        return "ご予約" if language == "ja" else "booking"
    return "お手続き" if language == "ja" else "request"


def _speak_list(key: str, rows: list[Any], tool: Tool | None, language: str) -> str:
    objects = [cast(dict[str, Any], row) for row in rows if isinstance(row, dict)]
    if not objects:
        shown = [say(row, language) for row in rows[:_NAMED_LIMIT] if not isinstance(row, list)]
        return _named(shown, len(rows), _unit(key, tool, language), language, tool)
    names = [label_of(fields) for fields in objects]
    typed = groups(objects)
    if typed and not all(names):
        return say_groups(typed, _unit(key, tool, language), language)
    if all(names):
        shown = [
            _named_detail(str(name), fields, language) for name, fields in zip(names, objects, strict=True)
        ][:_NAMED_LIMIT]
        said = _named(shown, len(objects), _unit(key, tool, language), language, tool)
        return said + _gap(language) + _summary(objects[0], language) if len(objects) == 1 else said
    lines = [_pairs(_salient(fields)[:2], language).rstrip("。.") for fields in objects[:_NAMED_LIMIT]]
    return _named([line for line in lines if line], len(objects), _unit(key, tool, language), language, tool)


def _summary(fields: dict[str, Any], language: str) -> str:
    """Return the summary of a lone hit, when it is in the caller's language."""
    text = next(
        (fields[key] for key in ("summary", "description", "snippet") if isinstance(fields.get(key), str)), ""
    )
    return (
        _sentence(_shortened(spoken(text, language)), language)
        if is_japanese(text) == (language == "ja")
        else ""
    )


def _named_detail(name: str, fields: dict[str, Any], language: str) -> str:
    """Return a name with its price or rest, when the row gives one."""
    for key, value in fields.items():
        tokens = set(name_tokens(key))
        if tokens & {"price", "fee", "rate", "stock", "quantity", "remaining"} and type(value) in (
            int,
            float,
        ):
            return (
                f"{name}({_value(key, value, fields, language)})"
                if language == "en"
                else f"{name}、{_value(key, value, fields, language)}"
            )
    return spoken(name, language)


def _named(shown: list[str], count: int, unit: str, language: str, tool: Tool | None) -> str:
    separator = "。" if any("、" in part for part in shown) else "、"
    if language == "ja":
        rest = "など" if count > len(shown) else ""
        head = f"{count}{unit}ございます。" if unit != "件" else f"{count}件見つかりました。"
        if not shown:
            return head
        body = separator.join(shown) if len(shown) != 2 or separator == "。" else "と".join(shown)
        return f"{head}{body}{rest}です。"
    if not shown:
        return phrase("en", "found", count=count)
    listing = joined(shown, "en") if count <= len(shown) else ", ".join(shown) + " and more"
    return f"I found {count}{(' ' + unit) if unit and count > 1 else ''}: {listing}."


def say_groups(counted: Counter[str], unit: str, language: str) -> str:
    """Return the kinds with their counts: コンパクトが2台、ミニバンが1台ございます。"""
    if language == "ja":
        unit = "つ" if unit == "店舗" else unit
        return (
            "、".join(f"{say(kind, 'ja')}が{n}{unit}" for kind, n in counted.most_common(6)) + "ございます。"
        )
    parts = [f"{n} {say(kind, 'en')}" for kind, n in counted.most_common(6)]
    return f"There {'is' if sum(counted.values()) == 1 else 'are'} {joined(parts, 'en')} available."


def _unit(key: str, tool: Tool | None, language: str) -> str:
    about = notions(" ".join(name_tokens(key))) or (
        notions(" ".join(name_tokens(tool.name))) if tool is not None else frozenset()
    )
    table = _UNITS_JA if language == "ja" else _COUNT_LABELS_EN
    return next((unit for notion, unit in table.items() if notion in about), "件" if language == "ja" else "")


def _flat(fields: dict[str, Any], depth: int = 0) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in fields.items():
        if isinstance(value, dict) and depth < 2:
            found += _flat(cast(dict[str, Any], value), depth + 1)
        elif isinstance(value, (str, int, float)) and value != "":
            found.append((str(key), value))
    return found


def _salient(fields: dict[str, Any]) -> list[tuple[str, Any]]:
    return [
        (k, v)
        for k, v in _flat(fields)
        if k.lower() not in _SKIP and not set(name_tokens(k)) & _SKIP_TOKENS and type(v) is not bool
    ]


def _speak_fields(fields: dict[str, Any], arguments: dict[str, Any], language: str) -> str:
    given = {str(value) for value in arguments.values()}
    subject = next((str(fields[k]) for k in _PLACE_KEYS if isinstance(fields.get(k), str)), "")
    subject = subject or next(
        (
            str(value)
            for key, value in arguments.items()
            if isinstance(value, str) and key.lower() in _PLACE_KEYS
        ),
        "",
    )
    message = next(
        (fields[k] for k in ("message", "summary", "answer", "text") if isinstance(fields.get(k), str)), None
    )
    if message and is_japanese(message) == (language == "ja"):
        return _sentence(_shortened(spoken(message, language)), language)
    pairs = [
        (key, value)
        for key, value in _salient(fields)
        if str(value) != subject
        and not _is_day(key, value)
        and not (str(value) in given and len(_salient(fields)) > 1)
    ]
    body = _pairs(pairs[:4], language, fields)
    day = next((spoken(str(value), language) for key, value in _salient(fields) if _is_day(key, value)), "")
    if not body or not (subject or day):
        return body
    if language == "ja":
        return (
            "".join(
                f"{part}は、" if part == subject else f"{part}、"
                for part in (subject and spoken(subject, "ja"), day)
                if part
            )
            + body
        )
    return f"For {spoken(subject, 'en')}{', ' * bool(subject and day)}{day}: {body}"


def _is_day(key: str, value: Any) -> bool:
    return (
        name_tokens(key)[-1:] in (("date",), ("day",))
        and isinstance(value, str)
        and re.match(r"\d{4}-\d{2}-\d{2}", value) is not None
    )


def _pairs(pairs: list[tuple[str, Any]], language: str, fields: dict[str, Any] | None = None) -> str:
    said: list[str] = []
    for key, value in pairs:
        plain = " ".join(token for token in name_tokens(key) if token not in _UNIT_TOKENS) or key
        label = (label_ja(name_tokens(key)) if language == "ja" else None) or plain
        shown = _value(key, value, fields or {}, language)
        said.append(f"{label}は{shown}" if language == "ja" else f"the {label} is {shown}")
    if not said:
        return ""
    return "、".join(said) + "です。" if language == "ja" else _capital(", ".join(said)) + "."


def _value(key: str, value: Any, fields: dict[str, Any], language: str) -> str:
    tokens = set(name_tokens(key))
    said = say(value, language)
    if type(value) not in (int, float):
        return said
    if tokens & {"temperature", "temp", "high", "low"}:
        return f"{said}度" if language == "ja" else f"{said} degrees"
    if tokens & {"humidity", "probability", "percent"}:
        return f"{said}パーセント" if language == "ja" else f"{said} percent"
    if tokens & {"minutes"}:
        return f"{said}分" if language == "ja" else f"{said} minutes"
    currency = str(fields.get("currency", "")).upper()
    if tokens & {"yen", "jpy"} or (
        currency == "JPY" and tokens & {"price", "total", "fee", "amount", "fare"}
    ):
        return f"{said}円" if language == "ja" else f"{said} yen"
    return said


def _sentence(text: str, language: str) -> str:
    text = text.strip()
    if not text or text[-1] in "。.!?！？":
        return text
    return text + ("。" if language == "ja" else ".")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _shortened(text: str) -> str:
    """Return the first sentences of a long text, enough to be listened to."""
    text = " ".join(text.split())
    if len(text) <= 240:
        return text
    cut = max(text.rfind(mark, 0, 240) for mark in ("。", ". ", "！", "？"))
    return text[: cut + 1] if cut > 40 else text[:240]


def _gap(language: str) -> str:
    return "" if language == "ja" else " "


def slot_label(slot: Slot, language: str) -> str:
    """Return what a slot is called when asking for it."""
    tokens = name_tokens(slot.name)
    plain = tuple(token for token in tokens if token not in ("id", "ids")) or tokens
    if language == "en":
        return " ".join(plain)
    short = re.split(r"[。、（(:：,]", slot.description)[0].strip()
    if is_japanese(short) and len(short) <= 12:
        return re.sub(r"(?:の?ID|を指定.*)$", "", short) or short
    return label_ja(plain) or ("ご希望の内容" if not is_japanese(slot.name) else slot.name)
