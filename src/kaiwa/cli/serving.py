"""From the options of `kaiwa serve` to settings, and from settings to a running server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from kaiwa.server.configuration import read_configuration
from kaiwa.server.settings import Settings


def read_settings(**options: Any) -> Settings:
    """Read the settings once; options that are None leave what is written elsewhere. Raises ConfigError."""
    return read_configuration(options).demand()


def serve_agent(file: Path | None = None, **options: Any) -> None:
    """Serve until the process is told to end; `options` are settings, None where none was given."""
    from kaiwa.server.app import serve

    read = read_configuration(options, file=file)
    settings = read.demand()
    for finding in read.warnings:
        print(f"kaiwa: {finding}\n  {finding.japanese}", file=sys.stderr)
    if settings.workers > 1:
        from kaiwa.server.logs import log_to_stderr
        from kaiwa.server.workers import supervise

        log_to_stderr(settings.log_level, settings.log_format)
        raise SystemExit(supervise(settings, options, None if file is None else str(file)))
    from kaiwa.cli.disturbing import disturber_for
    from kaiwa.cli.recording import recording_for

    disturber = disturber_for(settings)
    serve(
        settings,
        lambda: read_configuration(options, file=file).demand(),
        disturber=disturber,
        furnish=recording_for(settings),
    )


def database_setting() -> str:
    """Return where the bundled agents keep reservations: a path, or a URL that may hold a password."""
    return read_settings().database.get_secret_value()
