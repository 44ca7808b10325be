"""What becomes of a chat model's events in either API, also when the model breaks or calls twice."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from kaiwa.engines.chat import ChatArguments, ChatCall, ChatEnd, ChatEvent, ChatText
from kaiwa.errors import UpstreamError
from kaiwa.events.response import FailureDetail
from kaiwa.protocol.chat.requests import Question
from kaiwa.protocol.chat.responses import Asked
from kaiwa.server.chat_local_answers import ChatTelling, ResponseTelling, Telling

QUESTION = Question(
    model="m",
    instructions="",
    history=(),
    tools=(),
    tool_choice="auto",
    limit=None,
    stream=True,
    usage=False,
    parallel=True,
)
BROKEN = ChatEnd(
    reason="failed", error=FailureDetail(type="server_error", code="cut_off", message="It broke off.")
)
TWO_CALLS = (
    ChatArguments(index=0, name="one", delta='{"a":'),
    ChatArguments(index=0, name="one", delta="1}"),
    ChatCall(index=0, name="one", arguments='{"a":1}', call_id="given"),
    ChatCall(index=1, name="two", arguments="{}", call_id="other"),
    ChatEnd(),
)


def counting() -> Any:
    numbers = itertools.count(1)
    return lambda kind: f"{kind}_{next(numbers)}"


def chat(question: Question = QUESTION) -> ChatTelling:
    return ChatTelling(question, "m", counting(), 0)


def response(question: Question = QUESTION) -> ResponseTelling:
    return ResponseTelling(question, Asked(), "m", counting(), 0)


def told(telling: Telling, events: Sequence[ChatEvent]) -> list[Any]:
    """Return the data of every event of the stream."""
    pieces = [*telling.begin(), *(piece for event in events for piece in telling.take(event))]
    datas = [
        line.removeprefix("data: ")
        for line in b"".join(pieces).decode().split("\n")
        if line.startswith("data: ")
    ]
    return [data if data == "[DONE]" else json.loads(data) for data in datas]


def test_a_model_that_breaks_ends_the_stream_by_an_error_and_no_done() -> None:
    telling = chat()
    _, words, error = told(telling, (ChatText(text="Well"), BROKEN))
    assert words["choices"][0]["delta"]["content"] == "Well"
    assert error["error"] == {
        "message": "It broke off.",
        "type": "server_error",
        "param": None,
        "code": "cut_off",
    }
    with pytest.raises(UpstreamError, match="broke off"):
        telling.whole()


def test_a_model_that_breaks_makes_a_response_that_failed() -> None:
    telling = response()
    last = told(telling, (ChatText(text="Well"), BROKEN))[-1]
    assert (last["type"], last["response"]["status"]) == ("response.failed", "failed")
    assert last["response"]["error"] == {"code": "cut_off", "message": "It broke off."}
    assert last["response"]["output"][0]["status"] == "incomplete"
    with pytest.raises(UpstreamError):
        telling.whole()


def test_calls_are_told_once_whether_their_arguments_came_in_pieces_or_not() -> None:
    telling = chat()
    chunks = told(telling, TWO_CALLS)
    pieces = [call for chunk in chunks[1:-2] for call in chunk["choices"][0]["delta"]["tool_calls"]]
    assert [(piece["index"], piece["function"].get("name")) for piece in pieces] == [
        (0, "one"),
        (0, None),
        (0, None),
        (1, "two"),
        (1, None),
    ]
    calls = json.loads(telling.whole())["choices"][0]["message"]["tool_calls"]
    assert [(call["function"]["name"], call["function"]["arguments"]) for call in calls] == [
        ("one", '{"a":1}'),
        ("two", "{}"),
    ]
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("parallel", [True, False])
def test_one_call_is_enough_for_who_wants_no_parallel_ones(parallel: bool) -> None:
    question = replace(QUESTION, parallel=parallel)
    completion, answer = chat(question), response(question)
    told(completion, TWO_CALLS)
    told(answer, TWO_CALLS)
    count = 2 if parallel else 1
    assert len(json.loads(completion.whole())["choices"][0]["message"]["tool_calls"]) == count
    assert len(json.loads(answer.whole())["output"]) == count


def test_the_filter_and_the_limit_are_reasons_of_their_own() -> None:
    for reason, finish in (("content_filter", "content_filter"), ("max_output_tokens", "length")):
        end = ChatEnd(reason=reason)  # type: ignore[arg-type]
        assert told(chat(), (ChatText(text="x"), end))[-2]["choices"][0]["finish_reason"] == finish
        last = told(response(), (ChatText(text="x"), end))[-1]["response"]
        assert (last["status"], last["incomplete_details"]) == ("incomplete", {"reason": reason})
