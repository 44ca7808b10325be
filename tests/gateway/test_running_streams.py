"""What may be done with a stream that runs: stop it, come back to it, let it finish, keep it within limits."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest
from tests.gateway.raw_upstream import CUT, END, sized
from tests.gateway.relaying import (
    ANSWER,
    ASKED,
    DONE,
    FINISH,
    HELLO,
    USAGE,
    Way,
    event,
    relay,
    streamed,
    text,
)

from kaiwa.gateway.stream import Rules
from kaiwa.policy.amounts import Amount, Standing, Want
from kaiwa.policy.caller import Caller
from kaiwa.policy.holds import Hold, LimitReached
from kaiwa.policy.memory import MemoryLedger
from kaiwa.policy.running import FreeHold

ONE_BY_ONE = event(text("a")), event(text("b")), event(FINISH) + DONE


class Books(MemoryLedger):
    """The real books, and what they were told at the end of each request."""

    def __init__(self) -> None:
        super().__init__()
        self.settled: list[Amount | None] = []

    def reserve_now(self, caller: Caller, want: Want) -> Hold | LimitReached:
        outcome = super().reserve_now(caller, want)
        return outcome if isinstance(outcome, LimitReached) else _Watched(outcome, self.settled)


class _Watched(FreeHold):
    def __init__(self, hold: Hold, settled: list[Amount | None]) -> None:
        super().__init__()
        self._hold = hold
        self._settled = settled

    def settle(self, actual: Amount | None = None) -> None:
        self._settled.append(actual)
        self._hold.settle(actual)


async def test_a_stream_is_stopped_by_its_id(direct: Way):
    never = asyncio.Event()
    async with relay([streamed(event(text("a")), never)], direct=direct) as running:
        async with running.caller() as caller, running.caller() as other:
            await caller.ask("/v1/chat/completions", ASKED)
            _, headers = await caller.head()
            await caller.piece()
            name = headers["x-kaiwa-stream-id"]
            await other.ask(f"/api/streams/{name}", b"", method="DELETE")
            assert (await other.head())[0] == 204
            rest = await caller.piece()
            assert (
                json.loads(rest.partition(b"\n\n")[0].removeprefix(b"data: "))["error"]["code"] == "stopped"
            )
            async with asyncio.timeout(20):
                await running.upstreams[0].asked[0].gone.wait()
            await other.ask(f"/api/streams/{name}", b"", method="DELETE")
            assert (await other.answer()).status == 404
        assert await running.ended() == {"stopped": 1}


async def test_draining_lets_streams_finish_and_refuses_new_ones(direct: Way):
    go = asyncio.Event()
    async with relay([streamed(event(text("a")), go, event(FINISH) + DONE)], direct=direct) as running:
        async with running.caller() as caller:
            await caller.ask("/v1/chat/completions", ASKED)
            await caller.head()
            await caller.piece()
            draining = asyncio.create_task(running.gateway.drain())
            await asyncio.sleep(0)
            refused = await running.post()
            assert (refused.status, refused.json["error"]["code"]) == (503, "server_shutting_down")
            assert refused.headers["retry-after"] == "5"
            assert not draining.done()
            go.set()
            assert await caller.piece() == event(FINISH) + DONE
            async with asyncio.timeout(20):
                await draining
        assert await running.ended() == {"completed": 1}


async def test_what_does_not_finish_in_time_is_ended_with_an_error(direct: Way):
    rules = Rules(drain_s=0.05)
    script = streamed(event(text("a")), asyncio.Event())
    async with relay([script], direct=direct, rules=rules) as running, running.caller() as caller:
        await caller.ask("/v1/chat/completions", ASKED)
        await caller.head()
        await caller.piece()
        await running.gateway.drain()
        assert b'"shut_down"' in await caller.piece()
        assert await running.ended() == {"shut_down": 1}


async def test_events_have_no_ids_unless_the_client_asks(direct: Way):
    async with relay([ANSWER], direct=direct) as running:
        assert b"id: " not in (await running.post()).body
        answer = await running.post(x_kaiwa_resumable="1")
        name = answer.headers["x-kaiwa-stream-id"]
        lines = [line for line in answer.body.decode().split("\n") if line.startswith("id: ")]
        assert lines == [f"id: {name}:{number}" for number in range(1, len(lines) + 1)]
        assert [line for line in answer.body.split(b"\n") if line.startswith(b"data")] == [
            line for line in (HELLO + DONE).split(b"\n") if line.startswith(b"data")
        ]


@pytest.mark.parametrize("way", ["POST", "GET"])
async def test_a_stream_is_read_on_where_it_was_lost_without_a_second_request(direct: Way, way: str):
    go, books = asyncio.Event(), Books()
    script = [*streamed(ONE_BY_ONE[0], go, ONE_BY_ONE[1], ONE_BY_ONE[2]), END]
    async with relay([script], direct=direct, ledger=books) as running:
        async with running.caller() as caller:
            await caller.ask("/v1/chat/completions", ASKED, {"x-kaiwa-resumable": "true"})
            _, headers = await caller.head()
            name = headers["x-kaiwa-stream-id"]
            assert await caller.piece() == f"id: {name}:1\n".encode() + ONE_BY_ONE[0]
            caller.leave()
        go.set()
        await running.ended()
        path = "/v1/chat/completions" if way == "POST" else f"/api/streams/{name}"
        async with running.caller() as caller:
            await caller.ask(path, ASKED, {"last-event-id": f"{name}:1"}, method=way)
            answer = await caller.answer()
        assert answer.body == (
            f"id: {name}:2\n".encode() + ONE_BY_ONE[1] + f"id: {name}:3\n".encode() + event(FINISH)
            + f"id: {name}:4\n".encode() + DONE
        )  # fmt: skip
        assert (await running.ended(), len(running.upstreams[0].asked)) == ({"completed": 1}, 1)
        assert len(books.settled) == 1


async def test_a_client_may_come_back_while_the_stream_runs(direct: Way):
    go = asyncio.Event()
    script = [*streamed(ONE_BY_ONE[0], go, ONE_BY_ONE[1], ONE_BY_ONE[2]), END]
    async with relay([script], direct=direct) as running:
        async with running.caller() as caller:
            await caller.ask("/v1/chat/completions", ASKED, {"x-kaiwa-resumable": "1"})
            _, headers = await caller.head()
            name = headers["x-kaiwa-stream-id"]
            await caller.piece()
            caller.leave()
        async with running.caller() as caller:
            await caller.ask(f"/api/streams/{name}", b"", {"last-event-id": f"{name}:0"}, method="GET")
            await caller.head()
            assert await caller.piece() == f"id: {name}:1\n".encode() + ONE_BY_ONE[0]
            go.set()
            assert (await caller.piece()).startswith(f"id: {name}:2\n".encode())


async def test_nobody_coming_back_ends_the_stream_after_the_grace_time(direct: Way):
    rules = Rules(grace_s=0.05)
    script = streamed(ONE_BY_ONE[0], asyncio.Event())
    async with relay([script], direct=direct, rules=rules) as running:
        async with running.caller() as caller:
            await caller.ask("/v1/chat/completions", ASKED, {"x-kaiwa-resumable": "1"})
            name = (await caller.head())[1]["x-kaiwa-stream-id"]
            caller.leave()
        assert await running.ended() == {"client_left": 1}
        async with asyncio.timeout(20):
            await running.upstreams[0].asked[0].gone.wait()
        assert (await running.post(last_event_id=f"{name}:1")).status == 404


async def test_a_stream_of_nobody_or_from_nowhere_cannot_be_read_on(direct: Way):
    async with relay([ANSWER], direct=direct) as running:
        name = (await running.post(x_kaiwa_resumable="1")).headers["x-kaiwa-stream-id"]
        assert (await running.post(last_event_id=f"{name}:99")).status == 404
        assert (await running.post(last_event_id="str_none:1")).status == 404
        assert len(running.upstreams[0].asked) == 1


async def test_usage_is_settled_as_told_and_estimated_for_a_stream_that_was_left(direct: Way):
    books = Books()
    told = [*streamed(event(text("a"), FINISH), event(USAGE), DONE), END]
    left = streamed(event(*(text("b") for _ in range(20))), asyncio.Event())
    async with relay([told, left], direct=direct, ledger=books) as running:
        await running.post()
        assert books.settled == [Amount(requests=1, tokens=12)]
        async with running.caller() as caller:
            await caller.ask("/v1/chat/completions", ASKED)
            await caller.head()
            await caller.piece()
            caller.leave()
        await running.ended(2)
        size = len(json.dumps(ASKED))
        assert books.settled[1] == Amount(requests=1, tokens=size // 4 + 20)


async def test_a_request_that_nobody_answered_costs_no_tokens(direct: Way):
    books = Books()
    async with relay([[CUT]], direct=direct, ledger=books) as running:
        await running.post()
        assert books.settled == [Amount(requests=1)]


class Spent(MemoryLedger):
    """Books in which a stream may use so many tokens, and then no more."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.tokens = tokens

    def reserve_now(self, caller: Caller, want: Want) -> Hold | LimitReached:
        return _Bounded(self)


