"""What every hub of the benchmark does alike: lines of JSON say what to send; it answers when it has.

Run in environments without kaiwa, so it imports nothing of it. Orders: `{"burst": 20}` sends to everybody,
one message in each turn of the event loop, so that none may be written together with the next; `{"hz": 20,
"seconds": 6}` sends to everybody in time; with `"apart": true` to each client its own. Every message ends
with the moment when it was due, in nanoseconds of the monotonic clock, which all processes of a machine
share.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

Arguments = tuple[str, int, str, int]
Send = Callable[[Arguments, str | None], Awaitable[None]]
"""Sends to one client by its id, or to all."""
TEXT = "token ^"
"""The mark is what the other side counts; it stands once in a message."""
SLOTS_PER_S = 1000


async def obey(send: Send, clients: Callable[[], Sequence[str]]) -> None:
    """Do what standard input says until it ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    _answer({"ready": True})
    while line := await reader.readline():
        order = json.loads(line)
        if "burst" in order:
            await _burst(send, order["burst"])
        elif order.get("apart"):
            await _each_its_own(send, clients(), order["hz"], order["seconds"])
        else:
            await _in_time(send, order["hz"], order["seconds"])
        _answer({"done": True})


def _answer(said: dict[str, Any]) -> None:
    print(json.dumps(said), flush=True)


async def _burst(send: Send, count: int) -> None:
    for number in range(count):
        await send(("conversation-1", 1000 + number, TEXT, time.monotonic_ns()), None)
        await asyncio.sleep(0)


async def _in_time(send: Send, hz: float, seconds: float) -> None:
    began = time.monotonic_ns()
    for number in range(round(hz * seconds)):
        due = began + round(number / hz * 1e9)
        await _until(due)
        await send(("conversation-1", 1000 + number, TEXT, due), None)


async def _each_its_own(send: Send, clients: Sequence[str], hz: float, seconds: float) -> None:
    """Every client gets `hz` messages a second, spread evenly over the second as those of strangers are."""
    began, rate = time.monotonic_ns(), hz * len(clients)
    sent, total = 0, round(rate * seconds)
    while sent < total:
        upto = min(total, round((time.monotonic_ns() - began) / 1e9 * rate))
        for number in range(sent, upto):
            due = began + round(number / rate * 1e9)
            one = clients[number % len(clients)]
            await send(("conversation-1", 1000 + number // len(clients), TEXT, due), one)
        sent = max(sent, upto)
        await asyncio.sleep(1 / SLOTS_PER_S)


async def _until(due_ns: int) -> None:
    wait_s = (due_ns - time.monotonic_ns()) / 1e9
    await asyncio.sleep(max(0.0, wait_s))
