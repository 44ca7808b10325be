"""The desk's three tables and how a moment is written in them. Knows SQLAlchemy Core; no queries.

This is the newest schema; `migrations` leads every older one to it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Column, DateTime, ForeignKey, Index, Integer, MetaData, String, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"


class UtcMoment(TypeDecorator[datetime]):
    """An aware datetime in UTC. In SQLite: text of one fixed width, so that text order is time order."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(String() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.strftime(_FORMAT) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        if isinstance(value, str):
            return datetime.strptime(value, _FORMAT).replace(tzinfo=UTC)
        return None if value is None else value.astimezone(UTC)


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
    Column("idempotency_key", String),
    Index("reservations_by_vehicle", "vehicle_id", "starts_at"),
    Index("reservations_by_key", "idempotency_key", unique=True),
)
