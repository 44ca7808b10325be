"""`@tool`: what a model sees of a typed function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from kaiwa.errors import ConfigError
from kaiwa.tools.context import ToolContext
from kaiwa.tools.function import Tool, tool


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Topping(BaseModel):
    name: str
    size: Size = Size.SMALL


class Branch(BaseModel):
    children: list[Branch] = []


@tool
def order_pizza(
    context: ToolContext,
    kind: Literal["margherita", "marinara"],
    count: Annotated[int, Field(ge=1, le=9, description="How many")] = 1,
    size: Size | None = None,
    day: date | None = None,
    at: datetime | None = None,
    toppings: list[Topping] = [],  # noqa: B006 - read only, as a schema's default
    schema: str = "plain",
) -> str:
    """Order a pizza, e.g. for tonight. The kitchen closes at ten.

    Args:
        kind: Which pizza,
            as on the card.
        count: overruled by the annotation
        size (Size): How big.

    Returns:
        kind: no parameter
    """
    context.progress(1.0)
    return f"{count} {kind}"


def test_types_defaults_and_descriptions_come_from_the_signature_and_docstring() -> None:
    topping = {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string"},
            "size": {"type": "string", "enum": ["small", "large"], "default": "small"},
        },
    }
    assert order_pizza.name == "order_pizza"
    assert order_pizza.description == "Order a pizza, e.g. for tonight."
    assert order_pizza.parameters == {
        "type": "object",
        "additionalProperties": False,
        "required": ["kind"],
        "properties": {
            "kind": {
                "type": "string",
                "enum": ["margherita", "marinara"],
                "description": "Which pizza, as on the card.",
            },
            "count": {"type": "integer", "minimum": 1, "maximum": 9, "default": 1, "description": "How many"},
            "size": {"type": "string", "enum": ["small", "large"], "description": "How big."},
            "day": {"type": "string", "format": "date"},
            "at": {"type": "string", "format": "date-time"},
            "toppings": {"type": "array", "items": topping, "default": []},
            "schema": {"type": "string", "default": "plain"},
        },
    }


def test_a_tool_is_still_the_function_it_decorates() -> None:
    assert order_pizza(ToolContext("call_1"), "marinara", count=2) == "2 marinara"


def test_options_overrule_what_the_function_says() -> None:
    @tool(name="say-hello", description="挨拶します。", changes=False, timeout_s=2)
    async def hello() -> str:
        """Say hello."""
        return "hello"

    assert hello.spec.name == "say-hello"
    assert hello.spec.description == "挨拶します。"
    assert (hello.spec.changes, hello.spec.server, hello.timeout_s) == (False, True, 2)
    assert hello.spec.parameters == {"type": "object", "additionalProperties": False, "properties": {}}


def test_a_japanese_docstring_ends_its_first_sentence_at_the_maru() -> None:
    @tool
    def search(query: str) -> str:
        """資料を検索します。時間がかかります。

        引数:
            query：調べたい言葉
        """
        return query

    assert search.description == "資料を検索します。"
    assert search.parameters["properties"]["query"]["description"] == "調べたい言葉"


def test_a_schema_that_refers_to_itself_keeps_its_references() -> None:
    @tool
    def plant(tree: Branch) -> None: ...

    assert plant.parameters["properties"]["tree"] == {"$ref": "#/$defs/Branch"}
    assert plant.signature.read('{"tree": {"children": [{}]}}') == {"tree": Branch(children=[Branch()])}


def untyped(city) -> str:  # type: ignore[no-untyped-def]
    return str(city)


def many(*cities: str) -> str:
    return ", ".join(cities)


def callback(then: Callable[[], None]) -> None: ...


def context_last(city: str, context: ToolContext) -> None: ...


def yielding() -> Iterator[int]:
    yield 1


def nowhere(city: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (untyped, "the parameter 'city' has no type"),
        (many, "has no name in a JSON object"),
        (callback, "a parameter has no JSON schema"),
        (context_last, "ToolContext stands behind another parameter"),
        (yielding, "it yields"),
        (nowhere, "the annotation 'Nowhere' cannot be resolved"),
        (lambda: None, "the name does not suit a model"),
    ],
)
def test_a_function_no_model_could_call_is_refused_when_it_is_decorated(
    function: Callable[..., Any], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        tool(function)


def test_a_method_of_a_value_can_be_a_tool() -> None:
    class Shop:
        def price(self, item: str) -> int:
            """Tell the price."""
            return len(item)

    price: Tool[..., int] = tool(Shop().price)

    assert list(price.parameters["properties"]) == ["item"]
    assert price(item="tea") == 3
