"""Whatever a session says, a preview client reads it, and read back from an upstream it is what GA says."""

import json

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.session.test_any_script import DETECTIONS, STEPS, Script

from kaiwa.events import client, server
from kaiwa.events.config import SessionUpdate
from kaiwa.protocol.realtime.dialects import codec_for, reader_of
from kaiwa.protocol.realtime.ga import GaCodec
from kaiwa.session.policy import HostPolicy
from kaiwa.testing.conformance import check_server_event

GA_ONLY = (server.ItemDone, server.TimeoutTriggered)


def plain(event):
    """Return what a GA client would see of the event; what the preview names by itself left out."""
    body = json.loads(GaCodec(obfuscate=False).encode_server(event))
    if isinstance(event, server.ItemDone):
        del body["event_id"]
    for detection in [body.get("session", {}).get("audio", {}).get("input", {}).get("turn_detection")]:
        if detection:
            detection.pop("idle_timeout_ms", None)
    return body


@settings(
    max_examples=25,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(
    st.sampled_from(DETECTIONS),
    st.booleans(),
    st.sampled_from(["text", "audio"]),
    st.lists(STEPS, max_size=40),
)
def test_any_script_survives_the_preview_dialect(detection, paced, modality, steps):
    script = Script(detection, HostPolicy(paced_output=paced, lifetime_s=None))
    update = SessionUpdate(type="realtime", output_modalities=(modality,), temperature=0.9)
    script.talk.do(client.SettingsChanged(session=update))
    for step in steps:
        script.play(step)
    script.finish()
    preview, october = codec_for("preview"), codec_for("preview-2024-10-01")
    read, heard = reader_of("preview"), []
    for event in script.talk.events:
        frame, first = preview.encode_server(event), october.encode_server(event)
        assert bool(frame) != isinstance(event, GA_ONLY)
        if frame:
            check_server_event(named(frame), "preview")
            heard += read(frame)
        if first:
            check_server_event(named(first), "preview-2024-10-01")
            assert json.loads(first)["type"] == json.loads(frame)["type"]
    said = [event for event in script.talk.events if not isinstance(event, server.TimeoutTriggered)]
    assert [plain(event) for event in heard] == [plain(event) for event in said]


def named(frame):
    """Give the session of these scripts an id; they have none."""
    body = json.loads(frame)
    if "session" in body:
        body["session"]["id"] = "sess_1"
    return body
