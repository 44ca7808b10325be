"""Each scenario is written once and played at every door, in a house that answers and in one that relays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.interaction.agent import RECORD
from tests.interaction.doors import DOORS, VOICES
from tests.interaction.houses import HOUSES, LONG
from tests.interaction.peers import Reply, ask, soon
from tests.interaction.realtime_peer import RealtimePeer


async def test_an_answer_comes_whole_and_the_next_one_knows_its_place(house: str, door: str) -> None:
    async with DOORS[door](house) as peer:
        assert await ask(peer, "hello") == Reply("You said: hello")
        assert await ask(peer, "and again") == Reply("You said: and again")


async def test_a_tool_runs_once_and_its_result_is_told_once(house: str, door: str) -> None:
    async with DOORS[door](house) as peer:
        assert await ask(peer, 'call measure {"room": "kitchen"}') == Reply(
            "I found 21 degrees in the kitchen."
        )
        assert RECORD.runs == [("measure", "kitchen")]


async def test_a_slow_tool_holds_nobody_up_and_is_answered_in_the_end(house: str, door: str) -> None:
    async with DOORS[door](house) as peer:
        slow = await peer.begin('call survey {"house": "villa"}')
        await soon(RECORD.begun.wait(), "the tool begins")
        assert await ask(peer, "are you there") == Reply("You said: are you there")
        RECORD.released.set()
        assert await slow.reply() == Reply("I found 3 rooms in the villa.")
        assert RECORD.runs == [("survey", "villa")]


async def test_what_a_tool_refuses_is_told_and_the_talk_goes_on(house: str, door: str) -> None:
    async with DOORS[door](house) as peer:
        refused = await ask(peer, 'call open_window {"room": "attic"}')
        assert refused.end == "stop" and "The window is stuck." in refused.text
        assert await ask(peer, "never mind") == Reply("You said: never mind")


async def test_an_answer_that_fails_says_so_and_the_talk_goes_on(house: str, door: str) -> None:
    async with DOORS[door](house) as peer:
        assert (await ask(peer, "fail")).end == "error"
        assert await ask(peer, "better now") == Reply("You said: better now")


async def test_an_answer_that_is_stopped_is_over_at_once_and_the_talk_goes_on(house: str, door: str) -> None:
    async with DOORS[door](house) as peer:
        long = await peer.begin("long")
        await long.first_words()
        await peer.stop(long)
        stopped = await long.reply()
        assert stopped.end == ("cancelled" if peer.tells_stops else "stop")
        assert LONG.startswith(stopped.text) and len(stopped.text) < len(LONG)
        assert await ask(peer, "enough") == Reply("You said: enough")


@pytest.mark.clients
@pytest.mark.parametrize("door", VOICES)
async def test_who_speaks_into_an_answer_stops_it_and_is_answered(house: str, door: str) -> None:
    async with DOORS[door](house) as peer:
        assert isinstance(peer, RealtimePeer)
        long = await peer.speak()
        await long.first_words()
        second = await peer.speak()
        stopped = await long.reply()
        assert stopped.end == "cancelled"
        assert LONG.startswith(stopped.text) and len(stopped.text) < len(LONG)
        assert await second.reply() == Reply("You said: never mind")


async def test_a_relayed_call_is_a_peer_like_any_other(tmp_path: Path) -> None:
    """One call every day; the rest of them are `make test-clients`'."""
    RECORD.clear()
    async with HOUSES["relayed"](tmp_path) as address:
        await test_a_tool_runs_once_and_its_result_is_told_once(address, "webrtc")


@pytest.mark.clients
@pytest.mark.parametrize(
    ("house", "doors"),
    [
        ("scripted", ("websocket", "azure", "preview", "webrtc", "sse-typed")),
        ("relayed", ("websocket", "azure", "preview", "webrtc")),  # text goes to another service there
    ],
    indirect=["house"],
)
async def test_every_door_tells_the_same_usage(house: str, doors: Sequence[str]) -> None:
    told: dict[str, tuple[int, int]] = {}
    for name in doors:
        async with DOORS[name](house) as peer:
            question = await peer.begin("hello")
            await question.reply()
            told[name] = question.tokens
    assert len(set(told.values())) == 1 and min(told["websocket"]) > 0, told
