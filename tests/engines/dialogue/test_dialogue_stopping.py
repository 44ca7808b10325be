"""Callers ask what runs and stop it, in Japanese and English; an agreement is told to the session."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from kaiwa.engines.chat import ChatCall, ChatRequest, ChatText
from kaiwa.engines.dialogue.model import answer
from kaiwa.events.items import FunctionCall, FunctionCallOutput, InputText, Item, Message, OutputText
from kaiwa.events.tools import STOP_TOOL_CALL, ToolProgress, ToolSpec
from kaiwa.session.stopping import STOPPED_BY_CALLER, stop_tool, told

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=ZoneInfo("Asia/Tokyo"))


def text(name: str, description: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"type": "string", "description": description}},
        "required": [name],
    }


def specs(language: str) -> tuple[ToolSpec, ...]:
    japanese = language == "ja"
    return (
        ToolSpec(
            name="search_database",
            description="資料のデータベースを検索して調べます。"
            if japanese
            else "Search the document database.",
            parameters=text("query", "調べたい言葉" if japanese else "What to search for"),
            changes=False,
            server=True,
            background=True,
        ),
        ToolSpec(
            name="get_weather",
            description="都市の天気を調べます。" if japanese else "Look up the weather of a city.",
            parameters=text("city", "都市の名前" if japanese else "Name of the city"),
            changes=False,
            server=True,
        ),
        ToolSpec(
            name="cancel_reservation",
            description="予約を取り消します。" if japanese else "Cancel a reservation.",
            parameters=text("reservation_number", "予約番号" if japanese else "The reservation's number"),
            changes=True,
            server=True,
            confirm=True,
        ),
    )


class Chat:
    """A chat whose calls run until they are stopped or settled, as the session has them."""

    def __init__(self, language: str = "ja") -> None:
        self.specs = specs(language)
        self.history: list[Item] = []
        self.progress: tuple[ToolProgress, ...] = ()

    def say(self, words: str) -> tuple[str, list[ChatCall]]:
        self.history.append(Message(role="user", content=(InputText(text=words),)))
        return self.answer()

    def answer(self) -> tuple[str, list[ChatCall]]:
        names = [call.name for call in self.running()]
        offered = (*self.specs, stop_tool(names)) if names else self.specs
        request = ChatRequest(history=tuple(self.history), tools=offered, now=NOW, progress=self.progress)
        events = list(answer(request))
        words = "".join(event.text for event in events if isinstance(event, ChatText))
        if words:
            self.history.append(Message(role="assistant", content=(OutputText(text=words),)))
        calls = [event for event in events if isinstance(event, ChatCall)]
        for call in calls:
            self._take(call)
        return words, calls

    def running(self) -> list[FunctionCall]:
        done = {item.call_id for item in self.history if isinstance(item, FunctionCallOutput)}
        return [item for item in self.history if isinstance(item, FunctionCall) and item.call_id not in done]

    def _take(self, call: ChatCall) -> None:
        running, call_id = self.running(), f"call_{len(self.history)}"
        item = FunctionCall(name=call.name, arguments=call.arguments, call_id=call_id, status="completed")
        self.history.append(item)
        if call.name == STOP_TOOL_CALL:
            stopped = [one for one in running if f'"{one.name}"' in call.arguments]
            for one in stopped:
                self.settle(str(one.call_id), STOPPED_BY_CALLER)
            self.settle(call_id, told("", [one.name for one in stopped]))

    def settle(self, call_id: str, output: str) -> None:
        self.history.append(FunctionCallOutput(call_id=call_id, output=output))


@pytest.mark.parametrize(
    ("language", "search", "stop", "over"),
    [
        ("ja", "音声認識について資料を検索してください", "検索をやめてください", "検索を中止しました"),
        (
            "ja",
            "音声認識について資料を検索してください",
            "やっぱりキャンセルしてください",
            "検索を中止しました",
        ),
        ("ja", "音声認識について資料を検索してください", "もういいです", "検索を中止しました"),
        ("en", "Search the documents about speech recognition", "Please stop the search", "I've stopped"),
        ("en", "Search the documents about speech recognition", "Cancel that", "I've stopped"),
    ],
)
def test_what_runs_is_stopped_when_the_caller_says_so(
    language: str, search: str, stop: str, over: str
) -> None:
    chat = Chat(language)
    _, calls = chat.say(search)
    assert [call.name for call in calls] == ["search_database"]

    _, calls = chat.say(stop)
    assert [(call.name, call.arguments) for call in calls] == [
        (STOP_TOOL_CALL, '{"name": "search_database"}')
    ]
    words, calls = chat.answer()
    assert over in words and not calls


def test_of_several_calls_the_named_one_is_stopped_or_all_of_them() -> None:
    chat = Chat()
    chat.say("音声認識について資料を検索してください")
    chat.say("東京の天気を教えてください")
    _, calls = chat.say("天気はやめてください")
    assert [call.arguments for call in calls] == ['{"name": "get_weather"}']

    chat.say("大阪の天気を教えてください")
    _, calls = chat.say("全部止めてください")
    assert len(calls) == 2 and {call.name for call in calls} == {STOP_TOOL_CALL}


def test_cancelling_a_booking_is_no_wish_to_stop_the_search() -> None:
    chat = Chat()
    chat.say("音声認識について資料を検索してください")
    words, calls = chat.say("予約をキャンセルしたいのですが")
    assert "予約番号" in words and not calls


def test_nothing_is_stopped_where_nothing_runs() -> None:
    chat = Chat()
    chat.say("こんにちは")
    _, calls = chat.say("やっぱりやめます")
    assert not calls


def test_the_caller_hears_what_runs_and_how_far_it_is() -> None:
    chat = Chat()
    chat.say("音声認識について資料を検索してください")
    chat.progress = tuple(ToolProgress(call_id=str(call.call_id), fraction=0.4) for call in chat.running())
    words, _ = chat.say("今、何をしていますか")
    assert "検索を実行しています" in words and "40パーセント" in words


def test_who_asks_what_runs_hears_it_behind_a_result_that_just_came() -> None:
    chat = Chat()
    chat.say("音声認識について資料を検索してください")
    chat.say("東京の天気を教えてください")
    chat.settle(str(chat.running()[-1].call_id), "東京は晴れです。")
    words, _ = chat.say("今、何をしていますか")
    assert words.startswith("東京は晴れです。") and "検索を実行しています" in words


def test_an_interim_answer_of_a_tool_asks_nothing() -> None:
    chat = Chat()
    chat.say("音声認識について資料を検索してください")
    chat.history.append(Message(role="assistant", content=(OutputText(text="三件見つかりました。"),)))
    words, calls = chat.say("東京の天気を教えてください")
    assert [call.name for call in calls] == ["get_weather"] and words


def test_only_a_call_the_caller_agreed_to_is_told_as_confirmed() -> None:
    chat = Chat()
    chat.say("予約を取り消したいです")
    words, calls = chat.say("R-001です")
    assert not calls and "よろしい" in words

    _, calls = chat.say("はい、お願いします")
    assert [(call.name, call.confirmed) for call in calls] == [("cancel_reservation", True)]
    _, calls = Chat().say("東京の天気を教えて")
    assert [call.confirmed for call in calls] == [False]
