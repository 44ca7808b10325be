"""Text and audio answers on the wire, literally in the order of the reference (B6)."""

from __future__ import annotations

from tests.session.harness import Talk, configured, said, sound

from kaiwa.events import client, engine, server
from kaiwa.events.config import AudioOutput, PcmaFormat, PcmuFormat, SessionUpdate
from kaiwa.events.items import InputText, ItemReference, Message
from kaiwa.events.response import FailureDetail
from kaiwa.events.server import RateLimit
from kaiwa.session.policy import HostPolicy


def test_a_session_says_who_it_is_before_anyone_asks():
    talk = Talk(configured())
    assert [type(event) for event in talk.events] == [server.SessionCreated]
    assert talk.events[0].session.id == "sess_1"
    assert talk.of(engine.Listen) == [engine.Listen(mode="off")]


def test_a_text_turn_follows_the_recorded_order():
    limits = (RateLimit(name="tokens", limit=1000, remaining=990, reset_seconds=0.0),)
    talk = Talk(configured(modalities=("text",)), policy=HostPolicy(rate_limits=limits))
    assert talk.do(said("hello")) == [
        "conversation.item.added item_1 after None",
        "conversation.item.done item_1 after None",
    ]
    assert talk.do(client.ResponseRequested()) == ["response.created resp_1", "ask Generate resp_1"]
    answered = talk.do(
        engine.TextDelta(response_id="resp_1", text="Hel"),
        engine.TextDelta(response_id="resp_1", text="lo."),
        engine.GenerationEnded(response_id="resp_1"),
    )
    assert answered == [
        "response.output_item.added item_2 in_progress",
        "conversation.item.added item_2 after item_1",
        "response.content_part.added",
        "response.output_text.delta Hel",
        "response.output_text.delta lo.",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done item_2 after item_1",
        "response.output_item.done item_2 completed",
        "response.done resp_1 completed",
        "rate_limits.updated",
    ]
    talk.check()


def test_an_audio_turn_closes_sound_then_words_then_item():
    talk = Talk(configured())
    talk.do(said("hello"), client.ResponseRequested())
    answered = talk.do(
        engine.TextDelta(response_id="resp_1", text="やあ。"),
        engine.AudioDelta(response_id="resp_1", pcm=sound(200)),
        engine.GenerationEnded(response_id="resp_1"),
    )
    assert answered == [
        "response.output_item.added item_2 in_progress",
        "conversation.item.added item_2 after item_1",
        "response.content_part.added",
        "response.output_audio_transcript.delta やあ。",
        "response.output_audio.delta 9600 bytes",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done item_2 after item_1",
        "response.output_item.done item_2 completed",
        "response.done resp_1 completed",
    ]
    talk.check()


def test_g711_output_keeps_its_duration_and_its_piece_lengths():
    for format in (PcmuFormat(), PcmaFormat()):
        talk = Talk(configured(output=AudioOutput(format=format)))
        talk.do(client.ResponseRequested(), engine.TextDelta(response_id="resp_1", text="hello"))
        for _ in range(5):
            talk.do(engine.AudioDelta(response_id="resp_1", pcm=sound(100)))
        talk.do(engine.GenerationEnded(response_id="resp_1"))
        assert sum(len(event.delta) for event in talk.of(server.AudioDelta)) == 500 * 8
        talk.check()


