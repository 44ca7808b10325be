"""Shops and vehicles as files: JSON in the original's shape, or CSV with a row for each vehicle.

Knows text and its encodings; does not know where the shops go.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, Final, Literal

from kaiwa.apps.rentacar.documents import document_of, shops_of
from kaiwa.apps.rentacar.fleet import Location

Format = Literal["json", "csv"]
_SHOP: Final = {
    "locationId": "id",
    "name": "name",
    "address": "address",
    "phone": "phone",
    "timezone": "timezone",
}
_CAR: Final = ("vehicleId", "vehicleType", "registration", "manufacturer", "vehicleModel")
COLUMNS: Final = (*_SHOP, *_CAR)
_NEEDED: Final = ("locationId", "name", "vehicleId", "vehicleType")


def read_shops(content: bytes, kind: Format) -> tuple[Location, ...]:
    """Read shops in UTF-8, or in the encoding of Japanese spreadsheets. Raises ValueError: what is wrong."""
    return _from_json(_text(content)) if kind == "json" else _from_csv(_text(content))


def write_shops(shops: Sequence[Location], kind: Format) -> str:
    if kind == "json":
        return json.dumps([document_of(shop) for shop in shops], ensure_ascii=False, indent=2) + "\n"
    written = io.StringIO()
    rows = csv.DictWriter(written, COLUMNS, lineterminator="\n")
    rows.writeheader()
    for document in map(document_of, shops):
        shop = {column: document[key] for column, key in _SHOP.items()}
        cars: list[dict[str, str]] = document["inventory"] or [{}]
        rows.writerows({**shop, **car} for car in cars)
    return written.getvalue()


def _text(content: bytes) -> str:
    for encoding in ("utf-8-sig", "cp932"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ValueError("the text is neither UTF-8 nor Shift_JIS")


def _from_json(text: str) -> tuple[Location, ...]:
    try:
        content: Any = json.loads(text)
    except json.JSONDecodeError as wrong:
        raise ValueError(f"no JSON: {wrong}") from wrong
    documents: Any = content.get("locations") if isinstance(content, dict) else content  # pyright: ignore
    if not isinstance(documents, list):
        raise ValueError("JSON must be a list of shops, or an object with one as `locations`")
    return shops_of(documents)  # pyright: ignore[reportUnknownArgumentType]


def _from_csv(text: str) -> tuple[Location, ...]:
    rows = csv.DictReader(io.StringIO(text))
    missing = [
        name
        for name in ("locationId", "name", "vehicleId", "vehicleType")
        if name not in (rows.fieldnames or ())
    ]
    if missing:
        raise ValueError(f"the first row lacks {', '.join(missing)}; columns are {', '.join(COLUMNS)}")
    shops: dict[str, dict[str, Any]] = {}
    for row in rows:
        given = {key: (row.get(key) or "").strip() for key in COLUMNS}
        told = {key: given[column] for column, key in _SHOP.items() if given[column]}
        shop = shops.setdefault(given["locationId"], {**told, "inventory": []})
        if any(shop.get(key, value) != value for key, value in told.items()):
            raise ValueError(f"line {rows.line_num}: shop {given['locationId']} is described otherwise above")
        if given["vehicleId"]:
            shop["inventory"].append({key: given[key] for key in _CAR})
    return shops_of(list(shops.values()))
