"""At which addresses a media process listens, and which it names to its peers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

import ifaddr

from kaiwa.errors import ConfigError
from kaiwa.transports.webrtc.answer import Address

_MOST: Final = 12
_BUFFER_BYTES: Final = 4 * 1024 * 1024


def addresses_of(host: str) -> list[str]:
    """Return the addresses that `host` stands for, those peers reach from afar first."""
    if host == "localhost":
        return ["127.0.0.1", "::1"]
    ip = ip_address(host.strip("[]"))
    if not ip.is_unspecified:
        return [str(ip)]
    return [str(own) for own in _own(ip)]


def _own(unspecified: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    found = {ip_address(name) for name in _of_interfaces()}
    # Loopback stands last: of use to a browser on this machine, and where a container's port is published.
    wanted = [ip for ip in found if not ip.is_link_local and (ip.version == 4 or unspecified.version == 6)]
    return sorted(wanted, key=lambda ip: (ip.is_loopback, ip.version, int(ip)))[:_MOST]


def _of_interfaces() -> Iterator[str]:
    for adapter in ifaddr.get_adapters():
        for one in adapter.ips:
            yield one.ip if isinstance(one.ip, str) else one.ip[0]


def listen(host: str, port: int) -> list[socket.socket]:
    """Return a UDP socket for every address of `host`. Raises ConfigError when there is none.

    One for each address and not one for all: an answer must come from the address that was asked.
    """
    sockets: list[socket.socket] = []
    refused: OSError | None = None
    for ip in addresses_of(host):
        try:
            sockets.append(_bound(ip, port))
        except OSError as error:
            refused = error
    if not sockets:
        why = refused.strerror if refused else "the machine has no address"
        raise ConfigError(
            "KAIWA_RTC_PORT", f"no UDP socket at {host}, port {port}: {why}.", "Choose another."
        )
    return sockets


def _bound(ip: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((ip, port))
    except OSError:
        made.close()
        raise
    return made


def named(public: tuple[str, ...], sockets: list[socket.socket]) -> tuple[Address, ...]:
    """Return the addresses peers are told: the public ones where some are set, else those listened at."""
    own = [Address(name[0], name[1]) for name in (made.getsockname() for made in sockets)]
    return tuple(_public(text, own[0].port) for text in public) or tuple(own)


def _public(text: str, port: int) -> Address:
    try:
        if text.startswith("["):
            ip, _, given = text[1:].partition("]")
            return Address(str(ip_address(ip)), int(given.removeprefix(":") or port))
        if text.count(":") == 1:
            ip, _, given = text.partition(":")
            return Address(str(ip_address(ip)), int(given))
        return Address(str(ip_address(text)), port)
    except ValueError:
        raise ConfigError(
            "KAIWA_RTC_PUBLIC_IP", f"'{text}' is no IP address.", "Write 203.0.113.7 or 203.0.113.7:40000."
        ) from None
