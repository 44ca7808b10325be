"""The UDP sockets of a media process: which datagram is whose. Answers connectivity checks itself.

Knows first bytes (RFC 7983) and STUN; knows nothing of what is inside a call. Only a check with the right
password lets an address in; everything else from strangers is dropped unanswered.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from socket import socket
from typing import Any, Final

from kaiwa.transports.webrtc import stun
from kaiwa.transports.webrtc.connection import Connection

log = logging.getLogger("kaiwa.media")

_AT_ONCE: Final = 64
_DATAGRAM_BYTES: Final = 2048
_ADDRESSES_PER_CALL: Final = 8


class Mux:
    """Serves the sockets it is given until `close`."""

    def __init__(self, sockets: list[socket]) -> None:
        self._sockets = sockets
        self._loop = asyncio.get_running_loop()
        self._by_name: dict[str, Connection] = {}
        self._by_address: dict[tuple[int, Any], Connection] = {}
        self._addresses: dict[Connection, list[tuple[int, Any]]] = {}
        self.dropped: Counter[str] = Counter()
        for one in sockets:
            self._loop.add_reader(one, self._read, one)

    def close(self) -> None:
        for one in self._sockets:
            self._loop.remove_reader(one)
            one.close()

    def expect(self, connection: Connection) -> None:
        """Let in who knows this connection's name and password."""
        self._by_name[connection.facts.ufrag] = connection
        self._addresses[connection] = []

    def forget(self, connection: Connection) -> None:
        self._by_name.pop(connection.facts.ufrag, None)
        for key in self._addresses.pop(connection, ()):
            self._by_address.pop(key, None)

    def _read(self, through: socket) -> None:
        number = through.fileno()
        for _ in range(_AT_ONCE):
            try:
                data, address = through.recvfrom(_DATAGRAM_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self.dropped[f"errno {error.errno}"] += 1
                return
            if data:
                self._dispatch(data, through, (number, address))

    def _dispatch(self, data: bytes, through: socket, key: tuple[int, Any]) -> None:
        first = data[0]
        if first < 4:
            self._check(data, through, key)
            return
        connection = self._by_address.get(key)
        if connection is None:
            self.dropped["stranger"] += 1
            return
        try:
            if first > 127:
                connection.media_arrived(data, key[1])
            elif 19 < first < 64:
                connection.handshake_arrived(data)
        except Exception:
            log.exception("call failed")
            connection.end("failed")

    def _check(self, data: bytes, through: socket, key: tuple[int, Any]) -> None:
        request = stun.read_request(data)
        name = request.username.partition(":")[0] if request else ""
        connection = self._by_name.get(name)
        if request is None or connection is None or not request.is_from(connection.key):
            self.dropped["check"] += 1
            return
        if request.controlled:
            answer = stun.role_conflict(request.transaction_id, connection.key)
        else:
            answer = stun.success(request.transaction_id, key[1], connection.key)
            self._admit(connection, key)
            connection.checked(through, key[1], nominates=request.nominates)
        try:
            through.sendto(answer, key[1])
        except OSError as error:
            self.dropped[f"errno {error.errno}"] += 1

    def _admit(self, connection: Connection, key: tuple[int, Any]) -> None:
        if self._by_address.get(key) is connection:
            return
        known = self._addresses[connection]
        known.append(key)
        if len(known) > _ADDRESSES_PER_CALL:
            self._by_address.pop(known.pop(0), None)
        # An address belongs to whoever proved it last: a peer may use its port again for another call.
        self._by_address[key] = connection
