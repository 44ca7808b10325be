"""What a caller's body becomes: bounded whatever it says, and left alone where it may be."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaiwa.errors import PeerError
from kaiwa.policy.caller import ANYBODY, Caller
from kaiwa.policy.shaping import LENGTHS, NotAllowed, Operation, shape, tool_name

OPERATIONS: tuple[Operation, ...] = ("chat/completions", "responses", "embeddings")
BOUND = Caller(
    id="a",
    models=("gpt-4o*", "desk"),
    forced={"temperature": 0.2, "user": "a"},
    defaults={"top_p": 0.9, "model": "desk"},
    max_tokens=100,
    max_choices=2,
    tools=("search_*", "mcp:docs"),
    other_tools="strip",
)


def function(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {}}}


values = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 500), st.text(max_size=4), st.lists(st.none(), max_size=2)
)
tools = st.one_of(
    values,
    st.lists(
        st.one_of(
            st.sampled_from([function("search_cars"), function("drop_tables"), {"type": "web_search"}]),
            st.dictionaries(
                st.sampled_from(["type", "function", "name", "server_label"]), values, max_size=3
            ),
        ),
        max_size=4,
    ),
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "model": st.one_of(values, st.sampled_from(["gpt-4o-mini", "o3", "desk"])),
        **dict.fromkeys(
            ("max_tokens", "max_completion_tokens", "max_output_tokens", "n", "temperature", "top_p"), values
        ),
        "tools": tools,
        "functions": tools,
        "tool_choice": st.one_of(values, st.sampled_from([function("search_cars"), function("drop_tables")])),
    },
)


@given(body=bodies, operation=st.sampled_from(OPERATIONS))
def test_no_body_gets_past_its_callers_bounds(body: dict[str, Any], operation: Operation) -> None:
    before = copy.deepcopy(body)
    try:
        shaped = shape(BOUND, body, operation)
    except PeerError:
        shaped = None
    assert body == before, "the given body is left as it is"
    if shaped is None:
        return
    assert shaped.get("model") is None or BOUND.may_use(shaped["model"])
    assert all(shaped[name] <= 100 for name in LENGTHS[operation] if shaped.get(name) is not None)
    if operation == "embeddings":
        assert shaped.get("temperature") == body.get("temperature")
        return
    assert any(shaped.get(name) is not None for name in LENGTHS[operation])
    assert shaped["temperature"] == 0.2
    assert shaped["top_p"] == body.get("top_p", 0.9)
    assert all(BOUND.may_offer(tool_name(tool)) for tool in shaped.get("tools") or [])
    choice = shaped.get("tool_choice")
    assert not isinstance(choice, dict) or BOUND.may_offer(tool_name(choice))
    assert operation != "chat/completions" or (shaped.get("n") or 1) <= 2
    assert shape(BOUND, shaped, operation) == shaped, "a shaped body is shaped"


@given(body=bodies, operation=st.sampled_from(OPERATIONS))
def test_who_is_not_bounded_says_what_they_like(body: dict[str, Any], operation: Operation) -> None:
    try:
        assert shape(ANYBODY, body, operation) == body
    except PeerError as wrong:
        assert not isinstance(wrong, NotAllowed)


def test_a_model_one_may_not_use_is_as_one_that_does_not_exist() -> None:
    with pytest.raises(NotAllowed) as refused:
        shape(BOUND, {"model": "o3"}, "responses")
    assert (refused.value.status, refused.value.code, refused.value.param) == (
        404,
        "model_not_found",
        "model",
    )


@pytest.mark.parametrize(
    "tool",
    [
        function("drop_tables"),
        {"type": "function", "name": "drop_tables"},
        {"type": "web_search"},
        {"type": "mcp", "server_label": "other"},
        {"type": "custom", "custom": {"name": "search"}},
        {},
    ],
)
def test_other_tools_are_refused_or_stripped_with_the_choice_of_them(tool: dict[str, Any]) -> None:
    body = {"model": "desk", "tools": [tool], "tool_choice": "required", "parallel_tool_calls": True}
    shaped = shape(BOUND, body, "chat/completions")
    assert {"tools", "tool_choice", "parallel_tool_calls"}.isdisjoint(shaped)
    strict = Caller(id="b", tools=BOUND.tools)
    with pytest.raises(NotAllowed) as refused:
        shape(strict, body, "chat/completions")
    assert (refused.value.status, refused.value.param) == (403, "tools[0]")
