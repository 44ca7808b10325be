"""What holds for any history, any tools and any instructions."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted_caller import Caller, collected

import kaiwa.engines.dialogue
from kaiwa.engines.chat import ChatCall, ChatEnd, ChatRequest, ChatText
from kaiwa.engines.dialogue import DialogueModel
from kaiwa.engines.dialogue.talk import is_yes
from kaiwa.events.config import ForcedFunction
from kaiwa.events.items import FunctionCall, FunctionCallOutput, InputText, Item, Message, OutputText
from kaiwa.events.tools import ToolSpec

NOW = datetime.fromisoformat("2026-11-21T09:30:00+09:00")
LINES = (
    "来週の土曜日に予約したいんですが", "はい", "はい、お願いします", "いいえ", "山田太郎です", "10時から18時まで", "二番目で", "3枚お願いします",
    "東京の天気と、AIについて調べて", "キャンセルしてください", "もう一度", "何ができますか", "", "……", "yes", "yes please", "no, make it Sunday",
    "book a table for two tomorrow at 7 pm", "R-001です", "2泊3日で", "コンパクトで", "注文したい", "あなたは誰", "090-1234-5678です", "a@b.jp",
    "99月99日の99時", "12月32日", "渋谷から新宿まで", "Lサイズ", "送ってください",
)  # fmt: skip
NAMES = ("locationId", "startDate", "endDate", "date", "time", "customerName", "quantity", "size", "query", "city", "notes", "email",
         "phone", "toppings", "withInsurance", "checkIn", "checkOut", "nights", "orderNumber", "from", "to", "amount", "x")  # fmt: skip
TOOLS = (
    "create_booking",
    "list_things",
    "check_availability",
    "cancel_order",
    "get_weather",
    "search_docs",
    "send_message",
    "予約する",
    "zap",
    "order_pizza",
)
TEXTS = (
    "予約を作成します",
    "Check availability",
    "一覧を返す",
    "検索する。時間がかかります",
    "",
    "Send a message",
    "天気",
    "日時 ISO 8601",
    "YYYY-MM-DD",
    "ID",
)

LEAVES = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={
            "format": st.sampled_from(["date", "time", "date-time", "email", "uuid"]),
            "description": st.sampled_from(TEXTS),
            "minLength": st.integers(0, 4),
            "maxLength": st.integers(4, 12),
            "pattern": st.sampled_from(["^[A-Z]", r"\d+", "x"]),
        },
    ),
    st.fixed_dictionaries({"type": st.just("string"), "enum": st.lists(st.sampled_from(["S", "M", "L", "compact", "東京", "a b"]), min_size=1, unique=True)}),
    st.fixed_dictionaries({"type": st.sampled_from(["integer", "number"])}, optional={"minimum": st.integers(0, 5), "maximum": st.integers(6, 30), "multipleOf": st.integers(1, 3)}),
    st.just({"type": "boolean", "description": "保険"}),
    st.just({"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}),
    st.just({"type": "array", "items": {"type": "string"}, "minItems": 1}),
    st.just({"type": "array", "items": {"type": "object"}}),
    st.just({"$ref": "#/$defs/Size"}),
    st.just({"const": "fixed"}),
    st.just({"type": "null"}),
    st.just({}),
)  # fmt: skip


def objects(leaves: st.SearchStrategy[Any], depth: int) -> st.SearchStrategy[dict[str, Any]]:
    inner = leaves if depth == 0 else st.one_of(leaves, objects(leaves, depth - 1))

    def build(properties: dict[str, Any], needed: list[str]) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": properties,
            "required": [name for name in needed if name in properties],
        }

    return st.builds(
        build,
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
        st.lists(st.sampled_from(NAMES), unique=True),
    )


SPECS = st.lists(
    st.builds(
        ToolSpec,
        name=st.sampled_from(TOOLS),
        description=st.sampled_from(TEXTS),
        parameters=objects(LEAVES, 1).map(
            lambda schema: {**schema, "$defs": {"Size": {"type": "string", "enum": ["S", "L"]}}}
        ),
        changes=st.sampled_from([None, None, True, False]),
    ),
    max_size=4,
    unique_by=lambda spec: spec.name,
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just("2026-11-28T10:00:00+09:00")),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["id", "name", "error", "vehicleType", "rooms", "success", "price"]), inner, max_size=4)),
    max_leaves=8,
)  # fmt: skip
ITEMS = st.lists(
    st.one_of(
        st.sampled_from(LINES).map(lambda text: Message(role="user", content=(InputText(text=text),))),
        st.text(max_size=12).map(lambda text: Message(role="user", content=(InputText(text=text),))),
        st.sampled_from(["よろしいでしょうか", "Shall I go ahead and make the booking?", "お調べしますね。"]).map(
            lambda text: Message(role="assistant", content=(OutputText(text=text),))
        ),
        st.builds(FunctionCall, name=st.sampled_from(TOOLS), call_id=st.sampled_from(["a", "b"]), arguments=st.one_of(JSON.map(json.dumps), st.text(max_size=5))),
        st.builds(FunctionCallOutput, call_id=st.sampled_from(["a", "b"]), output=st.one_of(JSON.map(json.dumps), st.text(max_size=9))),
    ),
    max_size=9,
)  # fmt: skip
CHOICES = st.one_of(
    st.sampled_from(["auto", "none", "required"]),
    st.sampled_from(TOOLS).map(lambda name: ForcedFunction(name=name)),
)
RELAXED = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))


def checked(request: ChatRequest) -> list[ChatCall]:
    """Run a request and check what must hold of every answer; return its calls."""
    from kaiwa.engines.dialogue.schema import tools_of

    events = collected(DialogueModel(), request)
    assert [isinstance(event, ChatEnd) for event in events].count(True) == 1 and isinstance(
        events[-1], ChatEnd
    )
    calls = [event for event in events if isinstance(event, ChatCall)]
    known = {spec.name: spec for spec in request.tools}
    changing = {tool.name for tool in tools_of(request.tools) if tool.changes}
    for call in calls:
        assert call.name in known
        jsonschema.validate(json.loads(call.arguments), known[call.name].parameters)
        if call.name in changing:
            assert confirmed(request.history), call
    DialogueModel().expect(request)
    return calls


def confirmed(history: tuple[Item, ...]) -> bool:
    """Return whether the last words are a plain yes to a read-back."""
    said = [item for item in history if isinstance(item, Message)]
    if len(said) < 2 or said[-1].role != "user" or said[-2].role != "assistant":
        return False
    texts = [
        "".join(getattr(part, "text", None) or getattr(part, "transcript", "") for part in item.content)
        for item in said[-2:]
    ]
    return ("よろしいでしょうか" in texts[0] or "Shall I go ahead" in texts[0]) and is_yes(texts[1])


@RELAXED
@given(
    history=ITEMS,
    tools=SPECS,
    choice=CHOICES,
    instructions=st.sampled_from(["", "あなたは店の受付です。", "Say hello", "常に日本語で答えてください"]),
)
def test_any_history_gets_one_end_and_only_valid_and_confirmed_calls(
    history: list[Item], tools: list[ToolSpec], choice: Any, instructions: str
) -> None:
    request = ChatRequest(
        history=tuple(history), tools=tuple(tools), tool_choice=choice, instructions=instructions, now=NOW
    )
    calls = checked(request)
    assert not (choice == "none" and calls)
    if isinstance(choice, ForcedFunction):
        assert all(call.name == choice.name for call in calls)


@RELAXED
@given(lines=st.lists(st.sampled_from(LINES), max_size=8), tools=SPECS, output=JSON)
def test_a_whole_conversation_with_any_tools_keeps_the_rules(
    lines: list[str], tools: list[ToolSpec], output: Any
) -> None:
    caller = Caller([(spec, lambda arguments: output) for spec in tools])
    for line in lines:
        caller.history.append(Message(role="user", content=(InputText(text=line),)))
        for _ in range(6):
            checked(caller.request())
            _, calls = caller.respond()
            if not calls:
                break
            for call, call_id in calls:
                caller.answer(call, call_id)


@RELAXED
@given(history=ITEMS, tools=SPECS, limit=st.integers(1, 30))
def test_an_answer_is_cut_at_its_limit(history: list[Item], tools: list[ToolSpec], limit: int) -> None:
    request = ChatRequest(history=tuple(history), tools=tuple(tools), max_output_tokens=limit, now=NOW)
    events = collected(DialogueModel(), request)
    text = "".join(event.text for event in events if isinstance(event, ChatText))
    assert sum(ord(char) > 0x2E80 for char in text) <= limit
    whole = collected(DialogueModel(), ChatRequest(history=tuple(history), tools=tuple(tools), now=NOW))
    if len("".join(event.text for event in whole if isinstance(event, ChatText))) > len(text):
        assert events[-1].reason == "max_output_tokens"


@RELAXED
@given(history=ITEMS, tools=SPECS)
def test_the_same_request_gives_the_same_answer(history: list[Item], tools: list[ToolSpec]) -> None:
    request = ChatRequest(history=tuple(history), tools=tuple(tools), now=NOW)
    assert collected(DialogueModel(), request) == collected(DialogueModel(), request)


def test_the_engine_names_no_tool_of_any_app() -> None:
    source = "".join(path.read_text() for path in Path(kaiwa.engines.dialogue.__file__).parent.glob("*.py"))
    tools = (
        "list_locations",
        "get_availability",
        "create_reservation",
        "get_weather",
        "search_database",
        "locationId",
        "vehicleType",
    )
    tools += (
        "make_appointment",
        "place_order",
        "query_inventory",
        "lend_volume",
        "call_taxi",
        "kaiwa.apps",
        "rentacar",
    )
    assert [name for name in tools if name in source] == []


def test_an_optional_object_is_whole_or_left_out_and_a_required_one_is_there() -> None:
    party = {"type": "object", "properties": {"people": {"type": "integer"}, "child": {"type": "boolean"}}}
    for needed, expected in (([], {"party": {}}), (["people", "child"], None)):
        schema = {
            "type": "object",
            "properties": {"party": {**party, "required": needed}, "query": {"type": "string"}},
            "required": ["query"] if needed else ["query", "party"],
        }
        spec = ToolSpec(name="search_docs", description="Search documents", parameters=schema)
        caller = Caller([(spec, lambda arguments: "Nothing.")])
        caller.say("search for trains please" if not needed else "search for trains for 2 people")
        arguments = caller.calls[0][1]
        assert arguments.get("party") == (expected or {}).get("party")