def test_speech_is_cut_into_pieces_of_100_to_400_ms():
    talk = Talk()
    talk.do(client.ResponseRequested(), engine.TextDelta(response_id="resp_1", text="hello"))
    for ms in (20, 30, 960, 40):
        talk.do(engine.AudioDelta(response_id="resp_1", pcm=sound(ms)))
    talk.do(engine.GenerationEnded(response_id="resp_1"))
    pieces = [len(event.delta) // 48 for event in talk.of(server.AudioDelta)]
    assert sum(pieces) == 1050 and max(pieces) <= 400 and min(pieces[:-1]) >= 100
    talk.check()


def test_an_answer_without_words_is_a_whole_response():
    talk = Talk()
    talk.do(client.ResponseRequested())
    assert talk.do(engine.GenerationEnded(response_id="resp_1")) == ["response.done resp_1 completed"]
    talk.check()


def test_a_second_request_is_refused_while_one_runs():
    talk = Talk()
    talk.do(client.ResponseRequested())
    assert talk.do(client.ResponseRequested(event_id="mine")) == [
        "error conversation_already_has_active_response None mine"
    ]
    talk.do(engine.GenerationEnded(response_id="resp_1"))
    assert talk.do(client.ResponseRequested()) == ["response.created resp_2", "ask Generate resp_2"]


def test_a_response_that_hit_its_limit_is_incomplete():
    talk = Talk(configured(modalities=("text",)))
    talk.do(client.ResponseRequested(), engine.TextDelta(response_id="resp_1", text="on and on"))
    talk.do(engine.GenerationEnded(response_id="resp_1", reason="max_output_tokens"))
    response = talk.of(server.ResponseDone)[0].response
    assert (response.status, response.status_details.reason) == ("incomplete", "max_output_tokens")
    assert response.output[0].status == "incomplete"
    talk.check()


def test_a_failed_generation_fails_the_response_only():
    talk = Talk()
    talk.do(client.ResponseRequested())
    error = FailureDetail(type="server_error", code="overloaded", message="Try again.")
    talk.do(engine.GenerationEnded(response_id="resp_1", reason="failed", error=error))
    response = talk.of(server.ResponseDone)[0].response
    assert response.status == "failed" and response.status_details.error == error
    assert response.usage is not None
    talk.do(client.ResponseRequested())
    talk.do(engine.GenerationEnded(response_id="resp_2"))
    talk.check()


def test_a_request_overrides_the_session_for_one_response():
    talk = Talk(configured(instructions="be kind"))
    params = client.ResponseParams(
        instructions="be short", output_modalities=("text",), metadata={"who": "me"}, tools=None
    )
    talk.do(client.ResponseRequested(response=params), engine.GenerationEnded(response_id="resp_1"))
    talk.do(client.ResponseRequested(), engine.GenerationEnded(response_id="resp_2"))
    first, second = talk.of(engine.Generate)
    assert (first.instructions, first.modalities) == ("be short", ("text",))
    assert (second.instructions, second.modalities) == ("be kind", ("audio",))
    assert talk.of(server.ResponseDone)[0].response.metadata == {"who": "me"}


def test_settings_changed_during_a_response_wait_for_the_next():
    talk = Talk()
    talk.do(client.ResponseRequested())
    update = client.SettingsChanged(session=SessionUpdate(type="realtime", output_modalities=("text",)))
    talk.do(update, engine.TextDelta(response_id="resp_1", text="spoken"))
    assert talk.of(server.TranscriptDelta) and not talk.of(server.TextDelta)


# --- out of band ------------------------------------------------------------------------------


def out_of_band(**fields) -> client.ResponseRequested:
    params = client.ResponseParams(conversation="none", output_modalities=("text",), **fields)
    return client.ResponseRequested(response=params)


def test_an_out_of_band_response_runs_beside_and_stays_outside():
    talk = Talk()
    talk.do(said("hello"), client.ResponseRequested())
    talk.do(out_of_band(metadata={"kind": "label"}))
    talk.do(engine.TextDelta(response_id="resp_2", text="greeting"))
    lines = talk.do(engine.GenerationEnded(response_id="resp_2"))
    assert lines == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done item_2 completed",
        "response.done resp_2 completed",
    ]
    done = talk.of(server.ResponseDone)[0].response
    assert done.conversation_id is None and done.metadata == {"kind": "label"}
    talk.do(engine.GenerationEnded(response_id="resp_1"), client.ResponseRequested())
    assert [item.id for item in talk.of(engine.Generate)[-1].history] == ["item_1"]
    talk.check(complete=False)


