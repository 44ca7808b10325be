"""The worker process of an app, seen from the host: started, asked, killed.

Knows processes and the frames of `worker.py`; nothing of HTTP or SignalR. Which Python runs it: the one that
is named, else the app's own .venv, else kaiwa's own without its packages, so that the app sees none of them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from kaiwa.errors import ConfigError, KaiwaError
from kaiwa.functions import worker
from kaiwa.functions.manifest import AppFiles, Function, check, function_of
from kaiwa.functions.worker import pack, read_frame

START_S: Final = 60.0
GRACE_S: Final = 3.0
_PACKAGES: Final = (
    "azure-functions==2.3.0 azure-functions-runtime==1.3.0 azure-functions-runtime-v1==1.2.0 "
    "azurefunctions-extensions-base==1.2.0 azurefunctions-extensions-http-fastapi==1.0.1"
)


class WorkerEnded(KaiwaError):
    """The worker process ended before it answered."""


class Failure(msgspec.Struct, frozen=True):
    """An exception in the app or in the worker code. Its words are for the log, not for a caller."""

    message: str
    stack: str = ""
    function: str = ""


class Started(msgspec.Struct, frozen=True):
    functions: tuple[Function, ...]
    failures: tuple[Failure, ...]
    http_uri: str | None
    """Where the worker itself takes requests, when the app streams."""


class HttpAnswer(msgspec.Struct, frozen=True):
    status: int
    headers: tuple[tuple[str, str], ...]


class Invoked(msgspec.Struct, frozen=True):
    error: Failure | None = None
    outputs: dict[str, str] = {}
    kind: str | None = None
    """What was returned: `http`, `string`, `json`, `bytes`, `int`, `double`, or None for nothing."""
    http: HttpAnswer | None = None
    body: bytes = b""


class Invocation(msgspec.Struct, frozen=True):
    """One call of a function. `inputs` are JSON texts by the binding's name."""

    id: str
    function: Function
    http: dict[str, Any] | None = None
    inputs: dict[str, str] = {}
    body: bytes = b""


class Interpreter(msgspec.Struct, frozen=True):
    """What runs the worker. `libraries` holds the worker code."""

    libraries: Path
    python: Path | None = None

    def command(self, app: AppFiles) -> list[str]:
        own = app.directory / ".venv/bin/python"
        python = self.python or (own if own.is_file() else None)
        return [str(python), "-P"] if python else [sys.executable, "-P", "-S"]


def find_libraries(given: Path | None) -> Path:
    """Return where the worker code is: as given, else .funcs here or above. Raises ConfigError."""
    here = Path.cwd()
    places = [given] if given else [folder / ".funcs" for folder in (here, *here.parents)]
    for place in places:
        if (place / "azure_functions_runtime").is_dir() and (place / "azure_functions_runtime_v1").is_dir():
            return place.resolve()
    raise ConfigError(
        "--libraries",
        f"the code of the Azure Functions worker is not in {given or '.funcs'}.",
        "In a clone run scripts/setup-functions.sh; elsewhere (インストール方法):\n"
        f"  pip install --target .funcs --no-deps --ignore-requires-python {_PACKAGES}\n"
        "  pip install --target .funcs protobuf werkzeug fastapi uvicorn -r APPDIR/requirements.txt",
    )


class WorkerProcess:
    """One process; it is not started anew, another one takes its place."""

    def __init__(self, app: AppFiles, interpreter: Interpreter, environment: Mapping[str, str]) -> None:
        self._app = app
        self._interpreter = interpreter
        self._environment = dict(environment)
        self._waiting: dict[str, asyncio.Future[tuple[dict[str, Any], bytes]]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.over = False

    async def run(self) -> None:
        """Be the process's life: spawn, read until it ends, clear away. Cancelling it ends the process."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = await self._spawn(theirs)
            reader, self._writer = await asyncio.open_connection(sock=ours)
            self._tell_start()
            while True:
                message, body = await read_frame(reader)
                waiting = self._waiting.pop(message.get("invocation", "start"), None)
                if waiting is not None and not waiting.done():
                    waiting.set_result((message, body))
        except (asyncio.IncompleteReadError, OSError):
            return  # it ended, or could not be started
        finally:
            await self._clear_away()

    async def _spawn(self, theirs: socket.socket) -> asyncio.subprocess.Process:
        app = self._app
        command = self._interpreter.command(app)
        return await asyncio.create_subprocess_exec(
            *command,
            worker.__file__,
            *("--fd", str(theirs.fileno())),
            *("--libraries", str(self._interpreter.libraries)),
            *("--directory", str(app.directory)),
            *("--version", str(app.version)),
            pass_fds=(theirs.fileno(),),
            env=self._environment,
            start_new_session=True,  # Ctrl-C is the host's, which then ends the worker
        )

    def _tell_start(self) -> None:
        assert self._writer is not None, "the process was spawned"
        functions = self._app.functions
        described = None if functions is None else [_described(each) for each in functions]
        self._writer.write(
            pack({"do": "start", "directory": str(self._app.directory), "functions": described})
        )

    async def _clear_away(self) -> None:
        self.over = True
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(WorkerEnded("the worker process ended"))
        self._waiting.clear()
        if self._writer is not None:
            self._writer.close()  # and so the worker ends by itself
        process = self._process
        if process is None:
            return
        try:
            async with asyncio.timeout(GRACE_S):
                await process.wait()
        except TimeoutError:
            self.kill()
            await process.wait()

    def kill(self) -> None:
        """End it at once, with all that it runs; whoever comes next needs another one."""
        self.over = True
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def started(self) -> Started:
        """Wait until the app is loaded. Raises WorkerEnded, TimeoutError, ConfigError for bad bindings."""
        async with asyncio.timeout(START_S):
            message, _ = await self._answer("start")
        failures = tuple(msgspec.convert(each, Failure) for each in message["failures"])
        functions = self._app.functions
        if functions is None:
            functions = tuple(function_of(each) for each in message["functions"])
            for function in functions:
                check(function)
        return Started(functions, failures, message["capabilities"].get("HttpUri"))

    async def invoke(self, invocation: Invocation) -> Invoked:
        """Raises WorkerEnded. Cancelling it forgets the answer, and does not stop the function."""
        trigger = invocation.function.trigger
        assert trigger is not None, "functions were checked"
        asked = {
            "do": "invoke",
            "invocation": invocation.id,
            "function": invocation.function.id,
            "trigger": trigger.name,
            "http": invocation.http,
            "inputs": invocation.inputs,
        }
        answer = self._answer(invocation.id)
        if self._writer is not None:
            self._writer.write(pack(asked, invocation.body))
        message, body = await answer
        return msgspec.structs.replace(msgspec.convert(message, Invoked, strict=False), body=body)

    def _answer(self, key: str) -> asyncio.Future[tuple[dict[str, Any], bytes]]:
        future: asyncio.Future[tuple[dict[str, Any], bytes]] = asyncio.get_running_loop().create_future()
        if self.over:
            future.set_exception(WorkerEnded("the worker process ended"))
        else:
            self._waiting[key] = future
            future.add_done_callback(lambda _: self._waiting.pop(key, None))
        return future


def _described(function: Function) -> dict[str, Any]:
    return {
        "id": function.id,
        "name": function.name,
        "directory": function.directory,
        "script_file": function.script_file,
        "entry_point": function.entry_point,
        "bindings": [
            {"name": each.name, "type": each.type, "direction": each.direction} for each in function.bindings
        ],
    }
