"""Whatever arrives, the codec gives an event or a rejection, never an exception."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from realtime_samples import CLIENT_SAMPLES, SAMPLES

from kaiwa.events import client, server
from kaiwa.protocol.realtime.ga import GaCodec, UnknownServerEvent

codec = GaCodec()
CLIENT_BODIES = [json.loads(codec.encode_client(event)) for event in CLIENT_SAMPLES]
SERVER_BODIES = [json.loads(codec.encode_server(event)) for event in SAMPLES]
CLIENT_EVENTS = client.WireEvent.__args__
SERVER_EVENTS = server.WireEvent.__args__

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = [
    "type",
    "id",
    "event_id",
    "session",
    "item",
    "audio",
    "response",
    "content",
    "role",
    "tools",
    "object",
]


@st.composite
def mutated(draw, bodies):
    """A correct body with up to three places replaced, removed or added."""
    body = json.loads(json.dumps(draw(st.sampled_from(bodies))))
    for _ in range(draw(st.integers(0, 3))):
        place = body
        while isinstance(place, dict | list) and place and draw(st.booleans()):
            keys = sorted(place) if isinstance(place, dict) else range(len(place))
            deeper = place[draw(st.sampled_from(list(keys)))]
            if not isinstance(deeper, dict | list):
                break
            place = deeper
        if isinstance(place, dict):
            key = draw(st.sampled_from(sorted(place) + KEYS))
            if key in place and draw(st.booleans()):
                del place[key]
            else:
                place[key] = draw(json_values)
        else:
            place.append(draw(json_values))
    return json.dumps(body)


@settings(max_examples=300, deadline=None)
@given(mutated(CLIENT_BODIES))
def test_a_mutated_client_frame_is_an_event_or_a_precise_rejection(frame):
    event = codec.decode_client(frame)
    if isinstance(event, client.FrameRejected):
        assert event.message != "Invalid event: it could not be read."
        given_id = json.loads(frame).get("event_id")
        assert event.rejected_event_id == (given_id if isinstance(given_id, str) else None)
    else:
        assert isinstance(event, CLIENT_EVENTS)
        relayed = codec.encode_client(event)
        assert codec.encode_client(codec.decode_client(relayed)) == relayed


@settings(max_examples=200, deadline=None)
@given(mutated(SERVER_BODIES))
def test_a_mutated_server_frame_is_an_event_or_an_unknown_one(frame):
    event = codec.decode_server(frame)
    assert isinstance(event, (UnknownServerEvent, *SERVER_EVENTS))
    codec.encode_server(event)


@settings(max_examples=200, deadline=None)
@given(st.text() | st.binary() | json_values.map(json.dumps))
def test_noise_is_rejected(frame):
    assert isinstance(codec.decode_client(frame), client.FrameRejected)
    assert isinstance(codec.decode_server(frame), UnknownServerEvent)
