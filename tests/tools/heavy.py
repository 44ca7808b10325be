"""Tools that compute in Python, at the top of a module so that another process finds them."""

from __future__ import annotations

import os
import sys

from kaiwa.errors import ToolError
from kaiwa.tools.context import ToolContext
from kaiwa.tools.function import tool


@tool(cpu_bound=True, changes=False, timeout_s=20)
def count_primes(context: ToolContext, below: int) -> dict[str, int | str]:
    """Count the primes below a number."""
    context.progress(0.5, "half")
    context.say("半分です。")
    sys.stdout.write("a tool may print\n")
    found = sum(all(number % factor for factor in range(2, number)) for number in range(2, below))
    return {"count": found, "process": os.getpid(), "key": context.idempotency_key}


@tool(cpu_bound=True, changes=False, timeout_s=20)
def refuse_all() -> None:
    raise ToolError("本日は休みです。")


@tool(cpu_bound=True, changes=False, timeout_s=20)
def leave() -> None:
    os._exit(3)


@tool(cpu_bound=True, changes=False, timeout_s=20)
def break_down() -> None:
    raise ValueError("secret 4711")


@tool(cpu_bound=True, changes=False, timeout_s=20)
def unpackable() -> object:
    return sys._getframe()


@tool(cpu_bound=True, changes=False, timeout_s=1)
def never_done() -> None:
    while True:
        pass
