"""Makes pydantic's JSON schemas plain for models: no titles, no references, no null beside one type.

Knows JSON schema; does not know functions. A schema that refers to itself keeps its references.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

Schema = dict[str, Any]
_NULL: Final[Schema] = {"type": "null"}


class _Recursive(Exception):
    pass


def simplify_schema(schema: Schema) -> Schema:
    """Return the schema with references inlined, titles and optional nulls removed.

    `anyOf: [X, null]` becomes X: an optional parameter is one that may be left out.
    """
    definitions = cast("Mapping[str, Schema]", schema.get("$defs", {}))
    body = {key: value for key, value in schema.items() if key != "$defs"}
    try:
        return _plain(body, definitions, ())
    except _Recursive:
        return schema


def _plain(schema: Schema, definitions: Mapping[str, Schema], path: tuple[str, ...]) -> Schema:
    schema = dict(schema)
    reference = schema.pop("$ref", None)
    if reference is not None:
        name = str(reference).removeprefix("#/$defs/")
        if name in path:
            raise _Recursive
        return _plain({**definitions[name], **schema}, definitions, (*path, name))
    choices = cast("list[Schema]", schema.get("anyOf", []))
    if len(choices) == 2 and _NULL in choices:
        kept = next(choice for choice in choices if choice != _NULL)
        del schema["anyOf"]
        if schema.get("default", ...) is None:
            del schema["default"]
        return _plain({**kept, **schema}, definitions, path)
    schema.pop("title", None)
    return {key: _part(key, value, definitions, path) for key, value in schema.items()}


def _part(key: str, value: Any, definitions: Mapping[str, Schema], path: tuple[str, ...]) -> Any:
    """Descend only where a schema may stand, so that no data (enum, const, default, examples) is touched."""
    if key in ("properties", "patternProperties"):
        named = cast("Mapping[str, Schema]", value)
        return {name: _plain(inner, definitions, path) for name, inner in named.items()}
    if key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        return [_plain(inner, definitions, path) for inner in cast("list[Schema]", value)]
    if key in ("items", "additionalProperties") and isinstance(value, dict):
        return _plain(cast("Schema", value), definitions, path)
    if key == "discriminator":
        return {"propertyName": value["propertyName"]}
    return value
