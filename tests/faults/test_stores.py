"""A store that is locked, slow or lost in mid-booking: booked once, or clearly not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.faults import desk
from tests.faults.house import House, answer, house_with
from tests.redis_server import RedisProcess, redis_process  # noqa: F401 - a fixture

from kaiwa.policy.keys import KeyStore


@pytest.mark.asyncio(loop_scope="package")
@pytest.mark.parametrize(
    ("fault", "name", "at_first"),
    [
        ("store-locked;for_s=0.3", "Locked", "The desk says R-"),
        pytest.param("store-slow;for_ms=20", "Dawdling", "The desk says R-", marks=pytest.mark.clients),
        ("store-down", "Down", "broke off because of an internal fault"),
    ],
)
async def test_a_booking_over_a_troubled_store_is_made_once_or_clearly_not(
    house: House, fault: str, name: str, at_first: str
) -> None:
    await desk.booked()  # the tables are made
    async with house.talk(fault) as peer:
        await peer.say(f"book {name}")
        said = await answer(peer)
        assert at_first in said
        assert (await desk.booked()).count(name) == ("R-" in said)
        if "R-" not in said:
            await peer.say(f"book {name}")
            assert "The desk says R-" in await answer(peer)
    assert (await desk.booked()).count(name) == 1


@pytest.mark.clients
async def test_requests_go_on_while_redis_restarts(tmp_path: Path, redis_process: RedisProcess) -> None:  # noqa: F811
    """The fault `redis-restart`: limits are counted by this process meanwhile, and nobody is turned away."""
    policy, keys = tmp_path / "policy.toml", tmp_path / "keys.json"
    policy.write_text('default = "guest"\n[policies.guest]\nmodels = ["*"]\nrequests_per_day = 40\n')
    key, _ = KeyStore(keys).create(time.time())
    async with house_with(tmp_path, redis_url=redis_process.url, policy=policy, keys=keys) as house:
        statuses = [(await house.ask(key=key))[0] for _ in range(3)]
        redis_process.stop()
        statuses += [(await house.ask(key=key))[0] for _ in range(3)]
        redis_process.start()
        statuses += [(await house.ask(key=key))[0] for _ in range(3)]
    assert statuses == [200] * 9
