# ruff: noqa: E501  (rows of words and patterns; a wide character counts twice)
"""Whether a value may stand in an argument. Knows the JSON schema words that tools use, and no more."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any, cast

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "array": (list,), "object": (dict,),
    "null": (type(None),),
}  # fmt: skip


def fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Return whether the value satisfies the schema's type, choices, bounds, pattern and format."""
    kinds = schema.get("type")
    wanted = cast(list[Any], kinds) if isinstance(kinds, list) else [kinds]
    if kinds is not None and not any(_is_type(value, str(kind)) for kind in wanted):
        return False
    if isinstance(schema.get("enum"), list) and not any(same(value, option) for option in schema["enum"]):
        return False
    if "const" in schema and not same(value, schema["const"]):
        return False
    if "not" in schema or "if" in schema:
        return False
    if isinstance(value, str):
        return _text_fits(value, schema)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _number_fits(value, schema)
    if isinstance(value, list):
        items = schema.get("items")
        rows = cast(list[Any], value)
        members = not isinstance(items, dict) or all(fits(row, cast(dict[str, Any], items)) for row in rows)
        unique = not schema.get("uniqueItems") or len({json.dumps(row) for row in rows}) == len(rows)
        return members and unique and _bounded(len(rows), schema, "minItems", "maxItems")
    return True


def same(left: Any, right: Any) -> bool:
    return type(left) is type(right) and left == right


def _is_type(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES.get(kind, ()))


def _text_fits(value: str, schema: Mapping[str, Any]) -> bool:
    if not _bounded(len(value), schema, "minLength", "maxLength"):
        return False
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        try:
            if re.search(pattern, value) is None:
                return False
        except re.error:
            return False
    return _format_fits(value, str(schema.get("format") or ""))


def _format_fits(value: str, form: str) -> bool:
    readers = {"date": date.fromisoformat, "time": time.fromisoformat, "date-time": datetime.fromisoformat}
    if form in readers:
        try:
            readers[form](value)
        except ValueError:
            return False
    if form == "email":
        return re.fullmatch(r"[^@\s]+@[^@\s]+", value) is not None
    return form not in ("uuid", "ipv4", "ipv6", "uri", "hostname", "duration", "regex")


def _number_fits(value: float, schema: Mapping[str, Any]) -> bool:
    step = schema.get("multipleOf")
    if isinstance(step, (int, float)) and step > 0 and value % step:
        return False
    low, high = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if isinstance(low, (int, float)) and not isinstance(low, bool) and value <= low:
        return False
    if isinstance(high, (int, float)) and not isinstance(high, bool) and value >= high:
        return False
    return _bounded(value, schema, "minimum", "maximum")


def _bounded(value: float, schema: Mapping[str, Any], low: str, high: str) -> bool:
    least, most = schema.get(low), schema.get(high)
    above = not isinstance(least, (int, float)) or value >= least
    return above and (not isinstance(most, (int, float)) or value <= most)
