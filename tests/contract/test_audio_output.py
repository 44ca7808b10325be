"""C5: a spoken response: its audio, its transcript, and how they agree."""

from __future__ import annotations

import base64
import random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.contract.breakages import Breakage, delay, drop, insert, put, said, told, told_with
from tests.contract.desk import Desk
from tests.contract.manifest import rule
from tests.contract.properties import any_input

from kaiwa.audio import g711
from kaiwa.events import engine

CREATED, RESPONSE_DONE = "response.created", "response.done"
ITEM_ADDED, ITEM_DONE = "conversation.item.added", "conversation.item.done"
OUTPUT_DONE, PART_ADDED, PART_DONE = (
    "response.output_item.done",
    "response.content_part.added",
    "response.content_part.done",
)
AUDIO, AUDIO_DONE = "response.output_audio.delta", "response.output_audio.done"
WORDS, WORDS_DONE = "response.output_audio_transcript.delta", "response.output_audio_transcript.done"
CREATE = "response.create"
VOICE = "response.audio.output.voice"
PCM, PCMU, PCMA = {"type": "audio/pcm", "rate": 24000}, {"type": "audio/pcmu"}, {"type": "audio/pcma"}


def noise(size_bytes: int) -> bytes:
    return random.Random(size_bytes).randbytes(size_bytes)


def sound(desk: Desk, pcm: bytes) -> list[dict[str, Any]]:
    return desk.engine_says(engine.AudioDelta(response_id=desk.generating, pcm=pcm))


def heard(desk: Desk) -> bytes:
    """Return the audio that the peer got, as it got it."""
    return b"".join(base64.b64decode(frame["delta"], validate=True) for frame in desk.of(AUDIO))


def spoken_turn(desk: Desk, *words: str, audio_ms: int = 200, **response: Any) -> dict[str, Any]:
    desk.respond(**response)
    desk.answer(*words, audio_ms=audio_ms)
    return desk.last(RESPONSE_DONE)["response"]


@rule("K-113", broken_by=put(PART_ADDED, "part.type", "output_audio"))
@rule("K-113", broken_by=put(PART_ADDED, "part.transcript", None))
@rule("K-113", broken_by=put(ITEM_DONE, "item.content.0.type", "output_text"))
@rule("K-117", broken_by=delay(AUDIO_DONE, until=WORDS_DONE))
@rule("K-117", broken_by=delay(PART_DONE, until=ITEM_DONE))
@rule("K-117", broken_by=delay(OUTPUT_DONE, until=RESPONSE_DONE))
def test_a_spoken_turn_opens_and_closes_in_one_order(desk: Desk) -> None:
    desk.say("Hello.")
    begin = len(desk.frames)
    spoken_turn(desk, "Hi", " there.")
    assert [kind for kind in desk.types[begin:] if kind != "rate_limits.updated"] == [
        CREATED, "response.output_item.added", ITEM_ADDED, PART_ADDED, WORDS, AUDIO, WORDS, AUDIO,
        AUDIO_DONE, WORDS_DONE, PART_DONE, ITEM_DONE, OUTPUT_DONE, RESPONSE_DONE,
    ]  # fmt: skip
    assert desk.one(PART_ADDED)["part"] == {"type": "audio", "transcript": ""}
    assert desk.one(PART_DONE)["part"] == {"type": "audio", "transcript": "Hi there."}
    assert desk.last(ITEM_DONE)["item"]["content"] == [{"type": "output_audio", "transcript": "Hi there."}]


@rule("K-113", broken_by=put(PART_ADDED, "part.type", "text"))
@rule("K-113", broken_by=put(OUTPUT_DONE, "item.content.0.type", "output_audio"))
def test_a_spoken_answer_is_audio_in_preview(preview_desk: Desk) -> None:
    response = spoken_turn(preview_desk, "Hi", " there.")
    assert preview_desk.one(PART_ADDED)["part"] == {"type": "audio", "transcript": ""}
    content = [{"type": "audio", "transcript": "Hi there."}]
    items = [preview_desk.one(OUTPUT_DONE)["item"], *response["output"]]
    assert [item["content"] for item in items] == [content] * 2


def without_its_last_sample(delta: str) -> str:
    return base64.b64encode(base64.b64decode(delta)[:-2]).decode()


