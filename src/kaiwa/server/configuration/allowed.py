"""What may stand in a setting, from its type: in words of two languages, and as an example."""

from __future__ import annotations

from pathlib import Path
from types import UnionType
from typing import Any, Final, Literal, Union, cast, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from kaiwa.server.configuration.findings import Words

_PLAIN: Final[dict[object, Words]] = {
    bool: Words("true or false", "true または false"),
    str: Words("text", "文字列"),
    Path: Words("a path", "パス"),
    SecretStr: Words("text", "文字列"),
}
_LIST: Final = Words("a list, or names with commas between them", "リスト、またはカンマ区切りの名前")
_JSON: Final = Words("JSON, or a table of kaiwa.toml", "JSON、または kaiwa.toml のテーブル")
_PORTS: Final = Words("a port, or a range such as 40000-40003", "ポート番号、または 40000-40003 のような範囲")


def allowed(field: FieldInfo) -> Words:
    """Say what the setting takes."""
    return _of(field.annotation, tuple(field.metadata))


def is_plain(field: FieldInfo) -> bool:
    """Whether a value of this type can hold no secret, so that it may be shown when it is wrong."""
    kinds = {kind for kind in _parts(field.annotation) if kind is not type(None)}
    return all(kind in (bool, int, float) or get_origin(kind) is Literal for kind in kinds)


def _parts(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, UnionType):
        return tuple(part for one in get_args(annotation) for part in _parts(one))
    if hasattr(annotation, "__metadata__"):
        return _parts(annotation.__origin__)
    return (annotation,)


def _of(annotation: Any, metadata: tuple[Any, ...]) -> Words:
    if hasattr(annotation, "__metadata__"):
        own = [part for mark in annotation.__metadata__ for part in getattr(mark, "metadata", [mark])]
        return _of(annotation.__origin__, (*metadata, *own))
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        kinds = [one for one in get_args(annotation) if one is not type(None)]
        said = [_of(one, metadata) for one in kinds]
        return Words(" or ".join(one.english for one in said), "または".join(one.japanese for one in said))
    if origin is Literal:
        return _one_of([str(value) for value in get_args(annotation)])
    if annotation in (int, float):
        return _number(annotation, metadata)
    if origin is tuple:
        return _list(get_args(annotation)[0])
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return _JSON
    return _PLAIN.get(cast(object, annotation), _PLAIN[str])


def _list(element: Any) -> Words:
    if element is str:
        return _LIST
    return _PORTS if element is int else _JSON


def _one_of(values: list[str]) -> Words:
    if len(values) == 1:
        return Words(values[0], values[0])
    return Words(f"{', '.join(values[:-1])} or {values[-1]}", f"{'、'.join(values)} のいずれか")


def _number(kind: type, metadata: tuple[Any, ...]) -> Words:
    noun = Words("a whole number", "整数") if kind is int else Words("a number", "数値")
    low: list[Words] = []
    high: list[Words] = []
    for mark in metadata:
        match mark:
            case Ge(ge=bound):
                low.append(Words(f"from {bound}", f"{bound} 以上"))
            case Gt(gt=bound):
                low.append(Words(f"above {bound}", f"{bound} より大きい"))
            case Le(le=bound):
                high.append(Words(f"up to {bound}", f"{bound} 以下"))
            case Lt(lt=bound):
                high.append(Words(f"below {bound}", f"{bound} 未満"))
            case _:
                pass
    bounds = [*low[:1], *high[:1]]
    english = " ".join([noun.english, *(one.english for one in bounds)])
    if bounds and not high and low[0].english.startswith("from"):
        english = f"{noun.english}, {low[0].english.removeprefix('from ')} or more"
    japanese = "、".join(one.japanese for one in bounds)
    return Words(english, f"{japanese}の{noun.japanese}" if japanese else noun.japanese)
