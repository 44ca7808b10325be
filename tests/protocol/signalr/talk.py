"""A client and a server of the hub protocol that talk in virtual time, with a place to plant breakages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kaiwa.protocol.signalr.client import ClientConnection
from kaiwa.protocol.signalr.connection import ServerConnection
from kaiwa.protocol.signalr.happenings import Called, Ended, HandshakeDone, Happening
from kaiwa.protocol.signalr.limits import Limits
from kaiwa.protocol.signalr.messages import Close, HubMessage, Protocol


class Breakage:
    """Changes nothing; the makers below say what they break."""

    def frame(self, data: bytes) -> bytes:
        """Change what the server writes."""
        return data

    def piece(self, data: bytes) -> bytes:
        """Change what the client writes."""
        return data

    def said(self, message: HubMessage) -> list[HubMessage]:
        """Change what the client heard of the server."""
        return [message]

    def happened(self, happening: Happening) -> list[Happening]:
        """Change what the machine told its host."""
        return [happening]

    def limits(self, limits: Limits) -> Limits:
        return limits

    def server(self, server: ServerConnection) -> None:
        """Change the machine at its birth."""


class Talk:
    """One hub connection. `exchange` carries bytes both ways until nobody has anything to say."""

    def __init__(
        self,
        protocol: Protocol,
        planted: Breakage | None = None,
        *,
        limits: Limits | None = None,
        stateful: bool = False,
        binary: bool = True,
        pings: bool = True,
    ) -> None:
        self.breakage = planted or Breakage()
        self.now = 0.0
        self.limits = self.breakage.limits(limits or Limits())
        self.client = ClientConnection(protocol, stateful=stateful)
        self.server = ServerConnection(self.limits, 0.0, binary=binary, pings=pings, stateful=stateful)
        self.breakage.server(self.server)
        self.connected = True
        self._happened: list[Happening] = []
        self._heard: list[HubMessage] = []

    def open(self) -> Talk:
        self.client.shake_hands()
        self.exchange()
        assert self.client.response is not None and self.client.response.error is None
        assert [type(one) for one in self.happened()] == [HandshakeDone]
        self.server.opened(self.now)
        return self

    def exchange(self) -> None:
        while self.connected:
            up = self.client.take_payload()
            if up:
                self.server.receive_bytes(self.breakage.piece(up), self.now)
            down = self.server.take_payload()
            if down:
                self.client.receive_bytes(self.breakage.frame(down), self.now)
            if not up and not down:
                break
        self._collect()

    def wait(self, seconds: float) -> None:
        """Let virtual time pass; both sides' timers ring when they are due."""
        until = self.now + seconds
        while (due := self._next_timer()) is not None and due <= until:
            self.now = max(self.now, due)
            self.server.handle_timer(self.now)
            self.client.handle_timer(self.now)
            self.exchange()
        self.now = until

    def cut(self) -> None:
        """Lose the transport with what is on its way."""
        self.connected = False
        self.server.transport_lost(self.now)
        self.client.transport_lost()
        self._collect()

    def reattach(self) -> None:
        self.connected = True
        self.server.transport_attached(self.now)
        self.client.transport_attached()
        self.exchange()

    def happened(self) -> list[Happening]:
        """Drain what the machine told its host."""
        self.exchange()
        drained, self._happened = self._happened, []
        return drained

    def heard(self) -> list[HubMessage]:
        """Drain what the client heard."""
        self.exchange()
        drained, self._heard = self._heard, []
        return drained

    def started(self) -> list[Called]:
        """Drain the calls the host is to start; nothing else may have happened."""
        happened = self.happened()
        assert all(isinstance(one, Called) for one in happened), happened
        return [one for one in happened if isinstance(one, Called)]

    def ended(self) -> Ended:
        """Drain; the connection must have ended, once, and last."""
        happened = self.happened()
        assert happened, "the host was told nothing"
        assert [one for one in happened if isinstance(one, Ended)] == happened[-1:], happened
        last = happened[-1]
        assert isinstance(last, Ended) and self.server.ended
        return last

    def goodbye(self) -> Close:
        """Drain what the client heard; it must be one Close."""
        (close,) = exactly(1, self.heard())
        assert isinstance(close, Close)
        return close

    def _next_timer(self) -> float | None:
        client = self.client.next_timer() if self.connected else None
        due = [at for at in (self.server.next_timer(), client) if at is not None]
        return min(due, default=None)

    def _collect(self) -> None:
        for one in self.server.happenings():
            self._happened += self.breakage.happened(one)
        for message in self.client.heard():
            self._heard += self.breakage.said(message)


def exactly(count: int, items: list[Any]) -> list[Any]:
    """Hold the number of items, so that a missing one is a failed assertion."""
    assert len(items) == count, items
    return items


def breakage(**changes: Callable[..., Any]) -> Callable[[], Breakage]:
    """Make a maker: each keyword names a method of Breakage and what stands in its place."""

    def make() -> Breakage:
        made = Breakage()
        for name, change in changes.items():
            assert hasattr(Breakage, name), f"Breakage has no {name}"
            setattr(made, name, change)
        return made

    return make


def unsaid(kind: type) -> Callable[[], Breakage]:
    """Swallow the server's messages of a kind."""
    return breakage(said=lambda message: [] if isinstance(message, kind) else [message])


def said_twice(kind: type) -> Callable[[], Breakage]:
    return breakage(said=lambda message: [message] * (2 if isinstance(message, kind) else 1))


def missed(kind: type) -> Callable[[], Breakage]:
    """Keep happenings of a kind from the host."""
    return breakage(happened=lambda one: [] if isinstance(one, kind) else [one])


def limited(**fields: Any) -> Callable[[], Breakage]:
    """Give the machine other limits than the test asks for."""
    return breakage(
        limits=lambda limits: Limits(
            **{name: getattr(limits, name) for name in Limits.__struct_fields__} | fields
        )
    )


def without(method: str) -> Callable[[], Breakage]:
    """Make a method of the machine do nothing."""
    return breakage(server=lambda server: setattr(server, method, lambda *args, **named: None))
