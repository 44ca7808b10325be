"""Which function a path belongs to: route templates as ASP.NET writes them, literal parts first.

Pure. `{name}`, `{name?}`, `{name:int}`, `{name:guid}`, `{name:alpha}`, `{*rest}`; other constraints are taken
as any text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec

from kaiwa.functions.manifest import Binding, Function

_PART: Final = re.compile(r"\{(\*{0,2})(\w+)(?::([^}?]+))?(\?)?\}")
_CONSTRAINTS: Final = {
    "int": r"-?\d+",
    "long": r"-?\d+",
    "alpha": r"[A-Za-z]+",
    "bool": r"[Tt]rue|[Ff]alse",
    "guid": r"[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}",
}
_METHODS: Final = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE")


class Route(msgspec.Struct, frozen=True):
    function: Function
    trigger: Binding
    template: str
    pattern: re.Pattern[str]
    methods: tuple[str, ...]
    level: str
    """`anonymous`, `function` or `admin`."""


class Found(msgspec.Struct, frozen=True):
    route: Route
    parameters: dict[str, str]


def routes_of(functions: Sequence[Function], prefix: str) -> list[Route]:
    """Return the routes of all HTTP functions, the most literal first."""
    routes = [
        _route(function, trigger, prefix)
        for function in functions
        if (trigger := function.trigger) is not None and trigger.type == "httpTrigger"
    ]
    return sorted(routes, key=lambda route: ("{*" in route.template, route.template.count("{")))


def _route(function: Function, trigger: Binding, prefix: str) -> Route:
    template = "/".join(part for part in (prefix, trigger.option("route", function.name).strip("/")) if part)
    written = trigger.options.get("methods")
    methods = [str(each).upper() for each in cast(list[Any], written)] if written else list(_METHODS)
    return Route(
        function=function,
        trigger=trigger,
        template=template,
        pattern=_compiled(template),
        methods=tuple(methods),
        level=trigger.option("authLevel", "function").lower(),
    )


def _compiled(template: str) -> re.Pattern[str]:
    pattern, place = "", 0
    for part in _PART.finditer(template):
        literal = re.escape(template[place : part.start()])
        star, name, constraint, optional = part.groups()
        inner = ".*" if star else _CONSTRAINTS.get(constraint or "", "[^/]+")
        if (optional or star) and literal.endswith("/"):
            pattern += f"{literal[:-1]}(?:/(?P<{name}>{inner}))?"
        else:
            pattern += f"{literal}(?P<{name}>{inner})" + ("?" if optional else "")
        place = part.end()
    return re.compile(pattern + re.escape(template[place:]) + "/?", re.IGNORECASE)


def find(routes: Sequence[Route], path: str, method: str) -> Found | list[str]:
    """Return the function for a request, else the methods that its path knows: none, when nobody has it."""
    known: list[str] = []
    for route in routes:
        match = route.pattern.fullmatch(path.lstrip("/"))
        if match is None:
            continue
        if method in route.methods:
            return Found(
                route,
                {name: value for name, value in match.groupdict().items() if value is not None},
            )
        known += route.methods
    return sorted(set(known))