class _Bounded(FreeHold):
    standing: tuple[Standing, ...] = ()

    def __init__(self, books: Spent) -> None:
        super().__init__()
        self._books = books

    def spend(self, used: Amount) -> bool:
        self._books.tokens -= used.tokens
        return self._books.tokens >= 0


async def test_a_limit_that_is_reached_inside_a_stream_ends_it_well_formed(direct: Way):
    pieces = [event(*(text(str(number)) for number in range(16))) for _ in range(20)]
    async with relay([[*streamed(*pieces), asyncio.Event()]], direct=direct, ledger=Spent(100)) as running:
        answer = await running.post()
        assert answer.whole
        assert b'"code":"rate_limit_exceeded"' in answer.body
        assert b"[DONE]" not in answer.body
        assert await running.ended() == {"limit_reached": 1}
        async with asyncio.timeout(20):
            await running.upstreams[0].asked[0].gone.wait()


WHOLE = (
    b'{"id":"x","choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":3,"completion_tokens":4}}'
)


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/openai/v1/chat/completions", "/v1/chat/completions"),
        ("/openai/deployments/m/chat/completions?api-version=2024-10-21", "/v1/chat/completions"),
        ("/v1/embeddings", "/v1/embeddings"),
        ("/openai/deployments/m/embeddings?api-version=2024-10-21", "/v1/embeddings"),
        ("/openai/v1/responses", "/v1/responses"),
    ],
)
async def test_an_answer_in_one_piece_passes_as_it_is(path: str, there: str):
    books = Books()
    first = sized(WHOLE, "200 OK", "x-ratelimit-remaining-tokens: 5", "set-cookie: a=b")
    async with relay([[first]], ledger=books) as running:
        answer = await running.post({"model": "m", "messages": []}, path)
        assert (answer.status, answer.body) == (200, WHOLE)
        assert answer.headers["x-ratelimit-remaining-tokens"] == "5"
        assert "set-cookie" not in answer.headers
        assert running.upstreams[0].asked[0].first_line == f"POST {there} HTTP/1.1"
        assert books.settled == [Amount(requests=1, tokens=7)]


