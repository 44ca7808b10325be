"""The log's two forms: the same facts, one line each, whatever a client wrote into them."""

from __future__ import annotations

import json
import logging
import sys
from types import TracebackType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kaiwa.server.logs import JsonFacts, OwnLines, TextFacts

_Trouble = tuple[type[BaseException], BaseException, TracebackType | None]


def record(name: str = "kaiwa.server", trouble: _Trouble | None = None, **facts: Any) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.INFO, "", 0, "session closed", None, trouble)
    vars(made).update(facts)
    return made


def test_json_has_the_facts_as_fields() -> None:
    line = json.loads(JsonFacts().format(record(session_id="sess_1", elapsed_ms=12, estimated=False)))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info", "logger": "kaiwa.server", "message": "session closed",
        "session_id": "sess_1", "elapsed_ms": 12, "estimated": False,
    }  # fmt: skip


def test_the_text_has_the_same_facts_behind_the_message() -> None:
    assert (
        TextFacts()
        .format(record(elapsed_ms=12, session_id="sess_1"))
        .endswith("INFO kaiwa.server session closed session_id=sess_1 elapsed_ms=12")
    )


def test_a_bug_is_told_in_one_line_of_json() -> None:
    try:
        raise ValueError("twice\nas bad")
    except ValueError:
        _, trouble, trace = sys.exc_info()
        assert trouble is not None
        text = JsonFacts().format(record(trouble=(ValueError, trouble, trace)))
    assert "\n" not in text
    assert "ValueError: twice\nas bad" in json.loads(text)["exception"]


def test_what_libraries_give_besides_their_message_is_left_out() -> None:
    assert "color_message" not in JsonFacts().format(record("uvicorn.error", color_message="red"))
    assert "color_message" in JsonFacts().format(record("kaiwa.server", color_message="red"))


def test_libraries_may_only_warn() -> None:
    """What is bound to SQL and which addresses are asked for they tell while they work."""
    installed = logging.__file__.replace("logging/__init__.py", "")  # the standard library is none of them
    told = [
        (name, level)
        for name, path, level in (
            ("kaiwa.server", pytest.__file__, logging.DEBUG),
            ("my_tools", "/srv/my_tools.py", logging.DEBUG),
            ("asyncio", installed + "asyncio/events.py", logging.DEBUG),
            ("aiosqlite", pytest.__file__, logging.DEBUG),
            ("httpx", pytest.__file__, logging.INFO),
            ("httpx", pytest.__file__, logging.WARNING),
        )
        if OwnLines().filter(logging.LogRecord(name, level, path, 0, "", None, None))
    ]
    assert [name for name, _ in told] == ["kaiwa.server", "my_tools", "asyncio", "httpx"]
    assert told[-1] == ("httpx", logging.WARNING)


@given(some.text())
def test_no_fact_draws_a_line_of_its_own(model: str) -> None:
    facts = record(model=model)
    assert len(TextFacts().format(facts).splitlines()) == 1
    text = JsonFacts().format(facts)
    assert len(text.split("\n")) == 1
    assert json.loads(text)["model"] == model


def test_a_line_of_text_begins_as_that_of_the_standard_library() -> None:
    usual, ours = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"), TextFacts()
    for created, millis in ((1_800_000_000.25, 250.0), (1_800_000_000.999, 999.0), (1_800_000_001.0, 0.0)):
        one = record(created=created, msecs=millis)
        assert ours.format(one) == usual.format(one)
