"""Turns a typed signature into a JSON schema and back into checked arguments.

Knows pydantic and the function's annotations; does not run the function and knows no conversation.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, cast, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from kaiwa.errors import ConfigError
from kaiwa.tools.context import ToolContext
from kaiwa.tools.docstrings import parameter_descriptions
from kaiwa.tools.schema import simplify_schema


class ArgumentsError(ValueError):
    """The arguments do not fit; the text is one or more sentences for the model."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A function's parameters: `fields` maps the model's field names to the function's parameters."""

    schema: dict[str, Any]
    takes_context: bool
    model: type[BaseModel]
    fields: dict[str, str]

    def read(self, arguments: str) -> dict[str, Any]:
        """Return keyword arguments from JSON text; empty text counts as no arguments.

        Raises ArgumentsError, which names every wrong parameter and its problem.
        """
        try:
            given: object = json.loads(arguments) if arguments.strip() else {}
        except (ValueError, RecursionError):
            raise ArgumentsError("The arguments are not valid JSON; send one JSON object.") from None
        given = {} if given is None else given
        if not isinstance(given, dict):
            raise ArgumentsError("The arguments must be one JSON object.")
        try:
            checked = self.model.model_validate(given)
        except ValidationError as wrong:
            known = cast("list[str]", list(self.schema.get("properties", {})))
            faults = wrong.errors(include_url=False, include_context=False, include_input=False)
            raise ArgumentsError(" ".join(_sentence(fault, known) for fault in faults[:10])) from None
        return {name: getattr(checked, field) for field, name in self.fields.items()}


def read_signature(function: Callable[..., Any], name: str) -> Signature:
    """Read the parameters of `function`. Raises ConfigError for one that no JSON object can fill."""
    setting = f"tool {name}"
    hints = _hints(function, setting)
    parameters = list(inspect.signature(function).parameters.values())
    takes_context = bool(parameters) and hints.get(parameters[0].name) is ToolContext
    described = parameter_descriptions(function)
    fields: dict[str, tuple[Any, FieldInfo]] = {}
    names: dict[str, str] = {}
    for index, parameter in enumerate(parameters[1:] if takes_context else parameters):
        _check_parameter(parameter, hints, setting)
        # Numbered field names keep parameters such as `schema` or `copy` clear of pydantic's own.
        key = f"p{index}"
        names[key] = parameter.name
        fields[key] = _field(parameter, hints[parameter.name], described.get(parameter.name))
    try:
        model = create_model(
            name,
            __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=False),
            **cast("dict[str, Any]", fields),
        )
        schema = simplify_schema(model.model_json_schema(by_alias=True))
    except (PydanticSchemaGenerationError, PydanticUserError) as unfit:
        raise ConfigError(
            setting,
            f"a parameter has no JSON schema ({unfit.message.splitlines()[0]}).",
            "Use types that JSON can carry: str, int, dates, enums, models.",
        ) from unfit
    return Signature(schema=schema, takes_context=takes_context, model=model, fields=names)


def _hints(function: Callable[..., Any], setting: str) -> Mapping[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as unknown:
        raise ConfigError(
            setting,
            f"the annotation {unknown.name!r} cannot be resolved.",
            "Define the type at module level, outside of functions.",
        ) from unknown


def _check_parameter(parameter: inspect.Parameter, hints: Mapping[str, Any], setting: str) -> None:
    if parameter.kind not in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
        raise ConfigError(
            setting,
            f"the parameter {str(parameter)!r} has no name in a JSON object.",
            "Give every parameter a name of its own.",
        )
    if parameter.name not in hints:
        raise ConfigError(
            setting,
            f"the parameter {parameter.name!r} has no type.",
            f"Annotate it, for example {parameter.name}: str.",
        )
    if hints[parameter.name] is ToolContext:
        raise ConfigError(
            setting, "ToolContext stands behind another parameter.", "Make it the first parameter."
        )


def _field(parameter: inspect.Parameter, hint: Any, description: str | None) -> tuple[Any, FieldInfo]:
    required = parameter.default is inspect.Parameter.empty
    info = FieldInfo.from_annotation(hint) if required else _with_default(hint, parameter.default)
    info = copy(info)
    if info.alias is None:
        info.alias = info.validation_alias = info.serialization_alias = parameter.name
        info.alias_priority = 2
    if info.description is None:
        info.description = description
    return info.annotation, info


def _with_default(hint: Any, default: Any) -> FieldInfo:
    return FieldInfo.from_annotated_attribute(hint, default)


def _sentence(fault: ErrorDetails, known: list[str]) -> str:
    where = ".".join(str(step) for step in fault["loc"])
    match fault["type"]:
        case "missing":
            return f"The parameter '{where}' is missing."
        case "extra_forbidden":
            allowed = f"it takes: {', '.join(known)}" if known else "it takes none"
            return f"There is no parameter '{where}'; {allowed}."
        case _:
            problem = fault["msg"].removeprefix("Value error, ")
            return f"The parameter '{where}' is wrong: {problem[:1].lower()}{problem[1:].rstrip('.')}."
