"""The commands that try a conversation without people: record, replay, call. Knows their options only."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Key = Annotated[str | None, typer.Option("--key", envvar="KAIWA_CALL_KEY", help="Key for URL.")]


class Role(StrEnum):
    upstream = "upstream"
    caller = "caller"


def record(
    file: Annotated[Path, typer.Argument(help="The cassette to write, JSON lines.")],
    url: Annotated[str | None, typer.Argument(help="Service to record; else that of the settings.")] = None,
    key: Annotated[
        str | None, typer.Option(envvar="KAIWA_RECORD_KEY", help="Its key; else that of the settings.")
    ] = None,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0: a free one.")] = 9100,
    redact: Annotated[list[str] | None, typer.Option(help="Blacken words, audio, ids.")] = None,
    max_mib: Annotated[int, typer.Option(help="How large the file may grow.", min=1)] = 256,
    calls: Annotated[int | None, typer.Option(help="End after so many calls or requests.", min=1)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Take the place of a file.")] = False,
) -> None:
    """Stand before a Realtime or chat service and write down what crosses the wire, without keys."""
    from kaiwa.cli.record import RecordOptions, run

    run(
        RecordOptions(
            file=file,
            url=url,
            key=key,
            host=host,
            port=port,
            redact=tuple(redact or ()),
            max_mib=max_mib,
            calls=calls,
            overwrite=overwrite,
        )
    )


def replay(
    file: Annotated[Path, typer.Argument(help="A cassette.")],
    url: Annotated[str | None, typer.Argument(help="Whom to call (--as caller).")] = None,
    role: Annotated[Role, typer.Option("--as", help="Which side to play.")] = Role.upstream,
    key: Key = None,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0: a free one.")] = 9101,
    virtual: Annotated[bool, typer.Option("--virtual", help="As fast as the order allows.")] = False,
    pace: Annotated[float, typer.Option(help="1: as recorded; 2: twice as fast.", min=0.1)] = 1.0,
    exact: Annotated[
        bool, typer.Option("--exact", help="The answers must be the same (--as caller).")
    ] = False,
    audio: Annotated[str, typer.Option(help="Sound of the client: exact, amount or any.")] = "exact",
    ignore: Annotated[list[str] | None, typer.Option(help="What may differ: session.instructions …")] = None,
    patience: Annotated[float, typer.Option(help="Seconds to wait for what is due.", min=0.1)] = 30.0,
) -> None:
    """Play a cassette as the service or as the caller; exit code 1 when it goes otherwise than recorded."""
    from kaiwa.cli.replay import ReplayOptions, run

    options = ReplayOptions(
        file=file,
        role=role.value,
        url=url,
        key=key,
        host=host,
        port=port,
        pace=None if virtual else pace,
        exact=exact,
        audio=audio,
        ignore=tuple(ignore or ()),
        patience_s=patience,
    )
    raise typer.Exit(run(options))
