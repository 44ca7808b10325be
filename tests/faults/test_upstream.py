"""A service that refuses, breaks off, falls silent or is slow: what the caller hears is whole all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.faults.house import WORDS, House, answer, house_with, told, words_of


@pytest.mark.parametrize(
    "fault", ["upstream-busy", pytest.param("upstream-broken", marks=pytest.mark.clients)]
)
async def test_a_refusal_is_made_good_by_the_next_try(own_house: House, fault: str) -> None:
    house = own_house
    disturbed, undisturbed = await house.ask(fault), await house.ask()
    assert (
        (disturbed[0], words_of(disturbed[1])) == (undisturbed[0], words_of(undisturbed[1])) == (200, WORDS)
    )
    async with house.talk(fault) as peer:
        await peer.say("tell me")
        assert await answer(peer) == told(peer) == WORDS
        assert peer.errors == []
    assert house.sessions == [0, 1]


async def test_a_token_that_expired_costs_a_try_or_is_said_clearly(own_house: House) -> None:
    house = own_house
    assert words_of((await house.ask("upstream-token-expired"))[1]) == WORDS
    async with house.talk("upstream-token-expired") as peer:
        await peer.say("tell me")
        assert await answer(peer) == told(peer) == WORDS
    assert house.sessions == [0, 1]


async def test_a_slow_service_is_waited_for(own_house: House) -> None:
    house = own_house
    status, stream = await house.ask("upstream-slow-first-token;first_token_s=0.3")
    assert (status, words_of(stream)) == (200, WORDS)
    async with house.talk("upstream-slow-connect;connect_delay_s=0.3") as peer:
        await peer.say("tell me")
        assert await answer(peer) == told(peer) == WORDS


@pytest.mark.parametrize(
    "fault",
    [
        "upstream-reset",
        pytest.param("upstream-cut", marks=pytest.mark.clients),
        pytest.param("upstream-expired;expire_after_s=0.03", marks=pytest.mark.clients),
    ],
)
async def test_an_answer_that_breaks_off_goes_on(own_house: House, fault: str) -> None:
    house = own_house
    async with house.talk(fault) as peer:
        await peer.say("tell me")
        assert await answer(peer) == told(peer) == WORDS
        await peer.say("thanks")
        assert await answer(peer) == "You said: thanks"
        assert peer.errors == [] and sum(house.sessions) == 2
    if not fault.startswith("upstream-expired"):
        status, stream = await house.ask(fault)
        assert status == 200 and '"error"' in stream and "[DONE]" not in stream
        assert WORDS.startswith(words_of(stream))


async def test_a_service_that_falls_silent_is_given_up(tmp_path: Path) -> None:
    async with house_with(tmp_path, ping_s=0.2) as house, house.talk("upstream-silent") as peer:
        await peer.say("tell me")
        assert await answer(peer) == told(peer) == WORDS
        assert peer.errors == [] and sum(house.sessions) == 2


async def test_an_answer_that_fails_is_asked_for_again(own_house: House) -> None:
    house = own_house
    async with house.talk("upstream-server-error") as peer:
        await peer.say("tell me")
        assert await answer(peer) == told(peer) == WORDS
        assert peer.errors == [] and sum(house.sessions) == 2
    status, stream = await house.ask("upstream-server-error")
    assert status == 200 and '"error"' in stream and "[DONE]" not in stream
