"""One peer over several connections: what it was told is kept, so that it may come back and miss nothing.

Fits `kaiwa.interfaces.Transport`. Knows events, numbers and bounds; not who may come back, nor by which door.
A connection is a place in the log: it is told what comes after it, once and in order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from kaiwa.audio.formats import duration_ms
from kaiwa.events.client import ClientEvent, PeerLost, PeerReturned, Sounding
from kaiwa.events.config import PcmFormat
from kaiwa.events.items import Message
from kaiwa.events.own import SessionResumable, SessionResumed
from kaiwa.events.relay import PassedFrame
from kaiwa.events.server import AudioDelta, ItemRetrieved, ServerEvent
from kaiwa.interfaces import Transport
from kaiwa.protocol.realtime.calls import greeting_of, is_house_sound
from kaiwa.protocol.replay import Forgotten, ReplayLog
from kaiwa.session.relay.paced import sound_in

_UNHEARD_EVENTS: Final = 256
_LAST_WORDS_S: Final = 5.0
_NORMAL: Final = 1000
TAKEN_OVER: Final = 4009
_OWN_GREETINGS: Final = 8
_PLAYED: Final = 8
_SOUND: Final = "response.output_audio.delta"
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode
_EVENT_BYTES: Final = 400
# A dead connection is noticed only when its pings are not answered: up to 40 s with uvicorn's.
_NOTICED_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Keeping:
    """`grace_s`: how long a peer may be away. `log_bytes`: how much is kept for it."""

    token: str = field(repr=False)
    grace_s: float
    log_bytes: int


class ResumableTransport:
    """`serve` a connection, and another when that is lost; `give_up` ends the waiting.

    `note` sees every event of the session once; `changed` is told when the peer is lost or returns.
    """

    def __init__(
        self,
        keeping: Keeping,
        *,
        ids: Callable[[str], str],
        note: Callable[[ServerEvent], None] | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._keeping = keeping
        self._ids = ids
        self._note = note
        self._changed = changed
        self._log: ReplayLog[ServerEvent] = ReplayLog(keeping.log_bytes)
        self._session: ServerEvent | None = None
        # Of what peers say it holds `_UNHEARD_EVENTS`: then they are read no further.
        self._said: asyncio.Queue[ClientEvent | None] = asyncio.Queue()
        self._room = asyncio.Event()
        self._connection: _Connection | None = None
        self._awaiting_items: _Connection | None = None
        self._places: dict[str, int] = {}
        self._last_heard: str | None = None
        self._paced = False
        # Answers that were played to it: the session cuts them off a moment after the peer is lost.
        self._played: deque[str] = deque(maxlen=_PLAYED)
        self._cut_off = frozenset[str]()
        self._served = False
        self._closed: tuple[int, str] | None = None
        self._waiting: asyncio.TimerHandle | None = None
        self.lost_at: float | None = None
        """When the peer was lost, while it is away."""

    @property
    def log_bytes(self) -> int:
        """How much the log holds now."""
        return self._log.size_bytes

    @property
    def may_be_a_call(self) -> bool:
        """Whether the session's sound is what a call carries; it is not known before the session began."""
        return self._session is not None and is_house_sound(self._greeting())

    # --- towards the runner --------------------------------------------------------------------

    async def receive(self) -> AsyncIterator[ClientEvent]:
        while (event := await self._said.get()) is not None:
            self._room.set()
            yield event

    async def send(self, event: ServerEvent) -> None:
        if self._closed is not None:
            raise ConnectionError("the session is over")
        if self._note is not None:
            self._note(event)
        greeting = greeting_of(event, "") is not None
        first_greeting = greeting and self._session is None
        self._session = event if greeting else self._session
        if type(event) is SessionResumed:
            event = self._begin_retelling(event)
        if type(event) is AudioDelta and self._is_cut_off(event):
            return
        self._keep(event)
        connection = self._connection
        if connection is None or connection is self._awaiting_items:
            return
        connection.tell(event)
        if first_greeting:
            connection.tell(self._offer())
        while connection.waiting_bytes > self._keeping.log_bytes // 2 and self._connection is connection:
            await connection.some_taken()

    async def close(self, code: int, reason: str) -> None:
        self._closed = self._closed or (code, reason)
        self._stop_waiting()
        connection = self._connection
        if connection is not None:
            connection.dismiss(*self._closed)
            await connection.gone.wait()

    # --- towards the peer ----------------------------------------------------------------------

    async def serve(self, peer: Transport, *, last_event_id: str | None = None, paced: bool = False) -> None:
        """Let this connection carry the session until it is gone or another takes its place.

        `last_event_id`: what the peer was told last before it came back; None: it does not know.
        `paced`: the server plays the sound to it.
        """
        connection = _Connection(peer, as_told=_as_sound if paced else None)
        if self._closed is not None:
            connection.dismiss(*self._closed)
        else:
            self._begin(connection, last_event_id, paced)
        try:
            await connection.carry(self._heard)
        finally:
            self._lose(connection)
            connection.gone.set()

    def give_up(self) -> None:
        """End the session as if its peer had left for good."""
        self._stop_waiting()
        self._said.put_nowait(None)

    def dismiss(self, code: int = _NORMAL, reason: str = "") -> None:
        """The session is over: nobody can come back, and who is here goes after the last words."""
        self._closed = self._closed or (code, reason)
        self._stop_waiting()
        if self._connection is not None:
            self._connection.dismiss(*self._closed)

    def _begin(self, connection: _Connection, last_event_id: str | None, paced: bool) -> None:
        returns, self._served = self._served, True
        before, self._connection = self._connection, connection
        if self._paced:
            self._cut_off = frozenset(self._played)
        self._paced = paced
        if not returns:
            return
        self._stop_waiting()
        self.lost_at = None
        place = self._place(last_event_id)
        missed = () if place is None else [event for _, event in self._log.after(place)]
        if place is None:
            self._awaiting_items = connection
        else:
            self._replay(connection, place, missed)
        self._changed()
        if before is not None:  # taken over: the session learns that the old way is cut
            before.dismiss(TAKEN_OVER, "The session goes on in another connection.", at_once=True)
            self._said.put_nowait(PeerLost())
        sounds = _sounds(missed) if paced else ()
        self._said.put_nowait(PeerReturned(retell=place is None, paced=paced, sounds=sounds))

    def _place(self, event_id: str | None) -> int | None:
        """Return the number of the event with this id, if everything after it is kept."""
        if event_id is None:
            return None
        if (place := self._places.get(event_id)) is None:
            return self._log.newest(lambda event: event.event_id == event_id)
        try:
            self._log.after(place)
        except Forgotten:
            return None
        return place

    def _replay(self, connection: _Connection, place: int, missed: Sequence[ServerEvent]) -> None:
        resumed = SessionResumed(
            event_id=self._ids("event"),
            retold=False,
            replayed=len(missed),
            last_client_event_id=self._last_heard,
        )
        self._greet(connection, resumed, place)
        for event in missed:
            connection.tell(event)

    def _begin_retelling(self, event: SessionResumed) -> SessionResumed:
        """The session tells everything anew from here on; return how the peer is told of it."""
        event = SessionResumed(event_id=event.event_id, retold=True, last_client_event_id=self._last_heard)
        connection, self._awaiting_items = self._awaiting_items, None
        if connection is not None and connection is self._connection:
            self._greet(connection, None, self._log.last)
        return event

    def _greet(self, connection: _Connection, resumed: SessionResumed | None, place: int) -> None:
        """Tell the peer of the session as it is; whoever is lost again may name these events, too."""
        greeting = None if self._session is None else self._greeting()
        for event in (greeting, resumed):
            if event is not None:
                connection.tell(event)
                self._places[str(event.event_id)] = place
        while len(self._places) > _OWN_GREETINGS:
            del self._places[next(iter(self._places))]

    def _greeting(self) -> ServerEvent:
        greeting = None if self._session is None else greeting_of(self._session, self._ids("event"))
        assert greeting is not None, "what tells of a session can greet"
        return greeting

    def _offer(self) -> SessionResumable:
        event_id = self._ids("event")
        self._places[event_id] = self._log.last
        return SessionResumable(event_id=event_id, token=self._keeping.token, grace_s=self._keeping.grace_s)

    def _is_cut_off(self, sound: AudioDelta) -> bool:
        """Whether it belongs to an answer that was being played when the peer was lost: that is said anew."""
        if self._paced and sound.response_id not in self._played:
            self._played.append(sound.response_id)
        return sound.response_id in self._cut_off

    def _keep(self, event: ServerEvent) -> None:
        if self._paced and type(event) is AudioDelta:
            return  # of paced sound the session knows what was heard, and cuts off the rest
        now = asyncio.get_running_loop().time()
        self._log.forget_before(now - self._keeping.grace_s - _NOTICED_S)
        self._log.add(event, _size(event), now)

    async def _heard(self, connection: _Connection, event: ClientEvent) -> None:
        while self._said.qsize() >= _UNHEARD_EVENTS:
            self._room.clear()
            await self._room.wait()
        if connection is self._connection:
            self._last_heard = getattr(event, "event_id", None) or self._last_heard
            self._said.put_nowait(event)

    def _lose(self, connection: _Connection) -> None:
        """This connection ended; whether its peer said goodbye decides what becomes of the session."""
        connection.let_go()
        if connection is not self._connection:
            return
        self._connection = None
        if self._closed is not None:
            return
        if getattr(connection.peer, "left", False) or self._keeping.grace_s <= 0:
            self.give_up()
            return
        loop = asyncio.get_running_loop()
        self.lost_at = loop.time()
        self._waiting = loop.call_later(self._keeping.grace_s, self.give_up)
        self._said.put_nowait(PeerLost(silent_s=getattr(connection.peer, "silent_s", 0.0)))
        self._changed()

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


