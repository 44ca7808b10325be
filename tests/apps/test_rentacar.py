"""The desk through its tools: the original's answers, refusals that help, both languages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kaiwa.apps.rentacar.agent import rentacar_agent
from kaiwa.apps.rentacar.sqlite import SqliteReservations
from kaiwa.tools.agent import Agent

from .rentacar_desk import call, present

SATURDAY: dict[str, Any] = {"startDate": "2026-11-28T10:00:00", "endDate": "2026-11-28T18:00:00"}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "data" / "desk.db"


@pytest.fixture
def desk(database: Path) -> Agent:
    return rentacar_agent(database, clock=present)


@pytest.fixture
def english_desk(database: Path) -> Agent:
    return rentacar_agent(database, clock=present, language="en")


async def test_the_original_conversation_ends_in_a_row_of_the_database(desk: Agent, database: Path) -> None:
    shops, _ = await call(desk, "list_locations")
    assert [(shop["id"], shop["name"]) for shop in shops["locations"]] == [
        ("loc1", "東京駅前店"),
        ("loc2", "新宿西口店"),
        ("loc3", "羽田空港店"),
    ]

    found, _ = await call(desk, "get_availability", locationId="loc1", **SATURDAY)
    assert found["success"] is True
    assert found["locationId"] == "loc1"
    assert found["period"] == {
        "startDate": "2026-11-28T10:00:00+09:00",
        "endDate": "2026-11-28T18:00:00+09:00",
    }
    types = [car["vehicleType"] for car in found["availableVehicles"]]
    assert types == ["コンパクト", "コンパクト", "ミニバン"]

    booked, failed = await call(
        desk,
        "create_reservation",
        locationId="loc1",
        customerName="山田太郎",
        vehicleType="コンパクト",
        **SATURDAY,
    )
    assert not failed
    assert (booked["success"], booked["reservationNumber"]) == (True, "R-001")
    assert booked["vehicle"]["vehicleId"] == "v-loc1-001"

    (row,) = await SqliteReservations(database).reservations()
    assert (row.number, row.customer_name) == ("R-001", "山田太郎")
    assert row.period.start.isoformat() == "2026-11-28T01:00:00+00:00"


def test_the_schemas_carry_the_original_names_and_say_which_tool_changes_something(desk: Agent) -> None:
    listing, availability, reservation, find, change, cancel = desk.specs

    assert listing.parameters == {"additionalProperties": False, "properties": {}, "type": "object"}
    assert list(availability.parameters["properties"]) == [
        "locationId",
        "startDate",
        "endDate",
        "vehicleType",
    ]
    assert availability.parameters["required"] == ["locationId", "startDate", "endDate"]
    assert availability.parameters["properties"]["vehicleType"]["enum"] == ["コンパクト", "SUV", "ミニバン"]
    assert reservation.parameters["required"] == ["locationId", "startDate", "endDate", "customerName"]
    assert [spec.changes for spec in desk.specs] == [False, False, True, False, True, True]
    assert find.parameters["required"] == ["customerName"]
    assert change.parameters["required"] == cancel.parameters["required"] == ["reservationNumber"]


async def test_a_booked_vehicle_is_no_longer_offered_and_numbers_count_up(desk: Agent) -> None:
    wish = {"locationId": "loc1", "vehicleType": "コンパクト", **SATURDAY}
    numbers = [
        (await call(desk, "create_reservation", customerName=name, **wish))[0]["reservationNumber"]
        for name in ("山田", "佐藤")
    ]
    found, failed = await call(desk, "get_availability", **wish)

    assert numbers == ["R-001", "R-002"]
    assert not failed
    assert found["availableVehicles"] == []
    assert found["message"] == (
        "東京駅前店では、その期間に空いているコンパクトがありません。同じ店舗ではミニバンが空いています。"
        "コンパクトは新宿西口店と羽田空港店で空いています。"
    )


async def test_a_refused_booking_offers_what_is_free_instead(desk: Agent) -> None:
    answer, failed = await call(
        desk, "create_reservation", locationId="loc1", customerName="山田", vehicleType="SUV", **SATURDAY
    )

    assert failed
    assert answer == {
        "error": "東京駅前店では、その期間に空いているSUVがありません。"
        "同じ店舗ではコンパクトとミニバンが空いています。SUVは新宿西口店と羽田空港店で空いています。"
    }


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"endDate": "2026-11-28T10:00:00"}, "返却の日時が貸出の日時より後になっていません。"),
        ({"startDate": "2026-11-21T12:59:59"}, "貸出の日時（2026年11月21日12時59分）はもう過ぎています。"),
        ({"startDate": "2026-11-21T03:59:00Z"}, "はもう過ぎています。"),
        ({"startDate": "0001-01-01T00:00:00+14:00"}, "1年の予約は受け付けていません。"),
        ({"endDate": "9999-12-31T23:59:59-12:00"}, "9999年の予約は受け付けていません。"),
        ({"locationId": "loc9"}, "その店舗はありません。店舗は東京駅前店（loc1）、新宿西口店（loc2）、"),
        ({"customerName": " "}, "予約にはお客様のお名前が必要です。"),
        ({"vehicleType": "トラック"}, "The parameter 'vehicleType' is wrong"),
        ({"startDate": "来週の土曜日"}, "The parameter 'startDate' is wrong"),
    ],
)
async def test_what_cannot_be_booked_is_refused_with_the_reason(
    desk: Agent, database: Path, change: dict[str, str], sentence: str
) -> None:
    wish = {"locationId": "loc1", "customerName": "山田", **SATURDAY, **change}

    answer, failed = await call(desk, "create_reservation", **wish)

    assert failed
    assert sentence in answer["error"]
    assert await SqliteReservations(database).reservations() == ()


@pytest.mark.parametrize("said", ["compact", "コンパクトカー", " コンパクト "])
async def test_other_words_for_a_vehicle_type_are_understood(desk: Agent, said: str) -> None:
    found, _ = await call(desk, "get_availability", locationId="東京駅前店", vehicleType=said, **SATURDAY)

    assert [car["vehicleType"] for car in found["availableVehicles"]] == ["コンパクト", "コンパクト"]


async def test_the_english_desk_speaks_english_about_the_same_data(english_desk: Agent, desk: Agent) -> None:
    shops, _ = await call(english_desk, "list_locations")
    booked, _ = await call(
        english_desk,
        "create_reservation",
        locationId="Tokyo Station",
        customerName="Ann Smith",
        vehicleType="minivan",
        **SATURDAY,
    )
    refused, _ = await call(
        english_desk, "get_availability", locationId="loc1", vehicleType="minivan", **SATURDAY
    )

    everything = f"{shops}{booked}{refused}{english_desk.specs}{english_desk.instructions}"
    assert "Tokyo Station" in everything
    assert [char for char in everything if char > "\u2fff" and char not in "わ品川"] == []
    assert booked["reservationNumber"] == "R-001"
    assert refused["message"].startswith("No minivan is free at Tokyo Station for that period.")
    found, _ = await call(desk, "get_availability", locationId="loc1", vehicleType="ミニバン", **SATURDAY)
    assert found["availableVehicles"] == []
