"""The hub methods that run for one client: started, fed with uploads, cancelled, and answered exactly once.

Knows methods and the protocol machine's happenings; nothing of transports. A method has a task of its own in
the hub's task group.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from kaiwa.hub import wording
from kaiwa.hub.context import CURRENT, Context
from kaiwa.hub.errors import HubException
from kaiwa.hub.following import Following
from kaiwa.hub.methods import HubMethod, key_of
from kaiwa.hub.uploads import Upload
from kaiwa.protocol.signalr.happenings import Called, Cancelled, ClientAnswered, UploadEnded, UploadItem

if TYPE_CHECKING:
    from kaiwa.hub.connection import Connection

log = logging.getLogger("kaiwa.hub")


class _Refused(Exception):
    """The call cannot be made; the text is for the client."""


class _Running:
    """One call. `settled`: its end was told to the machine."""

    def __init__(self, called: Called) -> None:
        self.called = called
        self.task: asyncio.Task[None] | None = None
        self.uploads: dict[str, Upload] = {}
        self.settled = False
        self.items = 0
        self.following: Following | None = None
        self.error: str | None = "cancelled"


class Calls:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._running: dict[int, _Running] = {}
        self.asked: dict[str, asyncio.Future[ClientAnswered]] = {}
        """What this client was asked and has not answered."""

    def start(self, called: Called) -> None:
        running = _Running(called)
        self._running[called.call] = running
        hub = self._connection.switchboard
        method = hub.method(called.target)
        uploads = method.uploads if method is not None else ()
        for upload, stream_id in zip(uploads, called.stream_ids, strict=False):
            running.uploads[stream_id] = self._upload(called.call, stream_id, upload.item)
        with self._followed(running, method):
            running.task = hub.spawn(self._run(running, method))
        running.task.add_done_callback(lambda _: self._over(running))

    def _followed(self, running: _Running, method: HubMethod | None) -> AbstractContextManager[object]:
        board = self._connection.switchboard
        if board.options.follow is None:
            return nullcontext()
        known = method is not None and board.methods.get(key_of(running.called.target)) is method
        running.following = board.options.follow(board.label, method.name if method and known else "")
        return running.following.entered()

    def _upload(self, call: int, stream_id: str, kind: Any) -> Upload:
        return Upload(kind, lambda: self._connection.upload_taken(call, stream_id))

    def cancel(self, happening: Cancelled) -> None:
        running = self._running.get(happening.call)
        if running is not None and running.task is not None:
            running.task.cancel()

    def feed(self, happening: UploadItem | UploadEnded) -> None:
        running = self._running.get(happening.call)
        upload = None if running is None else running.uploads.get(happening.stream_id)
        if upload is None:
            if isinstance(happening, UploadItem):
                self._connection.upload_taken(happening.call, happening.stream_id)
        elif isinstance(happening, UploadItem):
            upload.put(happening.item)
        else:
            upload.end(happening.error)

    def answered(self, happening: ClientAnswered) -> None:
        waiting = self.asked.pop(happening.invocation_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(happening)

    def cancel_all(self) -> list[asyncio.Task[None]]:
        """Return the tasks that are ending now."""
        tasks = [running.task for running in self._running.values() if running.task is not None]
        for task in tasks:
            task.cancel()
        return tasks

    async def _run(self, running: _Running, method: HubMethod | None) -> None:
        called, connection = running.called, self._connection
        CURRENT.set(Context(connection))
        try:
            result = await self._answer(running, method)
            connection.finish(called.call, result=result)
            running.settled, running.error = True, None
            return
        except _Refused as refused:
            error, running.error = str(refused), "refused"
        except HubException as refused:
            error, running.error = self._words(running, refused), "hub_exception"
        except Exception as fault:  # the edge of a hub method
            facts = {"target": called.target, "connection_id": connection.id}
            log.exception("a hub method failed", extra=facts)
            error, running.error = self._words(running, fault), "failed"
        running.settled = True
        connection.finish(called.call, error=error)

    def _words(self, running: _Running, fault: Exception) -> str:
        detailed = self._connection.switchboard.options.detailed_errors
        if running.items:
            return wording.broke_off(fault, detailed)
        return wording.failed(running.called.target, fault, detailed)

    async def _answer(self, running: _Running, method: HubMethod | None) -> Any:
        """Return the result, UNSET when there is none to send. Raises _Refused, and whatever the method
        raises.
        """
        called = running.called
        if method is None:
            raise _Refused(wording.unknown_method(called.target))
        if method.streams != called.streams:
            words = wording.not_streamed if method.streams else wording.not_streaming
            raise _Refused(words(called.target))
        if not len(called.stream_ids) == len(running.uploads) == len(method.uploads):
            raise _Refused(wording.wrong_streams(called.target, len(called.stream_ids), len(method.uploads)))
        returned = getattr(self._connection.switchboard.hub, method.attribute)(*self._bound(running, method))
        if inspect.isawaitable(returned):
            returned = await returned
        if method.streams:
            await self._stream(running, returned)
            return UNSET
        return UNSET if method.void and returned is None else returned

    def _bound(self, running: _Running, method: HubMethod) -> list[Any]:
        called = running.called
        try:
            return method.bind(called.arguments, list(running.uploads.values()))
        except msgspec.ValidationError as error:
            detailed = self._connection.switchboard.options.detailed_errors
            raise _Refused(wording.wrong_arguments(called.target, str(error), detailed)) from None

    async def _stream(self, running: _Running, items: AsyncIterator[Any]) -> None:
        connection = self._connection
        try:
            async for item in items:
                await connection.writable()
                connection.send_item(running.called.call, item)
                running.items += 1
        finally:
            close = getattr(items, "aclose", None)
            if close is not None:
                await close()

    def _over(self, running: _Running) -> None:
        """Settle a call that was cancelled, perhaps before its first step (rule S-39)."""
        self._running.pop(running.called.call, None)
        if running.following is not None:
            running.following.over(running.error)
        if not running.settled:
            called = running.called
            error = None if called.streams else wording.canceled(called.target)
            self._connection.finish(called.call, error=error)
