"""Conversations become chat messages that every endpoint accepts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kaiwa.events.config import ForcedFunction, ForcedMcp
from kaiwa.events.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    Item,
    Message,
    OutputAudio,
)
from kaiwa.events.tools import ToolProgress, ToolSpec
from kaiwa.upstream.messages import PENDING, chat_messages, chat_tool_choice, chat_tools


def user(text: str) -> Message:
    return Message(role="user", content=(InputText(text=text),))


def heard(transcript: str | None) -> Message:
    return Message(role="user", content=(InputAudio(transcript=transcript),))


def said(transcript: str | None) -> Message:
    return Message(role="assistant", content=(OutputAudio(transcript=transcript),))


def called(call_id: str, name: str = "search") -> FunctionCall:
    return FunctionCall(name=name, call_id=call_id, arguments='{"q":1}')


def settled(call_id: str, output: str = "42") -> FunctionCallOutput:
    return FunctionCallOutput(call_id=call_id, output=output)


def test_speech_becomes_its_transcript() -> None:
    messages = chat_messages("Be kind.", [heard("東京駅で"), said("かしこまりました。")])
    assert messages == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "東京駅で"},
        {"role": "assistant", "content": "かしこまりました。"},
    ]


def test_speech_without_words_is_named_as_such_and_silence_of_ours_is_left_out() -> None:
    messages = chat_messages("", [heard(""), heard(None), said(None)])
    assert [message["content"] for message in messages] == ["(no words were recognised)"] * 2


def test_images_are_left_out() -> None:
    picture = InputImage(image_url="data:image/png;base64,AA==")
    history = [
        Message(role="user", content=(picture, InputText(text="この車"))),
        Message(role="user", content=(picture,)),
    ]
    assert chat_messages("", history) == [{"role": "user", "content": "この車"}]


def test_consecutive_calls_are_one_message_followed_by_their_results() -> None:
    messages = chat_messages(
        "", [called("a", "x"), called("b", "y"), settled("b", "2"), settled("a", "1"), user("?")]
    )
    assert [call["id"] for call in messages[0]["tool_calls"]] == ["a", "b"]
    assert messages[1:] == [
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {"role": "user", "content": "?"},
    ]


def test_a_running_call_gets_a_placeholder_and_its_late_result_a_note() -> None:
    messages = chat_messages(
        "", [called("a"), user("まだ？"), said("少々お待ちください。"), settled("a", "R-001")]
    )
    assert messages[1] == {"role": "tool", "tool_call_id": "a", "content": PENDING}
    assert messages[-1] == {"role": "system", "content": "The result of search (a) has arrived: R-001"}


def test_the_placeholder_says_how_far_a_running_call_is() -> None:
    report = ToolProgress(call_id="a", fraction=0.4, text="4/10")
    messages = chat_messages("", [called("a"), user("まだ？")], [report])
    assert messages[1]["content"] == f"{PENDING} (so far 40%: 4/10)"


items = st.one_of(
    st.builds(user, st.just("hi")),
    st.builds(said, st.just("yes")),
    st.builds(called, st.sampled_from("abcd")),
    st.builds(settled, st.sampled_from("abcd")),
)


@given(st.lists(items, max_size=12, unique_by=lambda item: (type(item), getattr(item, "call_id", object()))))
def test_every_call_is_answered_right_behind_it_and_nothing_else_is(history: list[Item]) -> None:
    owed: list[str] = []
    for message in chat_messages("", history):
        if message["role"] == "tool":
            assert owed.pop(0) == message["tool_call_id"]
            continue
        assert owed == []
        owed = [call["id"] for call in message.get("tool_calls", ())]
    assert owed == []


def test_tools_and_choices_are_spelled_as_chat_completions_want_them() -> None:
    bare = ToolSpec(name="now", description="Tells the time")
    assert chat_tools([bare])[0]["function"]["parameters"] == {"type": "object", "properties": {}}
    assert chat_tool_choice("none") == "none"
    assert chat_tool_choice(ForcedFunction(name="now")) == {"type": "function", "function": {"name": "now"}}
    assert chat_tool_choice(ForcedMcp(server_label="x")) == "required"
