"""Reads the Bicep of deploy/azd as far as tests need it. Knows syntax by a parser; no types of Azure and no compiler."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pycep
from tests.packaging.building import ROOT

AZD = ROOT / "deploy/azd"
INFRA = AZD / "infra"
MODULES = sorted((INFRA / "modules").glob("*.bicep"))
FILES = [INFRA / "main.bicep", *MODULES]


@cache
def parsed(path: Path) -> dict[str, Any]:
    return pycep.BicepParser().parse(text=path.read_text("utf-8"))


def declared(path: Path, kind: str) -> dict[str, Any]:
    return parsed(path).get(kind, {})


def names_of(path: Path) -> set[str]:
    """Return everything that a file may refer to."""
    kinds = ("parameters", "variables", "resources", "modules")
    return {name for kind in kinds for name in declared(path, kind)}


def outputs_used(path: Path) -> set[tuple[str, str]]:
    return set(re.findall(r"(\w+)\.outputs\.(\w+)", path.read_text("utf-8")))


def container(name: str) -> dict[str, Any]:
    app = declared(INFRA / "modules/kaiwa.bicep", "resources")["app"]["config"]["properties"]
    return next(one for one in app["template"]["containers"] if one["name"] == name)


def value_of(written: Any, known: dict[str, Any]) -> Any:
    """Return what an expression comes to, where names have these values. Knows the few forms that are used."""
    match written:
        case {"function": {"type": "string", "parameters": {"value_to_convert": inner}}}:
            found = value_of(inner, known)
            return found if isinstance(found, str) else json.dumps(found)
        case {"function": {"type": "concat", "parameters": parts}}:
            return [each for part in parts.values() for each in value_of(part, known)]
        case {"operator": {"type": "multiply", "operands": {"operand_1": one, "operand_2": other}}}:
            return value_of(one, known) * value_of(other, known)
        case dict():
            return {name: value_of(each, known) for name, each in written.items()}
        case list():
            return [value_of(each, known) for each in written]
        case str():
            named = known.get(written, written) if written.isidentifier() else written
            return (
                re.sub(r"\$\{(\w+)\}", lambda match: str(known[match[1]]), named)
                if isinstance(named, str)
                else named
            )
        case _:
            return written


def params_of(module: dict[str, Any]) -> dict[str, Any]:
    """Return what a module is given; one with a condition has its configuration a level deeper."""
    config = module["config"]
    return config.get("config", config)["params"]
