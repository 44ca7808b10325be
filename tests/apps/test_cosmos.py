"""What is Cosmos DB's own: claims of makers that are gone, and what the setting may look like."""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime, timedelta

import pytest

from kaiwa.apps.rentacar.cosmos.account import Account, read_account
from kaiwa.apps.rentacar.cosmos.containers import Container, Document
from kaiwa.apps.rentacar.cosmos.store import CosmosReservations
from kaiwa.errors import ConfigError

from .rentacar_desk import double_bookings, minivan
from .rivals import program

CLAIM_ONLY = """
import asyncio, sys
from kaiwa.apps.rentacar.cosmos.containers import Container
from kaiwa.apps.rentacar.cosmos.store import CosmosReservations
from tests.apps.rentacar_desk import minivan

create, replace = Container.create, Container.replace

async def held(self, document):
    if "claim" in document:  # the reservation: what makes a claim count
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
    return await (replace if "_etag" in document else create)(self, document)

async def main():
    store = CosmosReservations(sys.argv[1])
    if sys.argv[2] == "change":
        Container.replace = held
        await store.change("R-001", minivan(18, 20))
    else:
        Container.create = held
        booked = await store.reserve(minivan(10, 18))
        print(booked.number if booked else "refused", flush=True)
    await store.aclose()

asyncio.run(main())
"""


def _hour_later() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


@pytest.mark.clients
async def test_a_claim_whose_maker_was_killed_is_no_booking_and_gives_way(cosmos: str) -> None:
    later = CosmosReservations(cosmos)
    await later.locations()
    async with program(CLAIM_ONLY, cosmos, "book") as maker:
        maker.send_signal(signal.SIGKILL)
        await maker.wait()

    assert await later.reservations() == ()
    assert await later.reserve(minivan(10, 18)) is None  # it may still be at work
    in_an_hour = CosmosReservations(cosmos, clock=_hour_later)
    booked = await in_an_hour.reserve(minivan(10, 18))
    assert booked is not None
    assert await in_an_hour.reservations() == (booked,)
    await later.aclose()
    await in_an_hour.aclose()


@pytest.mark.clients
async def test_a_maker_that_slept_too_long_does_not_book_over_the_next_one(cosmos: str) -> None:
    async with program(CLAIM_ONLY, cosmos, "book") as sleeper:
        next_one = CosmosReservations(cosmos, clock=_hour_later)
        booked = await next_one.reserve(minivan(10, 18))
        assert booked is not None

        out, _ = await sleeper.communicate(b"go on\n")

    assert out == b"refused\n"
    assert await next_one.reservations() == (booked,)
    await next_one.aclose()


@pytest.mark.clients
async def test_a_change_whose_maker_was_killed_leaves_the_reservation_as_it_was(cosmos: str) -> None:
    store = CosmosReservations(cosmos, clock=_hour_later)
    first = await store.reserve(minivan(10, 12))
    assert first is not None and first.number == "R-001"
    async with program(CLAIM_ONLY, cosmos, "change") as changer:
        changer.send_signal(signal.SIGKILL)
        await changer.wait()

    assert await store.find("R-001") == first
    second = await store.reserve(minivan(18, 20))
    assert second is not None
    assert await store.reserve(minivan(10, 12)) is None
    assert double_bookings(await store.reservations()) == []
    await store.aclose()


@pytest.mark.clients
async def test_many_stores_opening_an_empty_account_at_once_set_it_up_once(cosmos: str) -> None:
    stores = [CosmosReservations(cosmos) for _ in range(12)]

    found = await asyncio.gather(*(store.locations() for store in stores))

    assert [len(shops) for shops in found] == [3] * 12
    for store in stores:
        await store.aclose()


@pytest.mark.clients
async def test_the_audit_sees_the_double_booking_of_a_store_without_etags(
    cosmos: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault: both have read the calendar before either writes, and nobody looks at its etag."""
    both, careful = asyncio.Barrier(2), Container.replace

    async def blind(self: Container, document: Document) -> bool:
        if "claims" not in document:
            return await careful(self, document)
        await both.wait()
        await self._proxy.upsert_item(document)
        return True

    one, two = CosmosReservations(cosmos), CosmosReservations(cosmos)
    await one.locations()
    monkeypatch.setattr(Container, "replace", blind)

    won = await asyncio.gather(one.reserve(minivan(10, 18)), two.reserve(minivan(10, 18)))

    assert None not in won
    assert double_bookings([booked for booked in won if booked])
    await one.aclose()
    await two.aclose()


@pytest.mark.parametrize(
    ("setting", "account"),
    [
        ("cosmos://desk.documents.azure.com", Account("https://desk.documents.azure.com/")),
        (
            "cosmos://desk.documents.azure.com:443/cars",
            Account("https://desk.documents.azure.com:443/", "cars"),
        ),
        (
            "AccountEndpoint=https://desk.documents.azure.com:443/;AccountKey=a+b/c==;",
            Account("https://desk.documents.azure.com:443/", key="a+b/c=="),
        ),
        (
            "AccountEndpoint=https://desk.documents.azure.com/;Database=cars",
            Account("https://desk.documents.azure.com/", "cars"),
        ),
    ],
)
def test_the_setting_names_account_database_and_key(setting: str, account: Account) -> None:
    read = read_account(setting)

    assert read == account
    assert "a+b/c" not in repr(read)


@pytest.mark.parametrize(
    "setting", ["cosmos://", "AccountEndpoint=desk;AccountKey=secret", "cosmos://a:secret@b"]
)
def test_a_wrong_setting_is_refused_without_its_secret(setting: str) -> None:
    with pytest.raises(ConfigError, match="KAIWA_DATABASE") as refused:
        read_account(setting)

    assert "secret" not in str(refused.value)


async def test_an_account_that_does_not_answer_is_refused_by_the_settings_name() -> None:
    store = CosmosReservations("AccountEndpoint=http://127.0.0.1:1/;AccountKey=c2VjcmV0")

    with pytest.raises(ConfigError, match="no Cosmos DB answers"):
        await store.locations()
