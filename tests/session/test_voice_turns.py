"""The user's voice: turn detection, interruption, 相槌, manual commits, transcription, the idle time-out."""

from __future__ import annotations

import pytest
from tests.session.harness import Talk, configured, said, sound

from kaiwa.events import client, engine, server
from kaiwa.events.config import (
    AudioInput,
    AudioInputUpdate,
    PcmuFormat,
    SemanticVad,
    ServerVad,
    SessionAudioUpdate,
    SessionUpdate,
    Transcription,
)
from kaiwa.events.response import FailureDetail
from kaiwa.events.usage import DurationUsage
from kaiwa.session.policy import HostPolicy

CLOSING = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
]


USUAL = ServerVad()


def talking(detection=USUAL, *, seconds: int = 4, policy: HostPolicy | None = None) -> Talk:
    """Return a conversation in which the agent is in the middle of a spoken sentence."""
    talk = Talk(configured(detection), policy=policy)
    talk.do(said("hello"), client.ResponseRequested())
    talk.do(engine.TextDelta(response_id="resp_1", text="これは四秒かかる文です。"))
    talk.do(*[engine.AudioDelta(response_id="resp_1", pcm=sound(250))] * (seconds * 4))
    return talk


def heard(text: str, item_id: str, audio_ms: int, probability: float = 0.9) -> engine.TurnLikelihood:
    return engine.TurnLikelihood(item_id=item_id, audio_ms=audio_ms, probability=probability, text=text)


def test_a_server_vad_turn_follows_the_recorded_order():
    talk = Talk(
        configured(input=AudioInput(turn_detection=ServerVad(), transcription=Transcription(model="w")))
    )
    assert talk.pause(640) == []
    assert talk.speak(640) == ["input_audio_buffer.speech_started item_1 340"]
    assert talk.pause(128) == ["ask Prepare item_1 340..1408 ahead"]
    assert talk.pause(96) == [
        "input_audio_buffer.speech_stopped item_1 1504",
        "input_audio_buffer.committed item_1 after None",
        "conversation.item.added item_1 after None",
        "conversation.item.done item_1 after None",
        "ask Commit item_1 340..1504",
        "ask Transcribe item_1",
        "response.created resp_1",
        "ask Generate resp_1",
    ]
    usage = DurationUsage(seconds=1)
    done = talk.do(engine.TranscriptDone(item_id="item_1", text="やあ", usage=usage))
    assert done == ["conversation.item.input_audio_transcription.completed item_1 やあ"]
    talk.do(engine.GenerationEnded(response_id="resp_1"))
    talk.check()


def test_the_prepared_answer_equals_the_generated_one_but_for_its_id():
    talk = Talk(configured(ServerVad(), instructions="be kind"))
    talk.speak(640)
    talk.pause(256)
    prepared, asked = talk.of(engine.Prepare)[0].generate, talk.of(engine.Generate)[0]
    assert prepared.history == asked.history and prepared.history[-1].id == "item_1"
    assert {**_fields(prepared), "response_id": ""} == {**_fields(asked), "response_id": ""}


def _fields(command: engine.Generate) -> dict[str, object]:
    return {name: getattr(command, name) for name in command.__struct_fields__}


def test_speech_that_resumes_abandons_what_was_prepared():
    talk = Talk(configured(ServerVad(silence_duration_ms=500)))
    talk.speak(320)
    assert talk.pause(256) == ["ask Prepare item_1 0..448 ahead"]
    assert talk.speak(320) == ["ask Abandon item_1"]
    talk.pause(512)
    assert len(talk.of(server.InputAudioCommitted)) == 1


def test_silence_and_single_clicks_say_nothing():
    talk = Talk(configured(ServerVad()))
    assert talk.pause(3200) + talk.hear(32, 0.9) + talk.pause(640) == []


@pytest.mark.parametrize(("threshold", "begins"), [(0.1, True), (0.9, False)])
def test_the_threshold_decides_what_is_speech(threshold: float, begins: bool):
    talk = Talk(configured(ServerVad(threshold=threshold)))
    assert bool(talk.hear(320, 0.4)) is begins


def test_long_silence_is_discarded_once_it_was_judged():
    talk = Talk(configured(ServerVad()))
    talk.pause(60_000)
    kept_from_ms = talk.of(engine.Discard)[-1].until_ms
    assert 50_000 < kept_from_ms < 60_000 - 300