@rule("K-114", broken_by=put(AUDIO, "delta", lambda given: base64.b64encode(b"\0" * 4801).decode()))
@rule("K-114", broken_by=put(AUDIO, "delta", without_its_last_sample))
@given(sizes=st.lists(st.integers(0, 30_000), min_size=1, max_size=6))
@any_input
def test_audio_is_whole_samples_and_all_of_it_arrives(planted: Breakage | None, sizes: list[int]) -> None:
    desk = Desk(planted)
    desk.respond()
    desk.words("Hi.")
    pcm = [noise(2 * size) for size in (*sizes, 5000, 5000)]
    for piece in pcm:
        sound(desk, piece)
    desk.end()
    deltas = [base64.b64decode(frame["delta"], validate=True) for frame in desk.of(AUDIO)]
    assert all(delta and len(delta) % 2 == 0 for delta in deltas)
    assert b"".join(deltas) == b"".join(pcm)


@rule("K-115", broken_by=delay(AUDIO, until="output_audio_buffer.stopped"))
def test_audio_does_not_wait_to_be_played(desk: Desk) -> None:
    desk.respond()
    desk.words(*["A sentence of two seconds."] * 30, audio_ms=2000)
    assert desk.now == 0.0
    assert len(heard(desk)) == 60_000 * 48


@rule("K-116", broken_by=delay(WORDS, until=AUDIO))
@rule("K-116", broken_by=drop(WORDS, nth=3))
def test_the_words_run_ahead_of_their_sound(desk: Desk) -> None:
    spoken_turn(desk, "One,", " two,", " three.", audio_ms=300)
    order = [frame["type"] for frame in desk.frames if frame["type"] in (WORDS, AUDIO)]
    assert order == [WORDS, AUDIO] * 3
    assert "".join(frame["delta"] for frame in desk.of(WORDS)) == "One, two, three."


@rule("K-118", broken_by=put(WORDS_DONE, "transcript", lambda text: text.strip()))
@rule("K-118", broken_by=put(ITEM_DONE, "item.content.0.transcript", None))
@given(words=st.lists(st.text(max_size=8), min_size=1, max_size=5), audio_ms=st.sampled_from([0, 60, 450]))
@any_input
def test_the_transcript_is_the_sum_of_its_pieces(
    planted: Breakage | None, words: list[str], audio_ms: int
) -> None:
    desk = Desk(planted)
    spoken_turn(desk, " ", *words, audio_ms=audio_ms)
    whole = "".join([" ", *words])
    assert "".join(frame["delta"] for frame in desk.of(WORDS)) == whole
    assert desk.one(WORDS_DONE)["transcript"] == whole
    assert desk.one(PART_DONE)["part"]["transcript"] == whole
    assert desk.one(ITEM_DONE)["item"]["content"][0]["transcript"] == whole


@rule("K-119", broken_by=put(CREATED, "response.audio.output.voice", "alloy"))
@rule("K-119", broken_by=put(RESPONSE_DONE, "response.audio.output.format", PCM))
@rule("K-121", broken_by=told_with(CREATE, VOICE, None))
@rule("K-121", broken_by=told(lambda frame: [{"type": CREATE}], CREATE))
def test_a_response_may_have_a_voice_of_its_own(desk: Desk) -> None:
    desk.update(audio={"output": {"voice": "cedar", "format": PCMU}})
    first = spoken_turn(desk, "Hi.", audio={"output": {"voice": "marin"}})
    second = spoken_turn(desk, "Hi.", audio={"output": {"format": PCMA}})
    assert [command.voice for command in desk.asked_for(engine.Generate)] == ["marin", "cedar"]
    assert first["audio"]["output"] == {"format": PCMU, "voice": "marin"}
    assert second["audio"]["output"] == {"format": PCMA, "voice": "cedar"}
    assert [frame["response"]["audio"] for frame in desk.of(CREATED)] == [first["audio"], second["audio"]]


@rule("K-119", broken_by=put(CREATED, "response.voice", "echo"))
@rule("K-119", broken_by=put(RESPONSE_DONE, "response.output_audio_format", "g711_ulaw", nth=2))
def test_a_preview_response_shows_its_voice_and_format(preview_desk: Desk) -> None:
    preview_desk.update(voice="echo", output_audio_format="g711_ulaw")
    first = spoken_turn(preview_desk, "Hi.", voice="ash")
    second = spoken_turn(preview_desk, "Hi.", output_audio_format="pcm16")
    created = [frame["response"] for frame in preview_desk.of(CREATED)]
    for shown in ([first, second], created):
        assert [(response["voice"], response["output_audio_format"]) for response in shown] == [
            ("ash", "g711_ulaw"),
            ("echo", "pcm16"),
        ]


