"""Each scenario is written once and played at every door, in houses that answer and in one that relays."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.interaction.agent import RECORD
from tests.interaction.doors import DOORS
from tests.interaction.houses import HOUSES, House
from tests.interaction.peers import Reply, ask, soon
from tests.interaction.realtime_peer import RealtimePeer


async def test_an_answer_comes_whole_and_the_next_one_knows_its_place(house: House, door: str) -> None:
    hello, again = house.lines.hello, house.lines.again
    async with DOORS[door](house) as peer:
        assert await ask(peer, hello.said) == Reply(hello.answer)
        assert await ask(peer, again.said) == Reply(again.answer)


async def test_a_tool_runs_once_and_its_result_is_told_once(house: House, door: str) -> None:
    async with DOORS[door](house) as peer:
        assert await ask(peer, house.lines.tool.said) == Reply(house.lines.tool.answer)
        assert RECORD.runs == [("measure", "kitchen")]


async def test_a_slow_tool_holds_nobody_up_and_is_answered_in_the_end(house: House, door: str) -> None:
    lines = house.lines
    async with DOORS[door](house) as peer:
        slow = await peer.begin(lines.slow.said)
        await soon(RECORD.begun.wait(), "the tool begins")
        assert await ask(peer, lines.meanwhile.said) == Reply(lines.meanwhile.answer)
        RECORD.released.set()
        assert await slow.reply() == Reply(lines.slow.answer)
        assert RECORD.runs == [("survey", "villa")]


async def test_what_a_tool_refuses_is_told_and_the_talk_goes_on(house: House, door: str) -> None:
    lines = house.lines
    async with DOORS[door](house) as peer:
        assert await ask(peer, lines.refused.said) == Reply(lines.refused.answer)
        assert await ask(peer, lines.meanwhile.said) == Reply(lines.meanwhile.answer)


async def test_an_answer_that_fails_says_so_and_the_talk_goes_on(house: House, door: str) -> None:
    async with DOORS[door](house) as peer:
        assert (await ask(peer, "fail")).end == "error"
        assert await ask(peer, "better now") == Reply("You said: better now")


async def test_an_answer_that_is_stopped_is_over_at_once_and_the_talk_goes_on(
    house: House, door: str
) -> None:
    whole = house.lines.spoken[1].answer
    async with DOORS[door](house) as peer:
        long = await peer.begin("long")
        await long.first_words()
        await peer.stop(long)
        stopped = await long.reply()
        assert stopped.end == ("cancelled" if peer.tells_stops else "stop")
        assert whole.startswith(stopped.text) and len(stopped.text) < len(whole)
        assert await ask(peer, "enough") == Reply("You said: enough")


async def test_who_is_cut_off_within_a_slow_tool_comes_back_and_misses_nothing(
    house: House, door: str
) -> None:
    lines = house.lines
    async with DOORS[door](house, returning=True) as peer:
        slow = await peer.begin(lines.slow.said)
        await soon(RECORD.begun.wait(), "the tool begins")
        await peer.drop()
        RECORD.released.set()
        await peer.come_back()
        assert await slow.reply() == Reply(lines.slow.answer)
        assert await ask(peer, lines.meanwhile.said) == Reply(lines.meanwhile.answer)
        assert RECORD.runs == [("survey", "villa")]


async def test_an_answer_and_a_call_cost_the_same_at_every_door(house: House, door: str) -> None:
    lines = house.lines
    async with DOORS[door](house) as peer:
        costs: list[tuple[int, int]] = []
        for line in (lines.hello, lines.tool):
            question = await peer.begin(line.said)
            await question.reply()
            costs.append(question.tokens)
        assert tuple(costs) == lines.costs


@pytest.mark.clients
async def test_a_spoken_question_is_written_down_and_answered_aloud(house: House, door: str) -> None:
    line = house.lines.spoken[0]
    async with DOORS[door](house) as peer:
        assert isinstance(peer, RealtimePeer)
        await peer.listen()
        spoken = await peer.speak(house.voice(line.said))
        assert await spoken.reply() == Reply(line.answer)
        assert peer.heard == [line.said]
        await peer.hears_an_answer()


@pytest.mark.clients
async def test_who_speaks_into_an_answer_stops_it_and_is_answered(house: House, door: str) -> None:
    first, second, third = house.lines.spoken
    async with DOORS[door](house) as peer:
        assert isinstance(peer, RealtimePeer)
        await peer.listen()
        assert await (await peer.speak(house.voice(first.said))).reply() == Reply(first.answer)
        await peer.hears_it_out()
        long = await peer.speak(house.voice(second.said))
        await long.first_words()
        interrupting = await peer.speak(house.voice(third.said))
        assert await interrupting.reply() == Reply(third.answer)
        stopped = await long.reply()
        assert long.cut_off or (stopped.end == "cancelled" and len(stopped.text) < len(second.answer))
        assert second.answer.startswith(stopped.text)


@pytest.mark.clients
async def test_who_says_nothing_for_long_is_spoken_to(house: House, door: str) -> None:
    async with DOORS[door](house) as peer:
        assert isinstance(peer, RealtimePeer)
        silence = await peer.listen(idle_ms=5000)
        assert await ask(peer, house.lines.hello.said) == Reply(house.lines.hello.answer)
        assert await silence.reply() == Reply(house.lines.silence)


async def test_a_relayed_call_is_a_peer_like_any_other(tmp_path: Path) -> None:
    """One call every day; the rest of them are `make test-clients`'."""
    RECORD.clear()
    async with HOUSES["relayed"](tmp_path) as house:
        await test_a_tool_runs_once_and_its_result_is_told_once(house, "webrtc")
