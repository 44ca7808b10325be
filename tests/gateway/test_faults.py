"""Everything that may go wrong on either side of a stream, and the one right answer to each."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.gateway.raw_upstream import CLOSE, CUT, END, HEAD, chunk, sized
from tests.gateway.relaying import (
    ANSWER,
    ASKED,
    DONE,
    FILTERED,
    FINISH,
    HELLO,
    ROLE,
    USAGE,
    Way,
    event,
    relay,
    streamed,
    text,
)

from kaiwa.gateway.stream import Rules
from kaiwa.upstream.http1.client import Limits
from kaiwa.upstream.pool.hedging import HedgeRules

FAILED = sized(b'{"error":{"message":"m","code":"internal_error"}}', "500 Internal Server Error")
NEVER = asyncio.Event


def limited(*lines: str) -> list[bytes]:
    return [sized(b'{"error":{"message":"words of Azure","code":"429"}}', "429 Too Many Requests", *lines)]


async def test_a_stream_passes_byte_for_byte(direct: Way):
    habits = event(FILTERED, ROLE, text("a"), text("b"), FINISH, USAGE)
    script = streamed(habits[:50], habits[50:90], habits[90:] + DONE)
    async with relay([[*script, END]], direct=direct) as running:
        answer = await running.post()
        assert (answer.status, answer.whole) == (200, True)
        assert answer.body == habits + DONE
        assert answer.headers["content-type"] == "text/event-stream"
        assert "first;dur=" in answer.headers["server-timing"]
        assert await running.ended() == {"completed": 1}
        asked = running.upstreams[0].asked[0]
        assert asked.first_line == "POST /v1/chat/completions HTTP/1.1"
        assert asked.headers["authorization"] == "Bearer secret"
        assert json.loads(asked.body) == ASKED


async def test_connections_of_both_sides_serve_one_stream_after_another(direct: Way):
    async with relay([ANSWER], direct=direct) as running, running.caller() as caller:
        for _ in range(3):
            await caller.ask("/v1/chat/completions", ASKED)
            assert (await caller.answer()).body == HELLO + DONE
        await running.ended(3)
        assert running.upstreams[0].connections == 1


@pytest.mark.parametrize("began", [True, False], ids=["in mid-stream", "before the first token"])
async def test_the_service_is_left_at_once_when_the_client_leaves(direct: Way, began: bool):
    never = asyncio.Event()
    script = streamed(event(text("a")), never) if began else [never]
    async with relay([script], direct=direct) as running, running.caller() as caller:
        await caller.ask("/v1/chat/completions", ASKED)
        asked = await running.upstreams[0].request()
        if began:
            await caller.head()
            assert await caller.piece() == event(text("a"))
        caller.leave()
        async with asyncio.timeout(20):
            await asked.gone.wait()
        assert await running.ended() == {"client_left": 1}


@pytest.mark.parametrize("end", [CUT, CLOSE], ids=["reset", "closed"])
async def test_an_answer_that_breaks_off_never_looks_whole(direct: Way, end: str):
    half = event(text("b"))[:20]
    async with relay([streamed(event(text("a")), half, end)], direct=direct) as running:
        answer = await running.post()
        events = answer.body.split(b"\n\n")
        assert answer.whole  # the HTTP of it ends properly
        assert events[0] == event(text("a")).strip()
        assert json.loads(events[1].removeprefix(b"data: "))["error"]["code"] == "upstream_cut_off"
        assert events[2].startswith(b": reason=upstream_cut_off")
        assert b"[DONE]" not in answer.body
        assert await running.ended() == {"upstream_cut_off": 1}


async def test_a_proper_end_without_done_or_finish_is_an_answer_broken_off(direct: Way):
    async with relay([[*streamed(event(text("a"))), END]], direct=direct) as running:
        answer = await running.post()
        assert b'"upstream_cut_off"' in answer.body
        assert await running.ended() == {"upstream_cut_off": 1}


async def test_a_proper_end_in_mid_stream_is_an_answer_broken_off_too(direct: Way):
    go = asyncio.Event()
    script = [*streamed(event(text("a")), go), END]
    async with relay([script], direct=direct) as running, running.caller() as caller:
        await caller.ask("/v1/chat/completions", ASKED)
        await caller.head()
        assert await caller.piece() == event(text("a"))
        go.set()
        assert b'"upstream_cut_off"' in await caller.piece()
        assert await running.ended() == {"upstream_cut_off": 1}


async def test_a_missing_done_is_left_missing(direct: Way):
    async with relay([[*streamed(event(text("a"), FINISH)), END]], direct=direct) as running:
        answer = await running.post()
        assert (answer.body, answer.whole) == (event(text("a"), FINISH), True)
        assert await running.ended() == {"completed": 1}


async def test_a_stream_without_chunks_is_relayed_too(direct: Way):
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    async with relay([[head + HELLO, DONE, CLOSE]], direct=direct) as running:
        assert (await running.post()).body == HELLO + DONE


@pytest.mark.parametrize(
    "first",
    [
        [FAILED],
        [sized(b"{}", "503 Unavailable")],
        limited("retry-after: 7"),
        [CUT],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"],
        streamed(event(ROLE), CUT),
        streamed(event(FILTERED, ROLE, {"error": {"code": "server_error"}})),
        [*streamed(event(ROLE)), END],
    ],
    ids=["500", "503", "429", "reset", "garbled head", "cut before content", "error inside 200", "empty"],
)
async def test_another_deployment_is_asked_before_the_first_token(direct: Way, first):
    async with relay([first], [ANSWER], direct=direct) as running:
        answer = await running.post()
        assert answer.body == HELLO + DONE
        assert 'attempts;desc="2"' in answer.headers["server-timing"]
        assert await running.ended() == {"completed": 1}


async def test_silence_before_the_first_token_has_another_deployment_asked(direct: Way):
    limits = Limits(first_byte_s=0.3)  # it holds for the second one too
    async with relay([[NEVER()]], [ANSWER], direct=direct, limits=limits) as running:
        assert (await running.post()).body == HELLO + DONE
    rules = Rules(first_token_s=0.3)
    async with relay([streamed(event(ROLE), NEVER())], [ANSWER], direct=direct, rules=rules) as running:
        assert (await running.post()).body == HELLO + DONE


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        (("retry-after: 7",), 7),
        (("retry-after-ms: 2500",), 3),
        (("retry-after: 86400",), 86400),
    ],
)
async def test_when_all_are_at_their_limit_the_soonest_retry_is_told(direct: Way, lines, seconds):
    async with relay([limited(*lines)], [limited("retry-after: 90000")], direct=direct) as running:
        answer = await running.post()
        assert answer.status == 429
        assert seconds - 1 <= int(answer.headers["retry-after"]) <= seconds
        again = await running.post()  # nobody is asked while all rest
        assert (again.status, len(running.upstreams[0].asked)) == (429, 1)
        assert again.json["error"]["code"] == "rate_limit_exceeded"
        assert seconds - 2 <= int(again.headers["retry-after"]) <= seconds


async def test_a_retry_by_http_date_is_understood(direct: Way):
    from email.utils import formatdate
    from time import time

    date = formatdate(time() + 30, usegmt=True)
    async with relay([limited(f"retry-after: {date}")], direct=direct) as running:
        assert 28 <= int((await running.post()).headers["retry-after"]) <= 31


async def test_the_request_at_fault_is_refused_in_the_service_s_own_words(direct: Way):
    words = b'{"error":{"message":"filtered","code":"content_filter","innererror":{"a":1}}}'
    async with relay([[sized(words, "400 Bad Request")]], [ANSWER], direct=direct) as running:
        answer = await running.post()
        assert (answer.status, answer.body) == (400, words)
        assert running.upstreams[1].asked == []
        assert await running.ended() == {"refused": 1}


async def test_a_failure_of_all_is_told_in_the_service_s_own_words(direct: Way):
    async with relay([[FAILED]], [[FAILED]], direct=direct) as running:
        answer = await running.post()
        assert (answer.status, answer.json["error"]["code"]) == (500, "internal_error")
    async with relay([[CUT]], direct=direct) as running:
        answer = await running.post()
        assert (answer.status, answer.json["error"]["code"]) == (503, "upstream_unavailable")


async def test_an_error_inside_the_stream_passes_and_ends_it(direct: Way):
    error = event({"error": {"code": "server_error", "message": "m"}})
    async with relay([streamed(event(text("a")), error, NEVER())], direct=direct) as running:
        answer = await running.post()
        assert answer.body.startswith(event(text("a")) + error)
        assert answer.whole
        assert await running.ended() == {"upstream_error": 1}


async def test_a_content_filter_s_finish_is_a_finish(direct: Way):
    filtered = {"choices": [{"index": 0, "delta": {}, "finish_reason": "content_filter", "x": {"hate": {}}}]}
    body = event(ROLE, filtered) + DONE
    async with relay([[*streamed(body), END]], direct=direct) as running:
        assert (await running.post()).body == body
        assert await running.ended() == {"completed": 1}


async def test_heartbeats_are_sent_while_a_first_token_is_waited_for(direct: Way):
    go = asyncio.Event()
    rules = Rules(heartbeat_s=0.03)
    script = streamed(event(ROLE), go, event(text("a"), FINISH) + DONE)
    async with relay([[*script, END]], direct=direct, rules=rules) as running, running.caller() as caller:
        await caller.ask("/v1/chat/completions", ASKED)
        assert (await caller.head())[0] == 200
        assert await caller.piece() == b": waiting\n\n"
        assert await caller.piece() == b": waiting\n\n"
        go.set()
        rest = b""
        while piece := await caller.piece():
            rest += piece
        assert rest.replace(b": waiting\n\n", b"") == event(ROLE, text("a"), FINISH) + DONE


async def test_heartbeats_do_not_hide_a_service_that_fell_silent(direct: Way):
    rules, limits = Rules(heartbeat_s=0.02), Limits(idle_s=0.5)
    script = streamed(event(text("a")), NEVER())
    async with relay([script], direct=direct, rules=rules, limits=limits) as running:
        answer = await running.post()
        assert b": waiting\n\n" in answer.body
        assert b'"upstream_timeout"' in answer.body
        assert await running.ended() == {"upstream_timeout": 1}


async def test_a_refusal_after_heartbeats_comes_as_an_event(direct: Way):
    go, rules = asyncio.Event(), Rules(heartbeat_s=0.02)
    async with relay([[go, FAILED]], direct=direct, rules=rules) as running, running.caller() as caller:
        await caller.ask("/v1/chat/completions", ASKED)
        await caller.head()
        assert await caller.piece() == b": waiting\n\n"
        go.set()
        rest = b""
        while piece := await caller.piece():
            rest += piece
        assert rest.replace(b": waiting\n\n", b"").startswith(b'data: {"error":{"message":"m"')
        assert await running.ended() == {"refused": 1}


async def test_a_client_that_reads_slowly_stops_the_service_and_loses_nothing(direct: Way):
    event_bytes = event(text("x" * 60_000))
    script = [HEAD, *(chunk(event_bytes) for _ in range(200)), chunk(event(FINISH) + DONE), END]
    async with relay([script], direct=direct) as running, running.caller() as caller:
        caller.reader._limit = 1024  # type: ignore[attr-defined]
        await caller.ask("/v1/chat/completions", ASKED)
        await caller.head()
        (stream,) = running.gateway.streams._running.values()
        full = 0.0
        async with asyncio.timeout(20):
            while stream._stall is None or stream._stall.when() != full:  # the buffers of the system fill
                full = 0.0 if stream._stall is None else stream._stall.when()
                await asyncio.sleep(0.3)
        assert stream._attempt is not None
        watcher = stream._attempt.watcher
        seen = watcher.events
        await asyncio.sleep(0.1)
        assert watcher.events == seen < 200
        caller.reader._limit = 2**22  # type: ignore[attr-defined]
        body = b""
        while piece := await caller.piece():
            body += piece
        assert body == event_bytes * 200 + event(FINISH) + DONE
        assert await running.ended() == {"completed": 1}


async def test_a_client_that_does_not_read_at_all_is_given_up(direct: Way):
    rules = Rules(stalled_s=0.1, heartbeat_s=30)
    script = [HEAD, *(chunk(event(text("x" * 60_000))) for _ in range(400)), NEVER()]
    async with relay([script], direct=direct, rules=rules) as running, running.caller() as caller:
        caller.reader._limit = 1024  # type: ignore[attr-defined]
        await caller.ask("/v1/chat/completions", ASKED)
        assert await running.ended() == {"client_stalled": 1}
        async with asyncio.timeout(20):
            await running.upstreams[0].asked[0].gone.wait()
        caller.leave()


async def test_the_reason_comes_as_a_trailer_to_whoever_takes_trailers():
    async with relay([ANSWER]) as running:
        answer = await running.post(te="trailers")
        assert answer.trailers == {"x-kaiwa-reason": "completed"}
    async with relay([streamed(event(text("a")), CUT)]) as running:
        assert (await running.post(te="trailers")).trailers == {"x-kaiwa-reason": "upstream_cut_off"}


async def test_usage_that_the_client_did_not_ask_for_is_counted_and_not_shown(direct: Way):
    body = event(text("a"), FINISH)
    async with relay([[*streamed(body, event(USAGE), DONE), END]], direct=direct) as running:
        answer = await running.post({"model": "m", "stream": True, "messages": []})
        assert answer.body == body + DONE
        assert json.loads(running.upstreams[0].asked[0].body)["stream_options"] == {"include_usage": True}


async def test_a_slow_deployment_is_raced_and_the_loser_ends(direct: Way):
    hedging = HedgeRules(after_s=0.03, share=1.0)
    async with relay([[NEVER()]], [ANSWER], direct=direct, hedging=hedging) as running:
        assert (await running.post()).body == HELLO + DONE
        async with asyncio.timeout(20):
            await running.upstreams[0].asked[0].gone.wait()
        assert await running.ended() == {"completed": 1}
        assert running.gateway.pool.leases == 0


async def test_the_first_of_two_that_fails_leaves_the_answer_to_the_other(direct: Way):
    go, hedging = asyncio.Event(), HedgeRules(after_s=0.03, share=1.0)
    async with relay([[go, FAILED]], [[go, *ANSWER]], direct=direct, hedging=hedging) as running:
        asking = asyncio.create_task(running.post())
        await running.upstreams[1].request()
        go.set()
        assert (await asking).body == HELLO + DONE
        assert running.gateway.pool.leases == 0


async def test_leaving_a_race_ends_both_runners(direct: Way):
    hedging = HedgeRules(after_s=0.03, share=1.0)
    async with relay([[NEVER()]], [[NEVER()]], direct=direct, hedging=hedging) as running:
        async with running.caller() as caller:
            await caller.ask("/v1/chat/completions", ASKED)
            both = [await upstream.request() for upstream in running.upstreams]
            caller.leave()
            async with asyncio.timeout(20):
                for asked in both:
                    await asked.gone.wait()
        assert await running.ended() == {"client_left": 1}
        assert running.gateway.pool.leases == 0
