"""A retry of a booking books once; PostgreSQL itself refuses overlapping ones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("reservations", sa.Column("idempotency_key", sa.String))
    op.create_index("reservations_by_key", "reservations", ["idempotency_key"], unique=True)
    if op.get_context().dialect.name == "postgresql":
        # btree_gist lets one index compare a text for equality and a range for overlap.
        op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
        op.execute(
            "ALTER TABLE reservations ADD CONSTRAINT reservations_never_overlap EXCLUDE USING gist"
            " (vehicle_id WITH =, tstzrange(starts_at, ends_at, '[)') WITH &&) WHERE (status <> 'cancelled')"
        )
