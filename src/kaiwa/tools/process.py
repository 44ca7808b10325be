"""`python -m kaiwa.tools.process`: runs functions of tools, one at a time, for `kaiwa.tools.processes`.

Yields to the rest of the machine. What a function prints goes to the error output: the other is the answer's.
"""

from __future__ import annotations

import importlib
import os
import pickle
import sys
import traceback
from functools import reduce
from typing import Any, BinaryIO, Final

NICENESS: Final = 10
_LENGTH_BYTES: Final = 4


def serve(orders: BinaryIO, answers: BinaryIO) -> None:
    """Answer orders until there are no more."""
    while len(head := orders.read(_LENGTH_BYTES)) == _LENGTH_BYTES:
        order = orders.read(int.from_bytes(head))
        _tell(answers, *_carry_out(order, answers))


def _carry_out(order: bytes, answers: BinaryIO) -> tuple[str, Any]:
    from kaiwa.errors import ToolError

    about, packed = pickle.loads(order)
    sys.path[:] = about["path"]
    try:
        function = _find(about["module"], about["name"])
        ahead = (_context(about, answers),) if about["takes_context"] else ()
        return "result", function(*ahead, **pickle.loads(packed))
    except ToolError as refusal:
        return "refused", str(refusal)
    except (Exception, SystemExit) as fault:  # noqa: BLE001 - the edge of a tool
        step = traceback.extract_tb(fault.__traceback__)[-1]
        return "broke", f"{type(fault).__name__} at {step.filename}:{step.lineno}"


def _find(module: str, name: str) -> Any:
    found = reduce(getattr, name.split("."), importlib.import_module(module))
    return getattr(found, "function", found)  # the decorator put a Tool in the function's place


def _context(about: dict[str, Any], answers: BinaryIO) -> Any:
    from kaiwa.tools.context import ToolContext

    return ToolContext(
        about["call_id"],
        about["language"],
        lambda fraction, text: _tell(answers, "progress", (fraction, text)),
        about["idempotency_key"],
        lambda text: _tell(answers, "say", text),
    )


def _tell(answers: BinaryIO, kind: str, value: Any) -> None:
    try:
        packed = pickle.dumps((kind, value))
    except Exception as fault:  # noqa: BLE001 - any class may refuse to be packed, in any way
        packed = pickle.dumps(("broke", f"{type(fault).__name__}: the result cannot leave its process"))
    answers.write(len(packed).to_bytes(_LENGTH_BYTES) + packed)
    answers.flush()


def main() -> None:
    orders = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.nice(NICENESS)
    serve(orders, answers)


if __name__ == "__main__":
    main()
