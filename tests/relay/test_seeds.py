"""Whoever cuts an answer off that a session before has spoken cuts it off: in virtual time, and at the service."""

from __future__ import annotations

from typing import Any

import pytest
from tests.relay.relay_desk import HOUR_S, RelayDesk
from tests.relay.test_renewal import RENEWAL, answered, asked

from kaiwa.events.relay import UpstreamClosed
from kaiwa.testing.conformance import check_transcript

WORDS = "one two three four five six seven eight nine ten"


def spoken() -> tuple[RelayDesk, str]:
    """A question and an answer of ten seconds, then one more of each."""
    desk = RelayDesk(renewal=RENEWAL)
    desk.update(output_modalities=["audio"])
    asked(desk, "Count")
    desk.service.answer(WORDS, audio_ms=10_000)
    desk.hear()
    item_id = desk.last("response.output_item.done")["item"]["id"]
    asked(desk, "Thanks")
    answered(desk, "Not at all.")
    return desk, item_id


def cut(desk: RelayDesk, item_id: str, end_ms: int = 5_000) -> list[dict[str, Any]]:
    wish = {"item_id": item_id, "content_index": 0, "audio_end_ms": end_ms}
    return desk.send({"type": "conversation.item.truncate", "event_id": "cut", **wish})


def service_knows(desk: RelayDesk) -> list[str]:
    """Return the words of the items in the session that the service has now, in order."""
    order: list[str] = []
    words: dict[str, str] = {}
    for frame in desk.service.frames:
        if frame["type"] == "conversation.item.added":
            item, before = frame["item"], frame["previous_item_id"]
            order.insert(order.index(before) + 1 if before else 0, item["id"])
            part = (item["content"] or [{}])[0]
            words[item["id"]] = part.get("text") or part.get("transcript") or ""
        if frame["type"] == "conversation.item.deleted":
            order.remove(frame["item_id"])
    return [words[item_id] for item_id in order]


def check(desk: RelayDesk) -> None:
    assert not desk.of("error")
    check_transcript(desk.frames)


def test_an_answer_of_the_session_before_is_cut_off_where_the_caller_said() -> None:
    desk, item_id = spoken()
    desk.wait(HOUR_S - RENEWAL.before_s)
    assert service_knows(desk) == ["Count", WORDS, "Thanks", "Not at all."]
    (told,) = cut(desk, item_id)
    assert told["type"] == "conversation.item.truncated"
    assert (told["item_id"], told["content_index"], told["audio_end_ms"]) == (item_id, 0, 5_000)
    count, heard, *others = service_knows(desk)
    assert (count, others) == ("Count", ["Thanks", "Not at all."])
    assert heard and heard != WORDS and WORDS.startswith(heard.strip())
    desk.wait(HOUR_S)
    assert len(desk.sessions_before) == 2
    assert service_knows(desk) == ["Count", heard, "Thanks", "Not at all."], "and so the next is told"
    asked(desk, "Go on")
    answered(desk, "Eleven.")
    check(desk)


def test_an_answer_cut_off_between_two_sessions_is_cut_off_in_the_next() -> None:
    desk, item_id = spoken()
    desk.reopens = False
    desk.hear(UpstreamClosed(code=1006))
    assert cut(desk, item_id) == []
    desk.reopens = True
    (told,) = desk.reopen()
    assert told["type"] == "conversation.item.truncated"
    assert service_knows(desk)[1] != WORDS
    check(desk)


def test_an_answer_of_which_nothing_was_heard_is_gone_from_the_service() -> None:
    desk, item_id = spoken()
    desk.wait(HOUR_S - RENEWAL.before_s)
    cut(desk, item_id, 0)
    assert service_knows(desk) == ["Count", "Thanks", "Not at all."]
    check(desk)


def test_the_first_answer_of_all_keeps_its_place() -> None:
    desk = RelayDesk(renewal=RENEWAL)
    desk.update(output_modalities=["audio"])
    desk.respond()
    desk.service.answer(WORDS, audio_ms=10_000)
    desk.hear()
    item_id = desk.last("response.output_item.done")["item"]["id"]
    desk.say("Thanks")
    desk.wait(HOUR_S - RENEWAL.before_s)
    cut(desk, item_id)
    heard, thanks = service_knows(desk)
    assert WORDS.startswith(heard.strip()) and thanks == "Thanks"
    check(desk)


def test_what_was_cut_off_may_be_deleted_and_that_is_told() -> None:
    desk, item_id = spoken()
    desk.wait(HOUR_S - RENEWAL.before_s)
    cut(desk, item_id)
    (told,) = desk.send({"type": "conversation.item.delete", "item_id": item_id})
    assert (told["type"], told["item_id"]) == ("conversation.item.deleted", item_id)
    assert service_knows(desk) == ["Count", "Thanks", "Not at all."]
    check(desk)


@pytest.mark.parametrize("end_ms", [-1, 60_000])
def test_a_cut_where_there_is_no_sound_is_refused(end_ms: int) -> None:
    desk, item_id = spoken()
    desk.wait(HOUR_S - RENEWAL.before_s)
    (told,) = cut(desk, item_id, end_ms)
    assert told["type"] == "error" and told["error"]["event_id"] == "cut"
    assert service_knows(desk)[1] == WORDS


def test_an_answer_without_sound_cannot_be_cut_off() -> None:
    desk, _ = spoken()
    desk.respond(output_modalities=["text"])
    answered(desk, "In writing.")
    written = desk.last("response.output_item.done")["item"]["id"]
    desk.wait(HOUR_S - RENEWAL.before_s)
    (told,) = cut(desk, written, 0)
    assert told["type"] == "error" and told["error"]["event_id"] == "cut"


def test_two_answers_are_cut_off_one_behind_the_other_and_one_of_them_twice() -> None:
    desk, first = spoken()
    second = desk.last("response.output_item.done")["item"]["id"]
    desk.wait(HOUR_S - RENEWAL.before_s)
    cut(desk, first)
    cut(desk, second, 0)
    desk.wait(HOUR_S)
    cut(desk, first, 4_000)
    (told,) = cut(desk, first, 3_000)
    assert (told["item_id"], told["audio_end_ms"]) == (first, 3_000)
    count, heard, thanks = service_knows(desk)
    assert (count, thanks) == ("Count", "Thanks") and WORDS.startswith(heard.strip()) and heard
    desk.send({"type": "conversation.item.delete", "item_id": first})
    assert service_knows(desk) == ["Count", "Thanks"]
    check(desk)
