"""The functions of an app, ready to be called: one worker process, replaced when it ends, and the limits of
host.json.

Knows processes and time; nothing of HTTP. A function that takes too long cannot be stopped in Python, so its
worker is killed, as on Azure: whoever else was being served by it gets the same answer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

from kaiwa.errors import ConfigError, KaiwaError
from kaiwa.functions import troubles
from kaiwa.functions.manifest import AppFiles
from kaiwa.functions.process import (
    Interpreter,
    Invocation,
    Invoked,
    Started,
    WorkerEnded,
    WorkerProcess,
)
from kaiwa.functions.troubles import Trouble

log = logging.getLogger("kaiwa.functions")


class InvocationFailed(KaiwaError):
    """A function could not be run to its end; `trouble` is for the caller."""

    def __init__(self, trouble: Trouble, status: int = 500) -> None:
        super().__init__(str(trouble))
        self.trouble = trouble
        self.status = status


class RunningApp:
    """Enter it to start the worker; leaving it ends the worker."""

    def __init__(self, app: AppFiles, interpreter: Interpreter, environment: Mapping[str, str]) -> None:
        self._app = app
        self._interpreter = interpreter
        self._environment = environment
        self._tasks = asyncio.TaskGroup()
        self._lives: set[asyncio.Task[None]] = set()
        self._starting = asyncio.Lock()
        self._worker: WorkerProcess | None = None
        self._places = asyncio.Semaphore(app.host.max_concurrent)
        self._outstanding = 0
        self.started: Started | None = None

    async def __aenter__(self) -> RunningApp:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for life in self._lives:
            life.cancel()
        await self._tasks.__aexit__(None, None, None)

    async def start(self) -> Started:
        """Load the app. Raises ConfigError when none of its functions can run."""
        await self._ready()
        assert self.started is not None, "the worker is ready"
        return self.started

    async def _ready(self) -> WorkerProcess:
        async with self._starting:
            if self._worker is None or self._worker.over:
                worker = WorkerProcess(self._app, self._interpreter, self._environment)
                life = self._tasks.create_task(worker.run())
                self._lives.add(life)
                life.add_done_callback(self._lives.discard)
                try:
                    self.started = await worker.started()
                except (WorkerEnded, TimeoutError):
                    worker.kill()
                    raise ConfigError(
                        str(self._app.directory),
                        "the worker process ended before the app was loaded.",
                        "Its own words are above. / 直前の出力を確認してください。",
                    ) from None
                self._worker = worker
            return self._worker

    async def invoke(self, invocation: Invocation) -> Invoked:
        """Run a function. Raises InvocationFailed for whatever keeps it from giving its answer."""
        if self._outstanding >= self._app.host.max_outstanding:
            raise InvocationFailed(troubles.BUSY, 429)
        self._outstanding += 1
        try:
            async with self._places:
                return await self._logged(invocation)
        finally:
            self._outstanding -= 1

    async def _logged(self, invocation: Invocation) -> Invoked:
        facts = {"function": invocation.function.name, "invocation_id": invocation.id}
        log.info("executing a function", extra=facts)
        began = time.monotonic()
        try:
            invoked = await self._timed(invocation)
        except InvocationFailed as failed:
            log.error("a function failed", extra={**facts, "code": failed.trouble.code})
            raise
        elapsed_ms = round((time.monotonic() - began) * 1000)
        if invoked.error is not None:
            trouble = troubles.of_exception(invoked.error.message) or troubles.FAILED
            cause = invoked.error.message.split(":", 1)[0]
            log.error(
                "a function failed",
                extra={**facts, "code": trouble.code, "elapsed_ms": elapsed_ms, "cause": cause},
            )
            raise InvocationFailed(trouble)
        log.info("executed a function", extra={**facts, "elapsed_ms": elapsed_ms})
        return invoked

    async def _timed(self, invocation: Invocation) -> Invoked:
        try:
            worker = await self._ready()
        except ConfigError:
            raise InvocationFailed(troubles.WORKER_ENDED) from None
        try:
            async with asyncio.timeout(self._app.host.timeout_s):
                return await worker.invoke(invocation)
        except TimeoutError:
            worker.kill()
            raise InvocationFailed(troubles.TIMED_OUT) from None
        except WorkerEnded:
            raise InvocationFailed(troubles.WORKER_ENDED) from None
