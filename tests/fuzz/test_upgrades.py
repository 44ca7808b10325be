"""Upgrade requests as no WebSocket client sends them: refused or served, never a crash and never a silence."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import strategies as st
from tests.fuzz.budget import hold
from tests.fuzz.exchange import PATIENCE_S
from tests.fuzz.house import KEY, House, open_house

# A failure with a huge frame shall be shown, not the warning about showing it.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
HEADERS = (
    b"Host: 127.0.0.1",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Version: 13",
    b"Authorization: Bearer " + KEY.encode(),
)
PATHS = (
    b"/v1/realtime?model=gpt-realtime",
    b"/openai/realtime?api-version=2025-04-01-preview&deployment=gpt-realtime",
    b"/v1/realtime?call_id=rtc_1",
    b"/v1/realtime?model=%ff%fe&model=%00",
    b"/v1/realtime?model=" + b"x" * 4000,
    b"/v1/realtime%2f?model=gpt-realtime",
    b"/v1/nothing",
    b"//v1/realtime?model=gpt-realtime",
    b"/v1/models",
    b"*",
)
MORE = (
    b"api-key: \xff\xfe",
    b"Authorization: Bearer",
    b"Authorization: Basic Og==",
    b"Origin: http://[::1",
    b"Origin: http://elsewhere.example",
    b"Origin: \xe4\xbc\x9a",
    b"Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.\xff",
    b"Sec-WebSocket-Protocol: ,,, ,",
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99",
    b"Sec-WebSocket-Version: 8",
    b"Sec-WebSocket-Key: short",
    b"Content-Length: 5",
    b"Content-Length: -1",
    b"Transfer-Encoding: chunked",
    b"Expect: 100-continue",
    b"OpenAI-Beta: realtime=v1",
    b"Upgrade: h2c",
    b"Host: evil\x00",
    b"X-Long: " + b"y" * 100_000,
    b"no colon at all",
    b": no name",
    b" folded: line",
)
ANNOUNCES_A_BODY = (b"Content-Length", b"Transfer-Encoding")
METHODS = (b"GET", b"POST", b"OPTIONS", b"HEAD", b"CONNECT", b"G\xffT")
VERSIONS = (b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b"")


@dataclass(frozen=True)
class Upgrade:
    """The bytes in the pieces they are sent in. `whole`: the request has a proper end."""

    pieces: tuple[bytes, ...]
    whole: bool


@st.composite
def upgrades(draw: st.DrawFn) -> Upgrade:
    headers = list(HEADERS)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(0, len(headers) - 1)))
        match draw(st.sampled_from(["add", "add", "drop", "double"])):
            case "drop":
                del headers[at : at + 1]
            case "add":
                headers.insert(at, draw(st.sampled_from(MORE)))
            case _:
                headers += headers[at : at + 1]
    # Mostly one thing is odd at a time: a request refused for its first line tells nothing of its headers.
    usual = st.just(b"GET"), st.just(PATHS[0]), st.just(b"HTTP/1.1")
    odd = st.sampled_from(METHODS), st.sampled_from(PATHS), st.sampled_from(VERSIONS)
    oddities = draw(st.sampled_from([(), (1,), (1,), (1,), (0,), (2,), (0, 1), (0, 1, 2)]))
    first = b" ".join(draw(odd[part] if part in oddities else usual[part]) for part in range(3))
    line_end = draw(st.sampled_from([b"\r\n"] * 8 + [b"\n", b"\r"]))
    request = line_end.join([first, *headers, b"", b""])
    # Whoever announces a body may wait for being asked to send it.
    whole = line_end == b"\r\n" and not any(line.startswith(ANNOUNCES_A_BODY) for line in headers)
    if draw(st.integers(0, 5)) == 0:
        whole = False
        at = draw(st.integers(0, len(request)))
        request = request[:at] + draw(st.binary(max_size=3)) + request[at + draw(st.integers(0, 2)) :]
    cuts = sorted(draw(st.lists(st.integers(0, len(request)), max_size=3)))
    return Upgrade(
        tuple(request[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)), whole
    )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("upgrades")) as house:
        yield house


async def knock(
    port: int, pieces: tuple[bytes, ...], until: bytes | None = None, *, patience_s: float = PATIENCE_S
) -> bytes:
    """Send the pieces; return all that comes until the server closes, which hanging up makes it do.

    With `until`, stay on the line until that, or anything when it is empty, has come.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heard = b""
    try:
        async with asyncio.timeout(patience_s):
            with suppress(OSError):  # it may have closed already
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if until is None:
                    writer.write_eof()
            while piece := await reader.read(65536):
                heard += piece
                if until is not None and until in heard:
                    break
    except ConnectionError:
        pass
    except TimeoutError:
        raise AssertionError(f"silent: neither an answer nor a close within {patience_s} s") from None
    finally:
        writer.close()
    return heard


def check_upgrade(house: House, upgrade: Upgrade, *, patience_s: float = PATIENCE_S) -> None:
    answer = house.run(
        knock(house.port, upgrade.pieces, b"" if upgrade.whole else None, patience_s=patience_s)
    )
    crashes = house.complained()
    assert not crashes, f"crashed: {crashes[0]}"
    if answer:
        version, status, *_ = answer.split(b" ", 2)
        assert version == b"HTTP/1.1"
        assert int(status) < 500, f"crashed: {answer[:200]!r}"
    assert "sessions" in house.run(_served(house.port)), "the next caller is not served"


async def _served(port: int) -> str:
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        page = await reader.read()
        writer.close()
    return page.decode()


def test_any_upgrade_request_is_answered_or_closed(house: House) -> None:
    hold(lambda upgrade: check_upgrade(house, upgrade), upgrades(), count=500, seconds=4)


def test_a_handshake_that_comes_byte_by_byte_is_served(house: House) -> None:
    request = b"\r\n".join([b"GET " + PATHS[0] + b" HTTP/1.1", *HEADERS, b"", b""])
    answer = house.run(knock(house.port, tuple(bytes([byte]) for byte in request), until=b"session.created"))
    assert answer.startswith(b"HTTP/1.1 101 ")


def test_headers_without_end_are_refused(house: House) -> None:
    endless = b"GET " + PATHS[0] + b" HTTP/1.1\r\n" + b"X-More: " + b"z" * 2_000_000
    answer = house.run(knock(house.port, (endless,)))
    assert answer.startswith(b"HTTP/1.1 4") or answer == b""
    assert house.complained() == []
