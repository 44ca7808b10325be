"""Frames as no good client sends them: correct ones, bent in structure, in text and in order."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any

from hypothesis import strategies as st
from tests.fuzz.exchange import Binary, Breath, Frame

from kaiwa.events import client, config, items
from kaiwa.protocol.realtime.dialects import Dialect, codec_for
from kaiwa.testing.service.sound import BYTES_PER_MS, ToneVoice

IDS = ("a", "b", "c")
VAD = config.ServerVad(idle_timeout_ms=5000)
MULAW = config.AudioInputUpdate(format=config.PcmuFormat(), turn_detection=None)
TOOL = config.FunctionTool(name="f", parameters={"type": "object"})


def _speech(ms: int) -> bytes:
    return b"".join(ToneVoice(None, 1.0).speak("a" * (ms // 60 + 1)))


def _updates() -> list[config.SessionUpdate]:
    def update(**fields: Any) -> config.SessionUpdate:
        return config.SessionUpdate(type="realtime", **fields)

    def heard(**fields: Any) -> config.SessionUpdate:
        return update(audio=config.SessionAudioUpdate(input=config.AudioInputUpdate(**fields)))

    return [
        update(instructions="Be brief.", tools=(TOOL,), tool_choice="auto"),
        update(output_modalities=("text",)),
        update(output_modalities=("audio",), max_output_tokens=7),
        heard(turn_detection=None),
        heard(turn_detection=VAD),
        heard(turn_detection=config.SemanticVad(eagerness="high")),
        heard(transcription=config.Transcription(model="whisper-1", language="ja")),
        heard(format=config.PcmuFormat()),
        update(
            audio=config.SessionAudioUpdate(
                output=config.AudioOutputUpdate(format=config.PcmaFormat(), voice="verse")
            )
        ),
    ]


def _messages() -> list[items.Item]:
    def says(text: str, item_id: str) -> items.Message:
        return items.Message(id=item_id, role="user", content=(items.InputText(text=text),))

    return [
        says("hello", "a"),
        says('call get_weather {"city": 7}', "b"),
        says("call f {}", "c"),
        says("long answer", "a"),
        says("fail", "b"),
        items.Message(role="user", content=(items.InputAudio(audio=_speech(200)),)),
        items.Message(role="system", content=(items.InputText(text="Be kind."),)),
        items.Message(id="c", role="assistant", content=(items.OutputText(text="Yes."),)),
        items.FunctionCall(id="a", name="f", call_id="call_1", arguments="{}"),
        items.FunctionCallOutput(call_id="call_1", output="sunny"),
    ]


def _requests() -> list[client.ResponseParams]:
    return [
        client.ResponseParams(output_modalities=("text",)),
        client.ResponseParams(conversation="none", metadata={"topic": "x"}, input=(_messages()[0],)),
        client.ResponseParams(input=(items.ItemReference(id="a"),), conversation="none"),
        client.ResponseParams(tool_choice="required", tools=(TOOL,)),
        client.ResponseParams(max_output_tokens=1, instructions="x"),
    ]


def _events() -> list[client.WireEvent]:
    sound = [_speech(400), bytes(400 * BYTES_PER_MS), bytes(7 * BYTES_PER_MS)]
    places = [None, "root", *IDS]
    return [
        *(client.SettingsChanged(event_id="e1", session=session) for session in _updates()),
        *(client.AudioAppended(audio=pcm) for pcm in sound),
        client.AudioCommitted(),
        client.AudioCleared(event_id="e2"),
        client.OutputAudioCleared(),
        *(
            client.ItemCreated(item=item, previous_item_id=place)
            for item in _messages()
            for place in places[:3]
        ),
        *(client.ItemRetrieveRequested(item_id=name) for name in IDS),
        *(client.ItemDeleteRequested(item_id=name) for name in IDS),
        *(client.ItemTruncateRequested(item_id=name, content_index=0, audio_end_ms=5) for name in IDS),
        *(client.ResponseRequested(response=params) for params in _requests()),
        *(client.ResponseRequested() for _ in range(4)),
        *(client.ResponseCancelled() for _ in range(2)),
        client.ResponseCancelled(response_id="resp_nobody"),
    ]


@cache
def bodies(dialect: Dialect) -> list[dict[str, Any]]:
    """Return correct events of a dialect as JSON objects."""
    codec = codec_for(dialect)
    return [json.loads(codec.encode_client(event)) for event in _events()]


def known_types(dialect: Dialect) -> set[str]:
    return {body["type"] for body in bodies(dialect)} | {"transcription_session.update"}


odd_text = st.text(max_size=12) | st.sampled_from(
    ["", "\0", "\ud800", "a\udc00b", "\u202e", "x" * 600, "x" * 40_000, "root", "sess_1", "💥" * 20, *IDS]
)
odd_numbers = (
    st.integers()
    | st.sampled_from([0, -1, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**40, 0.1, -0.0, 1e308, 5e-324])
    | st.floats(allow_nan=True, allow_infinity=True)
)
odd_values = st.recursive(
    st.none() | st.booleans() | odd_numbers | odd_text,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(odd_text.filter(lambda t: len(t) < 50), inner, max_size=3)
    ),
    max_leaves=6,
)
odd_audio = st.binary(max_size=64).map(lambda data: base64.b64encode(data).decode()) | st.sampled_from(
    ["====", "AA", "AAA", "AAAA\n", "AA=A", "*" * 9, "A" * 400_000]
)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) of a JSON value."""
    found: list[tuple[Any, Any]] = []
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        found.append((value, key))
        found += _places(value[key])
    return found


