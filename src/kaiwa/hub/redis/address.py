"""The address of a Redis: redis://, rediss:// (TLS) or unix://, as the usual clients write it.

Opens nothing.
"""

from __future__ import annotations

import ssl
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from kaiwa.errors import ConfigError

SETTING: Final = "redis_url"
_REMEDY: Final = "Write redis://user:password@host:6379, rediss://… for TLS, or unix:///path."


class Address(msgspec.Struct, frozen=True):
    host: str = "127.0.0.1"
    port: int = 6379
    path: str | None = None
    """Of a socket in the file system, instead of host and port."""
    user: str | None = None
    password: str | None = None
    secure: bool = False
    certificates: str | None = None
    """A file with the authorities that are trusted; None: the system's."""
    checks: bool = True

    def __repr__(self) -> str:
        return f"Address({self.path or f'{self.host}:{self.port}'})"

    def context(self) -> ssl.SSLContext | None:
        """Raises ConfigError when the file of certificates cannot be read."""
        if not self.secure:
            return None
        try:
            context = ssl.create_default_context(cafile=self.certificates)
        except OSError:
            raise ConfigError(
                SETTING, "names an ssl_ca_certs that cannot be read.", "Give the path of a PEM file."
            ) from None
        if not self.checks:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def address_of(url: str) -> Address:
    """Raises ConfigError, which does not repeat the address: it may hold a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError(SETTING, "is no address of Redis.", _REMEDY) from None
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ConfigError(SETTING, "is no address of Redis.", _REMEDY)
    asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    local = parts.scheme == "unix"
    if local and not parts.path:
        raise ConfigError(SETTING, "names no socket.", _REMEDY)
    return Address(
        host=parts.hostname or "127.0.0.1",
        port=port or 6379,
        path=unquote(parts.path) if local else None,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        secure=parts.scheme == "rediss",
        certificates=asked.get("ssl_ca_certs"),
        checks=asked.get("ssl_cert_reqs", "required") != "none",
    )
