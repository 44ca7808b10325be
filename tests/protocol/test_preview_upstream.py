"""A preview upstream's frames, also its oldest, as the events of a GA upstream."""

import json

import pytest
from hypothesis import given, settings
from realtime_samples import CALL, IDS, MESSAGE, RESPONSE, SAMPLES, USER
from test_any_frame import mutated

from kaiwa.events import items, server
from kaiwa.events.response import Response
from kaiwa.events.usage import Usage
from kaiwa.protocol.realtime.dialects import reader_of
from kaiwa.protocol.realtime.ga import GaCodec
from kaiwa.protocol.realtime.preview import PreviewCodec
from kaiwa.protocol.realtime.reading import UnknownServerEvent

codec = PreviewCodec()
OPEN = items.Message(id="item_1", status="in_progress", role="assistant", content=())
PLACE = {"event_id": "event_2", "response_id": "resp_1", "output_index": 0}


def frame(type, **fields):
    return json.dumps({"type": type, "event_id": "event_1", **fields})


def created(item, previous=None):
    return codec.encode_server(server.ItemAdded(event_id="event_1", previous_item_id=previous, item=item))


def kinds(events):
    return [type(event) for event in events]


@pytest.mark.parametrize("item", [USER, items.FunctionCallOutput(id="i", call_id="c", output="o"), MESSAGE])
def test_a_finished_item_is_added_and_done(item):
    added, done = reader_of("preview")(created(item, "item_0"))
    assert (added.previous_item_id, added.item) == (done.previous_item_id, done.item) == ("item_0", item)
    assert isinstance(done, server.ItemDone)
    assert done.event_id != added.event_id and done.event_id.startswith("event_")


def test_an_item_being_written_is_done_right_before_its_output_item():
    read = reader_of("preview")
    assert kinds(read(created(OPEN, "item_0"))) == [server.ItemAdded]
    done, output = read(codec.encode_server(server.OutputItemDone(item=MESSAGE, **PLACE)))
    assert done == server.ItemDone(event_id="event_2_item_1", previous_item_id="item_0", item=MESSAGE)
    assert output == server.OutputItemDone(item=MESSAGE, **PLACE)


def test_an_item_out_of_band_is_never_done_in_the_conversation():
    read = reader_of("preview")
    read(codec.encode_server(server.OutputItemAdded(item=OPEN, **PLACE)))
    assert kinds(read(codec.encode_server(server.OutputItemDone(item=MESSAGE, **PLACE)))) == [
        server.OutputItemDone
    ]


def test_a_response_that_ends_early_ends_its_items():
    read = reader_of("preview")
    read(created(OPEN))
    response = Response(
        id="resp_1", status="completed", conversation_id="c", output_modalities=("text",), output=(MESSAGE,),
        usage=Usage(),
    )  # fmt: skip
    done = codec.encode_server(server.ResponseDone(event_id="event_3", response=response))
    assert kinds(read(done)) == [server.ItemDone, server.ResponseDone]
    assert kinds(read(done)) == [server.ResponseDone]


def test_the_name_of_a_called_function_is_remembered():
    read = reader_of("preview")
    read(codec.encode_server(server.OutputItemAdded(item=CALL, **PLACE)))
    done = frame(
        "response.function_call_arguments.done",
        response_id="resp_1", item_id="item_2", output_index=0, call_id="call_1", arguments="{}",
    )  # fmt: skip
    assert read(done)[0].name == "f"


def test_what_the_first_services_left_out_is_filled_in():
    read = reader_of("preview")
    (committed,) = read(frame("input_audio_buffer.committed", item_id="i"))
    assert committed.previous_item_id is None
    name = "conversation.item.input_audio_transcription.completed"
    (heard,) = read(frame(name, item_id="i", content_index=0, transcript="a"))
    assert heard.usage.total_tokens == 0
    (failed,) = read(frame("error", error={"message": "m", "type": "t"}))
    assert (failed.error.code, failed.error.param, failed.error.event_id) == (None, None, None)
    (part,) = read(frame("response.content_part.added", content={"type": "audio"}, **IDS))
    assert part.part == server.AudioPart(transcript="")
    (response,) = read(frame("response.created", response={"id": "resp_1", "status": "in_progress"}))
    assert response.response.output_modalities == ("audio",)
    (session,) = read(frame("session.created", session={"id": "s", "turn_detection": {"type": "none"}}))
    assert session.session.audio.input.turn_detection is None


def test_unknown_frames_are_kept_and_a_ga_upstream_needs_no_reader_of_its_own():
    assert reader_of("preview")(frame("something.new")) == (
        UnknownServerEvent(
            type="something.new",
            event_id="event_1",
            body={"type": "something.new", "event_id": "event_1"},
        ),
    )
    event = server.ResponseCreated(event_id="event_1", response=RESPONSE)
    assert reader_of("ga")(GaCodec().encode_server(event)) == (event,)


BODIES = [json.loads(one) for event in SAMPLES if (one := codec.encode_server(event))]


@settings(max_examples=200, deadline=None)
@given(mutated(BODIES))
def test_a_mutated_frame_gives_events_that_ga_can_write(body):
    for event in reader_of("preview")(body):
        assert isinstance(event, (UnknownServerEvent, *server.WireEvent.__args__))
        GaCodec().encode_server(event)
