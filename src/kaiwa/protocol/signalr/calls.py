"""The invocations of one client: which may start, which wait, which ids are in use, whose uploads are open.

Plain invocations run in the order they came, a few at a time; streaming ones and those with uploads start
at once.
"""

from __future__ import annotations

from collections import deque
from itertools import count

import msgspec

from kaiwa.protocol.signalr.happenings import Called
from kaiwa.protocol.signalr.limits import Limits
from kaiwa.protocol.signalr.messages import Invocation, StreamInvocation


class _Upload(msgspec.Struct):
    call: int
    waiting: int = 0


class Calls:
    def __init__(self, limits: Limits) -> None:
        self._parallel, self._most_waiting = limits.parallel_invocations, limits.waiting_invocations
        self._upload_items = limits.upload_items
        self._numbers = count(1)
        self._running: dict[int, Called] = {}
        self._waiting: deque[Called] = deque()
        self._by_id: dict[str, int] = {}
        self._cancelled: set[int] = set()
        self._plain: set[int] = set()
        self._uploads: dict[str, _Upload] = {}

    @property
    def full(self) -> bool:
        """True while no further message may be looked at: too many wait, or an upload's reader is slow."""
        return len(self._waiting) >= self._most_waiting or any(
            upload.waiting >= self._upload_items for upload in self._uploads.values()
        )

    @property
    def busy(self) -> bool:
        """True while plain invocations take every place."""
        return len(self._plain) >= self._parallel

    @property
    def lined_up(self) -> bool:
        """True while calls wait for another to end."""
        return bool(self._waiting)

    def refusal(self, message: Invocation | StreamInvocation) -> str | None:
        """Return why a call cannot be taken, None if it can."""
        if message.invocation_id is not None and message.invocation_id in self._by_id:
            return f"Invocation ID '{message.invocation_id}' is already in use."
        for stream_id in message.stream_ids:
            if stream_id in self._uploads:
                return f"Stream ID '{stream_id}' is already in use."
        return None

    def take(self, message: Invocation | StreamInvocation) -> Called | None:
        """Enter a call that was not refused; return it when it may start now."""
        streams = isinstance(message, StreamInvocation)
        called = Called(
            next(self._numbers),
            message.target,
            message.arguments,
            message.invocation_id,
            message.stream_ids,
            streams,
        )
        if called.invocation_id is not None:
            self._by_id[called.invocation_id] = called.call
        if streams or called.stream_ids:
            self._running[called.call] = called
            self._uploads.update((stream_id, _Upload(called.call)) for stream_id in called.stream_ids)
            return called
        self._waiting.append(called)
        return self.start_next()

    def start_next(self) -> Called | None:
        if self.busy or not self._waiting:
            return None
        called = self._waiting.popleft()
        self._running[called.call] = called
        self._plain.add(called.call)
        return called

    def running(self, call: int) -> Called | None:
        return self._running.get(call)

    def finish(self, call: int) -> None:
        """Forget a call and its uploads."""
        called = self._running.pop(call)
        self._plain.discard(call)
        self._cancelled.discard(call)
        self._forget_id(called)
        for stream_id in called.stream_ids:
            upload = self._uploads.get(stream_id)
            if upload is not None and upload.call == call:
                del self._uploads[stream_id]

    def cancel(self, invocation_id: str) -> tuple[int | None, bool]:
        """Return (the running call to stop, True when a waiting one was dropped instead)."""
        call = self._by_id.get(invocation_id)
        if call is None or call in self._cancelled:
            return None, False
        if call in self._running:
            self._cancelled.add(call)
            return call, False
        self._waiting = deque(called for called in self._waiting if called.call != call)
        del self._by_id[invocation_id]
        return None, True

    def _forget_id(self, called: Called) -> None:
        if called.invocation_id is not None:
            self._by_id.pop(called.invocation_id, None)

    # Uploads.
    def arrived(self, stream_id: str) -> int | None:
        """Count an item; return whose it is, None if nobody's."""
        upload = self._uploads.get(stream_id)
        if upload is None:
            return None
        upload.waiting += 1
        return upload.call

    def item_taken(self, call: int, stream_id: str) -> None:
        upload = self._uploads.get(stream_id)
        if upload is not None and upload.call == call and upload.waiting:
            upload.waiting -= 1

    def upload_ended(self, stream_id: str) -> int | None:
        """Close an upload; return whose it was, None if nobody's."""
        upload = self._uploads.pop(stream_id, None)
        return None if upload is None else upload.call
