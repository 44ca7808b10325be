"""Commands that try a conversation without people: record, replay, call, faults. Knows their options only."""

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


def call(
    url: Annotated[str | None, typer.Argument(help="A Realtime server; else one is started.")] = None,
    scenario: Annotated[str, typer.Option(help="A TOML file, or the name of a bundled one.")] = "booking-ja",
    listed: Annotated[bool, typer.Option("--list", help="Show the bundled scenarios.")] = False,
    key: Key = None,
    database: Annotated[str | None, typer.Option(help="Where URL keeps reservations: file or URL.")] = None,
    callers: Annotated[int, typer.Option(help="How many call at once.", min=1, max=1000)] = 1,
    for_s: Annotated[float, typer.Option("--for", help="Seconds of calling again and again.", min=0)] = 0.0,
    pace: Annotated[float, typer.Option(help="Speak and listen faster than real time.", min=0.1)] = 1.0,
    model: Annotated[str | None, typer.Option(help="Chat model of a caller who improvises.")] = None,
    model_url: Annotated[str | None, typer.Option(help="Where it is; else that of the settings.")] = None,
    wav: Annotated[Path | None, typer.Option(help="Write the call as a stereo WAV.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the checks as JUnit XML.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document, nothing else.")] = False,
    lang: Annotated[str | None, typer.Option(help="Language of the report: ja or en.")] = None,
) -> None:
    """Let simulated callers call a Realtime server, and judge what came of it; many are a load test."""
    from kaiwa.cli.call import CallOptions
    from kaiwa.cli.calling import Told, call_and_tell, list_scenarios
    from kaiwa.testing.callers import load_scenario

    if listed:
        list_scenarios()
        return
    options = CallOptions(
        scenario=load_scenario(scenario),
        url=url,
        key=key,
        database=database,
        pace=pace,
        model=model,
        model_url=model_url,
        wav=wav,
    )
    told = Told(as_json=as_json, junit=junit, language=lang)
    raise typer.Exit(0 if call_and_tell(options, callers, for_s, told) else 1)


class Language(StrEnum):
    en = "en"
    ja = "ja"


def faults(
    lang: Annotated[Language, typer.Option(help="Language of the list.")] = Language.en,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document, nothing else.")] = False,
) -> None:
    """List what can be made to go wrong on demand, and how (障害の一覧)."""
    from kaiwa.cli.faults import faults_as_json, print_faults

    if as_json:
        print(faults_as_json())
    else:
        print_faults(japanese=lang is Language.ja)
