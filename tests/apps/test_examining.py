"""What `kaiwa doctor` says of the database of reservations, on real databases; it changes none of them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from kaiwa.apps.rentacar.examining import examine_database
from kaiwa.apps.rentacar.schema import NEWEST, VERSION_TABLE
from kaiwa.apps.rentacar.stores import open_store
from kaiwa.cli.doctor import Finding, examine
from kaiwa.cli.doctor_checks import checks_for
from kaiwa.errors import ConfigError
from kaiwa.server.configuration import read_configuration


async def used(where: str) -> None:
    store = open_store(where)
    await store.locations()
    await store.aclose()


async def test_a_database_is_new_until_it_is_used_and_looking_makes_nothing(where: str) -> None:
    for _ in range(2):
        assert (await examine_database(where)).state == "new"
    await used(where)
    assert (await examine_database(where)).state == "ready"


def write(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement)


async def test_an_older_schema_is_named_and_left_for_the_first_use(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    await used(str(path))
    write(path, f"UPDATE {VERSION_TABLE} SET version_num = '0001'")
    found = await examine_database(str(path))
    assert found.state == "older" and "0001" in found.detail and NEWEST in found.detail
    assert (await examine_database(str(path))).state == "older"


async def test_the_schema_of_a_newer_kaiwa_is_a_failure_with_its_remedy(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    await used(str(path))
    write(path, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(ConfigError, match="Update kaiwa"):
        await examine_database(str(path))


async def doctor_of(folder: Path, database: str) -> Finding:
    """Return what the doctor says of the database where this is the setting."""
    read = read_configuration({"database": database}, environ={}, folder=folder)
    (check,) = [check for check in checks_for(read) if check.id == "database"]
    return (await examine([check]))[0]


async def test_the_doctor_says_what_is_wrong_and_how_to_mend_it(tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database at all, but long enough to have a head" * 4)
    for setting, problem, remedy in (
        (str(broken), "cannot be read", "Name another file"),
        ("postgresql://nobody:hush@127.0.0.1:1/none", "no PostgreSQL answers", "server runs"),
        ("AccountEndpoint=https://127.0.0.1:1/;AccountKey=aHVzaA==", "no Cosmos DB answers", "address"),
        ("mongodb://x", "no kind of database", "postgresql"),
    ):
        found = await doctor_of(tmp_path, setting)
        assert found.state == "failure" and problem in found.detail and remedy in found.remedy, found
        assert "hush" not in str(found)
    assert (await doctor_of(tmp_path, str(tmp_path / "desk.db"))).state == "ok"


async def test_a_database_that_is_not_there_is_told_apart_from_a_silent_server(postgres: str) -> None:
    with pytest.raises(ConfigError) as error:
        await examine_database(postgres.replace("/postgres", "/not_there"))
    assert "Create the database first" in error.value.remedy
