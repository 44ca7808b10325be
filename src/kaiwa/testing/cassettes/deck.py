"""Which recorded exchange a new connection is, and what became of all of them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from kaiwa.protocol.cassette.matching import STRICT, Matching
from kaiwa.protocol.cassette.player import Player
from kaiwa.protocol.cassette.tape import Cassette, CassetteError, Exchange, read_cassette


def load_cassette(path: Path) -> Cassette:
    """Read a cassette from its file. Raises CassetteError."""
    try:
        with path.open("rb") as lines:
            return read_cassette(lines, path.name)
    except OSError as failure:
        raise CassetteError(f"{path} cannot be read: {failure.strerror}.") from failure


class Deck:
    """Hands out the exchanges of a cassette in their order, each once. `pace` None: virtual time."""

    def __init__(self, cassette: Cassette, rules: Matching = STRICT, pace: float | None = None) -> None:
        self.cassette = cassette
        self._rules = rules
        self._pace = pace
        self._unused = list(cassette.exchanges)
        self._players: list[tuple[Exchange, Player]] = []
        self.strangers: list[str] = []

    def take(self, door: str, method: str, target: str) -> tuple[Exchange, Player] | None:
        """Return the next exchange of this target and who plays its service; None: there is none."""
        for exchange in self._unused:
            opened = exchange.opened
            if (opened.door, opened.method) == (door, method) and same_target(opened.target, target):
                self._unused.remove(exchange)
                redacted = self.cassette.header.redacted
                player = Player(
                    exchange, plays="server", rules=self._rules, pace=self._pace, redacted=redacted
                )
                self._players.append((exchange, player))
                return exchange, player
        self.strangers.append(self._stranger(method, target))
        return None

    @property
    def over(self) -> bool:
        """Nothing more can be played, or something went otherwise than recorded."""
        if self.strangers or any(player.mismatch for _, player in self._players):
            return True
        return not self._unused and all(player.complete or player.left for _, player in self._players)

    def problems(self) -> list[str]:
        """Return what went otherwise than recorded, the first thing first; nothing: all was as recorded."""
        found = [str(player.mismatch) for _, player in self._players if player.mismatch]
        found += self.strangers
        found += [_unfinished(exchange) for exchange, player in self._players if not _done(player)]
        return found + [f"nobody asked for {_title(exchange)}" for exchange in self._unused]

    def _stranger(self, method: str, target: str) -> str:
        left = ", ".join(f"{one.opened.method} {one.opened.target}" for one in self._unused) or "nothing more"
        return f"{method} {target} was not recorded (or not so often); there is {left}"


def _done(player: Player) -> bool:
    return player.mismatch is not None or player.complete or player.left


def _unfinished(exchange: Exchange) -> str:
    return f"{_title(exchange)} was not finished"


def _title(exchange: Exchange) -> str:
    return f"line {exchange.line} of the cassette: {exchange.opened.method} {exchange.opened.target}"


def same_target(one: str, other: str) -> bool:
    """Tell whether two targets name the same: the order of a query does not count."""
    first, second = urlsplit(one), urlsplit(other)
    queries = [sorted(parse_qsl(parts.query, keep_blank_values=True)) for parts in (first, second)]
    return first.path == second.path and queries[0] == queries[1]
