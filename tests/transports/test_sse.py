"""Answers as event streams: whole for a correct reader, and for the simplest one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec

from kaiwa.events.pieces import CallPiece, ErrorPiece, FinishPiece, TextPiece, UsagePiece
from kaiwa.transports.chat import Turn
from kaiwa.transports.sse import plain, typed
from kaiwa.upstream.sse import EventStreamParser

END = FinishPiece(reason="stop")


def answered(*texts: str) -> Turn:
    turn = Turn("turn_1")
    for text in texts:
        turn.add(TextPiece(text=text))
    turn.add(END)
    return turn


async def everything(stream: AsyncIterator[bytes]) -> list[bytes]:
    async with asyncio.timeout(20):
        return [written async for written in stream]


def data_of(stream: list[bytes]) -> list[str]:
    parser = EventStreamParser()
    return [data.decode() for written in stream for data in parser.feed(written)]


async def test_plain_text_comes_whole_and_ends_with_done() -> None:
    stream = await everything(plain(answered("Hello ", "world.\n", "東京", "です。"), pace_s=0))
    told = data_of(stream)
    assert told[-1] == "[DONE]"
    assert "".join(told[:-1]) == "Hello world.\n東京です。"


async def test_the_simplest_page_loses_only_line_ends_when_it_sees_one_event_a_read() -> None:
    stream = await everything(plain(answered("Hello", " my", " world.\n東京", " です。"), pace_s=0))
    shown = "".join(read.decode().split("data:")[1].strip() for read in stream)
    assert shown == "Hello my world.東京 です。[DONE]"


async def test_a_broken_answer_is_told_and_never_looks_complete() -> None:
    turn = Turn("turn_1")
    for piece in (TextPiece(text="途中"), ErrorPiece(code="upstream_cut_off", message="It broke off."), END):
        turn.add(piece)
    stream = await everything(plain(turn, pace_s=0))
    assert "途中" in "".join(data_of(stream))
    assert stream[-1].startswith(b"event: error\n")
    assert b"[DONE]" not in b"".join(stream)


async def test_a_typed_stream_names_and_numbers_every_piece() -> None:
    turn = Turn("turn_1")
    for piece in (
        TextPiece(text="一\n二"),
        CallPiece(call_id="call_1", name="find", arguments="{}"),
        UsagePiece(input_tokens=3, output_tokens=2, responses=1),
        END,
    ):
        turn.add(piece)
    stream = await everything(typed(turn))
    heads = [written.split(b"\ndata")[0].decode() for written in stream[:-1]]
    assert heads == [
        "id: turn_1:1\nevent: text",
        "id: turn_1:2\nevent: tool_call",
        "id: turn_1:3\nevent: usage",
        "id: turn_1:4\nevent: finish",
    ]
    assert msgspec.json.decode(data_of(stream)[0]) == {"type": "text", "text": "一\n二"}
    assert stream[-1] == b"data: [DONE]\n\n"


async def test_a_typed_stream_is_taken_up_behind_the_last_number() -> None:
    stream = await everything(typed(answered("一", "二", "三"), after=2))
    assert [msgspec.json.decode(data).get("text") for data in data_of(stream)[:-1]] == ["三", None]


async def test_who_fell_behind_what_is_kept_is_told() -> None:
    turn = Turn("turn_1")
    for _ in range(40):
        turn.add(TextPiece(text="長" * 4000))
    (told,) = await everything(typed(turn))
    assert b"stream_expired" in told
    (told,) = await everything(plain(turn))
    assert b"stream_expired" in told


async def test_silence_is_filled_with_signs_of_life_that_no_reader_shows() -> None:
    turn = Turn("turn_1")
    for stream, sign in (
        (typed(turn, heartbeat_s=0.001), b": waiting\n\n"),
        (plain(turn, heartbeat_s=0.001), b"data: \n\n"),
    ):
        assert await anext(stream) == sign