class _Connection:
    """One connection of the peer's while it carries the session. `as_told`: how it takes what it is told."""

    def __init__(self, peer: Transport, as_told: Callable[[ServerEvent], ServerEvent] | None = None) -> None:
        self.peer = peer
        self._as_told = as_told
        self.waiting_bytes = 0
        self.gone = asyncio.Event()
        self._waiting: deque[ServerEvent] = deque()
        self._news = asyncio.Event()
        self._taken = asyncio.Event()
        self._over = asyncio.Event()
        self._close: tuple[int, str] | None = None

    def tell(self, event: ServerEvent) -> None:
        if self._close is None:
            event = event if self._as_told is None else self._as_told(event)
            self._waiting.append(event)
            self.waiting_bytes += _size(event)
            self._news.set()

    def let_go(self) -> None:
        """Nobody waits for it any more."""
        self._taken.set()

    async def some_taken(self) -> None:
        self._taken.clear()
        await self._taken.wait()

    def dismiss(self, code: int, reason: str, *, at_once: bool = False) -> None:
        """Close it after what waits for it, or `at_once`."""
        self._close = self._close or (code, reason)
        if at_once:
            self._over.set()
        else:
            self._news.set()
            asyncio.get_running_loop().call_later(_LAST_WORDS_S, self._over.set)
        self._taken.set()

    async def carry(self, heard: _Hearing) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = group.create_task(self._read(heard)), group.create_task(self._write())
            await self._over.wait()
            for task in tasks:
                task.cancel()
        if self._close is not None:
            try:
                async with asyncio.timeout(_LAST_WORDS_S):
                    await self.peer.close(*self._close)
            except (ConnectionError, TimeoutError):
                return  # it was gone before it could be told

    async def _read(self, heard: _Hearing) -> None:
        async for event in self.peer.receive():
            await heard(self, event)
        self._over.set()

    async def _write(self) -> None:
        waiting = self._waiting
        try:
            while waiting or self._close is None:
                while waiting:
                    event = waiting.popleft()
                    await self.peer.send(event)
                    self.waiting_bytes -= _size(event)
                    self._taken.set()
                if self._close is None:
                    self._news.clear()
                    await self._news.wait()
        except ConnectionError:
            self._close = None
        self._over.set()