def test_an_utterance_that_arrives_in_one_burst_is_kept_whole():
    talk = Talk(configured(ServerVad()))
    for _ in range(40):
        talk.do(client.AudioAppended(audio=sound(500)))
    assert not talk.of(engine.Discard)
    for frame in range(1, 600):
        probability = 0.9 if 40 < frame < 500 else 0.0
        talk.do(engine.VoiceActivity(audio_ms=frame * 32, probability=probability))
    commit = talk.of(engine.Commit)[0]
    assert (commit.start_ms, commit.end_ms) == (980, 16_192)
    talk.check(complete=False)


def test_a_turn_that_never_ends_is_cut():
    talk = Talk(configured(ServerVad()), policy=HostPolicy(max_buffer_ms=5000))
    talk.speak(4800)
    assert talk.of(engine.Commit) and not talk.of(server.Failed)


def test_the_audio_clock_runs_on_through_turns():
    talk = Talk(configured(ServerVad()))
    for _ in range(2):
        talk.speak(320)
        talk.pause(640)
        talk.do(engine.GenerationEnded(response_id=f"resp_{len(talk.of(server.ResponseCreated))}"))
    assert [event.audio_start_ms for event in talk.of(server.SpeechStarted)] == [0, 660]
    talk.check()


def test_without_create_response_the_client_asks():
    talk = Talk(configured(ServerVad(create_response=False)))
    talk.speak(320)
    assert not any("response" in line for line in talk.pause(320))
    assert talk.do(client.ResponseRequested())[0] == "response.created resp_1"


@pytest.mark.parametrize(
    ("eagerness", "probability", "wait_ms"),
    [("auto", 0.9, 320), ("auto", 0.3, 800), ("auto", 0.0, 1312), ("high", 0.0, 800), ("low", 0.9, 608)],
)
def test_semantic_vad_waits_as_long_as_the_words_leave_open(eagerness: str, probability: float, wait_ms: int):
    talk = Talk(configured(SemanticVad(eagerness=eagerness)))
    talk.speak(640)
    talk.pause(128)
    talk.do(heard("あの", "item_1", 768, probability))
    talk.pause(2016)
    assert talk.of(server.SpeechStopped)[0].audio_end_ms == 640 + wait_ms


# --- interruption ------------------------------------------------------------------------------


def test_a_barge_in_cuts_the_sentence_and_keeps_what_was_heard():
    talk = talking()
    assert talk.pause(992) == []
    assert talk.speak(512) == [
        "input_audio_buffer.speech_started item_3 692",
        "ask Stop resp_1",
        *CLOSING,
        "conversation.item.done item_2 after item_1",
        "response.output_item.done item_2 incomplete",
        "response.done resp_1 cancelled turn_detected",
    ]
    truncated = talk.do(client.ItemTruncateRequested(item_id="item_2", content_index=0, audio_end_ms=1500))
    assert truncated == ["conversation.item.truncated item_2 1500"]
    talk.pause(256)
    assert talk.of(engine.Generate)[-1].history[1].content[0].transcript == "これは四"
    talk.do(client.ItemRetrieveRequested(item_id="item_2"))
    assert talk.of(server.ItemRetrieved)[0].item.content[0].transcript == ""
    talk.do(engine.GenerationEnded(response_id="resp_2"))
    talk.check()


@pytest.mark.parametrize("words", ["はい。", "ええ、ええ", "うん", "Uh-huh.", "そうですね", ""])
def test_a_listener_s_word_leaves_the_agent_talking(words: str):
    talk = talking()
    talk.pause(320)
    assert talk.speak(256) == []
    assert talk.pause(256) == ["ask Prepare item_3 20..704"]
    assert talk.do(heard(words, "item_3", 704)) == ["ask Abandon item_3"]
    assert talk.do(engine.AudioDelta(response_id="resp_1", pcm=sound(250))) == [
        "response.output_audio.delta 12000 bytes"
    ]
    talk.do(engine.GenerationEnded(response_id="resp_1"))
    talk.check()


def test_a_short_objection_interrupts_late_with_its_true_start():
    talk = talking()
    talk.pause(320)
    talk.speak(256)
    talk.pause(256)
    lines = talk.do(heard("違います", "item_3", 704))
    assert lines[0] == "input_audio_buffer.speech_started item_3 20"
    assert "response.done resp_1 cancelled turn_detected" in lines
    assert lines[-2:] == ["response.created resp_2", "ask Generate resp_2"]


def test_a_short_sound_whose_words_never_come_counts_as_speech():
    talk = talking()
    talk.speak(256)
    talk.pause(256)
    assert talk.wait(1.1)[0].startswith("input_audio_buffer.speech_started")


def test_yes_at_the_end_of_a_question_is_an_answer():
    talk = talking(seconds=2)
    talk.do(engine.GenerationEnded(response_id="resp_1"))
    talk.pause(1500)
    assert talk.speak(96) == ["input_audio_buffer.speech_started item_3 1172"]


