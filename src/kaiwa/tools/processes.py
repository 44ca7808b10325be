"""Processes for functions that compute in Python: they would hold the interpreter's lock, and so every voice.

A process takes one call at a time, in pickles over its pipes, and is kept for the next call. Whoever is
cancelled or late has its process ended. Knows processes; no calls and no conversations.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from typing import Any, Final

from kaiwa.errors import ToolError
from kaiwa.tools.context import ToolContext
from kaiwa.tools.outcome import AnyTool
from kaiwa.tools.places import Places

KEPT_IDLE: Final = 2
_LENGTH_BYTES: Final = 4


class ProcessLostError(Exception):
    """The process ended before it answered, or its function raised something (named by its type)."""


class Processes:
    """At most one busy process for each processor; further calls wait, at most until their deadlines."""

    def __init__(self) -> None:
        self._idle: list[asyncio.subprocess.Process] = []
        self._alive: set[asyncio.subprocess.Process] = set()
        self._places = Places(os.cpu_count() or 1)

    async def call(self, entry: AnyTool, context: ToolContext, arguments: dict[str, Any]) -> Any:
        """Run the function in a process. Raises ToolError as the function did, else ProcessLostError."""
        async with self._places.taken():
            kind, value = await self._call(entry, context, arguments)
        if kind == "refused":
            raise ToolError(value)
        if kind == "broke":
            raise ProcessLostError(value)
        return value

    async def close(self) -> None:
        """End every process and wait until it is gone."""
        self._idle.clear()
        for process in list(self._alive):
            await self._end(process)

    async def _call(self, entry: AnyTool, context: ToolContext, arguments: dict[str, Any]) -> tuple[str, Any]:
        process = await self._process()
        done = False
        try:
            await _write(process, _order(entry, context, arguments))
            answer = await self._answer(process, context)
            done = True
        finally:
            if done and len(self._idle) < KEPT_IDLE:
                self._idle.append(process)
            else:
                await self._end(process)
        return answer

    async def _process(self) -> asyncio.subprocess.Process:
        while self._idle:
            process = self._idle.pop()
            if process.returncode is None:
                return process
            await self._end(process)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "kaiwa.tools.process",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self._alive.add(process)
        return process

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None and process.stdout is not None, "the process was started with pipes"
        if process.returncode is None:
            process.kill()
        process.stdin.close()
        await process.stdout.read()  # to its end: then its pipes are closed
        await process.wait()
        self._alive.discard(process)

    async def _answer(self, process: asyncio.subprocess.Process, context: ToolContext) -> tuple[str, Any]:
        while True:
            kind, value = await _read(process)
            if kind == "progress":
                context.progress(*value)
            elif kind == "say":
                context.say(value)
            else:
                return kind, value


def _order(entry: AnyTool, context: ToolContext, arguments: dict[str, Any]) -> bytes:
    about = {
        "path": sys.path,
        "module": entry.function.__module__,
        "name": entry.function.__qualname__,
        "takes_context": entry.signature.takes_context,
        "call_id": context.call_id,
        "language": context.language,
        "idempotency_key": context.idempotency_key,
    }
    return pickle.dumps((about, pickle.dumps(arguments)))


async def _write(process: asyncio.subprocess.Process, order: bytes) -> None:
    assert process.stdin is not None, "the process was started with pipes"
    process.stdin.write(len(order).to_bytes(_LENGTH_BYTES) + order)
    try:
        await process.stdin.drain()
    except ConnectionError as lost:
        raise ProcessLostError("the process ended") from lost


async def _read(process: asyncio.subprocess.Process) -> tuple[str, Any]:
    assert process.stdout is not None, "the process was started with pipes"
    try:
        size = int.from_bytes(await process.stdout.readexactly(_LENGTH_BYTES))
        # What comes is written by our own process, from our own function.
        return pickle.loads(await process.stdout.readexactly(size))
    except asyncio.IncompleteReadError as lost:
        raise ProcessLostError("the process ended") from lost
