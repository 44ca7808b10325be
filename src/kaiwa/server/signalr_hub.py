"""The hub `chat` of this house, and an answer as the words that its clients are told.

Knows pieces and hubs; nothing of HTTP. Words are put together as they come: all there is, then what is new.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Final

from kaiwa.events.pieces import ErrorPiece, FinishPiece, NoticePiece, Piece, TextPiece
from kaiwa.hub import Backplane, HubException, HubOptions
from kaiwa.hub.azure.service.hubs import ServedHub
from kaiwa.hub.azure.service.upstream import Upstream
from kaiwa.policy.caller import ANYBODY
from kaiwa.protocol.replay import Forgotten
from kaiwa.server.chats import Chats
from kaiwa.server.cluster.crossing import Refused
from kaiwa.server.cluster.directory import is_from_here
from kaiwa.server.forwarding import Unreachable
from kaiwa.transports.chat import Turn

OWNER: Final = "kaiwa.owner"
"""The claim of a client's token that says whose answers it may join."""
DONE: Final = "\n\n✅ 完了"
STOPPED: Final = "\n\n⏹ 中断しました"
_NO_ANSWER: Final = "No answer with this id runs or is kept."
BROKEN: Final = "\n\n⚠️ "
_BEHIND: Final = f"{BROKEN}What follows is no longer kept."


class ChatHub(ServedHub):
    """What a page may call besides what it is sent: `join`."""

    def __init__(
        self,
        name: str,
        options: HubOptions,
        upstream: Upstream,
        chats: Callable[[], Chats],
        backplane: Backplane | None = None,
        elsewhere: Callable[[str, str], AsyncGenerator[str]] | None = None,
    ) -> None:
        """`elsewhere`: the words of an answer that another process makes, for its owner."""
        super().__init__(name, options, upstream, backplane)
        self._chats = chats
        self._elsewhere = elsewhere

    async def join(self, stream_id: str) -> AsyncIterator[str]:
        """Stream an answer: its words so far at once, then each as it comes, up to the end."""
        chats, owner = self._chats(), str(self.context.claims.get(OWNER, ANYBODY.id))
        answering = chats.find(stream_id, owner)
        if answering is None:
            if self._elsewhere is None or is_from_here(stream_id):
                raise HubException(_NO_ANSWER)
            async with aclosing(self._elsewhere(stream_id, owner)) as words:
                async for said in _or_none(words):
                    yield said
            return
        with chats.reading(answering):
            async with aclosing(words_of(answering.turn)) as words:
                async for said in words:
                    yield said


async def _or_none(words: AsyncGenerator[str]) -> AsyncGenerator[str]:
    """Yield another process' words. Raises HubException where there are none."""
    try:
        async for said in words:
            yield said
    except (Unreachable, Refused):
        raise HubException(_NO_ANSWER) from None


async def words_of(turn: Turn, pace_s: float = 0) -> AsyncGenerator[str]:
    """Yield an answer's words, the mark at its end included; in lumps of `pace_s` where each one costs."""
    seen = 0
    while True:
        await turn.more(seen)
        if pace_s:
            await asyncio.sleep(pace_s)
        try:
            fresh = turn.log.after(seen)
        except Forgotten:
            yield _BEHIND
            return
        seen = fresh[-1][0]
        said = "".join(_words(piece) for _, piece in fresh)
        if said:
            yield said
        if turn.finished is not None and seen == turn.log.last:
            return


def _words(piece: Piece) -> str:
    match piece:
        case TextPiece():
            return piece.text
        case NoticePiece():
            return f"\n\n{piece.message}"
        case ErrorPiece():
            return f"{BROKEN}{piece.message}"
        case FinishPiece(reason="cancelled"):
            return STOPPED
        case FinishPiece(reason="error"):
            return ""  # its error was told
        case FinishPiece():
            return DONE
        case _:
            return ""
