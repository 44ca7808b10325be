"""The HTTP/1.1 client over real sockets: kept connections, cut ones, back-pressure, TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop
from tests.gateway.raw_upstream import CLOSE, CUT, END, HEAD, RawUpstream, chunk, raw_upstream, sized

from kaiwa.errors import UpstreamError
from kaiwa.server.certificates import self_signed
from kaiwa.upstream.http1.client import Exchange, HttpClient, Limits
from kaiwa.upstream.http1.heads import Origin, Request
from kaiwa.upstream.http1.tls import client_context

HELLO = sized(b"hello")


def request_to(upstream: RawUpstream, scheme: str = "http") -> Request:
    origin = Origin(scheme, "127.0.0.1", upstream.port)  # type: ignore[arg-type]
    return Request(origin, "/v1/chat/completions", "service.test", [("api-key", "k")], b'{"a":1}')


@asynccontextmanager
async def http_client(limits: Limits | None = None, **given) -> AsyncIterator[HttpClient]:
    client = HttpClient(limits, **given)
    try:
        yield client
    finally:
        await client.close()


class Taken:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.data = b""
        self.over = asyncio.Event()
        self.came = asyncio.Event()
        self.error: UpstreamError | None = None

    def body(self, data: bytes) -> None:
        self.data += data
        self.came.set()

    def ended(self) -> None:
        self.over.set()

    def broken(self, error: UpstreamError) -> None:
        self.error = error
        self.over.set()


async def taken(exchange: Exchange) -> Taken:
    sink = Taken()
    exchange.deliver(sink)
    async with asyncio.timeout(20):
        await sink.over.wait()
    return sink


async def test_connections_are_kept_and_used_again():
    async with (
        raw_upstream([HELLO], [HEAD, chunk(b"he"), chunk(b"llo"), END]) as upstream,
        http_client() as client,
    ):
        for _ in range(3):
            assert await (await client.send(request_to(upstream))).read(100) == b"hello"
        assert (upstream.connections, client.counts) == (1, (1, 1))
        asked = upstream.asked[0]
        assert asked.first_line == "POST /v1/chat/completions HTTP/1.1"
        assert (asked.headers["host"], asked.headers["accept-encoding"]) == ("service.test", "identity")
        assert asked.body == b'{"a":1}'


async def test_a_kept_connection_that_died_before_any_byte_is_replaced():
    async with raw_upstream([HELLO], [CUT], [CLOSE], [HELLO]) as upstream, http_client() as client:
        assert await (await client.send(request_to(upstream))).read(100) == b"hello"
        with pytest.raises(UpstreamError) as refused:  # the second is a new one: its death counts
            await client.send(request_to(upstream))
        assert (refused.value.code, refused.value.retryable) == ("upstream_unreachable", True)
        assert upstream.connections == 2
        upstream.scripts = [[HELLO]]
        assert await (await client.send(request_to(upstream))).read(100) == b"hello"


async def test_an_answer_that_began_is_not_asked_for_again():
    async with raw_upstream([HELLO], [b"HTTP/1.1 2", CUT]) as upstream, http_client() as client:
        await (await client.send(request_to(upstream))).read(100)
        with pytest.raises(UpstreamError) as refused:
            await client.send(request_to(upstream))
        assert refused.value.code == "upstream_cut_off"
        assert len(upstream.asked) == 2


async def test_bytes_that_nobody_asked_for_end_a_kept_connection():
    async with raw_upstream([HELLO + b"HTTP/1.1 200 OK\r\n"], [HELLO]) as upstream, http_client() as client:
        assert await (await client.send(request_to(upstream))).read(100) == b"hello"
        assert client.counts == (0, 0)
        assert await (await client.send(request_to(upstream))).read(100) == b"hello"
        assert upstream.connections == 2


async def test_no_more_connections_are_kept_than_the_bound_says():
    limits = Limits(kept_per_origin=2)
    async with raw_upstream([HELLO]) as upstream, http_client(limits) as client:
        exchanges = [await client.send(request_to(upstream)) for _ in range(4)]
        for exchange in exchanges:
            await exchange.read(100)
        assert client.counts == (2, 2)


async def test_a_kept_connection_ends_when_it_was_idle_for_long():
    limits = Limits(kept_s=0.02)
    async with raw_upstream([HELLO]) as upstream, http_client(limits) as client:
        await (await client.send(request_to(upstream))).read(100)
        async with asyncio.timeout(20):
            await upstream.left.wait()
        assert client.counts == (0, 0)


async def test_a_kept_connection_that_the_service_closes_is_kept_no_longer():
    async with raw_upstream([HELLO, CLOSE]) as upstream, http_client() as client:
        await (await client.send(request_to(upstream))).read(100)
        async with asyncio.timeout(20):
            await upstream.left.wait()
            while client.counts != (0, 0):  # noqa: ASYNC110 the transport tells nobody else
                await asyncio.sleep(0)


async def test_too_many_connections_are_refused():
    async with raw_upstream([HELLO]) as upstream, http_client(Limits(most_open=1)) as client:
        await client.send(request_to(upstream))
        with pytest.raises(UpstreamError) as refused:
            await client.send(request_to(upstream))
        assert (refused.value.code, refused.value.retryable) == ("upstream_busy", True)


async def test_closing_an_exchange_in_mid_body_closes_the_socket_at_once():
    never = asyncio.Event()
    async with raw_upstream([HEAD, chunk(b"one"), never]) as upstream, http_client() as client:
        exchange = await client.send(request_to(upstream))
        sink = Taken()
        exchange.deliver(sink)
        async with asyncio.timeout(20):
            await sink.came.wait()
            exchange.close()
            await (await upstream.request()).gone.wait()
        assert client.counts == (0, 0)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ([HEAD, chunk(b"one"), CUT], "upstream_cut_off"),
        ([HEAD, chunk(b"one"), CLOSE], "upstream_cut_off"),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\none", CLOSE], "upstream_cut_off"),
    ],
)
async def test_a_body_that_breaks_off_is_told_with_what_came(script, code):
    async with raw_upstream(script) as upstream, http_client() as client:
        sink = await taken(await client.send(request_to(upstream)))
        assert sink.error is not None
        assert (sink.data, sink.error.code) == (b"one", code)
        assert client.counts == (0, 0)


async def test_a_body_may_end_with_its_connection():
    async with raw_upstream([b"HTTP/1.1 200 OK\r\n\r\none", CLOSE]) as upstream, http_client() as client:
        sink = await taken(await client.send(request_to(upstream)))
        assert (sink.data, sink.error) == (b"one", None)


@pytest.mark.parametrize(
    "head", [b"x" * 70_000, b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000, b"HTTP/1.1 101 Up\r\n\r\n"]
)
async def test_a_head_without_end_or_of_another_protocol_is_refused(head):
    async with raw_upstream([head]) as upstream, http_client() as client:
        with pytest.raises(UpstreamError) as refused:
            await client.send(request_to(upstream))
        assert refused.value.code == "upstream_garbled"
        assert client.counts == (0, 0)


async def test_interim_answers_are_skipped():
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n"
    async with raw_upstream([interim + HELLO]) as upstream, http_client() as client:
        assert await (await client.send(request_to(upstream))).read(100) == b"hello"


async def test_silence_before_the_head_and_inside_the_body_ends_in_a_time_out():
    never = asyncio.Event()
    limits = Limits(first_byte_s=0.05, idle_s=0.05)
    async with raw_upstream([never], [HEAD, chunk(b"one"), never]) as upstream, http_client(limits) as client:
        with pytest.raises(UpstreamError) as late:
            await client.send(request_to(upstream))
        assert late.value.code == "upstream_timeout"
        sink = await taken(await client.send(request_to(upstream)))
        assert sink.error is not None
        assert (sink.data, sink.error.code) == (b"one", "upstream_timeout")


class StandsStill(Taken):
    """Keeps the whole process from going on when the first bytes come, while the service says the rest."""

    def __init__(self, service: socket.socket, rest: bytes, seconds: float) -> None:
        super().__init__()
        self._service, self._rest, self._seconds = service, rest, seconds

    def body(self, data: bytes) -> None:
        if not self.data:
            self._service.send(self._rest)
            time.sleep(self._seconds)
        super().body(data)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_process_that_stood_still_reads_what_came_before_it_calls_a_service_silent(run):
    async def answered(listening: socket.socket) -> bytes:
        loop, origin = asyncio.get_running_loop(), Origin("http", *listening.getsockname())
        async with http_client(Limits(idle_s=0.1)) as client, asyncio.timeout(20):
            asking = asyncio.ensure_future(client.send(Request(origin, "/", "service.test")))
            service, _ = await loop.sock_accept(listening)
            with service:
                await loop.sock_recv(service, 65536)
                await loop.sock_sendall(service, HEAD)
                sink = StandsStill(service, chunk(b"llo") + END, 0.3)
                (await asking).deliver(sink)
                await loop.sock_sendall(service, chunk(b"he"))
                await sink.over.wait()
        assert sink.error is None
        return sink.data

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        assert run(answered(listening)) == b"hello"


async def test_a_body_over_the_bound_is_not_read():
    async with raw_upstream([sized(b"x" * 200)]) as upstream, http_client() as client:
        with pytest.raises(UpstreamError) as refused:
            await (await client.send(request_to(upstream))).read(100)
        assert refused.value.code == "upstream_too_large"


async def test_nobody_listening_is_told_without_the_address():
    async with raw_upstream([HELLO]) as upstream:
        nowhere = request_to(upstream)
    async with http_client() as client:
        with pytest.raises(UpstreamError) as refused:
            await client.send(nowhere)
        assert refused.value.code == "upstream_unreachable"
        assert "127.0.0.1" not in str(refused.value)
        assert "127.0.0.1" not in repr(nowhere)


async def test_a_paused_body_is_not_read_and_its_wait_is_no_silence():
    body = b"x" * 8_000_000
    async with raw_upstream([sized(body)]) as upstream, http_client(Limits(idle_s=0.05)) as client:
        exchange, sink = await client.send(request_to(upstream)), Taken()
        exchange.deliver(sink)
        exchange.pause()
        await asyncio.sleep(0.2)  # longer than the patience with silence
        held = len(sink.data)
        await asyncio.sleep(0.05)
        assert len(sink.data) == held < len(body)
        exchange.resume()
        async with asyncio.timeout(20):
            await sink.over.wait()
        assert (len(sink.data), sink.error) == (len(body), None)


def test_small_pieces_are_sent_at_once_under_both_loops():
    async def nodelay() -> int:
        async with raw_upstream([HELLO]) as upstream, http_client() as client:
            await (await client.send(request_to(upstream))).read(100)
            (connection,) = client._open
            return connection._transport.get_extra_info("socket").getsockopt(  # type: ignore[union-attr]
                socket.IPPROTO_TCP, socket.TCP_NODELAY
            )

    assert asyncio.run(nodelay()) != 0
    assert uvloop.run(nodelay()) != 0


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_tls_checks_the_certificate_and_takes_up_sessions(run, tmp_path: Path):
    certificate = self_signed(tmp_path, "127.0.0.1")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate.chain, certificate.key)

    async def talk() -> list[bool | None]:
        trusting, reused = client_context(), []
        trusting.load_verify_locations(certificate.authority)
        one = sized(b"hello", "200 OK", "connection: close")
        async with raw_upstream([one], tls=server) as upstream:
            async with http_client() as doubtful:
                with pytest.raises(UpstreamError):
                    await doubtful.send(request_to(upstream, "https"))
            async with http_client(tls=trusting) as client:
                for _ in range(2):
                    exchange = await client.send(request_to(upstream, "https"))
                    (connection,) = client._open
                    reused.append(connection.tls.session_reused)  # type: ignore[union-attr]
                    assert await exchange.read(100) == b"hello"
        return reused

    assert run(talk()) == [False, True]
