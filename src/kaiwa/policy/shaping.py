"""What a caller's request becomes before it goes to a model: names, parameters, lengths and tools. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, TypeGuard, cast

from kaiwa.errors import PeerError
from kaiwa.policy.caller import Caller

Operation = Literal["chat/completions", "responses", "embeddings"]

# Where each operation says how long an answer may be; the first is written when none was.
LENGTHS: Final[dict[Operation, tuple[str, ...]]] = {
    "chat/completions": ("max_completion_tokens", "max_tokens"),
    "responses": ("max_output_tokens",),
    "embeddings": (),
}
_SAID_LENGTHS: Final = frozenset(name for names in LENGTHS.values() for name in names)
_SHOWN_LETTERS: Final = 64
_OF_EMBEDDINGS: Final = frozenset({"model", "dimensions", "encoding_format", "user"})
# Tool choices that leave it to the model, or forbid.
_FREE: Final = ("auto", "none")


class NotAllowed(PeerError):
    """What this caller may not ask for. `status`: of the answer over HTTP."""

    def __init__(self, status: int, code: str, message: str, *, param: str | None = None) -> None:
        super().__init__(code, message, param=param)
        self.status = status


def shape(caller: Caller, body: dict[str, Any], operation: Operation) -> dict[str, Any]:
    """Return the body that may be sent for this caller; the given one is left as it is.

    What is allowed as it is comes back equal. Raises NotAllowed for a model (`model_not_found`, as for one
    that does not exist) or a tool (`tool_not_allowed`), PeerError for lengths and numbers that are none.
    """
    if caller.defaults or caller.forced:
        given = [_meant_for(operation, named) for named in (caller.defaults, caller.forced)]
        shaped = {**given[0], **body, **given[1]}
    else:
        shaped = dict(body)
    model = shaped.get("model")
    if not isinstance(model, str) or not caller.may_use(model):
        check_model(caller, model)
    if caller.max_tokens is not None or not _SAID_LENGTHS.isdisjoint(shaped):
        _bound_length(caller, shaped, operation)
    if "n" in shaped and operation == "chat/completions":
        _bound_choices(caller, shaped)
    if operation != "embeddings" and caller.tools is not None:
        _keep_allowed_tools(caller, shaped)
    return shaped


def _meant_for(operation: Operation, given: dict[str, Any]) -> dict[str, Any]:
    """Leave out parameters of answers where there is none."""
    if operation != "embeddings":
        return given
    return {name: value for name, value in given.items() if name in _OF_EMBEDDINGS}


def check_model(caller: Caller, model: object) -> None:
    """Raise NotAllowed `model_not_found` unless the caller may use the model; None: it is not named here."""
    if model is None or (isinstance(model, str) and caller.may_use(model)):
        return
    if not isinstance(model, str):
        raise PeerError("invalid_type", "'model' must be a string.", param="model")
    text = f"The model '{model[:_SHOWN_LETTERS]}' does not exist or you do not have access to it."
    raise NotAllowed(404, "model_not_found", text, param="model")


def _bound_length(caller: Caller, body: dict[str, Any], operation: Operation) -> None:
    names, most = LENGTHS[operation], caller.max_tokens
    said = False
    for name in names:
        length = body.get(name)
        if length is None:
            continue
        if not _is_count(length):
            raise PeerError("invalid_value", f"'{name}' must be a whole number of 1 or more.", param=name)
        said = True
        if most is not None and length > most:
            body[name] = most
    if not said and most is not None and names:
        body[names[0]] = most


def _bound_choices(caller: Caller, body: dict[str, Any]) -> None:
    choices = body.get("n")
    if choices is None:
        return
    if not _is_count(choices):
        raise PeerError("invalid_value", "'n' must be a whole number of 1 or more.", param="n")
    if caller.max_choices is not None and choices > caller.max_choices:
        text = f"'n' is {choices}; you may ask for {caller.max_choices} at most."
        raise PeerError("invalid_value", text, param="n")


def _keep_allowed_tools(caller: Caller, body: dict[str, Any]) -> None:
    """Refuse or strip tools, the older `functions`, and choices that name one."""
    for field, name_of in (("tools", tool_name), ("functions", _function_name)):
        if body.get(field) is None:
            continue
        kept = _allowed(caller, body[field], field, name_of)
        if kept:
            body[field] = kept
        else:
            body.pop(field)
            for choice in ("tool_choice", "parallel_tool_calls") if field == "tools" else ("function_call",):
                body.pop(choice, None)
    for field in ("tool_choice", "function_call"):
        _check_choice(caller, body, field)


def _allowed(
    caller: Caller, offered: object, field: str, name_of: Callable[[dict[str, Any]], str]
) -> list[dict[str, Any]]:
    if not _is_list_of_objects(offered):
        raise PeerError("invalid_type", f"'{field}' must be an array of objects.", param=field)
    for at, tool in enumerate(offered):
        if caller.other_tools == "refuse" and not caller.may_offer(name_of(tool)):
            text = f"You may not offer the tool '{name_of(tool)[:_SHOWN_LETTERS]}'."
            raise NotAllowed(403, "tool_not_allowed", text, param=f"{field}[{at}]")
    return [tool for tool in offered if caller.may_offer(name_of(tool))]


def _check_choice(caller: Caller, body: dict[str, Any], field: str) -> None:
    choice = body.get(field)
    if not isinstance(choice, dict):
        return
    names = _named_in(cast(dict[str, Any], choice))
    if all(caller.may_offer(name) for name in names):
        return
    if caller.other_tools == "refuse":
        raise NotAllowed(403, "tool_not_allowed", "You may not ask for this tool.", param=field)
    body[field] = _FREE[0]


def _named_in(choice: dict[str, Any]) -> list[str]:
    """Return the tools that a choice names; `allowed_tools` holds a list of them."""
    inner: Any = choice.get("allowed_tools", choice)
    listed: Any = cast(dict[str, Any], inner).get("tools") if isinstance(inner, dict) else None
    if _is_list_of_objects(listed):
        return [tool_name(tool) for tool in listed]
    name = tool_name(choice)
    return [name] if name else []


def tool_name(tool: dict[str, Any]) -> str:
    """Return what a policy calls a tool: a function's name, `mcp:label`, or the type of a built-in one."""
    kind = tool.get("type")
    nested = tool.get(kind) if isinstance(kind, str) else tool.get("function")
    if isinstance(nested, dict) and isinstance(name := cast(dict[str, Any], nested).get("name"), str):
        return name
    if kind == "mcp":
        return f"mcp:{tool.get('server_label', '')}"
    if kind in ("function", "custom") or kind is None:
        return _function_name(tool)
    return kind if isinstance(kind, str) else ""


def _function_name(function: dict[str, Any]) -> str:
    name = function.get("name")
    return name if isinstance(name, str) else ""


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_list_of_objects(value: object) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in cast(list[Any], value))
