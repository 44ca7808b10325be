"""The player in virtual time: when a recorded frame is due, and what counts as the recorded one."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaiwa.protocol.cassette.matching import Matching, Names
from kaiwa.protocol.cassette.player import Player
from kaiwa.protocol.cassette.redaction import KINDS, Redactor
from kaiwa.protocol.cassette.tape import (
    Ended,
    Exchange,
    Frame,
    Header,
    Numbered,
    Opened,
    Side,
    read_cassette,
    written,
)


def frame(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields})


def sound(samples: int) -> str:
    return frame("input_audio_buffer.append", audio=base64.b64encode(bytes(samples * 2)).decode())


def exchange(*told: tuple[float, Side, str]) -> Exchange:
    opened = Opened(at=0, on=1, door="websocket", target="/v1/realtime")
    entries = [
        Numbered(number, Frame(at=at, on=1, by=by, text=text))
        for number, (at, by, text) in enumerate(told, 3)
    ]
    last = told[-1][0] if told else 0.0
    return Exchange(
        opened, 2, [*entries, Numbered(len(told) + 3, Ended(at=last, on=1, by="client", code=1000))]
    )


HELLO, ASK, ANSWER, DONE = (
    frame("session.created"),
    frame("response.create"),
    frame("delta"),
    frame("response.done"),
)
TALK = ((5.0, "server", HELLO), (1000.0, "client", ASK), (1400.0, "server", ANSWER), (1900.0, "server", DONE))


def given_by(player: Player, now: float) -> list[str]:
    return [entry.text for entry in player.due(now) if isinstance(entry, Frame)]


def test_a_frame_is_due_as_long_after_what_it_answers_as_in_the_recording() -> None:
    player = Player(exchange(*TALK), plays="server", pace=1.0)
    player.start(100.0)
    assert given_by(player, 100.0) == []
    assert player.next_timer() == pytest.approx(100.005)
    assert given_by(player, 100.005) == [HELLO]
    player.receive(ASK, 107.0)  # six seconds later than in the recording
    assert given_by(player, 107.3) == []
    assert player.next_timer() == pytest.approx(107.4)
    assert given_by(player, 107.4) == [ANSWER]
    assert given_by(player, 107.9) == [DONE]
    assert player.complete


def test_twice_the_pace_halves_every_gap() -> None:
    player = Player(exchange(*TALK), plays="server", pace=2.0)
    player.start(0.0)
    player.due(1.0)
    player.receive(ASK, 1.0)
    assert given_by(player, 1.2) == [ANSWER]
    assert given_by(player, 1.45) == [DONE]


def test_in_virtual_time_all_is_due_as_soon_as_what_came_before_has_happened() -> None:
    player = Player(exchange(*TALK), plays="server")
    player.start(0.0)
    assert given_by(player, 0.0) == [HELLO]
    player.receive(ASK, 0.0)
    assert given_by(player, 0.0) == [ANSWER, DONE]


def test_a_client_that_was_quicker_than_the_greeting_does_not_wait_for_it_for_ever() -> None:
    player = Player(
        exchange((1.0, "client", ASK), (5.0, "server", HELLO), (9.0, "server", DONE)), plays="server"
    )
    player.start(0.0)
    assert given_by(player, 0.0) == [HELLO]


def test_an_answer_waits_for_as_much_sound_as_was_heard_before_it_however_it_is_framed() -> None:
    talk: tuple[tuple[float, Side, str], ...] = (
        (0.0, "client", sound(480)),
        (20.0, "client", sound(480)),
        (30.0, "server", DONE),
    )
    player = Player(exchange(*talk), plays="server")
    player.start(0.0)
    player.due(0.0)
    for _ in range(9):
        player.receive(sound(100), 0.0)
    assert not player.complete
    player.receive(sound(60), 0.0)
    player.due(0.0)
    assert player.complete


def test_a_caller_keeps_its_pace_and_waits_for_what_it_answers() -> None:
    talk: tuple[tuple[float, Side, str], ...] = (
        (0.0, "server", HELLO), (20.0, "client", sound(480)), (40.0, "client", sound(480)), (50.0, "server", DONE), (60.0, "client", ASK),
    )  # fmt: skip
    player = Player(exchange(*talk), plays="client", pace=1.0)
    player.start(0.0)
    assert given_by(player, 1.0) == []
    player.receive(HELLO, 2.0)
    assert given_by(player, 2.03) == [sound(480)]
    assert given_by(player, 2.04) == [sound(480)]
    player.receive(DONE, 3.0)
    assert given_by(player, 3.009) == []
    assert given_by(player, 3.0101) == [ASK]


def test_what_never_comes_is_given_up_after_the_patience_of_the_rules() -> None:
    player = Player(exchange(*TALK), plays="server", rules=Matching(patience_s=3.0))
    player.start(0.0)
    player.due(0.0)
    assert player.next_timer() == 3.0
    player.handle_timer(2.9)
    assert player.mismatch is None
    player.handle_timer(3.0)
    assert player.mismatch is not None
    assert str(player.mismatch) == (
        "line 4 of the cassette: nothing came for 3 s where the client sent response.create"
    )


def test_a_client_that_leaves_too_early_is_told_and_one_that_leaves_within_the_answer_is_not() -> None:
    early, late = (Player(exchange(*TALK), plays="server", pace=1.0) for _ in range(2))
    for player in (early, late):
        player.start(0.0)
        player.due(0.01)
    late.receive(ASK, 1.0)
    for player in (early, late):
        player.end(1.1)
    assert early.mismatch is not None
    assert "left before its response.create" in early.mismatch.problem
    assert late.mismatch is None


def test_a_frame_after_the_end_is_told() -> None:
    player = Player(exchange((1.0, "server", HELLO)), plays="server")
    player.start(0.0)
    player.due(0.0)
    player.receive(ASK, 0.1)
    assert player.mismatch is not None
    assert "response.create came where the client sent close" in player.mismatch.problem


def test_an_id_stands_for_one_recorded_id_in_both_directions() -> None:
    names = Names({"resp_1"})
    assert names.fit("item_a", "item_x")
    assert names.fit("item_a", "item_x")
    assert not names.fit("item_a", "item_y")
    assert not names.fit("item_b", "item_x")
    assert not names.fit("resp_1", "resp_2")
    assert names.real('{"item_id":"item_a"}') == '{"item_id":"item_x"}'


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["client", "server"]), st.text() | json_values.map(json.dumps)), max_size=8
    )
)
def test_any_frames_are_read_back_as_they_were_written(told: list[tuple[Side, str]]) -> None:
    lines = [written(Header()), written(Opened(at=0, on=1, door="websocket", target="/"))]
    lines += [written(Frame(at=1.5, on=1, by=by, text=text)) for by, text in told]
    (read,) = read_cassette(lines).exchanges
    assert [(one.entry.by, one.entry.text) for one in read.entries if isinstance(one.entry, Frame)] == told


@settings(max_examples=40, deadline=None)
@given(
    json_values, st.sets(st.sampled_from(KINDS)), st.sampled_from(["text", "transcript", "arguments", "x"])
)
def test_blackening_keeps_a_frame_json_and_takes_every_letter_of_its_words(
    value: Any, kinds: set[str], name: str
) -> None:
    text = json.dumps({"type": "session.update", name: "Ａ秘密 secret", "more": value}, ensure_ascii=False)
    kept = json.loads(Redactor(kinds).frame(text))
    assert kept["type"] == "session.update"
    hidden = "words" in kinds and name != "x"
    assert ("秘密" in kept[name]) is not hidden


def test_a_caller_of_a_recording_that_was_cut_ends_with_it_and_its_service_stays() -> None:
    cut = exchange((1.0, "server", HELLO), (2.0, "client", ASK))
    cut.entries.pop()
    cut.cut = True
    caller, service = Player(cut, plays="client"), Player(cut, plays="server")
    for player in (caller, service):
        player.start(0.0)
        player.due(0.0)
        player.receive(HELLO if player is caller else ASK, 0.0)
        player.due(0.0)
    assert caller.finished
    assert not service.finished
