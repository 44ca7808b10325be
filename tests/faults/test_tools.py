"""Tools that crash, hang, dawdle or talk nonsense: the model hears a sentence, and the talk goes on."""

from __future__ import annotations

import pytest
from tests.faults import desk
from tests.faults.house import House, answer

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("tool-crash", "broke off because of an internal fault"),
        ("tool-hang", "gave no answer within 0.5 seconds"),
        ("tool-garbage", "broke off because of an internal fault"),
    ],
)
async def test_a_tool_that_fails_is_told_and_the_next_call_works(
    house: House, fault: str, sentence: str
) -> None:
    async with house.talk(fault) as peer:
        await peer.say("look Sato")
        assert sentence in await answer(peer)
        await peer.say("look Kato")
        assert await answer(peer) == "The desk says Kato is here"


async def test_a_slow_tool_is_done_once_while_the_talk_goes_on(house: House) -> None:
    async with house.talk("tool-slow;for_s=0.3;tool=book") as peer:
        await peer.say("book Slow")
        await peer.until("response.done")
        assert "Slow" not in await desk.booked()
        await peer.say("hello")
        assert await answer(peer) == "You said: hello"
        assert "The desk says R-" in await answer(peer)
    assert (await desk.booked()).count("Slow") == 1


async def test_a_result_that_is_too_large_is_cut(house: House) -> None:
    async with house.talk("tool-too-large;size_kb=64") as peer:
        await peer.say("look Sato")
        assert 30_000 < len((await answer(peer)).encode()) <= 33_000
        await peer.say("look Kato")
        assert await answer(peer) == "The desk says Kato is here"


@pytest.mark.clients
async def test_a_killed_process_costs_one_call(house: House) -> None:
    async with house.talk("tool-killed") as peer:
        await peer.say("count")
        assert "broke off because of an internal fault" in await answer(peer)
        await peer.say("count")
        assert await answer(peer) == "The desk says 10"
