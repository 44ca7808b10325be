"""One client of a hub: its protocol machine, the transport it has at the moment, and its life from hello to
end.

Knows the machine and a `Link`; how links carry bytes is the doors' affair, what methods do is `calls`'.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from kaiwa.hub.calls import Calls
from kaiwa.hub.identity import Asking, Identity
from kaiwa.hub.letting_in import greet, say_goodbye
from kaiwa.hub.link import Link
from kaiwa.protocol.signalr.connection import ServerConnection
from kaiwa.protocol.signalr.encoding import Outgoing
from kaiwa.protocol.signalr.happenings import (
    TOO_SLOW,
    Called,
    Cancelled,
    ClientAnswered,
    Ended,
    HandshakeDone,
    Happening,
    UploadEnded,
    UploadItem,
)
from kaiwa.protocol.signalr.messages import Protocol as ProtocolName

if TYPE_CHECKING:
    from kaiwa.hub.switchboard import Switchboard

EARLY_BYTES: Final = 64 * 1024
"""What may come by POST before there is a transport (trap T5: signalrcore shakes hands first)."""
LIKED_BYTES: Final = 64 * 1024
"""Streams wait when more than this is to be written (rule S-46)."""


class Connection:
    __slots__ = (
        "_calls",
        "_early",
        "_items",
        "_ready",
        "asking",
        "deadline",
        "dirty",
        "greeted",
        "greeting",
        "groups",
        "held",
        "id",
        "identity",
        "link",
        "machine",
        "over",
        "paused",
        "posting",
        "protocol",
        "spoke",
        "stateful",
        "straight",
        "switchboard",
        "tick",
        "token",
        "word",
    )

    def __init__(
        self,
        switchboard: Switchboard,
        connection_id: str,
        token: str,
        asking: Asking,
        identity: Identity,
        stateful: bool,
    ) -> None:
        self.switchboard = switchboard
        self.id = connection_id
        self.token = token
        self.asking = asking
        self.identity = identity
        self.stateful = stateful
        self.protocol: ProtocolName = "json"
        self.groups: set[str] | None = None
        self.link: Link | None = None
        self.machine: ServerConnection | None = None
        self.greeting: asyncio.Task[None] | None = None
        self.greeted = False
        self.deadline: float | None = None
        """When to give up waiting for a transport, or for somebody to read the last words."""
        self.over = False
        self.held = False
        """The answer to the handshake waits: who has it may count on what is sent from then on."""
        self.tick = 0
        self.dirty = False
        self.straight: Callable[[bytes], None] | None = None
        """Takes a frame past the machine, as long as the connection is not `dirty`."""
        self.spoke = 0.0
        """When a frame last went past the machine, which has to know before it pings."""
        self.paused = False
        self.posting: asyncio.Lock | None = None
        """POSTs of one client are read one after the other (trap T7)."""
        self._items: dict[str, Any] | None = None
        self._calls: Calls | None = None
        self._early: list[bytes] = []
        self._ready: asyncio.Event | None = None
        self.word: asyncio.Event | None = None
        """While a resumable client is waited for to say its first word."""

    @property
    def user_id(self) -> str | None:
        return self.identity.user_id

    def renew(self, identity: Identity) -> None:
        """The same caller brought a newer token."""
        self.identity = identity

    @property
    def transport(self) -> str:
        return self.link.name if self.link is not None else ""

    @property
    def items(self) -> dict[str, Any]:
        if self._items is None:
            self._items = {}
        return self._items

    @property
    def calls(self) -> Calls:
        if self._calls is None:
            self._calls = Calls(self)
        return self._calls

    def cancel_calls(self) -> list[asyncio.Task[None]]:
        """Return the tasks of its calls, which are ending now."""
        return [] if self._calls is None else self._calls.cancel_all()

    # Transports come and go.

    def attach(self, link: Link) -> None:
        """Carry on over this link; the one before is dropped."""
        now, before = self.switchboard.now(), self.link
        self.link, self.deadline, self.paused = link, None, False
        if self.machine is None:
            self.machine = ServerConnection(
                self.switchboard.limits,
                now,
                binary=link.binary,
                pings=link.pings,
                stateful=self.stateful,
            )
        elif self.machine.resumable:
            self.machine.transport_attached(now)
        if before is not None:
            before.abort()
        early, self._early = self._early, []
        for piece in early:
            self.machine.receive_bytes(piece, now)
        self.settle(now)
        expires = self._expires_at()
        if expires is not None:
            self.switchboard.wheel.watch(self, expires)

    def lost(self, link: Link, error: str | None = None) -> None:
        """A link has gone without a goodbye."""
        if link is not self.link or self.machine is None:
            return
        now = self.switchboard.now()
        self.link = None
        link.resume()
        self.machine.transport_lost(now, error)
        self.settle(now)

    def keep_until(self, deadline: float) -> None:
        self.deadline = deadline
        self.switchboard.wheel.watch(self, deadline)

    # What comes from the client.

    def receive(self, data: bytes) -> None:
        if self.machine is None:
            self._early.append(data)
            return
        now = self.switchboard.now()
        self.machine.receive_bytes(data, now)
        if self.word is not None:
            self.word.set()
        self.settle(now)

    async def receive_gently(self, data: bytes) -> bool:
        """Take a piece of a POST's body when there is room for it; return False when nobody will."""
        if self.machine is None and sum(map(len, self._early)) + len(data) > EARLY_BYTES:
            return False
        while self.paused and not self.over and self.link is not None:
            await self.link.readable()
        if not self.over:
            self.receive(data)
        return not self.over

    # What goes to the client.

    def send(self, message: Outgoing, now: float) -> None:
        """Queue a message. Raises TypeError for one that cannot be encoded."""
        machine = self.machine
        if self.straight is not None and not self.dirty:
            self.straight(message.encoded(self.protocol).frame)
            self.spoke = now
        elif machine is not None:
            machine.send(message, now)
            self._wake_later()

    def send_item(self, call: int, item: Any) -> None:
        assert self.machine is not None
        now = self.switchboard.now()
        self.machine.send_item(call, item, now)
        self._wake_later()

    def finish(self, call: int, *, result: Any = UNSET, error: str | None = None) -> None:
        """End a call. Raises TypeError when its result cannot be encoded."""
        assert self.machine is not None
        now = self.switchboard.now()
        self.machine.finish(call, now, result=result, error=error)
        self.settle(now)

    def upload_taken(self, call: int, stream_id: str) -> None:
        assert self.machine is not None
        now = self.switchboard.now()
        self.machine.item_taken(call, stream_id, now)
        self.settle(now)

    def ask(self, invocation_id: str, target: str, arguments: list[Any]) -> asyncio.Future[ClientAnswered]:
        """Return what `ClientAnswered` will bring. Raises TypeError for what cannot be encoded."""
        assert self.machine is not None
        now = self.switchboard.now()
        self.machine.invoke_client(invocation_id, target, arguments, now)
        answer = asyncio.get_running_loop().create_future()
        self.calls.asked[invocation_id] = answer
        self.settle(now)
        return answer

    async def writable(self) -> None:
        """Wait until the client takes what is sent, or has gone."""
        while self._is_behind():
            if self._ready is None:
                self._ready = asyncio.Event()
            self._ready.clear()
            await self._ready.wait()

    @property
    def awaited(self) -> bool:
        """Somebody waits until the client takes more."""
        return self._ready is not None

    def drained(self) -> None:
        """The link took what was written: there may be more to say, and somebody who waits to say it."""
        machine = self.machine
        if machine is not None and machine.has_output:
            self._wake_later()
        if self._ready is not None and not self._is_behind():
            self._ready.set()

    def _is_behind(self) -> bool:
        machine = self.machine
        if machine is None or machine.ended:
            return False
        if not machine.may_send or machine.waiting_bytes >= LIKED_BYTES:
            return True
        return self.link is not None and self.link.congested

    def close(self, error: str | None = None, allow_reconnect: bool = False) -> None:
        if self.machine is None:
            self.switchboard.forget(self)
            return
        now = self.switchboard.now()
        self.machine.close(now, error=error, allow_reconnect=allow_reconnect)
        self.settle(now)

    def abort(self) -> None:
        self.close()

    # After every change of the machine.

    def settle(self, now: float) -> None:
        """Act on what happened, mind the time, let the link write and read."""
        machine = self.machine
        assert machine is not None
        while happenings := machine.happenings():
            for happening in happenings:
                self._act(happening)
        if not self.over:
            timer = machine.next_timer()
            if timer is not None:
                self.switchboard.wheel.watch(self, timer)
        if machine.lined_up:
            self.switchboard.gathering.expect()
        if machine.has_output:
            self._wake_later()
        if self._ready is not None and not self._is_behind():
            self._ready.set()
        self._mind_reading()
        self.mind_writing()

    def _wake_later(self) -> None:
        if not self.dirty:
            self.switchboard.gathering.add(self)

    def _mind_reading(self) -> None:
        machine, link = self.machine, self.link
        if machine is None or link is None:
            return
        wanted = machine.wants_input or self.over or self.word is not None
        if wanted != self.paused:
            return
        self.paused = not wanted
        if self.paused:
            link.pause()
        else:
            link.resume()

    def mind_writing(self) -> None:
        machine, link = self.machine, self.link
        plain = machine is not None and machine.keeps_nothing
        self.straight = link.straight if plain and link is not None else None

    def _act(self, happening: Happening) -> None:
        match happening:
            case Called():
                self.switchboard.counts.called += 1
                self.calls.start(happening)
            case Cancelled():
                self.calls.cancel(happening)
            case UploadItem() | UploadEnded():
                self.calls.feed(happening)
            case ClientAnswered():
                self.calls.answered(happening)
            case HandshakeDone():
                self.protocol = happening.protocol
                self._hold()
                self.greeting = self.switchboard.spawn(greet(self))
            case Ended():
                self._end(happening)

    def _hold(self) -> None:
        """Write nothing until other processes know of this client. A resumable one is let in later anyway."""
        assert self.machine is not None
        if not self.machine.resumable:
            self.held = self.dirty = True  # so nothing goes past the machine, and nobody is woken for it

    def let_go(self) -> None:
        if self.held:
            self.held = self.dirty = False
            self._wake_later()

    def _end(self, ended: Ended) -> None:
        link, self.over = self.link, True
        self.let_go()
        self.switchboard.wheel.forget(self)
        if self._ready is not None:
            self._ready.set()
        if ended.cause == TOO_SLOW:
            self.switchboard.counts.too_slow += 1
        if link is not None and ended.cause == TOO_SLOW:
            link.abort()
        elif link is not None:
            self._wake_later()
        if link is None or not link.lingers:
            self.switchboard.forget(self)
        self.switchboard.spawn(say_goodbye(self, ended.error))

    # Time.

    def due(self, now: float) -> float | None:
        """Called by the wheel."""
        if self.deadline is not None and now >= self.deadline:
            self.deadline = None
            self._give_up()
        machine = self.machine
        if machine is None or self.over:
            return self.deadline
        expires = self._expires_at()
        if expires is not None and now >= expires:
            self.close("The caller's token has expired.")
            return None
        machine.wrote(self.spoke)
        timer = machine.next_timer()
        if timer is not None and timer <= now:
            machine.handle_timer(now)
            self.settle(now)
            timer = machine.next_timer()
        check = self.link.check(now) if self.link is not None else None
        return min((at for at in (timer, check, self.deadline, expires) if at is not None), default=None)

    def _give_up(self) -> None:
        """Nobody came, or nobody came back."""
        if self.machine is None or self.over:
            self.switchboard.forget(self)
        elif self.link is not None:
            self.link.abort()

    def _expires_at(self) -> float | None:
        ends = self.identity.expires_at
        if ends is None or not self.switchboard.options.close_at_expiry:
            return None
        return self.switchboard.now() + ends - self.switchboard.wall_time()
