"""What the calls of one client say to many is written together while more of them stand in line.

Nothing here may depend on how fast the machine is, so what waits for more waits as long as it takes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.hub.bending import Bend
from tests.hub.house import House, Socket, serving, soon, until
from tests.hub.test_straight_writing import on_uvloop

from kaiwa.hub import Hub, HubOptions, gathering

CALLS = 60


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "HELD_S", 60.0)


class Megaphone(Hub):
    def __init__(self, options: HubOptions | None = None) -> None:
        super().__init__(options)
        self.go_on = asyncio.Event()

    async def say(self, number: int, text: str) -> int:
        self.clients.all.send("said", number, text)
        return number

    async def say_and_wait(self, number: int) -> None:
        self.clients.all.send("said", number, "")
        await self.go_on.wait()


@asynccontextmanager
async def speaker_and_listener(hub: Megaphone) -> AsyncIterator[tuple[Socket, Socket]]:
    async with serving(hub) as port, hub.running():
        house = House(hub, port, Bend())
        async with house.socket() as one, house.socket() as other:
            speaker, listener = await one.hello(), await other.hello()
            await until(lambda: len(hub.switchboard.registry.connections) == 2, "both are in", 10)
            yield speaker, listener


async def call_in_one_frame(speaker: Socket, *calls: tuple[str, list[Any]]) -> None:
    await speaker.raw.send(
        "".join(
            json.dumps({"type": 1, "invocationId": f"{number}", "target": target, "arguments": arguments})
            + "\x1e"
            for number, (target, arguments) in enumerate(calls)
        )
    )


def numbers_in(frame: str) -> list[int]:
    return [json.loads(record)["arguments"][0] for record in frame.split("\x1e")[:-1]]


async def heard(listener: Socket, most: int) -> tuple[list[int], int]:
    """Return so many numbers, and in how many frames they came."""
    numbers: list[int] = []
    frames = 0
    while len(numbers) < most:
        numbers += numbers_in(str(await soon(listener.raw.recv(), "more is heard", 10)))
        frames += 1
    return numbers, frames


@on_uvloop
async def test_what_calls_in_line_say_comes_in_few_frames_and_in_order() -> None:
    async with speaker_and_listener(Megaphone()) as (speaker, listener):
        await call_in_one_frame(speaker, *(("say", [number, "hello"]) for number in range(CALLS)))
        numbers, frames = await heard(listener, CALLS)

    assert numbers == list(range(CALLS))
    assert frames <= 4, "each frame of each listener costs a system call"


@on_uvloop
async def test_the_caller_gets_its_answers_in_order_too() -> None:
    async with speaker_and_listener(Megaphone()) as (speaker, _):
        await call_in_one_frame(speaker, *(("say", [number, "hello"]) for number in range(CALLS)))
        records = [await speaker.record() for _ in range(2 * CALLS)]

    said = [record["arguments"][0] for record in records if record["type"] == 1]
    answered = [record["result"] for record in records if record["type"] == 3]
    assert said == answered == list(range(CALLS))


@on_uvloop
async def test_what_a_call_said_before_it_waits_does_not_wait_with_it() -> None:
    hub = Megaphone()
    async with speaker_and_listener(hub) as (speaker, listener):
        await call_in_one_frame(
            speaker, ("say", [0, ""]), ("say_and_wait", [1]), ("say", [2, ""]), ("say", [3, ""])
        )
        before, _ = await heard(listener, 2)
        assert hub.switchboard.gathering.holds is False
        hub.go_on.set()
        after, _ = await heard(listener, 2)

    assert (before, after) == ([0, 1], [2, 3])


@on_uvloop
async def test_nobody_falls_behind_by_what_was_held_for_it() -> None:
    hub = Megaphone(HubOptions(max_waiting_bytes=100_000, max_message_bytes=400_000))
    async with speaker_and_listener(hub) as (speaker, listener):
        text = "x" * 5_000
        await call_in_one_frame(speaker, *(("say", [number, text]) for number in range(CALLS)))
        numbers, _ = await heard(listener, CALLS)

    assert numbers == list(range(CALLS))
    assert hub.switchboard.counts.too_slow == 0
