"""The desk's three tables and how a moment is written in them. Knows SQLAlchemy Core; no queries."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Column, ForeignKey, Index, Integer, MetaData, String, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"


class UtcMoment(TypeDecorator[datetime]):
    """An aware datetime as UTC text of one fixed width, so that text order is time order."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else value.astimezone(UTC).strftime(_FORMAT)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.strptime(value, _FORMAT).replace(tzinfo=UTC)


METADATA: Final = MetaData()

LOCATIONS: Final = Table(
    "locations",
    METADATA,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("address", String, nullable=False),
    Column("phone", String, nullable=False),
    Column("timezone", String, nullable=False),
)

VEHICLES: Final = Table(
    "vehicles",
    METADATA,
    Column("vehicle_id", String, primary_key=True),
    Column("location_id", String, ForeignKey("locations.id"), nullable=False),
    Column("vehicle_type", String, nullable=False),
    Column("registration", String, nullable=False),
    Column("manufacturer", String, nullable=False),
    Column("vehicle_model", String, nullable=False),
)

RESERVATIONS: Final = Table(
    "reservations",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("number", String, nullable=False, unique=True),
    Column("vehicle_id", String, ForeignKey("vehicles.vehicle_id"), nullable=False),
    Column("starts_at", UtcMoment, nullable=False),
    Column("ends_at", UtcMoment, nullable=False),
    Column("customer_name", String, nullable=False),
    Column("status", String, nullable=False, default="confirmed"),
    Index("reservations_by_vehicle", "vehicle_id", "starts_at"),
)
