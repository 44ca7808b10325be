"""How a tool wants to be run, and which wishes contradict each other. Runs nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from kaiwa.errors import ConfigError

Duplicates = Literal["allow", "join", "reject"]


@dataclass(frozen=True, slots=True)
class ToolRules:
    """The options of `@tool`.

    `changes`: True for a tool that changes something (it runs only out of a confirmed turn), False for one
    that only reads, None when nobody said. `confirm`: only after the caller agreed to a read-back.
    `background`: it takes long; it goes on after the conversation ended, as a changing one does.
    `timeout_s`: the deadline of a call with all its tries. `retries`: further tries after an exception that
    is no ToolError, the first `retry_pause_s` later and each later one after twice the pause.
    `max_running`: how many may run at once in this process; others wait. `duplicates`: what a call does
    whose twin (same arguments, same conversation) still runs. `cancel_on_interruption`: a barge-in stops it.
    `cpu_bound`: a synchronous function that computes in Python; it gets a process of its own.
    """

    changes: bool | None = None
    confirm: bool = False
    background: bool = False
    timeout_s: float = 30.0
    retries: int = 0
    retry_pause_s: float = 0.5
    max_running: int | None = None
    duplicates: Duplicates = "join"
    cancel_on_interruption: bool = False
    cpu_bound: bool = False


def check_rules(rules: ToolRules, setting: str, function: Callable[..., Any], *, takes_context: bool) -> None:
    """Raise ConfigError for the first rule that is wrong by itself or beside another."""
    for wrong, problem, remedy in (
        *_numbers(rules),
        *_changing(rules, takes_context),
        *_cpu(rules, function),
    ):
        if wrong:
            raise ConfigError(setting, problem, remedy)


def _numbers(rules: ToolRules) -> tuple[tuple[bool, str, str], ...]:
    return (
        (rules.timeout_s <= 0, "timeout_s must be more than 0.", "Leave it out for 30 seconds."),
        (rules.retries < 0, "retries must not be negative.", "Leave it out for no retry."),
        (rules.retry_pause_s < 0, "retry_pause_s must not be negative.", "Leave it out for 0.5 seconds."),
        (
            rules.max_running is not None and rules.max_running < 1,
            "max_running must be at least 1.",
            "Leave it out for no limit.",
        ),
        (
            rules.duplicates not in get_args(Duplicates),
            f"duplicates={rules.duplicates!r} is unknown.",
            "Use allow, join or reject.",
        ),
    )


def _changing(rules: ToolRules, takes_context: bool) -> tuple[tuple[bool, str, str], ...]:
    return (
        (
            rules.confirm and rules.changes is not True,
            "confirm=True is for a tool that changes something.",
            "Add changes=True, or leave confirm out.",
        ),
        (
            rules.cancel_on_interruption and rules.changes is True,
            "a change must not be stopped halfway by a caller who speaks.",
            "Leave cancel_on_interruption out.",
        ),
        (
            rules.retries > 0 and rules.changes is None,
            "retries need to know whether the tool changes something.",
            "Add changes=False or changes=True.",
        ),
        (
            rules.retries > 0 and rules.changes is True and not takes_context,
            "a change that is tried again could be made twice.",
            "Take a ToolContext as first parameter and hand on its idempotency_key.",
        ),
    )


def _cpu(rules: ToolRules, function: Callable[..., Any]) -> tuple[tuple[bool, str, str], ...]:
    return (
        (
            rules.cpu_bound and inspect.iscoroutinefunction(function),
            "cpu_bound=True is for a plain function.",
            "Write it as def, or leave cpu_bound out.",
        ),
        (
            rules.cpu_bound and "<" in getattr(function, "__qualname__", "<"),
            "a process of its own has to find the function by its name.",
            "Define it at the top of a module, or leave cpu_bound out.",
        ),
    )
