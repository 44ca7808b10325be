"""Which account, database and credential a setting names. Knows the forms; opens no connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from kaiwa.errors import ConfigError

DEFAULT_DATABASE: Final = "rentacar-db"
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_FORMS: Final = (
    "Write cosmos://ACCOUNT.documents.azure.com/DATABASE or AccountEndpoint=…;AccountKey=…;Database=…."
)


@dataclass(frozen=True)
class Account:
    """`key` None: a token of Microsoft Entra ID. `emulated`: a stand-in on this machine."""

    endpoint: str
    database: str = DEFAULT_DATABASE
    key: str | None = field(default=None, repr=False)

    @property
    def emulated(self) -> bool:
        return urlsplit(self.endpoint).hostname in _LOOPBACK


def read_account(setting: str) -> Account:
    """Read `cosmos://host[/database]` or a connection string as the portal shows it. Raises ConfigError."""
    if setting.startswith("cosmos://"):
        address = urlsplit(setting)
        if not address.netloc or address.username or address.query:
            raise ConfigError("KAIWA_DATABASE", "the address of Cosmos DB is wrong.", _FORMS)
        return Account(f"https://{address.netloc}/", address.path.strip("/") or DEFAULT_DATABASE)
    parts = dict(part.split("=", 1) for part in setting.split(";") if "=" in part)
    endpoint = parts.get("AccountEndpoint", "")
    if urlsplit(endpoint).scheme not in ("http", "https"):
        raise ConfigError("KAIWA_DATABASE", "AccountEndpoint is no https:// address.", _FORMS)
    return Account(endpoint, parts.get("Database") or DEFAULT_DATABASE, parts.get("AccountKey") or None)
