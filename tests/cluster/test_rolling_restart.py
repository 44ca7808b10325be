"""A house of three processes is restarted under load, one after the other, and nobody loses anything."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from tests.apps.postgres_server import postgres_server
from tests.cluster.balancer import balancer
from tests.cluster.clients import Load, booking, hub, relayed, streamed
from tests.cluster.houses import DRAIN_S, house
from tests.cluster.upstream import chat_service, customer
from tests.redis_server import RedisProcess, redis_process  # noqa: F401 - fixtures

CLIENTS = {booking: 4, relayed: 4, streamed: 3, hub: 3}


@pytest.mark.clients
async def test_a_rolling_restart_under_load_loses_no_booking_doubles_no_token_and_hangs_nobody(
    tmp_path: Path,
    redis_process: RedisProcess,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    with postgres_server() as database:
        async with AsyncExitStack() as stack:
            chat = await stack.enter_async_context(chat_service())
            processes = house(tmp_path, 3, redis=redis_process.url, database=database, chat=chat)
            for process in processes:
                stack.push_async_callback(process.end)
            await asyncio.gather(*(process.start() for process in processes))
            front = await stack.enter_async_context(balancer([process.port for process in processes]))

            load = Load(f"http://127.0.0.1:{front.port}")
            async with asyncio.TaskGroup() as group:
                for once, number in CLIENTS.items():
                    for _ in range(number):
                        group.create_task(load.repeat(once.__name__, once))
                await asyncio.sleep(2)  # all kinds are under way
                took_s = [round(await process.roll(), 1) for process in processes]
                await asyncio.sleep(1)
                load.stop.set()

            with capsys.disabled():
                print(f"\ndone {dict(load.done)}, refused {dict(load.refused)}, ended in {took_s}")  # noqa: T201
            logs = "".join(process.log for process in processes)
            assert load.troubles == []
            assert front.turned_away == 0, "some process always took connections"
            assert all(load.done[once.__name__] >= 10 for once in CLIENTS), load.done
            assert load.refused, "some were sent elsewhere: the restart was felt"
            assert max(took_s) < DRAIN_S + 8
            assert "Traceback" not in logs and "CancelledError" not in logs, logs[-4000:]
        assert await _reserved(database) == Counter(customer(number) for number in load.booked)


async def _reserved(database: str) -> Counter[str]:
    """Return how many reservations each customer has."""
    engine = create_async_engine(database.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT customer_name FROM reservations"))
        names = Counter(str(row[0]) for row in rows)
    await engine.dispose()
    return names