def test_the_input_of_a_request_replaces_the_history():
    talk = Talk()
    talk.do(said("one"), said("two"))
    note = Message(role="user", content=(InputText(text="raw"),))
    talk.do(out_of_band(input=(ItemReference(id="item_2"), note)), out_of_band(input=()))
    first, second = talk.of(engine.Generate)
    assert [item.content[0].text for item in first.history] == ["two", "raw"]
    assert second.history == ()
    unknown = talk.do(out_of_band(input=(ItemReference(id="item_9"),)))
    assert unknown == ["error invalid_value response.input[0].id None"]


def test_at_most_eight_out_of_band_responses_run_at_once():
    talk = Talk()
    for _ in range(8):
        assert talk.do(out_of_band())[0].startswith("response.created")
    assert talk.do(out_of_band())[0].startswith("error rate_limit_exceeded")
    talk.do(client.ResponseCancelled(response_id="resp_3"))
    assert talk.do(out_of_band())[0] == "response.created resp_9"


def test_cancel_without_an_id_leaves_out_of_band_responses_alone():
    talk = Talk()
    talk.do(out_of_band())
    assert talk.do(client.ResponseCancelled()) == ["error response_cancel_not_active None None"]
    cancelled = talk.do(client.ResponseCancelled(response_id="resp_1"))
    assert cancelled == ["ask Stop resp_1", "response.done resp_1 cancelled client_cancelled"]


# --- cancel -----------------------------------------------------------------------------------


def test_create_and_cancel_at_once_gives_created_then_done():
    talk = Talk()
    assert talk.do(client.ResponseRequested(), client.ResponseCancelled()) == [
        "response.created resp_1",
        "ask Generate resp_1",
        "ask Stop resp_1",
        "response.done resp_1 cancelled client_cancelled",
    ]
    assert talk.do(client.ResponseRequested())[0] == "response.created resp_2"


def test_a_delta_that_races_a_cancel_is_dropped():
    talk = Talk()
    talk.do(client.ResponseRequested(), engine.TextDelta(response_id="resp_1", text="I was"))
    talk.do(client.ResponseCancelled())
    late = talk.do(
        engine.TextDelta(response_id="resp_1", text=" saying"),
        engine.AudioDelta(response_id="resp_1", pcm=sound(100)),
        engine.ToolCalled(response_id="resp_1", index=0, name="f", arguments="{}"),
        engine.GenerationEnded(response_id="resp_1"),
    )
    assert late == []
    assert talk.do(client.ResponseCancelled()) == ["error response_cancel_not_active None None"]
    talk.check()


# --- usage ------------------------------------------------------------------------------------


def test_usage_counts_the_whole_context_each_time_and_caches_in_blocks_of_64():
    talk = Talk(configured(modalities=("text",)))
    talk.do(said("あ" * 200), client.ResponseRequested())
    talk.do(engine.TextDelta(response_id="resp_1", text="い" * 10))
    talk.do(engine.GenerationEnded(response_id="resp_1"), client.ResponseRequested())
    talk.do(engine.GenerationEnded(response_id="resp_2"))
    first, second = talk.session.usages
    assert (first.input_tokens, first.output_tokens, first.total_tokens) == (200, 10, 210)
    assert second.input_tokens == 210 and second.input_token_details.cached_tokens == 192
    assert [event.response.usage for event in talk.of(server.ResponseDone)] == [first, second]


def test_audio_is_counted_by_the_second():
    talk = Talk()
    talk.do(client.AudioAppended(audio=sound(2000)), client.AudioCommitted(), client.ResponseRequested())
    talk.do(engine.TextDelta(response_id="resp_1", text="yes!"))
    talk.do(engine.AudioDelta(response_id="resp_1", pcm=sound(1000)))
    talk.do(engine.GenerationEnded(response_id="resp_1"))
    usage = talk.session.usages[0]
    assert usage.input_token_details.audio_tokens == 20
    assert (usage.output_token_details.audio_tokens, usage.output_token_details.text_tokens) == (20, 1)
