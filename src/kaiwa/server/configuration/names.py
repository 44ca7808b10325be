"""What settings are called where: in the environment and `.env`, in `kaiwa.toml`; and what was meant instead.

Knows names only.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from kaiwa.server.settings import Settings
from kaiwa.server.settings_words import PREFIX, environment_names

FILE_SETTING: Final = "KAIWA_CONFIG"
# Of other commands and programs; and what Kubernetes adds for a service that is called kaiwa.
_OTHERS: Final = frozenset(
    (
        *(FILE_SETTING, "KAIWA_DEMO_API_KEY", "KAIWA_TALK_API_KEY", "KAIWA_CALL_KEY", "KAIWA_RECORD_KEY"),
        *("KAIWA_URL", "KAIWA_FUNCTIONS_KEY", "KAIWA_PICTURES"),
    )
)
_OF_OTHERS: Final = ("KAIWA_CHAINLIT_", "KAIWA_BENCH_", "KAIWA_SERVICE_", "KAIWA_PORT_", "KAIWA_FUZZ_")
_WATCHED: Final = (PREFIX, "AZURE_OPENAI_")
_ALIKE: Final = 0.75

ENVIRONMENT: Final[dict[str, str]] = {
    known.upper(): name
    for name, field in Settings.model_fields.items()
    for known in environment_names(name, field)
}
"""Names of the environment in capitals, since their case does not matter, and the fields they mean."""

FILE: Final[dict[str, str]] = {
    known: name
    for given, name in ENVIRONMENT.items()
    for known in (given.lower(), given.lower().removeprefix(PREFIX.lower()))
} | {name: name for name in Settings.model_fields}
"""Keys of `kaiwa.toml`: the same names in small letters, with or without `kaiwa_`."""


def shown_name(field: str) -> str:
    """Return the name by which pages and messages call a setting."""
    return environment_names(field, Settings.model_fields[field])[0]


def is_strange(name: str) -> bool:
    """Whether a variable looks like a setting of kaiwa and is none."""
    capitals = name.upper()
    if capitals in ENVIRONMENT or capitals in _OTHERS or capitals.startswith(_OF_OTHERS):
        return False
    # The SDKs have more names that begin so; only what is nearly one of ours is a slip.
    return capitals.startswith(PREFIX) or (
        capitals.startswith(_WATCHED) and meant(capitals, ENVIRONMENT, 0.9) is not None
    )


def meant(written: str, known: Iterable[str], alike: float = _ALIKE) -> str | None:
    """Return the known name that somebody probably meant."""
    close = get_close_matches(written, list(known), n=1, cutoff=alike)
    return close[0] if close else None


def is_group(name: str) -> bool:
    """Whether a table of this name holds settings whose names begin with it: `[tls]` and `port`."""
    return any(known.startswith(f"{name}_") for known in FILE)
