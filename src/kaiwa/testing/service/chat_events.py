"""The events of a chat completion as Azure and OpenAI write them: filters, roles, pieces, finish, usage, end.

Source: Azure OpenAI reference, "Content filtering" and "Content streaming"; OpenAI API reference. Knows
pieces and JSON; knows neither moments of the clock nor sockets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

import msgspec
from msgspec import UNSET

from kaiwa.protocol.chat.answers import (
    CallAnswered,
    ChatChunk,
    ChunkChoice,
    ChunkWriter,
    FinishReason,
    completion,
    usage_of,
)
from kaiwa.testing.service.chat_pieces import Cut, Piece
from kaiwa.testing.service.chat_playback import Told
from kaiwa.testing.service.chat_requests import Asked
from kaiwa.testing.service.flavours import Flavour

_SAFE: Final = {"filtered": False, "severity": "safe"}
SAFE: Final[dict[str, Any]] = dict.fromkeys(("hate", "self_harm", "sexual", "violence"), _SAFE)
PROMPT_SAFE: Final[dict[str, Any]] = SAFE | {"jailbreak": {"filtered": False, "detected": False}}
STRUCK: Final[dict[str, Any]] = SAFE | {"violence": {"filtered": True, "severity": "medium"}}
_PLACE: Final = "\0the words\0"
_JUDGED_EVERY: Final = 5
_DONE: Final = b"data: [DONE]\n\n"
_encoder: Final = msgspec.json.Encoder()


class ChatTelling:
    """One answer, in one flavour. `ids` makes identifiers; `created` is in seconds since 1970."""

    def __init__(
        self,
        asked: Asked,
        made: Cut,
        *,
        flavour: Flavour,
        model: str,
        answer_id: str,
        call_ids: list[str],
        created: int,
    ) -> None:
        self._asked, self._made, self._azure = asked, made, flavour == "azure"
        self._id, self._model, self._created, self._call_ids = answer_id, model, created, call_ids
        self._usage = usage_of(asked.read_tokens, len(made.pieces))
        self._writer = ChunkWriter(answer_id, model, created, usage=asked.usage, fingerprint="fp_stand_in")

    def whole(self) -> list[Told]:
        """The answer that is not streamed: one event, after all the pauses."""
        answer = completion(
            self._id,
            self._model,
            self._created,
            text=self._made.text,
            calls=calls_of(self._made.pieces, self._call_ids),
            finish=cast(FinishReason, self._made.finish),
            usage=self._usage,
        )
        if self._azure:
            judged = STRUCK if self._made.finish == "content_filter" else SAFE
            choice = msgspec.structs.replace(answer.choices[0], content_filter_results=judged)
            answer = msgspec.structs.replace(
                answer, choices=(choice,), prompt_filter_results=_prompt_results()
            )
        pause_s = sum(piece.pause_s for piece in self._made.pieces)
        return [Told("body", _encoder.encode(answer), pause_s, piece=True)]

    def streamed(self, *, asynchronous_filter: bool) -> Iterator[Told]:
        writer, judge = self._writer, self._azure and not asynchronous_filter
        if self._azure:
            yield _told("prompt_filter", _prompt_filter())
        yield _told("role", self._judged(writer.role(), {} if judge else None))
        told_characters = 0
        text = _TextFrame(self._judged(writer.text(_PLACE), SAFE if judge else None))
        for number, piece in enumerate(self._made.pieces, 1):
            data = text.around(piece.text) if piece.call is None else _event(self._call_chunk(piece, judge))
            yield Told("delta", data, piece.pause_s, piece=True)
            told_characters += len(piece.text) if piece.call is None else 0
            if self._azure and asynchronous_filter and number % _JUDGED_EVERY == 0:
                yield _told("filter", _verdict(told_characters, SAFE))
        if self._made.failure is not None:
            return
        if self._azure and asynchronous_filter:
            yield from self._last_verdict(told_characters)
        yield _told(
            "finish", self._judged(writer.finish(cast(FinishReason, self._made.finish)), self._end_result())
        )
        if self._asked.usage:
            yield _told("usage", writer.usage(self._usage))
        yield Told("done", _DONE)

    def _call_chunk(self, piece: Piece, judge: bool) -> ChatChunk:
        assert piece.call is not None, "words have a frame of their own"
        if piece.name is not None:
            chunk = self._writer.call(piece.call, self._call_ids[piece.call], piece.name)
        else:
            chunk = self._writer.arguments(piece.call, piece.text)
        return self._judged(chunk, {} if judge else None)

    def _judged(self, chunk: ChatChunk, results: dict[str, Any] | None) -> ChatChunk:
        if results is None:
            return chunk
        choice = msgspec.structs.replace(chunk.choices[0], content_filter_results=results)
        return msgspec.structs.replace(chunk, choices=(choice,))

    def _end_result(self) -> dict[str, Any] | None:
        if not self._azure:
            return None
        return STRUCK if self._made.finish == "content_filter" else {}

    def _last_verdict(self, characters: int) -> Iterator[Told]:
        struck = self._made.finish == "content_filter"
        yield _told("filter", _verdict(characters, STRUCK if struck else SAFE))


class _TextFrame:
    """A chunk of text that is written once: only its words differ from one to the next."""

    def __init__(self, chunk: ChatChunk) -> None:
        self._before, _, self._after = _event(chunk).partition(_encoder.encode(_PLACE))

    def around(self, words: str) -> bytes:
        return self._before + _encoder.encode(words) + self._after


def calls_of(pieces: list[Piece], call_ids: list[str]) -> tuple[CallAnswered, ...]:
    """Put the pieces of calls together; one without all of its pieces is left as it is."""
    names = {piece.call: piece.name for piece in pieces if piece.call is not None and piece.name}
    return tuple(
        CallAnswered(
            call_id=call_ids[index],
            name=name,
            arguments="".join(piece.text for piece in pieces if piece.call == index),
        )
        for index, name in names.items()
    )


def _prompt_results() -> list[Any]:
    return [{"prompt_index": 0, "content_filter_results": PROMPT_SAFE}]


def _prompt_filter() -> ChatChunk:
    return ChatChunk(
        id="", object="", created=0, model="", choices=(), prompt_filter_results=_prompt_results()
    )


def _verdict(characters: int, results: dict[str, Any]) -> ChatChunk:
    """The asynchronous filter's chunk: a judgement on text that was sent before, and no delta."""
    offsets = {"check_offset": characters, "start_offset": 0, "end_offset": characters}
    choice = ChunkChoice(content_filter_results=results, content_filter_offsets=offsets, logprobs=UNSET)
    return ChatChunk(id="", object="", created=0, model="", choices=(choice,))


def _told(name: str, chunk: ChatChunk) -> Told:
    return Told(name, _event(chunk))


def _event(chunk: ChatChunk) -> bytes:
    return b"data: " + _encoder.encode(chunk) + b"\n\n"
