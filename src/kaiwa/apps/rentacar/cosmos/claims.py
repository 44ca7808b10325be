"""A vehicle's calendar: who claims it when. Values and their JSON; asks no database.

A claim comes before its reservation and outlives it for a moment. Whether it counts is said by the
reservation's document alone: the claim counts when that is confirmed and names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from kaiwa.apps.rentacar.fleet import Period

MANY_CLAIMS: Final = 1000  # some 200 kB of the 2 MB that a document may have
_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Claim:
    """`patience_until`: whoever made it is given so long to write the reservation."""

    id: str
    number: str
    period: Period
    patience_until: datetime


def write_moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(_FORMAT)


def read_moment(written: str) -> datetime:
    return datetime.strptime(written, _FORMAT).replace(tzinfo=UTC)


def claims_of(calendar: dict[str, Any]) -> list[Claim]:
    return [
        Claim(
            row["claim"],
            row["reservationNumber"],
            Period(read_moment(row["startDate"]), read_moment(row["endDate"])),
            read_moment(row["patienceUntil"]),
        )
        for row in calendar.get("claims", [])
    ]


def with_claims(calendar: dict[str, Any], claims: list[Claim], now: datetime) -> dict[str, Any]:
    """Return the calendar with these claims; a very long one forgets those that are over."""
    kept = claims if len(claims) < MANY_CLAIMS else [one for one in claims if one.period.end > now]
    rows = [
        {
            "claim": one.id,
            "reservationNumber": one.number,
            "startDate": write_moment(one.period.start),
            "endDate": write_moment(one.period.end),
            "patienceUntil": write_moment(one.patience_until),
        }
        for one in kept
    ]
    return {**calendar, "claims": rows}
