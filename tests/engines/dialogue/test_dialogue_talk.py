"""Talk around tools: greetings, honesty, instructions, languages, tool choice."""

from __future__ import annotations

from typing import Any

import agents
import pytest
from scripted_caller import NOW, Caller, collected

from kaiwa.engines.chat import ChatCall, ChatRequest, ChatText
from kaiwa.engines.dialogue import DialogueModel
from kaiwa.engines.dialogue.names import person_in
from kaiwa.engines.dialogue.talk import is_no, is_yes
from kaiwa.events.config import ForcedFunction


def opening(instructions: str = "", **settings: Any) -> str:
    return Caller([], instructions=instructions, **settings).listen()


def test_an_empty_conversation_opens_with_a_greeting_that_fits_the_instructions() -> None:
    assert opening() == "こんにちは。ご用件をどうぞ。"
    assert "中央レンタカー" in opening("あなたは中央レンタカーの予約受付オペレーターです。")
    assert "Sunny Motors" in opening("You are the receptionist of Sunny Motors. Be kind.")
    assert opening("最初に「いらっしゃいませ、花屋です」と言ってください。") == "いらっしゃいませ、花屋です"
    assert opening("Say hello") == "Hello! How can I help you?"
    assert opening("Say exactly: The line is open.") == "The line is open."
    assert opening("「テストです」と言ってください。") == "テストです"


def test_it_greets_when_it_is_asked_to() -> None:
    assert Caller([]).say("挨拶してください") == "こんにちは。ご用件をどうぞ。"
    assert Caller([]).say("Please greet me.") == "Hello! How can I help you?"


def test_a_language_rule_beats_the_language_spoken() -> None:
    caller = Caller(agents.WEATHER, instructions="Always answer in Japanese.")
    assert "晴れ" in (spoken := caller.say("What's the weather in Paris?")) and "お調べします" in spoken
    caller = Caller(agents.WEATHER)
    assert "Let me check" in caller.say("What's the weather in Paris?")
    assert "お調べします" in caller.say("東京の天気は？")


def test_it_says_honestly_what_it_is() -> None:
    caller = Caller(agents.WEATHER)
    for line in ("日本の首相は誰ですか？", "あなたはAIですか", "晩ごはんは何がいいでしょう"):
        spoken = caller.say(line)
        assert "kaiwaのオフラインのデモ用モデル" in spoken and "天気" in spoken, line
    assert "offline demo model" in caller.say("Are you ChatGPT?")
    assert caller.calls == []


def test_small_talk_needs_no_tool() -> None:
    caller = Caller(agents.PIZZA)
    assert "こんにちは" in caller.say("こんにちは")
    assert "ピザ" in caller.say("何ができますか")
    first = caller.say("ピザを注文したい")
    assert caller.say("もう一度お願いします") == first
    assert "もう一度お願い" in caller.say("")
    assert "どういたしまして" in caller.say("ありがとう")
    assert "失礼" in caller.say("さようなら")
    assert caller.calls == []


@pytest.mark.parametrize(
    "yes",
    [
        "はい",
        "はい、お願いします",
        "ええ、それでお願いします。",
        "yes",
        "Yes, please.",
        "OKです",
        "はい、大丈夫です",
    ],
)
def test_a_plain_yes_is_a_yes(yes: str) -> None:
    assert is_yes(yes) and not is_no(yes)


@pytest.mark.parametrize(
    "other",
    [
        "はい？",
        "はい、でも日曜日で",
        "いいえ",
        "コンパクトでお願いします",
        "wait",
        "yes but on Sunday",
        "うーん",
        "thanks",
    ],
)
def test_anything_more_is_no_yes(other: str) -> None:
    assert not is_yes(other)


@pytest.mark.parametrize(
    ("said", "asked", "name"),
    [
        ("山田太郎です", False, "山田太郎"),
        ("名前は佐藤花子と申します", False, "佐藤花子"),
        ("やまだたろうです", True, "やまだたろう"),
        ("田中です", True, "田中"),
        ("はい、鈴木一郎でお願いします", True, "鈴木一郎"),
        ("my name is John Smith", False, "John Smith"),
        ("Jane Doe", True, "Jane Doe"),
        ("it's mary jones", True, "Mary Jones"),
        ("10時からでお願いします", True, None),
        ("東京駅前店で", False, None),
        ("I'm looking for a car", False, None),
    ],
)
def test_names_are_taken_as_people_give_them(said: str, asked: bool, name: str | None) -> None:
    assert person_in(said, asked) == name


def calls_of(caller: Caller, **settings: Any) -> list[tuple[str, str]]:
    events = collected(DialogueModel(), caller.request(**settings))
    return [(event.name, event.arguments) for event in events if isinstance(event, ChatCall)]


def test_tool_choice_is_honoured() -> None:
    caller = Caller(agents.WEATHER)
    caller.history.append(agents.user("東京の天気は？"))
    assert calls_of(caller, tool_choice="none") == []
    assert calls_of(caller, tool_choice="required") == [("tell_sky", '{"city": "東京"}')]
    forced = calls_of(caller, tool_choice=ForcedFunction(name="dig_archive"))
    assert [name for name, _ in forced] == ["dig_archive"]


def test_a_function_without_parameters_gets_an_empty_object() -> None:
    caller = Caller(agents.PIZZA)
    caller.history.append(agents.user("メニューを見せて"))
    assert calls_of(caller) == [("show_menu", "{}")]


def test_text_streams_in_pieces_that_add_up() -> None:
    request = ChatRequest(
        history=(agents.user("何ができますか"),), tools=tuple(spec for spec, _ in agents.PIZZA), now=NOW
    )
    pieces = [event.text for event in collected(DialogueModel(), request) if isinstance(event, ChatText)]
    assert len(pieces) > 2 and all(pieces)
    assert "".join(pieces).endswith("ご用件をお聞かせください。")
