"""C2: the session object and session.update."""

from __future__ import annotations

from tests.contract.breakages import drop, put, unheard, without
from tests.contract.desk import Desk
from tests.contract.manifest import rule

GA_KEYS = {
    "type", "object", "id", "model", "output_modalities", "instructions", "tools", "tool_choice",
    "max_output_tokens", "tracing", "truncation", "prompt", "expires_at", "audio", "include",
}  # fmt: skip


@rule("K-2", broken_by=drop("session.created"))
@rule("K-33", broken_by=without("session.created", "session.prompt"))
def test_the_session_is_created_whole_before_the_peer_says_a_word(desk: Desk) -> None:
    session = desk.one("session.created")["session"]
    assert set(session) == GA_KEYS
    assert session["prompt"] is None and session["include"] is None
    assert set(session["audio"]["input"]) == {"format", "transcription", "noise_reduction", "turn_detection"}
    assert set(session["audio"]["output"]) == {"format", "voice", "speed"}


@rule("K-38", broken_by=put("session.updated", "session.tool_choice", "none"))
@rule("K-64", broken_by=put("session.updated", "event_id", "mine"))
def test_an_update_changes_what_it_names_and_shows_the_whole(desk: Desk) -> None:
    before = desk.one("session.created")["session"]
    desk.send(
        {"type": "session.update", "event_id": "mine", "session": {"type": "realtime", "instructions": "x"}}
    )
    updated = desk.one("session.updated")
    assert updated["session"] == before | {"instructions": "x"}
    assert updated["event_id"] != "mine"


@rule("K-41", broken_by=unheard("session.update"))
def test_an_update_with_one_wrong_value_changes_nothing(desk: Desk) -> None:
    desk.update(instructions="new", max_output_tokens=0)
    assert desk.one("error")["error"]["param"] == "session.max_output_tokens"
    assert desk.update()[-1]["session"]["instructions"] == ""
