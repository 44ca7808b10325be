"""What each relay makes of each fault of a service, and of a client that leaves: right or wrong.

The client takes answers apart by itself, since stock ones hide how an answer ended. Knows the faults and what
is right; knows nothing of relays.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Final
from uuid import uuid4

import msgspec

from bench.gateway_load import Door, question
from bench.gateway_upstream import DONE, Told, Wish, events_of

PACE_MS: Final = 100
FIRST_S: Final = 2.6
"""How late a slow first token is; the heartbeat of relays that have one is set to a second."""


@dataclass
class Heard:
    """One answer as its client got it. `whole`: it ended as HTTP says; `pauses`: bytes with their seconds."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    whole: bool = False
    pieces: list[tuple[float, bytes]] = field(default_factory=list[tuple[float, bytes]])

    @property
    def complete(self) -> bool:
        return self.status == 200 and self.whole and self.body.endswith(DONE) and b'"error"' not in self.body

    @property
    def words(self) -> int:
        return self.body.count(b'"content":" w')


async def ask(
    door: Door,
    wish: Wish,
    *,
    leave_after_words: int | None = None,
    leave_after_s: float | None = None,
    usage: bool = False,
    most_s: float = 15,
) -> Heard:
    """Ask once on a connection of its own, and read to the end or until it is time to leave."""
    heard, began = Heard(), time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    try:
        writer.write(question(door, wish, usage=usage))
        async with asyncio.timeout(most_s if leave_after_s is None else leave_after_s):
            await _take_head(heard, reader)
            async for piece in _pieces(heard, reader):
                heard.body += piece
                heard.pieces.append((time.monotonic() - began, piece))
                if leave_after_words is not None and heard.words >= leave_after_words:
                    break
    except TimeoutError:
        if leave_after_s is None:
            raise
    except (asyncio.IncompleteReadError, ConnectionError, ValueError):
        heard.whole = False
    finally:
        writer.transport.abort()
    return heard


async def _take_head(heard: Heard, reader: asyncio.StreamReader) -> None:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    heard.status = int(lines[0].split(" ", 2)[1])
    heard.headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines[1:-2])
    }