def test_without_interrupt_response_the_answer_runs_on_and_no_second_begins():
    talk = talking(ServerVad(interrupt_response=False))
    lines = talk.speak(640) + talk.pause(256)
    assert "input_audio_buffer.speech_stopped item_3 864" in lines
    assert not any(line.startswith("response.") for line in lines)


def test_speech_leaves_an_out_of_band_response_alone():
    talk = Talk(configured(ServerVad()))
    talk.do(client.ResponseRequested(response=client.ResponseParams(conversation="none")))
    assert talk.speak(320) == ["input_audio_buffer.speech_started item_1 0"]


def test_a_server_that_paces_playback_truncates_by_itself():
    talk = talking(policy=HostPolicy(paced_output=True))
    assert "output_audio_buffer.started resp_1" in talk._lines(0)
    talk.do(engine.GenerationEnded(response_id="resp_1"))
    talk.pause(992)
    lines = talk.speak(512)
    assert lines[0].startswith("input_audio_buffer.speech_started")
    assert lines[1] == "output_audio_buffer.cleared resp_1"
    assert lines[2].startswith("conversation.item.truncated item_2 13")
    name, item, *words = lines[3].split(" ")
    heard = talk.session.conversation.entry("item_2").heard
    assert (name, item, " ".join(words)) == ("kaiwa.item.heard", "item_2", heard)
    assert heard
    talk.check(complete=False)


def test_an_answer_made_slower_than_it_sounds_loses_the_words_that_ran_ahead():
    talk = talking(seconds=1, policy=HostPolicy(paced_output=True))
    talk.pause(1504)
    talk.do(engine.TextDelta(response_id="resp_1", text="And more to come."))
    lines = talk.speak(512)
    assert "response.done resp_1 cancelled turn_detected" in lines
    assert lines[-3:-1] == ["output_audio_buffer.cleared resp_1", "conversation.item.truncated item_2 1000"]
    assert lines[-1].startswith("kaiwa.item.heard item_2")
    assert "more" not in lines[-1]
    assert "more" not in talk.session.conversation.entry("item_2").item.content[0].transcript


def test_paced_playback_stops_when_it_has_drained():
    talk = talking(policy=HostPolicy(paced_output=True))
    talk.do(engine.GenerationEnded(response_id="resp_1"))
    assert talk.wait(3.9) == []
    assert talk.wait(0.2) == ["output_audio_buffer.stopped resp_1"]


# --- manual audio ------------------------------------------------------------------------------


def test_an_empty_buffer_cannot_be_committed():
    talk = Talk()
    assert talk.do(client.AudioCommitted(event_id="c1")) == ["error input_audio_buffer_commit_empty None c1"]
    assert "only has 0.00ms" in talk.of(server.Failed)[0].error.message
    talk.do(client.AudioAppended(audio=sound(50)), client.AudioCommitted())
    assert "only has 50.00ms" in talk.of(server.Failed)[1].error.message
    assert not talk.of(server.ItemAdded)


def test_a_commit_makes_an_item_and_no_response():
    talk = Talk()
    assert talk.do(client.AudioAppended(audio=sound(500)), client.AudioCommitted()) == [
        "input_audio_buffer.committed item_1 after None",
        "conversation.item.added item_1 after None",
        "conversation.item.done item_1 after None",
        "ask Commit item_1 0..500",
    ]
    talk.check()


def test_odd_bytes_are_refused_and_the_buffer_stays():
    talk = Talk()
    talk.do(client.AudioAppended(audio=sound(100)))
    assert talk.do(client.AudioAppended(audio=b"abc")) == ["error invalid_value audio None"]
    talk.do(client.AudioCommitted())
    assert talk.of(engine.Commit)[0].end_ms == 100


def test_clear_forgets_the_audio_and_the_speech():
    talk = Talk(configured(ServerVad()))
    talk.speak(320)
    assert talk.do(client.AudioCleared()) == ["ask Abandon item_1", "input_audio_buffer.cleared"]
    assert talk.do(client.AudioCommitted())[0].startswith("error input_audio_buffer_commit_empty")
    talk.pause(640)
    assert not talk.of(server.InputAudioCommitted)
    talk.check()


def test_a_manual_commit_during_speech_is_not_committed_twice():
    talk = Talk(configured(ServerVad()))
    talk.speak(320)
    assert talk.do(client.AudioCommitted())[1:3] == [
        "input_audio_buffer.speech_stopped item_1 320",
        "input_audio_buffer.committed item_1 after None",
    ]
    talk.pause(640)
    assert len(talk.of(server.InputAudioCommitted)) == 1
    talk.check()


