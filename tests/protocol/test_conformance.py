"""The checker passes a correct call and names the rule for each fault planted into it."""

import base64
import copy
import json
from pathlib import Path

import pytest

from kaiwa.testing.conformance import ConformanceError, check_server_event, check_transcript
from kaiwa.testing.conformance_shapes import SHAPES

USAGE = {
    "total_tokens": 10,
    "input_tokens": 6,
    "output_tokens": 4,
    "input_token_details": {
        "text_tokens": 4,
        "audio_tokens": 2,
        "image_tokens": 0,
        "cached_tokens": 0,
        "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 1, "audio_tokens": 3},
}
SESSION = {
    "type": "realtime",
    "object": "realtime.session",
    "id": "sess_1",
    "model": "gpt-realtime",
    "output_modalities": ["audio"],
    "instructions": "",
    "tools": [],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "tracing": None,
    "truncation": "auto",
    "prompt": None,
    "expires_at": 1,
    "audio": {},
    "include": None,
}
PCM = {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy"}}


class Script:
    """Writes a transcript, with ids counted."""

    def __init__(self):
        self.events = []
        self.say("session.created", session=SESSION)

    def say(self, type, **fields):
        self.events.append({"type": type, "event_id": f"event_{len(self.events)}", **fields})

    def item(self, item, previous, done=True):
        self.say("conversation.item.added", previous_item_id=previous, item=item)
        if done:
            self.say("conversation.item.done", previous_item_id=previous, item=item)

    def created(self, id, conversation_id="conv_1"):
        response = {
            "object": "realtime.response",
            "id": id,
            "status": "in_progress",
            "status_details": None,
            "output": [],
            "conversation_id": conversation_id,
            "output_modalities": ["audio"],
            "max_output_tokens": "inf",
            "audio": PCM,
            "usage": None,
            "metadata": None,
        }
        self.say("response.created", response=response)
        return response

    def done(self, response, output, status="completed", details=None):
        ended = {"status": status, "status_details": details, "output": output, "usage": USAGE}
        self.say("response.done", response={**response, **ended})

    def part(self, response_id, item_id, kind, words, status="completed", milliseconds=(200, 200, 40)):
        """One message item's life inside a response, its added events and its item.done excepted."""
        at = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
        name, key = ("output_text", "text") if kind == "text" else ("output_audio_transcript", "transcript")
        self.say("response.content_part.added", part={"type": kind, key: ""}, **at)
        for word in words:
            self.say(f"response.{name}.delta", delta=word, **at)
        if kind == "audio":
            for duration in milliseconds:
                delta = base64.b64encode(bytes(48 * duration)).decode()
                self.say("response.output_audio.delta", delta=delta, **at)
            self.say("response.output_audio.done", **at)
        whole = "".join(words)
        self.say(f"response.{name}.done", **{key: whole}, **at)
        self.say("response.content_part.done", part={"type": kind, key: whole}, **at)
        content = [{"type": f"output_{kind}", key: whole}]
        return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def opened(item):
    empty = {"content": []} if item["type"] == "message" else {"arguments": ""}
    return {**item, "status": "in_progress", **empty}


def user(item_id, part):
    return {"id": item_id, "type": "message", "status": "completed", "role": "user", "content": [part]}


def assistant(item_id):
    return {"id": item_id, "type": "message", "status": "in_progress", "role": "assistant", "content": []}


def spoken(script, response_id, item_id, previous, kind="audio", status="completed"):
    script.say("response.output_item.added", response_id=response_id, output_index=0, item=assistant(item_id))
    script.item(assistant(item_id), previous, done=False)
    item = script.part(response_id, item_id, kind, ["Hello ", "there."], status)
    script.say("conversation.item.done", previous_item_id=previous, item=item)
    script.say("response.output_item.done", response_id=response_id, output_index=0, item=item)
    return item


def correct():
    """A typed question, a spoken answer cut off by speech, a tool call, a side response."""
    script = Script()
    script.item(user("item_1", {"type": "input_text", "text": "hi"}), None)
    response = script.created("resp_1")
    script.done(response, [spoken(script, "resp_1", "item_2", "item_1", "text")])
    script.say("rate_limits.updated", rate_limits=[])

    response = script.created("resp_2")
    script.say("input_audio_buffer.speech_started", audio_start_ms=960, item_id="item_4")
    item = spoken(script, "resp_2", "item_3", "item_2", "audio", "incomplete")
    cancelled = {"type": "cancelled", "reason": "turn_detected"}
    script.done(response, [item], "cancelled", cancelled)
    script.say("conversation.item.truncated", item_id="item_3", content_index=0, audio_end_ms=100)
    script.say("input_audio_buffer.speech_stopped", audio_end_ms=2000, item_id="item_4")
    script.say("input_audio_buffer.committed", previous_item_id="item_3", item_id="item_4")
    script.item(user("item_4", {"type": "input_audio", "transcript": None}), "item_3")

    response = script.created("resp_3")
    transcription = "conversation.item.input_audio_transcription."
    script.say(transcription + "delta", item_id="item_4", content_index=0, delta="Weather")
    script.say(transcription + "delta", item_id="item_4", content_index=0, delta="?")
    usage = {"type": "duration", "seconds": 2}
    script.say(
        transcription + "completed", item_id="item_4", content_index=0, transcript="Weather?", usage=usage
    )
    call = {"id": "item_5", "type": "function_call", "status": "completed", "name": "weather"}
    call |= {"call_id": "call_1", "arguments": '{"city":"Kyoto"}'}
    script.say("response.output_item.added", response_id="resp_3", output_index=0, item=opened(call))
    script.item(opened(call), "item_4", done=False)
    at = {"response_id": "resp_3", "item_id": "item_5", "output_index": 0, "call_id": "call_1"}
    for delta in ('{"city":', '"Kyoto"}'):
        script.say("response.function_call_arguments.delta", delta=delta, **at)
    name = "response.function_call_arguments.done"
    script.say(name, name="weather", arguments=call["arguments"], **at)
    script.say("conversation.item.done", previous_item_id="item_4", item=call)
    script.say("response.output_item.done", response_id="resp_3", output_index=0, item=call)
    side = script.created("resp_4", conversation_id=None)
    script.done(response, [call])
    script.item(
        {"id": "item_6", "type": "function_call_output", "call_id": "call_1", "output": "sun"}, "item_5"
    )

    script.say("response.output_item.added", response_id="resp_4", output_index=0, item=assistant("item_7"))
    item = script.part("resp_4", "item_7", "text", ["ok"])
    script.say("response.output_item.done", response_id="resp_4", output_index=0, item=item)
    script.done(side, [item])
    script.say("conversation.item.deleted", item_id="item_6")
    script.item(user("item_8", {"type": "input_text", "text": "bye"}), "item_5")
    failure = {"type": "invalid_request_error", "code": "x", "message": "m", "param": None, "event_id": None}
    script.say("error", error=failure)
    # Through JSON, so that no two events share an object.
    return json.loads(json.dumps(script.events))


def find(events, type, nth=0):
    return [index for index, event in enumerate(events) if event["type"] == type][nth]


def test_a_correct_call_passes_as_dicts_and_as_frames():
    events = correct()
    assert check_transcript(events) == events
    assert check_transcript(json.dumps(event) for event in events) == events


def test_the_shipped_table_agrees_with_the_published_one():
    published = json.loads((Path(__file__).parent.parent / "data/realtime/events.json").read_text())
    table = {}
    for entry in published["server_events"]:
        if entry["ga"]:
            seen = [name.split("{")[0].rstrip("?") for name in entry.get("always_on_ga_wire") or []]
            # Padding is seen on the wire, but no client needs it.
            table[entry["ga"]] = {"type", *entry["required"], *seen} - {"obfuscation"}
    assert {name: set(fields) for name, fields in SHAPES["ga"].fields.items()} == table


def moved(type, to, nth=0, to_nth=0):
    """Move the nth event of a type before another event."""

    def plant(events):
        event = events.pop(find(events, type, nth))
        events.insert(find(events, to, to_nth), event)

    return plant


def repeated(type, to, nth=0):
    """Say an event once more before a later one."""

    def plant(events):
        again = {**copy.deepcopy(events[find(events, type, nth)]), "event_id": "event_again"}
        events.insert(find(events, to), again)

    return plant


def doubled(type, nth=0):
    def plant(events):
        at = find(events, type, nth)
        events.insert(at + 1, {**copy.deepcopy(events[at]), "event_id": "event_again"})

    return plant


def dropped(type, nth=0):
    return lambda events: events.pop(find(events, type, nth))


def changed(type, path, value, nth=0):
    """Set a value deep in the nth event of a type; `path` is dotted, numbers are indexes."""

    def plant(events):
        *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        place = events[find(events, type, nth)]
        for step in way:
            place = place[step]
        place[last] = value

    return plant


AUDIO, ITEM_ADDED, ITEM_DONE = (
    "response.output_audio.delta",
    "conversation.item.added",
    "conversation.item.done",
)
TEXT, PART_ADDED, PART_DONE = (
    "response.output_text",
    "response.content_part.added",
    "response.content_part.done",
)
OUT_ADDED, OUT_DONE = "response.output_item.added", "response.output_item.done"
CREATED, DONE = "response.created", "response.done"
ARGUMENTS = "response.function_call_arguments"
SPEECH = "input_audio_buffer.speech_"
COMMITTED = "input_audio_buffer.committed"
TRANSCRIPTION = "conversation.item.input_audio_transcription"


def audio(milliseconds, extra=b""):
    return base64.b64encode(bytes(48 * milliseconds) + extra).decode()


def _plant_open_item(events):
    for type in (ITEM_DONE, OUT_DONE):
        events[find(events, type, 1 if type == ITEM_DONE else 0)]["item"]["status"] = "incomplete"
    events[find(events, DONE)]["response"]["output"][0]["status"] = "incomplete"


def _plant_side_item(events):
    at = find(events, OUT_ADDED, 3)
    added = {
        "type": ITEM_ADDED,
        "event_id": "event_x",
        "previous_item_id": "item_6",
        "item": events[at]["item"],
    }
    events.insert(at + 1, added)


def _plant_late_part(events):
    part = next(event for event in events if event["type"] == PART_ADDED and event["response_id"] == "resp_4")
    late = {**part, "event_id": "event_x", "content_index": 1}
    events.insert(find(events, OUT_DONE, 3) + 1, late)


def _plant_arguments(events):
    arguments = {**events[find(events, f"{ARGUMENTS}.delta")], "event_id": "event_x"}
    arguments |= {"response_id": "resp_1", "item_id": "item_2"}
    events.insert(find(events, PART_ADDED), arguments)


def _plant_broken_json(events):
    for event in events:
        if event["type"].startswith(ARGUMENTS) and event.get("delta") == '"Kyoto"}':
            event["delta"] = '"Kyoto"'
        if event["type"] == f"{ARGUMENTS}.done":
            event["arguments"] = '{"city":"Kyoto"'
        if event["type"] == ITEM_DONE and event["item"]["type"] == "function_call":
            event["item"]["arguments"] = '{"city":"Kyoto"'


def _plant_old_speech(events):
    speech = {"type": f"{SPEECH}started", "event_id": "event_x", "audio_start_ms": 5000, "item_id": "item_4"}
    events.append(speech)


FAULTS = {
    "session.created missing": ("order.session_created", dropped("session.created")),
    "session.created twice": ("order.session_created", doubled("session.created")),
    "event id used twice": ("event.id_unique", changed(DONE, "event_id", "event_0")),
    "event id of another kind": ("event.id", changed(DONE, "event_id", "evt_1")),
    "unknown event": ("event.type", changed("error", "type", "conversation.item.created")),
    "field missing": ("event.fields", lambda events: events[find(events, ITEM_ADDED)].pop("previous_item_id")),
    "negative index": ("event.integers", changed(OUT_ADDED, "output_index", -1)),
    "session key missing": ("session.keys", lambda events: events[0]["session"].pop("prompt")),
    "response key missing": ("response.keys", lambda events: events[find(events, CREATED)]["response"].pop("metadata")),
    "usage early": ("response.usage", changed(CREATED, "response.usage", USAGE)),
    "usage null at the end": ("usage.object", changed(DONE, "response.usage", None)),
    "usage does not add up": ("usage.sums", changed(DONE, "response.usage", {**USAGE, "total_tokens": 9})),
    "status details missing": ("response.status_details", changed(DONE, "response.status_details", None, 1)),
    "done in progress": ("response.status", changed(DONE, "response.status", "in_progress")),
    "error key missing": ("error.keys", lambda events: events[-1]["error"].pop("param")),
    "item with object": ("item.object", changed(ITEM_ADDED, "item.object", "realtime.item")),
    "part of another role": ("item.content", changed(ITEM_ADDED, "item.content.0.type", "output_text")),
    "long part name": ("part.type", changed(PART_ADDED, "part.type", "output_text")),
    "transcription without usage": ("transcription.usage", changed(f"{TRANSCRIPTION}.completed", "usage", None)),
    "response twice": ("response.created_once", changed(CREATED, "response.id", "resp_1", 1)),
    "response never done": ("response.one_at_a_time", dropped(DONE)),
    "last response never done": ("response.done_once", dropped(DONE, 3)),
    "two responses at once": ("response.one_at_a_time", changed(CREATED, "response.conversation_id", "conv_1", 3)),
    "another conversation": ("response.conversation_id", changed(CREATED, "response.conversation_id", "c", 1)),
    "conversation changed": ("response.same", changed(DONE, "response.conversation_id", None)),
    "delta after the end": ("response.done_last", repeated(f"{TEXT}.delta", "rate_limits.updated")),
    "done of nothing": ("response.created_first", dropped(CREATED)),
    "output differs": ("response.output", changed(DONE, "response.output", [])),
    "open item in a completed response": ("response.output", _plant_open_item),
    "item of a side response in the conversation": ("response.out_of_band", _plant_side_item),
    "conversation item before output item": ("output.opening_order", moved(ITEM_ADDED, OUT_ADDED, 1)),
    "part before conversation item": ("output.opening_order", moved(PART_ADDED, ITEM_ADDED, 0, 1)),
    "part before output item": ("output.added_first", moved(PART_ADDED, OUT_ADDED)),
    "output item not empty": ("output.opens_empty", changed(OUT_ADDED, "item.status", "completed")),
    "part not empty": ("output.opens_empty", changed(PART_ADDED, "part.text", "x")),
    "output index skipped": ("output.indexes", changed(OUT_ADDED, "output_index", 1)),
    "content index skipped": ("output.indexes", changed(PART_ADDED, "content_index", 1)),
    "delta of another item": ("output.ids", changed(f"{TEXT}.delta", "item_id", "item_1")),
    "delta before its part": ("part.added_first", moved(f"{TEXT}.delta", PART_ADDED)),
    "delta after its done": ("part.deltas_inside", repeated(f"{TEXT}.delta", PART_DONE)),
    "delta lost": ("part.text", dropped(f"{TEXT}.delta")),
    "delta twice": ("part.text", doubled(f"{TEXT}.delta")),
    "text done twice": ("part.done_once", doubled(f"{TEXT}.done")),
    "text done missing": ("part.closing_order", dropped(f"{TEXT}.done")),
    "text differs in done": ("part.text", changed(f"{TEXT}.done", "text", "Hello")),
    "text differs in part": ("part.text", changed(PART_DONE, "part.text", "Hello")),
    "text differs in item": ("output.text", changed(ITEM_DONE, "item.content.0.text", "Hello", 1)),
    "text differs in output item": ("output.text", changed(OUT_DONE, "item.content.0.text", "Hello")),
    "part done missing": ("output.closing_order", dropped(PART_DONE)),
    "part done twice": ("part.done_once", doubled(PART_DONE)),
    "part done after item done": ("output.closing_order", moved(ITEM_DONE, PART_DONE, 1)),
    "output item done before item done": ("output.closing_order", moved(OUT_DONE, ITEM_DONE, 0, 1)),
    "output item done twice": ("output.done_once", doubled(OUT_DONE)),
    "response done before output item": ("response.closing_order", moved(DONE, OUT_DONE)),
    "output item still open": ("output.status", changed(ITEM_DONE, "item.status", "in_progress", 1)),
    "output item differs from the item": ("output.same", changed(OUT_DONE, "item.status", "incomplete")),
    "part after output item done": ("output.done_last", _plant_late_part),
    "arguments of a message": ("call.kind", _plant_arguments),
    "arguments are not JSON": ("call.json", _plant_broken_json),
    "unknown item": ("item.type", changed(ITEM_ADDED, "item.type", "thing")),
    "session of another kind": ("session.object", changed("session.created", "session.object", "thing")),
    "session id of another kind": ("session.id", changed("session.created", "session.id", "1")),
    "speech under an old id": ("speech.new_item", _plant_old_speech),
    "audio in a text part": ("part.kind", changed(PART_ADDED, "part", {"type": "audio", "transcript": ""})),
    "audio before words": ("part.transcript_ahead", moved(AUDIO, "response.output_audio_transcript.delta")),
    "audio after its done": ("part.deltas_inside", moved(AUDIO, "response.output_audio_transcript.done", 2)),
    "transcript closed before audio": (
        "part.closing_order",
        moved("response.output_audio_transcript.done", "response.output_audio.done"),
    ),
    "audio done missing": ("part.closing_order", dropped("response.output_audio.done")),
    "audio of odd length": ("audio.even", changed(AUDIO, "delta", audio(200, b"\0"))),
    "audio too long": ("audio.bounds", changed(AUDIO, "delta", audio(401))),
    "audio too short": ("audio.bounds", changed(AUDIO, "delta", audio(99))),
    "audio empty": ("audio.bounds", changed(AUDIO, "delta", "")),
    "audio not base64": ("audio.base64", changed(AUDIO, "delta", "&&&&")),
    "arguments lost": ("call.arguments", dropped(f"{ARGUMENTS}.delta")),
    "arguments differ": ("call.arguments", changed(OUT_DONE, "item.arguments", "{}", 2)),
    "arguments of another call": ("call.id", changed(f"{ARGUMENTS}.delta", "call_id", "call_2")),
    "arguments done missing": ("output.closing_order", dropped(f"{ARGUMENTS}.done")),
    "arguments done twice": ("call.done_once", doubled(f"{ARGUMENTS}.done")),
    "arguments name": ("call.name", changed(f"{ARGUMENTS}.done", "name", "other")),
    "item added twice": ("item.added_once", doubled(ITEM_ADDED)),
    "item done twice": ("item.done_once", doubled(ITEM_DONE)),
    "item never done": ("item.done_once", dropped(ITEM_DONE)),
    "item done before added": ("item.added_first", moved(ITEM_DONE, ITEM_ADDED)),
    "item changed": ("item.same", changed(ITEM_DONE, "item.content.0.text", "ho")),
    "client item open": ("item.status", changed(ITEM_DONE, "item.status", "incomplete")),
    "answer after the wrong item": ("item.previous", changed(ITEM_ADDED, "previous_item_id", None, 1)),
    "answer done after the wrong item": ("item.previous", changed(ITEM_DONE, "previous_item_id", None, 1)),
    "follows nobody": ("item.known", changed(ITEM_ADDED, "previous_item_id", "item_9", 1)),
    "follows a deleted item": ("item.known", changed(ITEM_ADDED, "previous_item_id", "item_6", -1)),
    "null although not first": ("item.previous", changed(ITEM_ADDED, "previous_item_id", None, -1)),
    "deleted unknown": ("item.known", changed("conversation.item.deleted", "item_id", "item_9")),
    "committed after the wrong item": ("item.previous", changed(COMMITTED, "previous_item_id", "item_2")),
    "committed another": ("speech.committed_item", changed(COMMITTED, "item_id", "item_9")),
    "committed item follows another": ("item.previous", changed(ITEM_ADDED, "previous_item_id", "item_2", 3)),
    "committed twice": ("speech.committed_once", doubled(COMMITTED)),
    "stopped but not committed": ("speech.committed", dropped(COMMITTED)),
    "stopped another": ("speech.stopped_item", changed(f"{SPEECH}stopped", "item_id", "item_9")),
    "stopped before started": ("speech.stopped_item", dropped(f"{SPEECH}started")),
    "stopped too early": ("speech.clock", changed(f"{SPEECH}stopped", "audio_end_ms", 1)),
    "started twice": ("speech.one_at_a_time", doubled(f"{SPEECH}started")),
    "transcribed twice": ("transcription.once", doubled(f"{TRANSCRIPTION}.completed")),
    "transcript differs": ("transcription.text", dropped(f"{TRANSCRIPTION}.delta")),
    "transcript of a typed item": ("transcription.item", changed(f"{TRANSCRIPTION}.completed", "item_id", "item_1")),
}  # fmt: skip


@pytest.mark.parametrize(("rule", "plant"), FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_named(rule, plant):
    events = correct()
    plant(events)
    with pytest.raises(ConformanceError) as caught:
        check_transcript(events)
    assert caught.value.rule == rule


def test_a_fault_tells_where_it_is():
    events = correct()
    events[5]["type"] = "nonsense"
    with pytest.raises(ConformanceError) as caught:
        check_transcript(events)
    assert caught.value.position == 5


def test_an_unfinished_transcript_passes_when_it_may_be_unfinished():
    events = correct()
    for length in range(1, len(events)):
        check_transcript(events[:length], complete=False)


def test_an_item_put_at_the_front_is_believed_when_the_client_asked_for_it():
    script = Script()
    script.item(user("item_1", {"type": "input_text", "text": "a"}), None)
    script.item(user("item_0", {"type": "input_text", "text": "b"}), None)
    check_transcript(script.events, at_front={"item_0"})
    with pytest.raises(ConformanceError):
        check_transcript(script.events)


def test_playback_starts_and_ends_once():
    script = Script()
    for name in ("started", "stopped", "started", "cleared"):
        script.say(f"output_audio_buffer.{name}", response_id="resp_1")
    check_transcript(script.events)
    with pytest.raises(ConformanceError, match=r"playback\.ends"):
        check_transcript(script.events[:-1])
    with pytest.raises(ConformanceError, match=r"playback\.started_first"):
        check_transcript([script.events[0], script.events[2]])


def test_cleared_speech_is_forgotten():
    script = Script()
    script.say("input_audio_buffer.speech_started", audio_start_ms=0, item_id="item_1")
    script.say("input_audio_buffer.cleared")
    script.say("input_audio_buffer.committed", previous_item_id=None, item_id="item_2")
    script.item(user("item_2", {"type": "input_audio", "transcript": None}), None)
    check_transcript(script.events)


def test_two_answers_do_not_play_at_once():
    script = Script()
    script.say("output_audio_buffer.started", response_id="resp_1")
    script.say("output_audio_buffer.started", response_id="resp_2")
    with pytest.raises(ConformanceError, match=r"playback\.one_at_a_time"):
        check_transcript(script.events)


def test_a_frame_that_is_no_object_is_refused():
    with pytest.raises(ConformanceError, match=r"event\.object"):
        check_server_event("[]")


def test_a_failed_transcription_with_nulls_is_refused():
    error = {"type": "server_error", "message": "m", "code": None}
    event = {"type": f"{TRANSCRIPTION}.failed", "event_id": "event_1", "item_id": "i", "content_index": 0}
    with pytest.raises(ConformanceError, match=r"transcription\.error"):
        check_server_event({**event, "error": error})
