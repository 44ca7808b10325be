"""Who lets things go wrong in a house in test mode: brings `kaiwa.testing.faults` and the server together."""

from __future__ import annotations

import sys
from pathlib import Path

from kaiwa.errors import ConfigError
from kaiwa.server.disturbing import Disturber
from kaiwa.server.settings import Settings, is_loopback


def disturber_for(settings: Settings) -> Disturber | None:
    """Return who disturbs this house, and warn of it; None: nobody, it is no test. Raises ConfigError."""
    if not settings.test_mode:
        return None
    from kaiwa.testing.faults.house import TestHouse

    database = settings.database.get_secret_value()
    try:
        house = TestHouse(settings.test_faults, database=None if "://" in database else Path(database))
    except ValueError as wrong:
        raise ConfigError("KAIWA_TEST_FAULTS", f"{wrong}.", "`kaiwa faults` lists them.") from wrong
    warn(settings)
    return house


def warn(settings: Settings) -> None:
    """Say that this is no server to depend on."""
    where = "" if is_loopback(settings.host) else f" It listens on {settings.host}, for other machines too!"
    print(
        "*** TEST MODE: faults on demand. Requests to this server fail when they are told to."
        f"{where} ***\n*** テストモード：要求ごとに障害を起こせます。本番では使わないでください。 ***",
        file=sys.stderr,
    )
