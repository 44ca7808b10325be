"""`@tool`: a typed Python function as a tool. Knows its schema and its rules; does not run it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, ParamSpec, TypeVar, overload

from kaiwa.errors import ConfigError
from kaiwa.events.tools import ToolSpec
from kaiwa.tools.docstrings import first_sentence
from kaiwa.tools.rules import Duplicates, ToolRules, check_rules
from kaiwa.tools.signature import Signature, read_signature

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_TIMEOUT_S: Final = 30.0
DEFAULT_PAUSE_S: Final = 0.5
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Tool(Generic[P, R]):
    """A function a model may call. Calling the value itself calls the function, unchecked."""

    function: Callable[P, R]
    name: str
    description: str
    signature: Signature
    rules: ToolRules

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    @property
    def parameters(self) -> dict[str, Any]:
        """The JSON schema of the arguments."""
        return self.signature.schema

    @property
    def changes(self) -> bool | None:
        """True: it changes something. False: it only reads. None: nobody said."""
        return self.rules.changes

    @property
    def timeout_s(self) -> float:
        return self.rules.timeout_s

    @property
    def spec(self) -> ToolSpec:
        rules = self.rules
        return ToolSpec(
            name=self.name,
            description=self.description,
            parameters=self.parameters,
            changes=rules.changes,
            server=True,
            confirm=rules.confirm,
            background=rules.background,
            cancel_on_interruption=rules.cancel_on_interruption,
        )


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    changes: bool | None = None,
    confirm: bool = False,
    background: bool = False,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    retries: int = 0,
    retry_pause_s: float = DEFAULT_PAUSE_S,
    max_running: int | None = None,
    duplicates: Duplicates = "join",
    cancel_on_interruption: bool = False,
    cpu_bound: bool = False,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    changes: bool | None = None,
    confirm: bool = False,
    background: bool = False,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    retries: int = 0,
    retry_pause_s: float = DEFAULT_PAUSE_S,
    max_running: int | None = None,
    duplicates: Duplicates = "join",
    cancel_on_interruption: bool = False,
    cpu_bound: bool = False,
) -> Any:
    """Make a Tool of a typed function, sync or async; bare or with options (see `ToolRules`).

    The docstring's first sentence describes the tool, its `Args:` section the parameters. A first parameter
    annotated `ToolContext` is filled in and hidden from the model. Raises ConfigError for a signature
    that no JSON object can fill, and for rules that contradict each other.
    """
    rules = ToolRules(
        changes=changes,
        confirm=confirm,
        background=background,
        timeout_s=timeout_s,
        retries=retries,
        retry_pause_s=retry_pause_s,
        max_running=max_running,
        duplicates=duplicates,
        cancel_on_interruption=cancel_on_interruption,
        cpu_bound=cpu_bound,
    )

    def decorate(decorated: Callable[..., Any]) -> Tool[..., Any]:
        return _tool(decorated, name, description, rules)

    return decorate if function is None else decorate(function)


def _tool(
    function: Callable[..., Any], name: str | None, description: str | None, rules: ToolRules
) -> Tool[..., Any]:
    called = name or getattr(function, "__name__", "")
    setting = f"tool {called or '?'}"
    if not _NAME.fullmatch(called):
        raise ConfigError(setting, "the name does not suit a model.", "Use 1 to 64 of A-Z a-z 0-9 _ and -.")
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise ConfigError(setting, "it yields.", "Return one value; report on the way with ToolContext.")
    signature = read_signature(function, called)
    check_rules(rules, setting, function, takes_context=signature.takes_context)
    return Tool(
        function=function,
        name=called,
        description=first_sentence(function) if description is None else description,
        signature=signature,
        rules=rules,
    )
