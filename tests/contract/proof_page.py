"""Which tests prove which rule of the hub: read from their marks, shown as the table of docs/signalr-rules.md.

That they do prove it is held by every whole run (`plugin.py`). `python -m tests.contract.proof_page --write`
renders the page anew.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.contract.manifest import SIGNALR

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "signalr-rules.md"
BEGIN, END = "<!-- rules: begin -->", "<!-- rules: end -->"


def proofs(prefix: str) -> dict[str, list[str]]:
    """Return the tests of each rule whose id begins with `prefix`, as file and name."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").glob("*/**/test_*.py")):
        text = path.read_text(encoding="utf-8")
        if f'rule("{prefix}' not in text:
            continue
        for test, ids in _marked(ast.parse(text)):
            for name in ids:
                if name.startswith(prefix):
                    found.setdefault(name, []).append(f"{path.stem}.{test}")
    return found


def _marked(module: ast.Module) -> Iterator[tuple[str, list[str]]]:
    for function in ast.walk(module):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            calls = [mark for mark in function.decorator_list if isinstance(mark, ast.Call)]
            marks = [mark for mark in calls if isinstance(mark.func, ast.Name) and mark.func.id == "rule"]
            ids = {str(ast.literal_eval(one)) for mark in marks for one in mark.args}
            if ids:
                yield function.name, sorted(ids)


def table() -> str:
    shown = proofs(SIGNALR.prefix)
    lines = ["| rule | what is kept | shown by |", "|---|---|---|"]
    for name, one in SIGNALR.requirements().items():
        says = one.says.replace("|", "\\|")
        tests = "<br>".join(_sentence(test) for test in shown.get(name, []))
        lines.append(f"| {name} | {says} | {tests} |")
    return "\n".join(lines)


def _sentence(test: str) -> str:
    """A test's name is a sentence; its file tells where to find it."""
    file, _, name = test.partition(".")
    return f"{name.removeprefix('test_').replace('_', ' ')} (`{file}`)"


def rendered(page: str) -> str:
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    told = PAGE.read_text(encoding="utf-8")
    if "--write" in sys.argv:
        PAGE.write_text(rendered(told), encoding="utf-8")
    elif rendered(told) != told:
        sys.exit("docs/signalr-rules.md is not what the tests prove; render it with --write")
