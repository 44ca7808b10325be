"""What tool results taught: objects with ids and labels, and the values seen under each key."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, cast

from kaiwa.engines.dialogue.lexicon import notions
from kaiwa.engines.dialogue.numerals import ordinal_in
from kaiwa.engines.dialogue.schema import Slot, Tool
from kaiwa.engines.dialogue.text import heard_ratio, longest_common, name_tokens, normalize, reading

_LABELS = ("name", "title", "label", "displayName", "display_name", "fullName", "名前", "名称", "店名")
_PLAIN_IDS = ("id", "code", "number", "no", "sku", "key", "uuid", "slug")
_ID_KEY = re.compile(r"(?:Id|ID|_id|Number|_number|Code|_code|番号)$")


@dataclass(frozen=True, slots=True)
class Entity:
    """An object of a result. `group` is the key of the list it stood in, `source` the tool that gave it."""

    source: str
    group: str
    depth: int
    id_key: str
    id: Any
    label: str
    fields: dict[str, Any] = field(hash=False)


def parsed(output: str) -> Any:
    """Return the JSON value of a tool's output, or the text itself."""
    try:
        return json.loads(output)
    except (ValueError, RecursionError):
        return output


def label_of(fields: dict[str, Any]) -> str | None:
    for key in _LABELS:
        if isinstance(fields.get(key), str) and fields[key].strip():
            return str(fields[key]).strip()
    for key, value in fields.items():
        if name_tokens(key)[-1:] in (("name",), ("title",)) and isinstance(value, str) and value.strip():
            return value.strip()
    return None


def id_of(fields: dict[str, Any]) -> tuple[str, Any] | None:
    for key in (*_PLAIN_IDS, *(key for key in fields if _ID_KEY.search(key))):
        value = fields.get(key)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
            return key, value
    return None


def entities_of(value: Any, source: str, group: str = "", depth: int = 0) -> list[Entity]:
    """Return the objects of a result, outermost first."""
    if depth > 5:
        return []
    found: list[Entity] = []
    if isinstance(value, list):
        for row in cast(list[Any], value)[:100]:
            found += entities_of(row, source, group, depth)
        return found
    if not isinstance(value, dict):
        return found
    fields = cast(dict[str, Any], value)
    known = id_of(fields)
    label = label_of(fields)
    if known or label:
        key, identity = known or ("", label)
        found.append(Entity(source, group, depth, key, identity, label or str(identity), fields))
    for key, inner in fields.items():
        if isinstance(inner, (list, dict)):
            found += entities_of(inner, source, str(key), depth + (1 if known else 0))
    return found


def values_under(value: Any, seen: dict[str, list[str]], depth: int = 0) -> None:
    """Add every short string of a result to `seen` under its key."""
    if depth > 6:
        return
    if isinstance(value, list):
        for row in cast(list[Any], value)[:100]:
            values_under(row, seen, depth + 1)
    elif isinstance(value, dict):
        for key, inner in cast(dict[str, Any], value).items():
            rows = cast(list[Any], inner) if isinstance(inner, list) else [inner]
            for row in rows[:100]:
                if isinstance(row, str) and 0 < len(row) <= 40 and row not in seen.setdefault(str(key), []):
                    seen[str(key)].append(row)
            values_under(inner, seen, depth + 1)


def _singular(word: str) -> str:
    return word[:-3] + "y" if word.endswith("ies") else word[:-1] if word.endswith("s") else word


def provides(source: Tool, slot: Slot) -> bool:
    """Return whether a tool's name or description promises what an id slot asks for."""
    nouns = {token for token in name_tokens(slot.name) if token not in ("id", "ids")}
    about = {_singular(token) for token in name_tokens(source.name)}
    if nouns & about:
        return True
    return bool(
        notions(" ".join(nouns)) & (notions(" ".join(about)) | source.topics) - {"list", "search", "create"}
    )


def options_for(slot: Slot, entities: list[Entity], tools: dict[str, Tool]) -> list[Entity]:
    """Return the objects an id slot may mean, those of the latest fitting result."""
    nouns = {token for token in name_tokens(slot.name) if token not in ("id", "ids")}
    fitting: list[Entity] = []
    for entity in entities:
        direct = slot.name == entity.id_key or name_tokens(slot.name) == name_tokens(entity.id_key)
        group = {_singular(token) for token in name_tokens(entity.group)}
        source = tools.get(entity.source)
        plain = entity.id_key in _PLAIN_IDS and (
            bool(nouns & group) or (entity.depth == 0 and source is not None and provides(source, slot))
        )
        if direct or plain:
            fitting.append(entity)
    if any(entity.label != str(entity.id) for entity in fitting):
        fitting = [entity for entity in fitting if entity.label != str(entity.id)]
    latest = fitting[-1].source if fitting else ""
    unique = {str(entity.id): entity for entity in fitting if entity.source == latest}
    return list(unique.values())


def match_entity(said: str, options: list[Entity], asked: bool) -> Entity | None:
    """Return the one object the words point at: by label, by sound, by place in the list when asked."""
    text = normalize(said)
    for entity in options:
        if len(entity.label) > 1 and entity.label.lower() in text.lower():
            return entity
        if re.search(rf"(?<![A-Za-z0-9]){re.escape(str(entity.id))}(?![A-Za-z0-9])", text, re.IGNORECASE):
            return entity
    distinct = _distinctive([entity.label for entity in options])
    sounds = [reading(part) for part in distinct]
    heard = reading(text)
    ranked = sorted(
        (heard_ratio(sound, heard) if len(sound) > 2 else 1.0, i) for i, sound in enumerate(sounds)
    )
    if ranked and ranked[0][0] <= 0.2 and (len(ranked) == 1 or ranked[1][0] - ranked[0][0] > 0.05):
        return options[ranked[0][1]]
    if not asked:
        return None
    position = ordinal_in(text, len(options))
    if position is not None:
        return options[position]
    return _by_part(options, sounds, heard, text)


def _by_part(options: list[Entity], sounds: list[str], heard: str, text: str) -> Entity | None:
    shared = sorted(((len(longest_common(sound, heard)), i) for i, sound in enumerate(sounds)), reverse=True)
    if shared and shared[0][0] >= 3 and (len(shared) == 1 or shared[0][0] > shared[1][0]):
        return options[shared[0][1]]
    for size in (4, 3, 2):
        for start in range(max(len(text) - size + 1, 0)):
            piece = text[start : start + size]
            if not re.fullmatch(r"[\u4e00-\u9fff]+", piece):
                continue
            holders = [entity for entity in options if piece in json.dumps(entity.fields, ensure_ascii=False)]
            if len(holders) == 1:
                return holders[0]
    return None


def _distinctive(labels: list[str]) -> list[str]:
    """Return the labels without the beginning and the end that all of them share."""
    if len(labels) < 2:
        return labels
    start = 0
    while all(len(label) > start + 2 and label[start] == labels[0][start] for label in labels):
        start += 1
    if start and re.search(r"[A-Za-z]", labels[0][:start]):
        start = labels[0][:start].rfind(" ") + 1
    end = 0
    while all(len(label) - start > end + 2 and label[-end - 1] == labels[0][-end - 1] for label in labels):
        end += 1
    if end and re.search(r"[A-Za-z]", labels[0]):
        tail = labels[0][-end:]
        end = len(tail) - tail.index(" ") if " " in tail else 0
    return [label[start : len(label) - end].strip() for label in labels]
