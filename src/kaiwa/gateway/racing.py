"""Two attempts at once: the first that begins wins, the other ends. Knows tasks; nothing of deployments."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from kaiwa.gateway.attempt import Failed


class Runner(Protocol):
    def close(self) -> None: ...


R = TypeVar("R", bound=Runner)
T = TypeVar("T")


class Race(Generic[R, T]):
    """`enter` runners; leaving ends all but the winner."""

    def __init__(self, begin: Callable[[R], Awaitable[T]]) -> None:
        self._begin = begin
        self._runs: dict[asyncio.Task[T], R] = {}
        self._won: asyncio.Task[T] | None = None

    def enter(self, runner: R) -> None:
        self._runs[asyncio.ensure_future(self._run(runner))] = runner

    async def is_decided(self, within_s: float) -> bool:
        """Say whether anybody was done in that time."""
        done, _ = await asyncio.wait(self._runs, timeout=within_s)
        return bool(done)

    async def winner(self) -> tuple[R, T]:
        """Wait for the first that does not fail. Raises the Failed of the one that failed last."""
        waiting = set(self._runs)
        while True:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for run in done:
                if run.exception() is None:
                    self._won = run
                    return self._runs[run], run.result()
            if not waiting:
                return await self._failed(done)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lost = [run for run in self._runs if run is not self._won]
        for run in lost:
            run.cancel()
        if lost:
            await asyncio.wait(lost)
        for run in lost:
            if not run.cancelled() and run.exception() is None:
                self._runs[run].close()

    async def _run(self, runner: R) -> T:
        return await self._begin(runner)

    async def _failed(self, done: set[asyncio.Task[T]]) -> tuple[R, T]:
        for run in done:
            failure = run.exception()
            if failure is not None and not isinstance(failure, Failed):
                raise failure
        run = done.pop()
        return self._runs[run], run.result()
