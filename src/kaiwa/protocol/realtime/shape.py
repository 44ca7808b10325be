"""Fit a JSON value to a declared type, or say with the service's words where it does not fit.

Knows msgspec's description of a type and JSON values; knows no event by name. It stands behind the
fast decoder: a frame comes here only after that one refused it, either to be forgiven (keys that stock
clients send and we ignore, nulls for keys that may be absent) or to be faulted with a precise path.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec
import msgspec.inspect as kinds

from kaiwa.protocol.realtime import faults


class Tolerance(msgspec.Struct, frozen=True, kw_only=True):
    """What is forgiven: keys to ignore per struct, or any unknown key; fractions where integers belong."""

    ignored: Mapping[type, frozenset[str]] = {}
    unknown_keys: bool = False
    fractions: bool = False


STRICT = Tolerance()
LENIENT = Tolerance(unknown_keys=True, fractions=True)


def fit(raw: Any, kind: kinds.Type, path: str = "", tolerance: Tolerance = STRICT) -> Any:
    """Return `raw` without what is tolerated, ready for `msgspec.convert`.

    `path` is the dotted name of `raw` itself, empty for a whole event. Raises PeerError.
    """
    return _FITTERS[type(kind)](raw, kind, path, tolerance)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _fit_any(raw: Any, kind: Any, path: str, tolerance: Tolerance) -> Any:
    return raw


def _fit_struct(raw: Any, kind: kinds.StructType, path: str, tolerance: Tolerance) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise faults.wrong_type(path, ["an object"], faults.json_kind(raw))
    given = cast(dict[str, Any], raw)
    if kind.tag_field is not None:
        _struct_with_tag(given, [kind], path)
    for field in kind.fields:
        if field.required and field.encode_name not in given:
            raise faults.missing(_join(path, field.encode_name))
    ignored = tolerance.ignored.get(kind.cls, frozenset())
    fields = {field.encode_name: field for field in kind.fields}
    kept: dict[str, Any] = {}
    for name, value in given.items():
        field = fields.get(name)
        if field is not None:
            if value is None and not field.required and not _takes_null(field.type):
                continue
            kept[name] = fit(value, field.type, _join(path, name), tolerance)
        elif name == kind.tag_field:
            kept[name] = value
        elif not tolerance.unknown_keys and name not in ignored:
            raise faults.unknown(_join(path, name))
    return kept


def _takes_null(kind: kinds.Type) -> bool:
    if isinstance(kind, kinds.UnionType):
        return any(_takes_null(choice) for choice in kind.types)
    return isinstance(kind, kinds.NoneType | kinds.AnyType)


def _fit_union(raw: Any, kind: kinds.UnionType, path: str, tolerance: Tolerance) -> Any:
    candidates = [choice for choice in kind.types if _may_be(raw, choice)]
    if not candidates:
        expected = [_expected(choice) for choice in kind.types if not isinstance(choice, kinds.NoneType)]
        raise faults.wrong_type(path, expected, faults.json_kind(raw))
    structs = [choice for choice in candidates if isinstance(choice, kinds.StructType)]
    if len(structs) > 1:
        return _fit_struct(raw, _struct_with_tag(raw, structs, path), path, tolerance)
    return fit(raw, candidates[0], path, tolerance)


def _struct_with_tag(given: dict[str, Any], structs: list[kinds.StructType], path: str) -> kinds.StructType:
    tag_field = structs[0].tag_field
    assert tag_field is not None, "structs of one union are told apart by a tag"
    param = _join(path, tag_field)
    if tag_field not in given:
        raise faults.missing(param)
    tag = given[tag_field]
    if not isinstance(tag, str):
        raise faults.wrong_type(param, ["a string"], faults.json_kind(tag))
    for struct in structs:
        if struct.tag == tag:
            return struct
    raise faults.unsupported(param, tag, [struct.tag for struct in structs])


def _fit_array(raw: Any, kind: kinds.VarTupleType, path: str, tolerance: Tolerance) -> list[Any]:
    if not isinstance(raw, list):
        raise faults.wrong_type(path, ["an array"], faults.json_kind(raw))
    values = cast(list[Any], raw)
    return [fit(value, kind.item_type, f"{path}[{index}]", tolerance) for index, value in enumerate(values)]


def _fit_mapping(raw: Any, kind: kinds.DictType, path: str, tolerance: Tolerance) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise faults.wrong_type(path, ["an object"], faults.json_kind(raw))
    pairs = cast(dict[str, Any], raw)
    return {name: fit(value, kind.value_type, _join(path, name), tolerance) for name, value in pairs.items()}


def _fit_string(raw: Any, kind: kinds.StrType, path: str, tolerance: Tolerance) -> str:
    if not isinstance(raw, str):
        raise faults.wrong_type(path, ["a string"], faults.json_kind(raw))
    if kind.max_length is not None and len(raw) > kind.max_length:
        raise faults.too_long(path, kind.max_length, len(raw))
    return raw


def _fit_bytes(raw: Any, kind: kinds.BytesType, path: str, tolerance: Tolerance) -> bytes:
    if not isinstance(raw, str):
        raise faults.wrong_type(path, ["a string"], faults.json_kind(raw))
    try:
        return msgspec.convert(raw, bytes)
    except msgspec.ValidationError:
        raise faults.bad_audio(path) from None


def _fit_integer(raw: Any, kind: kinds.IntType, path: str, tolerance: Tolerance) -> int:
    whole = isinstance(raw, float) and math.isfinite(raw) and (raw.is_integer() or tolerance.fractions)
    if not whole and (not isinstance(raw, int) or isinstance(raw, bool)):
        raise faults.wrong_type(path, ["an integer"], faults.json_kind(raw))
    value = math.ceil(raw)
    _check_range(value, kind.ge, kind.le, path)
    return value


def _fit_number(raw: Any, kind: kinds.FloatType, path: str, tolerance: Tolerance) -> float:
    if not isinstance(raw, int | float) or isinstance(raw, bool):
        raise faults.wrong_type(path, ["a decimal"], faults.json_kind(raw))
    _check_range(raw, kind.ge, kind.le, path)
    return raw


def _check_range(value: float, minimum: float | None, maximum: float | None, path: str) -> None:
    if minimum is not None and value < minimum:
        raise faults.below_minimum(path, minimum, value)
    if maximum is not None and value > maximum:
        raise faults.above_maximum(path, maximum, value)


def _fit_boolean(raw: Any, kind: kinds.BoolType, path: str, tolerance: Tolerance) -> bool:
    if not isinstance(raw, bool):
        raise faults.wrong_type(path, ["a boolean"], faults.json_kind(raw))
    return raw


def _fit_null(raw: Any, kind: kinds.NoneType, path: str, tolerance: Tolerance) -> None:
    if raw is not None:
        raise faults.wrong_type(path, ["null"], faults.json_kind(raw))


def _fit_literal(raw: Any, kind: kinds.LiteralType, path: str, tolerance: Tolerance) -> Any:
    if not _may_be(raw, kind):
        raise faults.wrong_type(path, [_expected(kind)], faults.json_kind(raw))
    if raw not in kind.values:
        raise faults.unsupported(path, raw, kind.values)
    return raw


def _may_be(raw: Any, kind: kinds.Type) -> bool:
    """Whether the JSON kind of `raw` is the one `kind` is written as."""
    match kind:
        case kinds.AnyType():
            return True
        case kinds.NoneType():
            return raw is None
        case kinds.BoolType():
            return isinstance(raw, bool)
        case kinds.IntType() | kinds.FloatType():
            return isinstance(raw, int | float) and not isinstance(raw, bool)
        case kinds.StrType() | kinds.BytesType():
            return isinstance(raw, str)
        case kinds.LiteralType():
            return type(raw) in {type(value) for value in kind.values}
        case kinds.VarTupleType():
            return isinstance(raw, list)
        case _:
            return isinstance(raw, dict)


def _expected(kind: kinds.Type) -> str:
    match kind:
        case kinds.NoneType():
            return "null"
        case kinds.BoolType():
            return "a boolean"
        case kinds.IntType():
            return "an integer"
        case kinds.FloatType():
            return "a decimal"
        case kinds.StrType() | kinds.BytesType():
            return "a string"
        case kinds.LiteralType():
            return faults.json_kind(kind.values[0])
        case kinds.VarTupleType():
            return "an array"
        case _:
            return "an object"


_FITTERS: dict[type, Callable[[Any, Any, str, Tolerance], Any]] = {
    kinds.AnyType: _fit_any,
    kinds.StructType: _fit_struct,
    kinds.UnionType: _fit_union,
    kinds.VarTupleType: _fit_array,
    kinds.DictType: _fit_mapping,
    kinds.StrType: _fit_string,
    kinds.BytesType: _fit_bytes,
    kinds.IntType: _fit_integer,
    kinds.FloatType: _fit_number,
    kinds.BoolType: _fit_boolean,
    kinds.NoneType: _fit_null,
    kinds.LiteralType: _fit_literal,
}
