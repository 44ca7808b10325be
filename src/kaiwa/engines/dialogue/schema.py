# ruff: noqa: E501  (rows of words and patterns; a wide character counts twice)
"""What a tool needs, read from its JSON schema: slots with roles. Knows no dialogue and no values."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, cast

from kaiwa.engines.dialogue.lexicon import ACTIONS, TOPICS, notions
from kaiwa.engines.dialogue.text import is_japanese, name_tokens
from kaiwa.events.tools import ToolSpec

Role = Literal[
    "date", "time", "datetime", "either", "days", "person", "id", "code", "choice", "number", "flag", "phone", "email",
    "place", "query", "thing", "note", "list", "unknown",
]  # fmt: skip
WHEN_ROLES = frozenset({"date", "time", "datetime", "either"})
CHANGING = frozenset({"create", "cancel", "update", "send", "pay"})
_START = {"start", "from", "begin", "since", "checkin", "in", "pickup", "departure", "depart", "after"}
_END = {"end", "until", "to", "finish", "checkout", "out", "return", "dropoff", "due", "before", "till"}
_DAY_WORDS = re.compile(
    r"\bdate\b|\bday\b|日付|開始日|終了日|年月日|YYYY-MM-DD|(?:希望|予約|利用|宿泊|返却|来店|受診)日"
)
_TIME_WORDS = re.compile(r"\btime\b|時刻|時間帯|開始時間|HH:MM|何時")
_MOMENT_WORDS = re.compile(r"date-?time|日時|ISO ?8601|timestamp|date and time|日付と時刻", re.IGNORECASE)
_PERSON = {"customer", "guest", "caller", "patient", "full", "passenger", "person", "user", "member", "contact", "client",
           "your", "reserver", "booker", "borrower", "recipient"}  # fmt: skip
_PERSON_WORDS = re.compile(
    r"氏名|お名前|名前|お客様名|person'?s name|caller'?s name|customer'?s? name|guest name|full name"
)
_PLACES = {"city", "location", "place", "area", "address", "destination", "origin", "town", "region", "pickup", "dropoff",
           "where", "station", "airport", "country", "prefecture"}  # fmt: skip
_QUERY = {
    "query",
    "q",
    "keyword",
    "keywords",
    "term",
    "topic",
    "search",
    "question",
    "subject",
    "theme",
    "phrase",
}
_NOTES = {"note", "notes", "comment", "comments", "message", "reason", "remarks", "memo", "request", "requests", "text",
          "content", "body", "description", "instructions", "symptoms"}  # fmt: skip
_CODES = {"number", "code", "no", "num", "reference", "ref", "tracking", "sku", "isbn"}
_READ_VERBS = frozenset(
    {"get", "fetch", "read", "retrieve", "list", "search", "find", "check", "lookup", "show", "view", "track"}
)
_READ_NOUNS = frozenset({"status", "availability", "history", "details", "info", "information"})
_SLOW = re.compile(
    r"slow|long.?running|takes? (?:a while|long|time|about|around|up to|\d)|時間がかか|数十秒|\d+ ?秒|\d+ ?seconds|分かか",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Slot:
    """One value a tool takes. `path` leads to it through nested objects; `side` is the end of a period.

    `whole` leads to the optional object that cannot be without this value.
    """

    path: tuple[str, ...]
    role: Role
    required: bool
    schema: dict[str, Any]
    description: str = ""
    side: Literal["", "start", "end"] = ""
    options: tuple[Any, ...] = ()
    whole: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path[-1]

    @property
    def key(self) -> str:
        return ".".join(self.path)

    def __hash__(self) -> int:
        return hash((self.path, self.role))


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool understood: its slots, what it is about and what it does."""

    name: str
    description: str
    slots: tuple[Slot, ...]
    action: str
    topics: frozenset[str]
    wording: frozenset[str]
    changes: bool
    slow: bool
    callable: bool = True
    checks: bool = False
    objects: tuple[tuple[str, ...], ...] = ()

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def required(self) -> tuple[Slot, ...]:
        return tuple(slot for slot in self.slots if slot.required)

    def slot(self, key: str) -> Slot | None:
        return next((slot for slot in self.slots if slot.key == key), None)


def tools_of(specs: tuple[ToolSpec, ...]) -> tuple[Tool, ...]:
    """Return the tools understood; the same specs are worked out once."""
    return tuple(
        _tool(spec.name, spec.description, _dumped(spec.parameters), spec.changes, spec.background)
        for spec in specs[:64]
    )


def _dumped(parameters: Any) -> str:
    return json.dumps(parameters, ensure_ascii=False, default=str)