def test_g711_is_counted_at_eight_bytes_a_millisecond():
    talk = Talk(configured(input=AudioInput(format=PcmuFormat(), turn_detection=None)))
    for _ in range(20):
        talk.do(client.AudioAppended(audio=b"\xff" * 160))
    talk.do(client.AudioCommitted())
    assert talk.of(engine.Commit)[0].end_ms == 400
    assert sum(len(command.pcm) for command in talk.of(engine.Hear)) >= 390 * 48


def test_the_buffer_has_an_end():
    talk = Talk(policy=HostPolicy(max_buffer_ms=1000))
    talk.do(client.AudioAppended(audio=sound(900)))
    assert talk.do(client.AudioAppended(audio=sound(200))) == ["error input_audio_buffer_full audio None"]
    talk.do(client.AudioCommitted())
    assert talk.do(client.AudioAppended(audio=sound(200))) == []


def test_detection_switched_off_says_nothing_more():
    talk = Talk(configured(ServerVad()))
    talk.speak(320)
    off = SessionUpdate(
        type="realtime", audio=SessionAudioUpdate(input=AudioInputUpdate(turn_detection=None))
    )
    assert talk.do(client.SettingsChanged(session=off)) == [
        "ask Abandon item_1",
        "ask Listen off",
        "session.updated",
    ]
    assert talk.speak(320) + talk.pause(640) == []
    assert talk.do(client.AudioCommitted())[1] == "input_audio_buffer.committed item_1 after None"
    talk.check()


# --- transcription -----------------------------------------------------------------------------


def test_each_spoken_item_is_written_down_once():
    config = configured(input=AudioInput(turn_detection=None, transcription=Transcription(model="w")))
    talk = Talk(config)
    talk.do(client.AudioAppended(audio=sound(500)), client.AudioCommitted())
    usage = DurationUsage(seconds=1)
    talk.do(engine.TranscriptDelta(item_id="item_1", text="やあ"))
    talk.do(engine.TranscriptDone(item_id="item_1", text="やあ", usage=usage))
    error = FailureDetail(type="server_error", message="late")
    again = talk.do(
        engine.TranscriptDone(item_id="item_1", text="twice", usage=usage),
        engine.TranscriptFailed(item_id="item_1", error=error),
    )
    assert again == []
    talk.do(client.ItemRetrieveRequested(item_id="item_1"))
    assert talk.of(server.ItemRetrieved)[0].item.content[0].transcript == "やあ"
    talk.check()


def test_a_failed_transcription_leaves_the_response_alone():
    config = configured(input=AudioInput(turn_detection=ServerVad(), transcription=Transcription(model="w")))
    talk = Talk(config)
    talk.speak(320)
    talk.pause(320)
    failed = talk.do(
        engine.TranscriptFailed(item_id="item_1", error=FailureDetail(type="server_error", message="no"))
    )
    assert failed == ["conversation.item.input_audio_transcription.failed"]
    assert talk.do(engine.GenerationEnded(response_id="resp_1")) == ["response.done resp_1 completed"]
    talk.check()


# --- idle time-out -----------------------------------------------------------------------------


def test_a_long_silence_after_the_answer_is_answered():
    talk = talking(ServerVad(idle_timeout_ms=5000), seconds=1)
    talk.do(client.AudioAppended(audio=sound(6000)), engine.GenerationEnded(response_id="resp_1"))
    assert talk.wait(5.9) == []
    assert talk.wait(0.2) == [
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.committed item_3 after item_2",
        "conversation.item.added item_3 after item_2",
        "conversation.item.done item_3 after item_2",
        "ask Commit item_3 1000..6000",
        "response.created resp_2",
        "ask Generate resp_2",
    ]
    talk.check(complete=False)


def test_speech_calls_off_the_idle_time_out():
    talk = talking(ServerVad(idle_timeout_ms=5000), seconds=1)
    talk.do(engine.GenerationEnded(response_id="resp_1"))
    talk.wait(3)
    talk.speak(3200)
    assert not talk.of(server.TimeoutTriggered)


def test_frames_of_audio_that_was_committed_by_hand_are_judged_no_more():
    talk = Talk(configured(ServerVad()))
    talk.do(client.AudioAppended(audio=sound(960)), client.AudioCommitted())
    late = [engine.VoiceActivity(audio_ms=32 * frame, probability=0.9) for frame in range(1, 31)]
    assert talk.do(*late) == []


def test_without_listener_s_words_any_speech_interrupts_at_once():
    talk = talking(policy=HostPolicy(backchannels=()))
    assert talk.of(engine.Listen)[0].mode == "voice"
    talk.pause(320)
    assert "response.done resp_1 cancelled turn_detected" in talk.speak(64)
