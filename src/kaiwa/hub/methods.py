"""What clients may call on a hub, read once from the class: names, argument types, streams either way.

Knows Python signatures; nothing of connections. A method of a Hub is callable when it is asynchronous, its
name has no leading underscore, and `Hub` itself does not have it.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from kaiwa.hub.errors import DeclarationError

_STREAMS: Final = (AsyncIterator, AsyncIterable, AsyncGenerator)
_NAME: Final = "__hub_name__"
F = TypeVar("F", bound=Callable[..., Any])


def hub_name(name: str) -> Callable[[F], F]:
    """Let clients call a method by another name than Python does."""

    def named(function: F) -> F:
        setattr(function, _NAME, name)
        return function

    return named


@dataclass(frozen=True)
class Upload:
    """A parameter that the client streams to: its place among all parameters, and what each item is."""

    place: int
    item: Any


@dataclass(frozen=True)
class HubMethod:
    name: str
    attribute: str
    arguments: tuple[Any, ...]
    """The types of what an invocation brings, in order, streams left out."""
    required: int
    uploads: tuple[Upload, ...]
    streams: bool
    """Its answer is a stream of items."""
    void: bool
    """It says that it returns nothing, so its completion has no result."""

    @property
    def concurrent(self) -> bool:
        """Invocations of it do not hold up later ones of the same client."""
        return self.streams or bool(self.uploads)

    def bind(self, values: list[Any], streams: list[AsyncIterator[Any]]) -> list[Any]:
        """Return the arguments of a call: `values` converted, with the streams in their places.

        Raises msgspec.ValidationError for a value of another type, and for a wrong count.
        """
        if not self.required <= len(values) <= len(self.arguments):
            raise msgspec.ValidationError(
                f"Invocation provides {len(values)} argument(s) but target expects {len(self.arguments)}."
            )
        bound = [
            value if kind is Any else msgspec.convert(value, kind)
            for value, kind in zip(values, self.arguments, strict=False)
        ]
        for upload, stream in zip(self.uploads, streams, strict=True):
            bound.insert(upload.place, stream)
        return bound


def methods_of(hub: type, base: type) -> Mapping[str, HubMethod]:
    """Return what clients may call on `hub`, by `key_of` their names. Raises DeclarationError."""
    methods: dict[str, HubMethod] = {}
    for attribute in dir(hub):
        function = getattr(hub, attribute)
        if attribute.startswith("_") or hasattr(base, attribute) or not _is_asynchronous(function):
            continue
        method = _method(hub, attribute, function)
        twin = methods.setdefault(key_of(method.name), method)
        if twin is not method:
            raise DeclarationError(
                f"{hub.__qualname__}.{attribute} and .{twin.attribute} have one name for clients: case and "
                "underscores do not count. Rename one, or give it a name with @hub_name."
            )
    return methods


def key_of(name: str) -> str:
    """`sendMessage`, `SendMessage` and `send_message` are one method (trap T6 of the protocol's text)."""
    return name.lower().replace("_", "")


def _is_asynchronous(function: Any) -> bool:
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return True
    return inspect.isfunction(function) and get_origin(_hints(function).get("return")) in _STREAMS


def _hints(function: Any) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except (NameError, TypeError) as error:
        place = f"{function.__module__}.{function.__qualname__}"
        raise DeclarationError(
            f"{place} has an annotation that cannot be read ({error}). Import its type where the module "
            "can see it at run time, not under TYPE_CHECKING."
        ) from error


def _method(hub: type, attribute: str, function: Any) -> HubMethod:
    hints = _hints(function)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    arguments: list[Any] = []
    uploads: list[Upload] = []
    required = 0
    for place, parameter in enumerate(parameters):
        if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            raise DeclarationError(
                f"{hub.__qualname__}.{attribute} has the parameter {parameter}, but clients give arguments "
                "by place: name each one."
            )
        kind = hints.get(parameter.name, Any)
        if _is_stream(kind):
            uploads.append(Upload(place, (get_args(kind) or (Any,))[0]))
            continue
        arguments.append(kind)
        required += parameter.default is parameter.empty
    returned = hints.get("return", NoneType)
    return HubMethod(
        name=getattr(function, _NAME, attribute),
        attribute=attribute,
        arguments=tuple(arguments),
        required=len(arguments) if uploads else required,
        uploads=tuple(uploads),
        streams=inspect.isasyncgenfunction(function) or _is_stream(returned),
        void=returned is NoneType,
    )


def _is_stream(kind: Any) -> bool:
    return kind in _STREAMS or get_origin(kind) in _STREAMS
