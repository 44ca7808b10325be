"""A peer that asks in text and reads the answers: behind streams of server-sent events and behind hubs.

One transport is one conversation; any number of readers may follow each of its turns, from any piece on.
Knows pieces; does not know how they are written down.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from kaiwa.events.client import ClientEvent
from kaiwa.events.items import ClientItem
from kaiwa.events.pieces import CallPiece, ErrorPiece, FinishPiece, NoticePiece, Piece, ResultPiece, TextPiece
from kaiwa.events.server import ServerEvent
from kaiwa.protocol.replay import ReplayLog
from kaiwa.transports.asking import Asking, Said

MOST_UNANSWERED: Final = 8
_GONE: Final = "conversation_over", "The conversation is over."
_ENDED_BY_HOUSE: Final = "server_shutting_down", "The server is shutting down. Another one may answer."
_GOING_AWAY: Final = 1001


class Busy(Exception):
    """Too many questions wait for their answers."""


class Turn:
    """One question's answer as it comes: its pieces are numbered from 1, the last is a FinishPiece."""

    def __init__(self, turn_id: str) -> None:
        self.id = turn_id
        self.log: ReplayLog[Piece] = ReplayLog()
        self.finished: FinishPiece | None = None
        self._news = asyncio.Event()
        self._ended = asyncio.Event()

    def add(self, piece: Piece) -> None:
        self.log.add(piece, _size(piece))
        if isinstance(piece, FinishPiece):
            self.finished = piece
            self._ended.set()
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def end(self) -> None:
        """Wait until the answer is over."""
        await self._ended.wait()

    async def more(self, seen: int) -> None:
        """Wait until there is something after this number. May be cancelled at any time."""
        while self.log.last <= seen:
            await self._news.wait()

    async def read(self, after: int = 0) -> AsyncIterator[tuple[int, Piece]]:
        """Yield what comes after this number, until the end.

        Raises Forgotten when the reader fell behind what is kept.
        """
        seen = after
        while True:
            await self.more(seen)
            fresh = self.log.after(seen)
            for seen, piece in fresh:
                yield seen, piece
                if isinstance(piece, FinishPiece):
                    return


class ChatTransport:
    """Fits `kaiwa.interfaces.Transport`. `ask` a question, read its Turn; `leave` ends the conversation."""

    def __init__(self, ids: Callable[[str], str], note: Callable[[ServerEvent], None] | None = None) -> None:
        """`note` sees every event of the session, for those who count."""
        self._ids = ids
        self._note = note
        self._asking = Asking()
        self._turns: dict[str, Turn] = {}
        # Bounded by MOST_UNANSWERED questions, whose size whoever asks has checked.
        self._said: asyncio.Queue[ClientEvent | None] = asyncio.Queue()
        self._over = False

    @property
    def unanswered(self) -> int:
        return self._asking.unanswered

    @property
    def over(self) -> bool:
        return self._over

    def ask(self, items: Sequence[ClientItem], notice: NoticePiece | None = None) -> Turn:
        """Put a question: items for the conversation, and a response; behind it a notice, if there is one.

        Raises Busy when too many wait, ConnectionError when the conversation is over.
        """
        if self._over:
            raise ConnectionError("the conversation is over")
        if self._asking.unanswered >= MOST_UNANSWERED:
            raise Busy
        turn = Turn(self._ids("turn"))
        self._turns[turn.id] = turn
        self._carry_out(self._asking.ask(turn.id, items, notice))
        return turn

    def cancel(self, turn: Turn, why: ErrorPiece | None = None) -> None:
        """Stop this answer, and say why if somebody reads it. Nothing happens when it is over."""
        self._carry_out(self._asking.cancel(turn.id, why))

    def leave(self) -> None:
        """End the conversation: what runs of it is stopped."""
        if not self._over:
            self._over = True
            self._carry_out(self._asking.end(*_GONE))
            self._said.put_nowait(None)

    async def receive(self) -> AsyncIterator[ClientEvent]:
        while (event := await self._said.get()) is not None:
            yield event

    async def send(self, event: ServerEvent) -> None:
        if self._over:
            raise ConnectionError("the peer has left")
        if self._note is not None:
            self._note(event)
        self._carry_out(self._asking.hear(event))

    async def close(self, code: int, reason: str) -> None:
        if code == _GOING_AWAY and not self._over:
            self._carry_out(self._asking.end(*_ENDED_BY_HOUSE))
        self.leave()

    def _carry_out(self, said: Said) -> None:
        for event in said.events:
            self._said.put_nowait(event)
        for turn_id, piece in said.pieces:
            turn = self._turns[turn_id]
            turn.add(piece)
            if turn.finished is not None:
                del self._turns[turn_id]


def _size(piece: Piece) -> int:
    match piece:
        case TextPiece():
            return len(piece.text) * 3
        case CallPiece():
            return (len(piece.name) + len(piece.arguments)) * 3
        case ResultPiece():
            return len(piece.output) * 3
        case _:
            return 0
