"""Who writes a server's conversations down: brings `kaiwa.testing.cassettes` and the server together."""

from __future__ import annotations

import re
import sys
from typing import Final

from pydantic import SecretStr
from starlette.applications import Starlette

from kaiwa.server.app import Furnish
from kaiwa.server.settings import Settings

_KEY_IN_JSON: Final = re.compile(r'"api_key"\s*:\s*"([^"]+)"')
_USUAL_DATABASE: Final = "rentacar.db"


def recording_for(settings: Settings) -> Furnish | None:
    """Return what has conversations recorded, and warn of it; None: nobody asked. Raises ConfigError."""
    if settings.record_dir is None:
        return None
    from kaiwa.testing.cassettes.door import RecordedDoors, Shelf

    shelf = Shelf(
        settings.record_dir,
        files=settings.record_files,
        max_mib=settings.record_mib,
        redact=settings.record_redact,
        keys=secrets_of(settings),
    )
    blackened = ", ".join(settings.record_redact) or "nothing but keys"
    print(
        f"*** RECORDING: every conversation goes into {settings.record_dir}, "
        f"blackened: {blackened}. Tell your callers. ***\n"
        f"*** 録音中：すべての会話を {settings.record_dir} に記録します。利用者に知らせてください。 ***",
        file=sys.stderr,
    )

    def furnish(app: Starlette) -> None:
        app.add_middleware(RecordedDoors, shelf=shelf)

    return furnish


def secrets_of(settings: Settings) -> list[str]:
    """Return every secret of the settings, and the keys within what is written as JSON."""
    values = [getattr(settings, name) for name in type(settings).model_fields]
    whole = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
    entries = [entry.api_key.get_secret_value() for entry in settings.realtime_upstreams if entry.api_key]
    within = [key for text in whole for key in _KEY_IN_JSON.findall(text)]
    return [secret for secret in (*whole, *entries, *within) if secret != _USUAL_DATABASE]