@lru_cache(maxsize=512)
def _tool(name: str, description: str, parameters: str, changes: bool | None, background: bool) -> Tool:
    schema = as_object(json.loads(parameters))
    tokens = name_tokens(name)
    slots = _slots(schema, schema, (), True, 0)
    action = _action(tokens, description)
    words = notions(" ".join(tokens) + " " + " ".join(description.split()))
    topics = frozenset(notion for notion in words if notion in TOPICS)
    if "book" in tokens[:1]:
        topics -= {"volume"}
    return Tool(
        name=name,
        description=description,
        slots=tuple(slots),
        action=action,
        topics=topics,
        wording=_wording(tokens, description),
        changes=changes if changes is not None else action in CHANGING,
        slow=background or _SLOW.search(description) is not None,
        objects=tuple(_required_objects(schema, schema, (), 0)),
        checks=action == "check" or (action in ("search", "list", "get") and "check" in words),
        callable=schema.get("type", "object") == "object",
    )


def _action(tokens: tuple[str, ...], description: str) -> str:
    """Return what the tool does: the first verb of its name counts, then the earliest word of its description."""
    reads = bool(tokens and tokens[0] in _READ_VERBS) or bool(set(tokens) & _READ_NOUNS)
    for token in tokens:
        for action in _verbs(token):
            if not (reads and action in CHANGING):
                return action
    if reads:
        return "get"
    lead = re.split(r"[.。]", description)[0]
    found = [action for action in ACTIONS if action in notions(lead)]
    for action in (
        "cancel",
        "update",
        "convert",
        "check",
        "list",
        "status",
        "send",
        "pay",
        "create",
        "search",
    ):
        if action in found:
            return action
    return "get"


def _verbs(token: str) -> list[str]:
    found: list[str] = []
    for action, entry in ACTIONS.items():
        japanese, _, english = entry.partition("|")
        if token in english.split() or (
            is_japanese(token) and any(word in token for word in japanese.split())
        ):
            found.append(action)
    return found


def _wording(tokens: tuple[str, ...], description: str) -> frozenset[str]:
    """Return the content words of a tool that a caller may well use, as they are written."""
    skip = {
        "get",
        "the",
        "and",
        "for",
        "with",
        "from",
        "this",
        "that",
        "tool",
        "returns",
        "return",
        "given",
        "user",
    }
    english = set(re.findall(r"[a-z]{4,}", description.lower())) | {t for t in tokens if len(t) > 3}
    japanese = set(re.findall(r"[\u4e00-\u9fff]{2,6}|[\u30a1-\u30fcー]{3,}", description))
    generic = {
        "指定",
        "取得",
        "返します",
        "日時",
        "情報",
        "場合",
        "必須",
        "利用",
        "可能",
        "日付",
        "一覧",
        "確認",
        "検索",
        "時間",
    }
    return frozenset((english - skip) | (japanese - generic))


