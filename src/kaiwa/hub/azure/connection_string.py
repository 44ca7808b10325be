"""Where an Azure SignalR Service is and how to enter it, from its connection string (rule S-52).

Knows the text; opens nothing. Microsoft's names are compared without case, and a value may hold `=`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from kaiwa.errors import ConfigError

SETTING: Final = "AzureSignalRConnectionString"
_KNOWN: Final = frozenset(
    {
        *("endpoint", "accesskey", "version", "port", "clientendpoint", "serverendpoint", "authtype"),
        *("clientid", "clientsecret", "clientcert", "tenantid"),
    }
)
_ENTRA: Final = frozenset({"aad", "azure", "azure.app", "azure.msi"})
_AS_COPIED: Final = "Copy it from the keys of the service: Endpoint=https://…;AccessKey=…;Version=1.0;"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`url` is for the REST API, `client_url` for clients; neither ends in a slash. `key` None: Entra ID."""

    url: str
    client_url: str
    key: str | None = field(repr=False)
    entra: Entra | None = None


@dataclass(frozen=True, slots=True)
class Entra:
    """Who asks Microsoft Entra ID. Without an application it is whoever the machine is signed in as."""

    managed: bool = False
    client_id: str | None = None
    tenant_id: str | None = None
    secret: str | None = field(default=None, repr=False)
    certificate: str | None = None
    """Path of a file."""


def read_connection_string(text: str, setting: str = SETTING) -> Endpoint:
    """Return what a connection string says. Raises ConfigError, which never repeats a value of it."""
    fields = _fields(text, setting)
    version = fields.get("version", "1.0")
    if version.partition(".")[0] != "1":
        raise ConfigError(setting, "names a version other than 1.x.", _AS_COPIED)
    address = _with_port(_url(fields.get("endpoint", ""), "Endpoint", setting), fields, setting)
    server = fields.get("serverendpoint")
    client = fields.get("clientendpoint")
    kind = fields.get("authtype", "").lower()
    if kind and kind not in _ENTRA:
        raise ConfigError(setting, "has an unknown AuthType.", "Use aad, azure, azure.app or azure.msi.")
    key = None if kind else fields.get("accesskey")
    if not kind and not key:
        raise ConfigError(setting, "has neither AccessKey nor AuthType.", _AS_COPIED)
    return Endpoint(
        url=address if server is None else _url(server, "ServerEndpoint", setting),
        client_url=address if client is None else _url(client, "ClientEndpoint", setting),
        key=key,
        entra=_entra(kind, fields, setting) if kind else None,
    )


def _fields(text: str, setting: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, value = part.partition("=")
        name = name.strip().lower()
        if not equals or name not in _KNOWN:
            raise ConfigError(setting, "is no connection string of Azure SignalR Service.", _AS_COPIED)
        if name in found:
            raise ConfigError(setting, f"names {name} twice.", _AS_COPIED)
        found[name] = value.strip()
    return found


def _url(address: str, name: str, setting: str) -> str:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(setting, f"has no {name} that begins with https:// or http://.", _AS_COPIED)
    return address.rstrip("/")


def _with_port(address: str, fields: dict[str, str], setting: str) -> str:
    port = fields.get("port")
    if port is None:
        return address
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(setting, "has a Port that is none.", "Ports are 1 to 65535.")
    parts = urlsplit(address)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


def _entra(kind: str, fields: dict[str, str], setting: str) -> Entra:
    client, tenant = fields.get("clientid"), fields.get("tenantid")
    secret, certificate = fields.get("clientsecret"), fields.get("clientcert")
    proof = secret or certificate
    if kind == "azure.app" and not (client and tenant and proof):
        raise ConfigError(
            setting, "is of an application.", "It needs ClientId, TenantId, and ClientSecret or ClientCert."
        )
    # The older name means an application when there is a tenant, and a managed identity otherwise.
    managed = kind == "azure.msi" or (kind == "aad" and not (client and tenant and proof))
    return Entra(managed, client, tenant, secret, certificate)