@st.composite
def bent(draw: st.DrawFn, dialect: Dialect) -> str:
    """A correct event with one to three places replaced, removed, doubled or moved."""
    body = json.loads(json.dumps(draw(st.sampled_from(bodies(dialect)))))
    for _ in range(draw(st.integers(1, 3))):
        places = _places(body)
        if not places:
            break
        container, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(["replace", "remove", "add", "swap"])):
            case "replace":
                container[key] = draw(odd_audio if key == "audio" else odd_values)
            case "remove":
                del container[key]
            case "add" if isinstance(container, dict):
                container[draw(odd_text)] = draw(odd_values)
            case _:
                other, name = draw(st.sampled_from(places))
                taken = json.loads(json.dumps(other[name])) if _still_there(other, name) else None
                container[key] = taken
    return _as_json(body)


def _still_there(container: Any, key: Any) -> bool:
    return key in container if isinstance(container, dict) else key < len(container)


def _as_json(value: Any) -> str:
    return json.dumps(value, allow_nan=True)


@st.composite
def torn(draw: st.DrawFn, dialect: Dialect) -> Frame:
    """The text of a correct event, cut, doubled, with a key twice or bytes changed."""
    text = json.dumps(draw(st.sampled_from(bodies(dialect))))
    at = draw(st.integers(0, len(text)))
    match draw(st.sampled_from(["cut", "twice", "twin key", "noise", "bytes", "huge number"])):
        case "cut":
            return text[:at]
        case "twice":
            return text + text[at:]
        case "twin key":
            twin = draw(
                st.sampled_from(['"type":"response.create"', '"type":null', '"item":{}', '"event_id":7'])
            )
            return f"{text[:-1]},{twin}}}" if draw(st.booleans()) else f"{{{twin},{text[1:]}"
        case "noise":
            return text[:at] + draw(st.text(max_size=3).filter(_encodable)) + text[at:]
        case "bytes":
            return text[:at].encode() + draw(st.binary(max_size=2)) + text[at:].encode()
        case _:
            return text.replace("0", draw(st.sampled_from(["9" * 400, "1e999", "-1e999", "0.0000e-999"])), 1)


def _encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


wild = st.one_of(
    st.binary(max_size=40).map(Binary),
    st.text(max_size=20).filter(_encodable),
    odd_values.map(_as_json),
    st.sampled_from(
        [
            "",
            "[" * 100_000,
            '{"type":' * 50_000,
            '{"type":"session.update","session":' + '{"tools":' * 2000 + "1" + "}" * 2001,
            '{"type":"session.update","session":{"type":"realtime","tools":' + "[" * 5000 + "]" * 5000 + "}}",
            '{"type":"conversation.item.create","item":' + "[" * 900 + "]" * 900 + "}",
            "\ufeff{}",
            "NaN",
            '"' + "x" * 1_000_000 + '"',
            '{"type":"' + "x" * 1_000_000 + '"}',
        ]
    ),
)


# Good ones among the bad: only a conversation that goes on can be broken later.
_KINDS = ("good",) * 6 + ("bent",) * 4 + ("breath",) * 2 + ("torn", "wild")


@st.composite
def _any_frame(draw: st.DrawFn, dialect: Dialect) -> Frame:
    match draw(st.sampled_from(_KINDS)):
        case "good":
            return json.dumps(draw(st.sampled_from(bodies(dialect))))
        case "breath":
            return Breath()
        case "bent":
            return draw(bent(dialect))
        case "torn":
            return draw(torn(dialect))
        case _:
            return draw(wild)


def sequences(dialect: Dialect) -> st.SearchStrategy[list[Frame]]:
    """Return the frames of one connection."""
    return st.lists(_any_frame(dialect), min_size=3, max_size=20)