def as_object(value: Any) -> dict[str, Any]:
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def resolved(schema: Any, root: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    """Return a schema with references followed and optional unions opened to their first real member."""
    node = as_object(schema)
    if depth > 8:
        return {}
    if isinstance(reference := node.get("$ref"), str) and reference.startswith("#/"):
        target: Any = root
        for part in reference[2:].split("/"):
            target = as_object(target).get(part)
        return {**resolved(target, root, depth + 1), **{k: v for k, v in node.items() if k != "$ref"}}
    for union in ("anyOf", "oneOf"):
        members = node.get(union)
        if isinstance(members, list):
            real = [as_object(m) for m in cast(list[Any], members) if as_object(m).get("type") != "null"]
            if real:
                rest = {k: v for k, v in node.items() if k != union}
                return {**resolved(real[0], root, depth + 1), **rest}
    parts = node.get("allOf")
    if isinstance(parts, list):
        whole: dict[str, Any] = {k: v for k, v in node.items() if k != "allOf"}
        for part in cast(list[Any], parts):
            whole = {**resolved(part, root, depth + 1), **whole}
        return whole
    kinds = node.get("type")
    if isinstance(kinds, list):
        real_kinds = [kind for kind in cast(list[Any], kinds) if kind != "null"]
        return {**node, "type": real_kinds[0] if real_kinds else "null"}
    return node


def _slots(
    node: dict[str, Any],
    root: dict[str, Any],
    path: tuple[str, ...],
    required: bool,
    depth: int,
    whole: tuple[str, ...] = (),
) -> list[Slot]:
    needed = node.get("required")
    needed_names = {str(name) for name in cast(list[Any], needed)} if isinstance(needed, list) else set[str]()
    found: list[Slot] = []
    properties = as_object(node.get("properties"))
    for name, raw in list(properties.items())[:40]:
        schema = resolved(raw, root)
        must = required and name in needed_names
        here = (*path, name)
        if schema.get("type") == "object" and as_object(schema.get("properties")) and depth < 3:
            found += _slots(
                schema, root, here, must, depth + 1, () if must else whole if name in needed_names else here
            )
        else:
            if isinstance(schema.get("items"), dict):
                schema = {**schema, "items": resolved(schema["items"], root)}
            slot = _slot(here, schema, must)
            found.append(replace(slot, whole=whole) if whole and name in needed_names else slot)
    missing = needed_names - set(properties)
    found += [
        Slot(path=(*path, name), role="unknown", required=required, schema={}, whole=whole)
        for name in sorted(missing)
    ]
    return found


def _required_objects(
    node: dict[str, Any], root: dict[str, Any], path: tuple[str, ...], depth: int
) -> list[tuple[str, ...]]:
    """Return the objects that must be there even when they stay empty."""
    found: list[tuple[str, ...]] = []
    needed = node.get("required")
    for name in cast(list[Any], needed) if isinstance(needed, list) and depth < 3 else []:
        inner = resolved(as_object(node.get("properties")).get(name), root)
        if inner.get("type") == "object" and as_object(inner.get("properties")):
            found += [(*path, str(name)), *_required_objects(inner, root, (*path, str(name)), depth + 1)]
    return found


def _slot(path: tuple[str, ...], schema: dict[str, Any], required: bool) -> Slot:
    name, description = path[-1], str(schema.get("description") or schema.get("title") or "")
    tokens = name_tokens(name)
    options = _options(schema)
    role = _role(tokens, description, schema, options)
    side: Literal["", "start", "end"] = ""
    if role in WHEN_ROLES:
        side = "end" if _is_end(tokens, description) else "start"
    return Slot(path, role, required, schema, description, side, options)


def _is_end(tokens: tuple[str, ...], description: str) -> bool:
    if set(tokens) & _END and not (set(tokens) & {"start", "begin"}):
        return True
    return re.search(r"終了|返却|チェックアウト|まで|\bend\b|\breturn\b", description) is not None and not (
        set(tokens) & _START
    )


def _options(schema: dict[str, Any]) -> tuple[Any, ...]:
    if "const" in schema:
        return (schema["const"],)
    for node in (schema, as_object(schema.get("items"))):
        if isinstance(node.get("enum"), list):
            return tuple(value for value in cast(list[Any], node["enum"]) if value is not None)
    return ()


def _role(
    tokens: tuple[str, ...], description: str, schema: dict[str, Any], options: tuple[Any, ...]
) -> Role:
    kind = schema.get("type")
    if kind == "array":
        return "list" if as_object(schema.get("items")).get("type", "string") == "string" else "unknown"
    if options:
        return "choice"
    if kind == "boolean":
        return "flag"
    if kind == "integer" and tokens[-1:] == ("id",):
        return "id"
    if kind in ("integer", "number"):
        return "days" if {"nights", "泊数"} & set(tokens) or "泊" in description else "number"
    if kind not in ("string", None):
        return "unknown"
    return _string_role(tokens, description, str(schema.get("format") or ""))


def _string_role(tokens: tuple[str, ...], description: str, form: str) -> Role:
    words = set(tokens)
    joined = " ".join(tokens)
    formats: dict[str, Role] = {"date": "date", "time": "time", "date-time": "datetime", "email": "email"}
    if form in formats:
        return formats[form]
    if (when := _when_role(words, joined, description)) is not None:
        return when
    if "email" in words or "メールアドレス" in description:
        return "email"
    if words & {"phone", "tel", "telephone", "mobile"} or "電話番号" in description:
        return "phone"
    if tokens and (tokens[-1] in ("id", "ids") or description.upper().endswith("ID")):
        return "id"
    if words & _CODES or re.search(r"番号", description):
        return "code"
    person = ("name" in words and (words & _PERSON or len(words) == 1)) or _PERSON_WORDS.search(description)
    if person and not re.search(
        r"商品|製品|都市|ホテル|店|book|product|city|item|hotel", description.lower()
    ):
        return "person"
    if words & _QUERY or re.search(r"キーワード|検索語|検索する|search (?:term|query)", description):
        return "query"
    if words & _PLACES or re.search(r"都市|場所|住所|地名|目的地|\bcity\b|駅名", description):
        return "place"
    return "note" if words & _NOTES else "thing"


def _when_role(words: set[str], joined: str, description: str) -> Role | None:
    dayish = bool(words & {"date", "day", "checkin", "checkout"}) or "日付" in joined or "check in" in joined
    dayish = dayish or "check out" in joined
    timeish = bool(words & {"time", "hour"}) or "時刻" in joined
    momentish = bool(words & {"datetime", "when", "timestamp"}) or bool(words & {"at"} and len(words) > 1)
    sided = bool(words & {"start", "end", "begin", "from", "to", "until", "日時"})
    if momentish or ((dayish or timeish or sided) and _MOMENT_WORDS.search(description)):
        return "date" if re.search(r"YYYY-MM-DD(?!T)", description) and not momentish else "datetime"
    if dayish and timeish:
        return "datetime"
    if dayish:
        return "date" if re.search(r"YYYY-MM-DD|only|日付のみ", description) else "either"
    if timeish:
        return "time"
    if _MOMENT_WORDS.search(description):
        return "datetime"
    if _TIME_WORDS.search(description) and sided:
        return "time"
    if sided and (_DAY_WORDS.search(description) or words <= {"start", "end", "begin", "until"}):
        return "either"
    return (
        "date"
        if _DAY_WORDS.search(description) and not is_japanese(joined) and len(description) < 60
        else None
    )
