"""Reads a function's docstring: what it does, what its parameters mean. Knows no types and no schema."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, Final

_SENTENCE: Final = re.compile(r".+?(?:[.!?](?=\s+[^a-z\s]|\s*$)|[。！？])", re.DOTALL)
_ARGS: Final = re.compile(r"^(?:Args|Arguments|Parameters|引数)\s*[:：]\s*$")
_ENTRY: Final = re.compile(r"^(\s+)(\w+)\s*(?:\([^)]*\))?\s*[:：]\s*(.*)$")


def first_sentence(function: Callable[..., Any]) -> str:
    """Return the docstring's first sentence on one line, or an empty string."""
    paragraph = (inspect.getdoc(function) or "").split("\n\n", 1)[0]
    text = " ".join(paragraph.split())
    found = _SENTENCE.match(text)
    return found.group(0).strip() if found else text


def parameter_descriptions(function: Callable[..., Any]) -> dict[str, str]:
    """Return the entries of the docstring's `Args:` section by parameter name."""
    lines = (inspect.getdoc(function) or "").splitlines()
    start = next((n for n, line in enumerate(lines) if _ARGS.match(line)), None)
    if start is None:
        return {}
    found: dict[str, list[str]] = {}
    current, indent = "", 0
    for line in lines[start + 1 :]:
        if not line.strip():
            continue
        depth = len(line) - len(line.lstrip())
        if depth == 0:
            break
        entry = _ENTRY.match(line)
        if entry and (not current or depth <= indent):
            current, indent = entry.group(2), depth
            found[current] = [entry.group(3).strip()]
        elif current:
            found[current].append(line.strip())
    return {name: " ".join(part for part in parts if part) for name, parts in found.items()}
