"""Finds the agent a person names as `module:attribute`. Knows imports; does not serve the agent."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

from kaiwa.errors import ConfigError
from kaiwa.tools.agent import Agent

_SETTING: Final = "agent"
_FORM: Final = "Write it as module:attribute, for example my_module:agent."


def load_agent(reference: str, *, directory: Path | None = None) -> Agent:
    """Import the module and return its Agent.

    `directory` is searched before the installed packages, as Python does for a script. An exception that
    the module itself raises passes through, so that its author sees where.
    Raises ConfigError: wrong form, module or attribute not found, or no Agent there.
    """
    module_name, colon, attribute = reference.partition(":")
    if not (module_name and colon and attribute) or module_name.endswith(".py") or "/" in module_name:
        raise ConfigError(_SETTING, f"{reference!r} names no agent.", _FORM)
    if directory is not None and str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    module = _import(module_name)
    found: object = module
    for step in attribute.split("."):
        found = getattr(found, step, None)
    if isinstance(found, Agent):
        return found
    here = ", ".join(f"{module_name}:{name}" for name in _agents(module))
    remedy = f"Agents found there: {here}." if here else "Define one: agent = Agent(name=…, instructions=…)."
    problem = f"{module_name} has no attribute {attribute!r}."
    if found is not None:
        problem = f"{reference} is a {type(found).__name__}, not an Agent."
    raise ConfigError(_SETTING, problem, remedy)


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name is not None and (name == missing.name or name.startswith(f"{missing.name}.")):
            raise ConfigError(
                _SETTING,
                f"there is no module {name!r}.",
                "Start kaiwa in its folder, or install its package.",
            ) from missing
        raise ConfigError(
            _SETTING, f"the module {name!r} needs {missing.name!r}.", "Install that package."
        ) from missing


def _agents(module: ModuleType) -> list[str]:
    return [name for name, value in vars(module).items() if isinstance(value, Agent)]
