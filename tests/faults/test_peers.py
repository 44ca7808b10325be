"""Peers that send nonsense, too much, or drop dead: they get an answer, and nobody else notices."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from tests.faults.house import WORDS, House, answer, told
from tests.relay.relayed import PATIENCE_S

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest.mark.parametrize(
    ("fault", "codes"),
    [
        ("peer-garbage;at=2", ["invalid_json"]),
        pytest.param("peer-oversize", ["invalid_value"], marks=pytest.mark.clients),
        ("peer-flood;count=500", []),
    ],
)
async def test_what_a_peer_sends_wrong_is_answered_and_the_talk_goes_on(
    house: House, fault: str, codes: list[str]
) -> None:
    async with house.talk(fault) as peer:
        await peer.say("tell me")
        assert await answer(peer) == told(peer) == WORDS
        assert [error["code"] for error in peer.errors] == codes


async def test_a_peer_that_drops_dead_leaves_nothing_behind(house: House) -> None:
    async with (
        house.talk("peer-gone;at=2;noticed_s=0.1", whole=False) as peer,
        aiohttp.ClientSession(house.address) as web,
    ):
        await peer.say("tell me")
        async with asyncio.timeout(PATIENCE_S):
            while (await (await web.get("/healthz")).json())["sessions"]:  # noqa: ASYNC110 nobody tells
                await asyncio.sleep(0.02)
            await house.services[0].sessions[-1].ended.wait()
        assert told(peer) == ""
