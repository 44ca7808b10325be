"""What becomes of a caller whose budget is near its end and then spent, at every door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.interaction.agent import RECORD
from tests.interaction.conftest import named
from tests.interaction.doors import DOORS, TEXTS
from tests.interaction.houses import EVERY_DAY, HOUSES, House
from tests.interaction.peers import ask

NEAR = "Not much is left."
TOKENS = {"scripted": 1000, "relayed": 1300, "local": 60}
IN_CHAT = TOKENS | {"relayed": 200}  # the service is asked for chat completions there, which count otherwise
"""For a few answers."""
MOST_QUESTIONS = 12


@pytest.fixture(params=named(HOUSES, EVERY_DAY))
async def house(request: pytest.FixtureRequest, door: str, tmp_path: Path) -> AsyncIterator[House]:
    """One whose callers may ask a few times."""
    RECORD.clear()
    policy = tmp_path / "policy.toml"
    tokens = (IN_CHAT if door in TEXTS else TOKENS)[request.param]
    policy.write_text(f'default = "small"\n[policies.small]\ntokens_per_day = {tokens}\n')
    given = {"policy": policy, "budget_near": 0.3, "budget_near_words": NEAR}
    async with HOUSES[request.param](tmp_path, **given) as house:
        yield house


async def test_who_spends_a_budget_is_warned_once_and_taken_leave_of(house: House, door: str) -> None:
    hello = house.lines.hello
    async with DOORS[door](house) as peer:
        replies = [await ask(peer, hello.said)]
        while replies[-1].end == "stop" and len(replies) < MOST_QUESTIONS:
            replies.append(await ask(peer, hello.said))
        assert replies[0].text.startswith(hello.answer)
        assert replies[-1].end != "stop", "it comes to an end"
        told = " ".join([*(reply.text for reply in replies), *peer.remarks])
        assert told.count(NEAR) == 1
        assert await peer.refused() == "insufficient_quota"
