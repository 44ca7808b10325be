"""`kaiwa rentacar import|export`: shops and vehicles from and to a file. Knows files, not databases."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from kaiwa.errors import ConfigError

app = typer.Typer(help="Shops and vehicles of the rental car desk.", no_args_is_help=True)
T = TypeVar("T")


class Kind(StrEnum):
    json = "json"
    csv = "csv"


FileName = Annotated[Path, typer.Argument(help="A .json or .csv file; - for standard input or output.")]
Database = Annotated[str | None, typer.Option(help="Instead of KAIWA_DATABASE: a file or URL.")]
KindOf = Annotated[Kind | None, typer.Option("--format", help="If the file's name does not tell.")]


@app.command("import")
def import_shops(
    file: FileName,
    database: Database = None,
    kind: KindOf = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take out all shops and vehicles that the file does not name.")
    ] = False,
) -> None:
    """Put shops and vehicles in, or renew those whose ids are known."""
    from kaiwa.apps.rentacar.exchange import read_shops
    from kaiwa.apps.rentacar.store import StillReservedError

    wanted = _kind(file, kind)
    try:
        shops = read_shops(sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes(), wanted)
    except OSError as failure:
        raise ConfigError(str(file), f"cannot read it: {failure.strerror}.", "Name another.") from failure
    except ValueError as wrong:
        raise ConfigError(str(file), f"{wrong}.", "See docs/rentacar.md for the columns and keys.") from wrong
    try:
        _with_store(database, lambda store: store.put_locations(shops, replace=replace))
    except StillReservedError as kept:
        raise ConfigError(
            str(file), f"it lacks {kept}, which reservations name.", "Add it, or leave out --replace."
        ) from kept
    cars = sum(len(shop.inventory) for shop in shops)
    print(f"{len(shops)} shops and {cars} vehicles are in the database.")


@app.command("export")
def export_shops(file: FileName = Path("-"), database: Database = None, kind: KindOf = None) -> None:
    """Write all shops and vehicles to a file."""
    from kaiwa.apps.rentacar.exchange import write_shops

    wanted = _kind(file, kind, otherwise=Kind.json if str(file) == "-" else None)
    text = write_shops(_with_store(database, lambda store: store.locations()), wanted)
    if str(file) == "-":
        sys.stdout.write(text)
        return
    try:
        file.write_text(text, "utf-8-sig" if wanted == "csv" else "utf-8")  # spreadsheets look for the mark
    except OSError as failure:
        raise ConfigError(str(file), f"cannot write: {failure.strerror}.", "Name another.") from failure


def _kind(file: Path, given: Kind | None, otherwise: Kind | None = None) -> Any:
    by_name = {".json": Kind.json, ".csv": Kind.csv}.get(file.suffix.lower())
    kind = given or by_name or otherwise
    if kind is None:
        raise ConfigError(str(file), "its name ends in neither .json nor .csv.", "Add --format json or csv.")
    return kind.value


def _with_store(database: str | None, work: Callable[[Any], Awaitable[T]]) -> T:
    from kaiwa.apps.rentacar.stores import open_store
    from kaiwa.cli.serving import database_setting

    async def use() -> T:
        store = open_store(database or database_setting())
        try:
            return await work(store)
        finally:
            await store.aclose()

    return asyncio.run(use())
