"""Databases of every age are led to the newest schema; PostgreSQL itself refuses double bookings."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from kaiwa.apps.rentacar import schema
from kaiwa.apps.rentacar.fleet import Period
from kaiwa.apps.rentacar.postgres import PostgresReservations
from kaiwa.apps.rentacar.sqlite import SqliteReservations
from kaiwa.apps.rentacar.stores import open_store
from kaiwa.apps.rentacar.tables import METADATA
from kaiwa.errors import ConfigError

from .rentacar_desk import minivan, period

BEFORE_VERSIONS = """
CREATE TABLE locations (id VARCHAR NOT NULL, name VARCHAR NOT NULL, address VARCHAR NOT NULL,
  phone VARCHAR NOT NULL, timezone VARCHAR NOT NULL, PRIMARY KEY (id));
CREATE TABLE vehicles (vehicle_id VARCHAR NOT NULL, location_id VARCHAR NOT NULL, vehicle_type VARCHAR NOT NULL,
  registration VARCHAR NOT NULL, manufacturer VARCHAR NOT NULL, vehicle_model VARCHAR NOT NULL,
  PRIMARY KEY (vehicle_id), FOREIGN KEY(location_id) REFERENCES locations (id));
CREATE TABLE reservations (id INTEGER NOT NULL, number VARCHAR NOT NULL, vehicle_id VARCHAR NOT NULL,
  starts_at VARCHAR NOT NULL, ends_at VARCHAR NOT NULL, customer_name VARCHAR NOT NULL, status VARCHAR NOT NULL,
  PRIMARY KEY (id), UNIQUE (number), FOREIGN KEY(vehicle_id) REFERENCES vehicles (vehicle_id));
CREATE INDEX reservations_by_vehicle ON reservations (vehicle_id, starts_at);
INSERT INTO locations VALUES ('loc1', '東京駅前店', '丸の内', '+81-3-0000-0001', 'Asia/Tokyo');
INSERT INTO vehicles VALUES ('v-loc1-003', 'loc1', 'ミニバン', '品川 500 わ 1003', 'トヨタ', 'シエンタ');
INSERT INTO reservations VALUES (1, 'R-001', 'v-loc1-003', '2026-11-28T01:00:00Z', '2026-11-28T09:00:00Z',
  '山田太郎', 'confirmed');
"""


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path)
    connection.executescript(BEFORE_VERSIONS)
    connection.close()
    return path


async def test_a_file_of_the_first_kaiwa_keeps_its_rows_and_learns_the_rest(old_file: Path) -> None:
    store = SqliteReservations(old_file)

    (kept,) = await store.reservations()
    booked = await store.reserve(minivan(18, 20))

    assert (kept.number, kept.customer_name, kept.vehicle.vehicle_id) == ("R-001", "山田太郎", "v-loc1-003")
    assert kept.period == Period(period(10, 18).start, period(10, 18).end)
    assert await store.reserve(minivan(17, 19)) is None
    assert booked is not None and booked.number == "R-002"
    assert [shop.id for shop in await store.locations()] == ["loc1"]


async def test_many_stores_opening_an_old_file_at_once_upgrade_it_once(old_file: Path) -> None:
    stores = [SqliteReservations(old_file) for _ in range(8)]

    found = await asyncio.gather(*(store.reservations() for store in stores))

    assert [len(rows) for rows in found] == [1] * 8


async def test_many_stores_opening_an_empty_server_at_once_set_it_up_once(postgres: str) -> None:
    stores = [PostgresReservations(postgres) for _ in range(8)]

    found = await asyncio.gather(*(store.locations() for store in stores))

    assert [len(shops) for shops in found] == [3] * 8


async def test_a_file_of_a_newer_kaiwa_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    await SqliteReservations(path).locations()
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'")
    connection.close()

    with pytest.raises(ConfigError, match=r"KAIWA_DATABASE: a newer kaiwa wrote it \(schema 9999\)"):
        await SqliteReservations(path).locations()


async def test_the_steps_end_where_the_tables_are(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    await SqliteReservations(path).locations()
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))

    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": schema.VERSION_TABLE})
        differences = compare_metadata(context, METADATA)
    engine.dispose()

    assert differences == []
    assert ScriptDirectory.from_config(configuration).get_current_head() == schema.NEWEST


async def test_postgresql_refuses_a_double_booking_of_any_other_program(postgres: str) -> None:
    store = PostgresReservations(postgres)
    assert await store.reserve(minivan(10, 18)) is not None
    other = await asyncpg.connect(postgres)

    with pytest.raises(asyncpg.ExclusionViolationError):
        await other.execute(
            "INSERT INTO reservations (number, vehicle_id, starts_at, ends_at, customer_name, status)"
            " VALUES ('X', 'v-loc1-003', '2026-11-28 17:00+09', '2026-11-28 19:00+09', 'X', 'confirmed')"
        )
    await other.close()


async def test_what_another_program_has_locked_and_booked_is_answered_as_taken(postgres: str) -> None:
    """The constraint refuses at the last moment; the store looks again and finds nothing free."""
    store = PostgresReservations(postgres)
    await store.locations()
    other = await asyncpg.connect(postgres)
    transaction = other.transaction()
    await transaction.start()
    await other.execute(
        "INSERT INTO reservations (number, vehicle_id, starts_at, ends_at, customer_name, status)"
        " VALUES ('X', 'v-loc1-003', '2026-11-28 17:00+09', '2026-11-28 19:00+09', 'X', 'confirmed')"
    )
    booking = asyncio.create_task(store.reserve(minivan(10, 18)))
    async with asyncio.timeout(30):
        while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await transaction.commit()
        assert await booking is None
    await other.close()


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("mysql://host/desk", "there is no kind of database called 'mysql'"),
        ("postgresql://kaiwa:secret@127.0.0.1:1/desk", "no PostgreSQL answers at port 1 of its host"),
    ],
)
async def test_a_database_that_cannot_be_is_refused_by_the_settings_name(where: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as refused:
        await open_store(where).locations()

    assert refused.value.setting == "KAIWA_DATABASE"
    assert "secret" not in str(refused.value)


async def test_a_server_that_lacks_the_database_says_what_to_do(postgres_url: str) -> None:
    missing = postgres_url.replace("/postgres", "/nowhere")

    with pytest.raises(ConfigError, match=r"refuses \(3D000\)\. Create the database first"):
        await PostgresReservations(missing).locations()
