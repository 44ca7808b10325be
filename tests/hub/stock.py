"""The hub that stock clients call in these tests, and how such a client is run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from kaiwa.hub import Asking, Hub, HubException, Identity

PROGRAM = Path(__file__).parents[1] / "clients" / "js" / "signalr.mjs"
PATIENCE_S = 30.0


class Person(msgspec.Struct):
    name: str
    age: int


def named_by_token(asking: Asking) -> Identity | None:
    """Whoever shows a token has it as a name."""
    return Identity(asking.token) if asking.token else None


class Playground(Hub):
    async def on_connected(self) -> None:
        await self.clients.caller.send("welcome", self.context.connection_id)

    async def me(self) -> str | None:
        return self.context.user_id

    async def add(self, a: int, b: int) -> int:
        return a + b

    async def nothing(self) -> None: ...

    async def older(self, person: Person) -> Person:
        return Person(person.name, person.age + 1)

    async def refuse(self) -> None:
        raise HubException("not today")

    async def break_down(self) -> None:
        raise ValueError("a secret")

    async def count(self, most: int) -> AsyncIterator[int]:
        for number in range(most):
            yield number

    async def count_after_go(self, most: int) -> AsyncIterator[int]:
        """For clients that ask for a stream first and look for its items then."""
        await self._gone_on().wait()
        for number in range(most):
            yield number

    async def go(self) -> None:
        self._gone_on().set()

    def _gone_on(self) -> asyncio.Event:
        return self.context.items.setdefault("go", asyncio.Event())

    async def total(self, numbers: AsyncIterator[int]) -> int:
        return sum([number async for number in numbers])

    async def collect(self, numbers: AsyncIterator[int]) -> None:
        """For clients whose uploads return nothing."""
        await self.clients.caller.send("collected", sum([number async for number in numbers]))

    async def louder(self, words: AsyncIterator[str]) -> AsyncIterator[str]:
        async for word in words:
            yield word.upper()

    async def ask_me(self, text: str) -> str:
        return await self.clients.caller.invoke("question", text, returns=str)

    async def join(self, group: str) -> None:
        await self.groups.add(self.context.connection_id, group)

    async def tell_group(self, group: str, text: str) -> None:
        await self.clients.group(group).send("told", text)

    async def tell_others(self, text: str) -> None:
        await self.clients.others.send("told", text)

    async def tell_all(self, text: str) -> None:
        await self.clients.all.send("told", text)

    async def tell_user(self, user: str, text: str) -> None:
        await self.clients.user(user).send("told", text)

    async def count_up(self, most: int) -> None:
        for number in range(most):
            await self.clients.caller.send("told", number)
            await asyncio.sleep(0.002)

    async def remember(self, number: int) -> None:
        self.context.items.setdefault("numbers", []).append(number)

    async def remembered(self) -> list[int]:
        return self.context.items["numbers"]


def job_of(url: str, **job: Any) -> dict[str, Any]:
    return {
        "url": url,
        "version": 10,
        "transport": "WebSockets",
        "protocol": "json",
        "token": "ada",
        "user": "ada",
        "patience_s": PATIENCE_S,
        "cuts": [],
        "count": 0,
    } | job


async def run_stock_client(url: str, *, program: Path = PROGRAM, **job: Any) -> dict[str, Any]:
    """Return what a client in node saw. Fails with its words when it failed."""
    given = job_of(url, **job)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("node", program, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(PATIENCE_S + 10):
            out, err = await process.communicate(json.dumps(given).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert out.strip(), f"node said nothing; is tests/clients/js installed (npm ci)? {err.decode()[-2000:]}"
    saw = json.loads(out.splitlines()[-1])
    assert "failed" not in saw, saw["failed"]
    return saw
