"""An answer as a stream of server-sent events, in two styles. Knows pieces and bytes; knows no HTTP.

Plain: text only, one line an event and one event a read, as the simplest pages expect; ends with `[DONE]`.
Typed: every piece as an event of its kind with a number, for readers that parse; a broken stream can be
taken up again behind the last number.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import Final

import msgspec

from kaiwa.events.pieces import ErrorPiece, FinishPiece, NoticePiece, Piece, TextPiece
from kaiwa.protocol.replay import Forgotten
from kaiwa.protocol.sse import PlainPieces, comment, event
from kaiwa.transports.chat import Turn

DONE: Final = event("[DONE]")
HEARTBEAT_S: Final = 15.0
_LAGGED: Final = ErrorPiece(
    code="stream_expired", message="What follows is no longer kept. Ask for the conversation again."
)


async def typed(turn: Turn, after: int = 0, *, heartbeat_s: float = HEARTBEAT_S) -> AsyncGenerator[bytes]:
    """Yield the answer's events behind a number, with a comment in every silence of `heartbeat_s`."""
    seen = after
    while True:
        if not await _more(turn, seen, heartbeat_s):
            yield comment("waiting")
            continue
        try:
            fresh = turn.log.after(seen)
        except Forgotten:
            yield _typed_event(_LAGGED, None)
            return
        for seen, piece in fresh:
            yield _typed_event(piece, f"{turn.id}:{seen}")
            if isinstance(piece, FinishPiece):
                yield DONE
                return


async def plain(
    turn: Turn, *, pace_s: float = 0.01, heartbeat_s: float = HEARTBEAT_S
) -> AsyncGenerator[bytes]:
    """Yield the answer's text. Signs of life are empty events: the simplest pages break on a comment.

    `pace_s` keeps events apart, so that each arrives alone: such pages see one event a read. An answer that
    broke ends with an error event and no `[DONE]`.
    """
    cut, seen = PlainPieces(), 0
    while True:
        if not await _more(turn, seen, heartbeat_s):
            yield event("")
            continue
        try:
            fresh = turn.log.after(seen)
        except Forgotten:
            yield _plain_error(_LAGGED)
            return
        seen = fresh[-1][0]
        for written, last in _written(cut, [piece for _, piece in fresh]):
            yield written
            if last:
                return
            await asyncio.sleep(pace_s)


def _written(cut: PlainPieces, pieces: list[Piece]) -> Iterator[tuple[bytes, bool]]:
    """Yield events, and whether each is the last of the stream."""
    text = "".join(map(_text_of, pieces))
    for words in cut.feed(text):
        yield event(words), False
    ended = isinstance(pieces[-1], FinishPiece)
    error = next((piece for piece in pieces if isinstance(piece, ErrorPiece)), None)
    if not ended and error is None:
        return
    for words in cut.flush():
        yield event(words), False
    yield (DONE, True) if error is None else (_plain_error(error), True)


async def _more(turn: Turn, seen: int, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await turn.more(seen)
    except TimeoutError:
        return False
    return True


def _typed_event(piece: Piece, number: str | None) -> bytes:
    return event(msgspec.json.encode(piece).decode(), name=_name(piece), number=number)


def _plain_error(piece: ErrorPiece) -> bytes:
    body = {"error": {"code": piece.code, "message": piece.message}}
    return event(msgspec.json.encode(body).decode(), name="error")


def _text_of(piece: Piece) -> str:
    match piece:
        case TextPiece():
            return piece.text
        case NoticePiece():
            return f"\n{piece.message}"
        case _:
            return ""


def _name(piece: Piece) -> str:
    return str(piece.__struct_config__.tag)
