"""Shops, vehicles, reservations: what kaiwa wrote before it kept a version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_MOMENT = sa.String().with_variant(sa.DateTime(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "locations",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("address", sa.String, nullable=False),
        sa.Column("phone", sa.String, nullable=False),
        sa.Column("timezone", sa.String, nullable=False),
    )
    op.create_table(
        "vehicles",
        sa.Column("vehicle_id", sa.String, primary_key=True),
        sa.Column("location_id", sa.String, sa.ForeignKey("locations.id"), nullable=False),
        sa.Column("vehicle_type", sa.String, nullable=False),
        sa.Column("registration", sa.String, nullable=False),
        sa.Column("manufacturer", sa.String, nullable=False),
        sa.Column("vehicle_model", sa.String, nullable=False),
    )
    op.create_table(
        "reservations",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("number", sa.String, nullable=False, unique=True),
        sa.Column("vehicle_id", sa.String, sa.ForeignKey("vehicles.vehicle_id"), nullable=False),
        sa.Column("starts_at", _MOMENT, nullable=False),
        sa.Column("ends_at", _MOMENT, nullable=False),
        sa.Column("customer_name", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
    )
    op.create_index("reservations_by_vehicle", "reservations", ["vehicle_id", "starts_at"])