@pytest.mark.parametrize(("format", "decode"), [(PCMU, g711.decode_mulaw), (PCMA, g711.decode_alaw)])
@rule("K-120", broken_by=told_with("session.update", "session.audio.output.format", PCM))
@rule("K-120", broken_by=drop(AUDIO, nth=2))
def test_g711_comes_at_8_khz_and_lasts_as_long(desk: Desk, format: dict[str, Any], decode: Any) -> None:
    desk.update(audio={"output": {"format": format}})
    desk.respond()
    desk.words("Hi.")
    level = (8000).to_bytes(2, "little") * 24 * 100
    for _ in range(7):
        sound(desk, level)
    desk.end()
    wire = heard(desk)
    assert len(wire) == 700 * 8
    middle = memoryview(decode(wire[100:-100])).cast("h")
    assert all(7000 < sample < 9000 for sample in middle)
    item_id = desk.one(RESPONSE_DONE)["response"]["output"][0]["id"]
    truncate = {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0}
    assert desk.send(truncate, audio_end_ms=701)[0]["type"] == "error"
    assert desk.send(truncate, audio_end_ms=700)[0]["type"] == "conversation.item.truncated"


@rule("K-122", broken_by=said(lambda frame: [frame, frame], AUDIO))
@given(sizes=st.lists(st.integers(1, 40_000), min_size=1, max_size=8))
@example(sizes=[1316, 4295, 2716, 160, 800, 2180, 660, 100])
@any_input
def test_the_bytes_that_were_sent_say_how_long_an_answer_lasted(
    planted: Breakage | None, sizes: list[int]
) -> None:
    desk = Desk(planted)
    desk.respond()
    desk.words("Hi.")
    for size in (*sizes, -sum(sizes) % 24):
        sound(desk, bytes(2 * size))
    desk.end()
    lasted_ms = len(heard(desk)) // 48
    assert lasted_ms * 48 == len(heard(desk))
    item_id = desk.one(RESPONSE_DONE)["response"]["output"][0]["id"]
    truncate = {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0}
    (refusal,) = desk.send(truncate, audio_end_ms=lasted_ms + 1)
    assert refusal["type"] == "error"
    assert f"Audio content of {lasted_ms}ms" in refusal["error"]["message"]
    (truncated,) = desk.send(truncate, audio_end_ms=lasted_ms)
    assert truncated["type"] == "conversation.item.truncated"


STARTED = {"type": "output_audio_buffer.started", "event_id": "event_x", "response_id": "resp_x"}


@rule("K-123", broken_by=insert(AUDIO_DONE, STARTED))
def test_playback_is_the_clients_where_it_gets_the_audio(desk: Desk) -> None:
    spoken_turn(desk, "Hi.")
    desk.wait(5)
    desk.respond()
    desk.words("Hello", audio_ms=500)
    desk.cancel()
    desk.wait(5)
    assert len(desk.of(RESPONSE_DONE)) == 2
    assert not [kind for kind in desk.types if kind.startswith("output_audio_buffer")]


@pytest.mark.parametrize("words", [(), ("",), (" ", "\n")])
@rule("K-124", broken_by=drop(RESPONSE_DONE))
@rule("K-124", broken_by=put(RESPONSE_DONE, "response.status", "incomplete"))
@rule("K-124", broken_by=put(RESPONSE_DONE, "response.output", None))
def test_an_answer_of_nothing_is_complete(desk: Desk, words: tuple[str, ...]) -> None:
    spoken_turn(desk, *words, audio_ms=0)
    response = desk.one(RESPONSE_DONE)["response"]
    assert response["status"] == "completed" and isinstance(response["usage"], dict)
    assert isinstance(response["output"], list)
    shown = [part["transcript"] for item in response["output"] for part in item["content"]]
    assert shown == (["".join(words)] if any(words) else [])
    opened, closed = desk.of("response.output_item.added"), desk.of(OUTPUT_DONE)
    assert len(opened) == len(closed) == len(response["output"])