_Hearing = Callable[[_Connection, ClientEvent], Awaitable[None]]


def _as_sound(event: ServerEvent) -> ServerEvent:
    """Return the event as a call takes it: sound of a service as bytes."""
    if not (isinstance(event, PassedFrame) and event.type == _SOUND):
        return event
    body = _decode(event.frame or "{}") if event.body is None else event.body
    return sound_in(body) or event


def _sounds(missed: Sequence[ServerEvent]) -> tuple[Sounding, ...]:
    """Return what of which items sounds in these events."""
    played: dict[tuple[str, str], float] = {}
    for event in map(_as_sound, missed):
        if type(event) is AudioDelta:
            place = event.response_id, event.item_id
            played[place] = played.get(place, 0.0) + duration_ms(PcmFormat(), len(event.delta))
    return tuple(
        Sounding(response_id=response_id, item_id=item_id, audio_ms=audio_ms)
        for (response_id, item_id), audio_ms in played.items()
    )


def _size(event: ServerEvent) -> int:
    if type(event) is AudioDelta:
        return len(event.delta) + _EVENT_BYTES
    if isinstance(event, PassedFrame) and event.frame is not None:
        return len(event.frame)
    if type(event) is ItemRetrieved and isinstance(event.item, Message):
        sounds = (getattr(part, "audio", b"") for part in event.item.content)
        return sum(len(sound) for sound in sounds if isinstance(sound, bytes)) + _EVENT_BYTES
    return _EVENT_BYTES