async def _pieces(heard: Heard, reader: asyncio.StreamReader) -> AsyncGenerator[bytes]:
    if "chunked" not in heard.headers.get("transfer-encoding", ""):
        length = heard.headers.get("content-length")
        yield await (reader.read() if length is None else reader.readexactly(int(length)))
        heard.whole = length is not None
        return
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        yield (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    heard.whole = True


async def told(service: int, wish: Wish) -> Told:
    """Ask the fake what became of a request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service)
    writer.write(f"GET /told/{wish.id} HTTP/1.1\r\nhost: fake\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    said = await reader.readexactly(length)
    writer.close()
    return msgspec.json.decode(said, type=Told)


# --- what is tried, and what is right -------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    right: bool
    did: str


Trial = Callable[[Door, int], Awaitable[Verdict]]


def _wish(fault: str = "", **facts: object) -> Wish:
    given = {"chunks": 10, "id": uuid4().hex, "fault": fault} | facts
    return Wish(**given)  # type: ignore[arg-type]


async def _ended(service: int, wish: Wish, left: float, most_s: float = 3) -> Verdict | float:
    """Return the seconds after which the service's stream ended by the relay's doing; else the verdict."""
    until = left + most_s
    while time.monotonic() < until:
        became = await told(service, wish)
        if became.ended == "left":
            return became.left_at - left
        await asyncio.sleep(0.02)
    return Verdict(False, f"still running after {most_s:g} s")


async def leaves_within(door: Door, service: int) -> Verdict:
    """A client that leaves within an answer ends the request to the service, within a chunk or two."""
    wish = _wish(chunks=100, pace_ms=PACE_MS)
    await ask(door, wish, leave_after_words=5)
    after = await _ended(service, wish, time.monotonic())
    if isinstance(after, Verdict):
        return after
    return Verdict(after < 2.5 * PACE_MS / 1000, f"ended after {after * 1000:.0f} ms")


async def leaves_before(door: Door, service: int) -> Verdict:
    wish = _wish(first_s=6.0)
    await ask(door, wish, leave_after_s=0.5)
    after = await _ended(service, wish, time.monotonic())
    if isinstance(after, Verdict):
        return after
    return Verdict(after < 2.5 * PACE_MS / 1000, f"ended after {after * 1000:.0f} ms")


def dies_within(fault: str) -> Trial:
    async def tried(door: Door, service: int) -> Verdict:
        """An answer that broke off never looks whole: an error event, a proper end, no [DONE]."""
        heard = await ask(door, _wish(fault, pace_ms=5))
        said, done = b'"error"' in heard.body, b"[DONE]" in heard.body
        did = "an error event" if said else "no error"
        did += ", a proper end" if heard.whole else ", cut off"
        did += ", [DONE]" if done else ""
        return Verdict(said and heard.whole and not done, did)

    return tried


def goes_elsewhere(fault: str, *retry_after: str) -> Trial:
    async def tried(door: Door, service: int) -> Verdict:
        """What fails before the first words is answered by the other deployment."""
        name, value = retry_after or ("", "")
        value = formatdate(time.time() + 1, usegmt=True) if value == "date" else value
        wish = _wish(fault, retry_after=(name, value) if name else None)
        heard = await ask(door, wish, usage=True)
        attempts = (await told(service, wish)).attempts
        did = f"{heard.status}" if heard.status != 200 else "whole" if heard.complete else "broken"
        return Verdict(heard.complete and heard.words == wish.chunks, f"{did}, {attempts} attempts")

    return tried


async def all_refuse(door: Door, service: int) -> Verdict:
    """When every deployment refuses, the client hears 429 and the soonest Retry-After."""
    heard = await ask(door, _wish("refused", times=1000, retry_after=("retry-after", "3")))
    after = heard.headers.get("retry-after")
    right = heard.status == 429 and after is not None and after.isdigit() and 1 <= int(after) <= 3
    return Verdict(right, f"{heard.status}, {'no Retry-After' if after is None else f'Retry-After {after}'}")


def passes(fault: str = "") -> Trial:
    async def tried(door: Door, service: int) -> Verdict:
        """Azure's own events, and however they are cut: byte for byte, and a proper end."""
        wish = _wish(fault, pace_ms=2)
        heard = await ask(door, wish, usage=True)
        expected = b"".join(events_of(wish, usage=True, fault=fault))
        same = heard.body == expected
        did = "byte for byte" if same else _what_is_lost(expected, heard.body)
        return Verdict(same and heard.whole, did + ("" if heard.whole else ", cut off"))

    return tried


def _what_is_lost(sent: bytes, got: bytes) -> str:
    kinds = ("prompt_filter_results", "content_filter_results", "content_filter_offsets", "usage")
    names = [name for name in kinds if got.count(f'"{name}"'.encode()) < sent.count(f'"{name}"'.encode())]
    return f"written anew, without all {' '.join(names)}" if names else "written anew"


async def shows_life(door: Door, service: int) -> Verdict:
    """While the first token is awaited, something comes; then the answer, whole."""
    heard = await ask(door, _wish(first_s=FIRST_S))
    signs = sum(1 for at, piece in heard.pieces if at < FIRST_S - 0.2 and piece.startswith(b":"))
    did = (
        f"{signs} signs of life"
        if heard.complete
        else f"{heard.status}, {'' if heard.whole else 'cut '}no answer"
    )
    return Verdict(heard.complete and signs > 0, did)


# In this order: what makes a deployment rest comes last. No row is about a rest of the row before it.
TRIALS: Final[dict[str, Trial]] = {
    "azure_events": passes(),
    "asynchronous_filter": passes("asynchronous_filter"),
    "content_filter": passes("filtered"),
    "missing_done": passes("no_done"),
    "cut_anywhere": passes("fragments"),
    "slow_first_token": shows_life,
    "client_leaves_within": leaves_within,
    "client_leaves_before": leaves_before,
    "dies_within": dies_within("cut"),
    "reset_within": dies_within("reset_within"),
    "ends_short": dies_within("cut_cleanly"),
    "error_in_200": goes_elsewhere("error_first"),
    "status_500": goes_elsewhere("failed"),
    "reset_at_once": goes_elsewhere("reset"),
    "silent": goes_elsewhere("silent"),
    "busy_ms": goes_elsewhere("refused", "retry-after-ms", "400"),
    "busy_seconds": goes_elsewhere("refused", "retry-after", "1"),
    "busy_date": goes_elsewhere("refused", "retry-after", "date"),
    "busy_a_day": goes_elsewhere("refused", "retry-after", "86400"),
    "all_busy": all_refuse,
}
_REST_S: Final = 1.2
_GOOD_BETWEEN: Final = 4


async def try_all(door: Door, service: int) -> dict[str, Verdict]:
    """Try every fault on a relay. Good answers lie between, so that no breaker opens."""
    verdicts: dict[str, Verdict] = {}
    for name, trial in TRIALS.items():
        for _ in range(_GOOD_BETWEEN):
            with suppress(TimeoutError, OSError):
                await ask(door, _wish())
        try:
            verdicts[name] = await trial(door, service)
        except TimeoutError:
            verdicts[name] = Verdict(False, "no end within 15 s")
        if name.startswith("busy"):
            await asyncio.sleep(_REST_S)
    return verdicts
