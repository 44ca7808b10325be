"""kaiwa's own events reach only peers that asked for them."""

from __future__ import annotations

import json

import pytest

from kaiwa.events.own import (
    OWN_EVENTS,
    OwnEvent,
    SessionResumable,
    SessionResumed,
    ToolProgressed,
    WordsHeard,
)
from kaiwa.events.server import InputAudioCleared
from kaiwa.protocol.realtime.calls import FILTERED, CallCodec
from kaiwa.protocol.realtime.dialects import Dialect, codec_for
from kaiwa.protocol.realtime.own_events import resume_in, wants_own_events, with_own_events
from kaiwa.protocol.realtime.passing import client_side

PROGRESS = ToolProgressed(event_id="event_1", call_id="call_1", fraction=0.4, text="半分まで調べました")
HEARD = WordsHeard(event_id="event_2", item_id="item_1", transcript="三店舗")
OFFER = SessionResumable(event_id="event_4", token="secret", grace_s=30)
BACK = SessionResumed(event_id="event_5", retold=False, replayed=2)
DIALECTS: tuple[Dialect, ...] = ("ga", "preview", "preview-2024-10-01")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("event", [PROGRESS, HEARD, OFFER, BACK])
def test_a_stock_peer_never_sees_one(dialect: Dialect, event: OwnEvent) -> None:
    for codec in (codec_for(dialect), client_side(dialect, frozenset())):
        assert codec.encode_server(event) == ""
        assert CallCodec(codec).encode_server(event) == ""


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_peer_that_asked_sees_them_beside_all_others(dialect: Dialect) -> None:
    codec = CallCodec(with_own_events(codec_for(dialect), wants_own_events({"kaiwa_events": "on"})))
    assert json.loads(codec.encode_server(PROGRESS)) == {
        "type": "kaiwa.tool.progress",
        "event_id": "event_1",
        "call_id": "call_1",
        "fraction": 0.4,
        "text": "半分まで調べました",
    }
    assert json.loads(codec.encode_server(HEARD))["transcript"] == "三店舗"
    assert json.loads(codec.encode_server(InputAudioCleared(event_id="event_3")))["event_id"] == "event_3"


def test_a_filtered_channel_has_none_of_them() -> None:
    codec = CallCodec(with_own_events(codec_for("ga"), True), only=FILTERED)
    assert [codec.encode_server(event) for event in (PROGRESS, HEARD)] == ["", ""]


@pytest.mark.parametrize("query", [{}, {"kaiwa_events": "off"}, {"events": "on"}])
def test_nobody_asks_by_accident(query: dict[str, str]) -> None:
    assert not wants_own_events(query)


def test_every_one_of_them_is_named_as_kaiwas() -> None:
    assert all(str(kind.__struct_config__.tag).startswith("kaiwa.") for kind in OWN_EVENTS)


def test_a_token_is_in_no_repr() -> None:
    asked = resume_in('{"type": "kaiwa.session.resume", "token": "secret"}')
    assert asked is not None and asked.token == "secret"
    assert "secret" not in repr(asked) + repr(OFFER)
    assert resume_in('{"type": "session.update", "session": {}}') is None and resume_in("no JSON") is None
