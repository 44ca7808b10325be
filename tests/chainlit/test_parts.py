"""The parts of the Chainlit page that need neither Chainlit nor a browser."""

from __future__ import annotations

import json

import pytest
from environment import Choice, SettingError, place_from
from playing import Playing, Spoken, struck
from sessions import agent_for, retold, update

SECOND = bytes(48_000)


def test_what_was_not_heard_of_an_answer_is_counted_and_struck() -> None:
    answer, playing = Spoken("item"), Playing()
    for words in ("あいうえお。", "かきくけこ。"):
        answer.add_text(words)
        playing.give(answer, len(SECOND), now=10.0)
    assert playing.plays(now=11.5)

    heard_ms = answer.heard_ms(now=11.62)  # 0.12 s on the way
    assert heard_ms == 1500
    assert playing.stop(now=11.62) == [answer]
    assert struck(answer.text, answer.letters_heard(heard_ms)) == "あいうえお。かきく~~けこ。~~"
    assert playing.stop(now=11.7) == []


def test_a_pause_between_two_clauses_counts_as_nothing_heard() -> None:
    answer, playing = Spoken("item"), Playing()
    playing.give(answer, len(SECOND), now=0.0)
    playing.give(answer, len(SECOND), now=5.0)  # the first second was long over
    assert answer.heard_ms(now=5.62) == 1500


def test_an_answer_that_was_heard_to_its_end_is_not_cut() -> None:
    answer, playing = Spoken("item"), Playing()
    playing.give(answer, len(SECOND), now=0.0)
    assert not playing.plays(now=1.2)
    assert playing.stop(now=1.2) == []


def test_a_new_session_is_told_what_was_said_heard_and_done() -> None:
    steps = [
        {"type": "user_message", "output": "天気は？"},
        {
            "type": "tool",
            "name": "get_weather",
            "metadata": {"call_id": "c1", "arguments": "{}", "result": "晴れ"},
        },
        {"type": "tool", "name": "search_database", "metadata": {"call_id": "c2", "arguments": "{}"}},
        {"type": "assistant_message", "output": "晴れ~~です~~", "metadata": {"heard": "晴れ"}},
        {"type": "assistant_message", "output": "つながりません", "metadata": {"aside": True}},
    ]
    items = [event["item"] for event in retold(steps)]
    assert [item["type"] for item in items] == [
        "message",
        "function_call",
        "function_call_output",
        "function_call",
        "function_call_output",
        "message",
    ]
    assert items[2]["output"] == "晴れ"
    assert "error" in json.loads(items[4]["output"])
    assert items[5]["content"] == [{"type": "output_text", "text": "晴れ"}]


def test_a_session_begins_with_what_its_visitor_chose() -> None:
    choice = Choice(voice="cedar", language="en", instructions="Be brief.")
    session = update(choice, voice_on=True, transcription="whisper-1", first=True)["session"]
    assert session["audio"]["input"]["turn_detection"]["threshold"] == 0.6
    assert session["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 700
    assert session["audio"]["input"]["transcription"] == {"model": "whisper-1", "language": "en"}
    assert session["audio"]["output"]["voice"] == "cedar"
    assert session["output_modalities"] == ["audio"]
    later = update(choice, voice_on=False, transcription="whisper-1", first=False)["session"]
    assert "output" not in later["audio"]
    assert later["output_modalities"] == ["text"]


def test_a_language_chooses_the_agent_that_speaks_it_if_there_is_one() -> None:
    known = ("concierge", "concierge-en", "hours")
    assert agent_for("concierge", "en", known) == "concierge-en"
    assert agent_for("concierge-en", "ja", known) == "concierge"
    assert agent_for("hours", "en", known) == "hours"


@pytest.mark.parametrize(
    ("address", "socket"),
    [
        ("wss://kaiwa.example", "wss://kaiwa.example"),
        ("https://kaiwa.example/", "wss://kaiwa.example"),
        ("http://127.0.0.1:9000/v1/realtime", "ws://127.0.0.1:9000"),
        ("wss://host/desk", "wss://host/desk"),
    ],
)
def test_any_address_of_kaiwa_is_understood(address: str, socket: str) -> None:
    assert place_from({"KAIWA_URL": address}).kaiwa == socket


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAIWA_URL", "kaiwa.example"),
        ("KAIWA_CHAINLIT_PORT", "many"),
        ("KAIWA_CHAINLIT_VAD", "loud"),
        ("KAIWA_CHAINLIT_VAD_THRESHOLD", "1.5"),
        ("KAIWA_CHAINLIT_SILENCE_MS", "7"),
        ("KAIWA_CHAINLIT_LANGUAGE", "fr"),
        ("KAIWA_CHAINLIT_LOGIN", "nobody"),
        ("KAIWA_CHAINLIT_ROOT_PATH", "chat/"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=f"^{name}: "):
        place_from({name: value})


def test_secrets_are_not_shown() -> None:
    place = place_from({"KAIWA_API_KEY": "very-secret", "KAIWA_CHAINLIT_LOGIN": "hana:pass-word"})
    assert "secret" not in repr(place)
    assert "pass-word" not in repr(place)
