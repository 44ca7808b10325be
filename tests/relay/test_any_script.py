"""Whatever a peer or a service says, the relay goes on and says things in order."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.relay.relay_desk import MEASURE, RelayDesk

from kaiwa.events.relay import PassedFrame, UpstreamClosed, UpstreamSaid
from kaiwa.events.tools import ToolSettled
from kaiwa.protocol.realtime.passing import usage_in
from kaiwa.session.relay.hidden import TYPES
from kaiwa.session.relay.profile import RelayProfile

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from(["measure", "item_1", "completed", "none", ""])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["id", "name", "type"]), inner, max_size=3)
    ),
    max_leaves=5,
)
CALL = st.fixed_dictionaries(
    {},
    optional={
        "id": JSON, "type": st.just("function_call") | JSON, "name": st.just("measure") | JSON,
        "status": JSON, "call_id": JSON, "arguments": JSON,
    },
)  # fmt: skip
TOOLS = st.lists(CALL | JSON, max_size=2) | JSON
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "id": JSON,
        "tools": TOOLS,
        "output": TOOLS,
        "usage": JSON,
        "conversation": JSON,
        "conversation_id": JSON,
        "instructions": JSON,
        "audio": JSON,
    },
)
BODY = st.fixed_dictionaries(
    {},
    optional={
        "event_id": JSON, "item_id": JSON, "previous_item_id": JSON, "response_id": JSON, "error": PARTS | JSON,
        "item": CALL | JSON, "session": PARTS | JSON, "response": PARTS | JSON,
    },
)  # fmt: skip
SAID = st.sampled_from(
    [*sorted(TYPES), "session.created", "error", "response.created", "input_audio_buffer.speech_started"]
)
TOLD = st.sampled_from(["session.update", "response.create"])


def said(kind: str, body: dict[str, Any]) -> UpstreamSaid:
    return UpstreamSaid(type=kind, body={**body, "type": kind})


def told(kind: str, body: dict[str, Any]) -> PassedFrame:
    event_id = body.get("event_id")
    return PassedFrame(
        type=kind, event_id=event_id if isinstance(event_id, str) else None, body={**body, "type": kind}
    )


EVENTS = (
    st.builds(said, SAID, BODY)
    | st.builds(told, TOLD, BODY)
    | st.builds(ToolSettled, call_id=st.sampled_from(["None", "measure"]), output=st.just("x"))
    | st.just(UpstreamClosed(code=1006))
)


@settings(max_examples=150, deadline=None)
@given(script=st.lists(EVENTS, max_size=8), hide=st.booleans())
def test_no_frame_breaks_the_relay(script: list[Any], hide: bool) -> None:
    profile = RelayProfile(
        session={"instructions": "x"}, pinned=("instructions", "voice", "tools"), hide_tools=hide
    )
    session = RelayDesk(profile=profile, tools=(MEASURE,)).session
    for number, event in enumerate(script):
        session.receive(event, float(number))
        if isinstance(event, UpstreamSaid):
            usage_in(event)
        if (due := session.next_timer()) is not None:
            session.handle_timer(max(due, float(number)))
        for action in session.actions():
            frame = getattr(getattr(action, "command", None), "frame", None) or getattr(action, "event", None)
            if isinstance(frame, PassedFrame):
                json.dumps(frame.body)
