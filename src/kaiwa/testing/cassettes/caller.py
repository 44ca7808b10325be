"""A cassette as the caller: what its clients sent is sent again, to a service that may be another one.

A live service answers in its own words and with its own ids. So `LIVE` only waits for what a caller
waits for; `STRICT` is for a service that must say the very
same, such as a replayed one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp

from kaiwa.errors import UpstreamError
from kaiwa.protocol.cassette.matching import LIVE, Matching
from kaiwa.protocol.cassette.player import Mismatch, Player
from kaiwa.protocol.cassette.tape import Bytes, Cassette, Ended, Exchange, Frame, Head, Played
from kaiwa.testing.cassettes.playing import Clock, play
from kaiwa.testing.cassettes.proxy import credentials, sendable


@dataclass
class CallerReport:
    """What became of a cassette that was played to a service."""

    exchanges: int = 0
    frames_sent: int = 0
    frames_checked: int = 0
    problems: list[str] = field(default_factory=list[str])


async def replay_as_caller(
    cassette: Cassette,
    url: str,
    *,
    key: str | None = None,
    rules: Matching = LIVE,
    pace: float | None = None,
) -> CallerReport:
    """Make every recorded connection and request, one after another.

    `url`: with a path it is used as it is, without one the recorded path is added. Raises UpstreamError when
    nobody answers there.
    """
    report = CallerReport()
    async with aiohttp.ClientSession(headers=credentials(key), trust_env=True) as http:
        for exchange in cassette.exchanges:
            door = _SocketCall if exchange.opened.door == "websocket" else _HttpCall
            call = door(http, exchange, _address(url, exchange), rules, pace, cassette.header.redacted)
            try:
                await call.run(report)
            except (aiohttp.ClientConnectionError, TimeoutError) as nobody:
                message = "Nobody answers at this address."
                raise UpstreamError("upstream_unreachable", message, retryable=True) from nobody
            report.exchanges += 1
    return report


def _address(url: str, exchange: Exchange) -> str:
    parts = urlsplit(url)
    scheme = parts.scheme.replace("ws", "http", 1) if exchange.opened.door == "http" else parts.scheme
    if parts.path.strip("/"):
        return url
    return f"{scheme}://{parts.netloc}{exchange.opened.target}"


class _SocketCall:
    def __init__(
        self,
        http: aiohttp.ClientSession,
        exchange: Exchange,
        address: str,
        rules: Matching,
        pace: float | None,
        redacted: tuple[str, ...],
    ) -> None:
        self._http = http
        self._exchange = exchange
        self._address = address
        self._player = Player(exchange, plays="client", rules=rules, pace=pace, redacted=redacted)

    async def run(self, report: CallerReport) -> None:
        opened = self._exchange.opened
        headers = {"OpenAI-Beta": "realtime=v1"} if opened.dialect not in (None, "ga") else {}
        try:
            socket = await self._http.ws_connect(
                self._address, headers=headers, protocols=opened.subprotocols, max_msg_size=0, compress=0
            )
        except aiohttp.WSServerHandshakeError as refused:
            self._refused(refused.status, report)
            return
        async with socket:
            self._socket = socket
            await play(self._player, self._receive, self._give, Clock())
        report.frames_sent += self._player.played
        report.frames_checked += self._player.checked
        if self._player.mismatch is not None:
            report.problems.append(str(self._player.mismatch))

    def _refused(self, status: int, report: CallerReport) -> None:
        heads = [one.entry.status for one in self._exchange.entries if isinstance(one.entry, Head)]
        if heads != [status]:
            wanted = f"refused with {heads[0]}" if heads else "accepted"
            mismatch = Mismatch(
                self._exchange.line, f"the upgrade was refused with {status}, recorded {wanted}"
            )
            report.problems.append(str(mismatch))

    async def _receive(self) -> str | bytes | None:
        message = await self._socket.receive()
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            return message.data
        return None

    async def _give(self, entry: Played) -> None:
        try:
            match entry:
                case Frame(text=text):
                    await self._socket.send_str(text)
                case Bytes(data=data):
                    await self._socket.send_bytes(data)  # type: ignore[arg-type]
                case Ended(code=code, reason=reason):
                    await self._socket.close(code=sendable(code), message=reason.encode())
                case Head():
                    pass  # heads are a service's
        except ConnectionError:
            return  # that the service left is told by what was received


class _HttpCall(_SocketCall):
    """One request. Its answer is compared as a whole: pieces are the network's affair."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        exchange: Exchange,
        address: str,
        rules: Matching,
        pace: float | None,
        redacted: tuple[str, ...],
    ) -> None:
        super().__init__(http, exchange, address, rules, pace, redacted)
        self._types_only = rules.types_only

    async def run(self, report: CallerReport) -> None:
        entries = [one.entry for one in self._exchange.entries]
        body = b"".join(
            _data(one) for one in entries if isinstance(one, Frame | Bytes) and one.by == "client"
        )
        recorded = b"".join(
            _data(one) for one in entries if isinstance(one, Frame | Bytes) and one.by == "server"
        )
        status = next((one.status for one in entries if isinstance(one, Head)), 0)
        opened = self._exchange.opened
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        async with self._http.request(
            opened.method, self._address, data=body or None, headers=headers
        ) as answer:
            came = await answer.read()
        report.frames_sent += bool(body)
        report.frames_checked += 1
        line = self._exchange.line
        if answer.status != status:
            report.problems.append(str(Mismatch(line, f"answered {answer.status}, recorded {status}")))
        elif not self._types_only and came != recorded:
            problem = f"another answer than was recorded ({len(came)} bytes, recorded {len(recorded)})"
            report.problems.append(str(Mismatch(line, problem)))


def _data(entry: Frame | Bytes) -> bytes:
    return entry.data.encode() if isinstance(entry.data, str) else entry.data
