"""From the options of `kaiwa serve` to settings, and from settings to a running server."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from kaiwa.errors import ConfigError
from kaiwa.server.settings import Settings


def read_settings(**options: Any) -> Settings:
    """Read the settings once; options that are None leave the environment's value. Raises ConfigError."""
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        setting = ".".join(str(part) for part in first["loc"])
        raise ConfigError(setting, f"{first['msg']}.", "See `kaiwa serve --help` and docs.") from error


def serve_agent(**options: Any) -> None:
    """Serve until the process is told to end; `options` are settings, None where none was given."""
    from kaiwa.server.app import serve

    serve(read_settings(**options))


def database_setting() -> str:
    """Return where the bundled agents keep reservations: a path, or a URL that may hold a password."""
    return read_settings().database.get_secret_value()