@pytest.mark.parametrize("first", [[CUT], [sized(b"{}", "500 No")], [sized(WHOLE)[:-9], CUT]])
async def test_an_answer_in_one_piece_is_asked_for_elsewhere_too(direct: Way, first):
    async with relay([first], [[sized(WHOLE)]], direct=direct) as running:
        assert (await running.post({"model": "m", "messages": []})).body == WHOLE


async def test_leaving_an_answer_in_one_piece_ends_it_at_the_service(direct: Way):
    async with relay([[asyncio.Event()]], direct=direct) as running, running.caller() as caller:
        await caller.ask("/v1/chat/completions", {"model": "m"})
        asked = await running.upstreams[0].request()
        caller.leave()
        async with asyncio.timeout(20):
            await asked.gone.wait()
        assert await running.ended() == {"client_left": 1}


async def test_bodies_beyond_their_bounds_are_refused(direct: Way):
    rules = Rules(most_body_bytes=50)
    async with relay([[sized(WHOLE)]], direct=direct, rules=rules, most_bytes=200) as running:
        answer = await running.post({"model": "m"})
        assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_unavailable")


async def test_a_deployment_hears_its_own_name_of_the_model():
    async with relay([[sized(WHOLE)]], models={"m": "theirs"}) as running:
        await running.post({"model": "m", "temperature": 0.5})
        assert json.loads(running.upstreams[0].asked[0].body) == {"model": "theirs", "temperature": 0.5}
        unknown = await running.post({"model": "other"})
        assert (unknown.status, unknown.json["error"]["code"]) == (404, "model_not_found")


async def test_a_stream_of_responses_is_relayed_and_ends_with_its_own_word(direct: Way):
    def said(kind: str, **given) -> bytes:
        return f"event: {kind}\n".encode() + event({"type": kind, **given})

    body = said("response.created", response={}) + said("response.output_text.delta", delta="a")
    done = said("response.completed", response={"usage": {"input_tokens": 1, "output_tokens": 2}})
    scripts = [[*streamed(body, done), END], streamed(body, CUT)]
    async with relay(scripts, direct=direct) as running:
        asked = {"model": "m", "stream": True, "input": "hi"}
        assert (await running.post(asked, "/v1/responses")).body == body + done
        assert "stream_options" not in json.loads(running.upstreams[0].asked[0].body)
        broken = (await running.post(asked, "/v1/responses")).body
        assert broken.startswith(body + b'event: error\ndata: {"type":"error","code":"upstream_cut_off"')
        assert Counter(await running.ended(2)) == {"completed": 1, "upstream_cut_off": 1}


async def test_keys_and_cookies_of_a_client_do_not_reach_the_service():
    async with relay([ANSWER]) as running:
        await running.post(authorization="Bearer own", cookie="a=b", api_key="own", openai_beta="x=1")
        headers = running.upstreams[0].asked[0].headers
        assert (headers["authorization"], headers["openai-beta"]) == ("Bearer secret", "x=1")
        assert not {"cookie", "api-key"} & headers.keys()
