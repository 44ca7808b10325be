"""`@tool`: a typed Python function as a tool. Knows its schema; does not run it for a conversation."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, ParamSpec, TypeVar, overload

from kaiwa.errors import ConfigError
from kaiwa.events.tools import ToolSpec
from kaiwa.tools.docstrings import first_sentence
from kaiwa.tools.signature import Signature, read_signature

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_TIMEOUT_S: Final = 30.0
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, eq=False)
class Tool(Generic[P, R]):
    """A function a model may call. Calling the value itself calls the function, unchecked.

    `changes` is True for a tool that changes something (it runs only out of a confirmed turn), False for
    one that only reads, None when nobody said.
    """

    function: Callable[P, R]
    name: str
    description: str
    signature: Signature
    changes: bool | None = None
    timeout_s: float = DEFAULT_TIMEOUT_S

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    @property
    def parameters(self) -> dict[str, Any]:
        """The JSON schema of the arguments."""
        return self.signature.schema

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(
            name=self.name,
            description=self.description,
            parameters=self.parameters,
            changes=self.changes,
            server=True,
        )


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    changes: bool | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    changes: bool | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> Any:
    """Make a Tool of a typed function, sync or async; bare or with options.

    The docstring's first sentence describes the tool, its `Args:` section the parameters. A first parameter
    annotated `ToolContext` is filled in and hidden from the model. Raises ConfigError for a signature
    that no JSON object can fill.
    """

    def decorate(decorated: Callable[..., Any]) -> Tool[..., Any]:
        return _tool(decorated, name, description, changes, timeout_s)

    return decorate if function is None else decorate(function)


def _tool(
    function: Callable[..., Any],
    name: str | None,
    description: str | None,
    changes: bool | None,
    timeout_s: float,
) -> Tool[..., Any]:
    called = name or getattr(function, "__name__", "")
    setting = f"tool {called or '?'}"
    if not _NAME.fullmatch(called):
        raise ConfigError(setting, "the name does not suit a model.", "Use 1 to 64 of A-Z a-z 0-9 _ and -.")
    if timeout_s <= 0:
        raise ConfigError(setting, "timeout_s must be more than 0.", "Leave it out for 30 seconds.")
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise ConfigError(setting, "it yields.", "Return one value; report on the way with ToolContext.")
    return Tool(
        function=function,
        name=called,
        description=first_sentence(function) if description is None else description,
        signature=read_signature(function, called),
        changes=changes,
        timeout_s=timeout_s,
    )
