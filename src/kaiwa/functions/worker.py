"""The process in which an app's functions run: Azure's own Python worker code behind a socket to the host.

A program of its own, run by path with any Python from 3.11 on, and so without kaiwa: it knows the standard
library, and finds the worker code where the host says. The worker code expects messages of gRPC; they are
built here and handed over directly.

Frames both ways: length of a JSON object and of raw bytes (4 bytes each, big endian), the object, the bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import logging
import os
import socket
import sys
import types
from pathlib import Path
from types import SimpleNamespace
from typing import Any

HEAD_BYTES = 8
_PROTOS = "kaiwa_functions_protos"


def pack(message: dict[str, Any], body: bytes = b"") -> bytes:
    """Return one frame."""
    text = json.dumps(message).encode()
    return len(text).to_bytes(4, "big") + len(body).to_bytes(4, "big") + text + body


async def read_frame(reader: asyncio.StreamReader) -> tuple[dict[str, Any], bytes]:
    """Return the next frame. Raises asyncio.IncompleteReadError when the other side has gone."""
    head = await reader.readexactly(HEAD_BYTES)
    text = await reader.readexactly(int.from_bytes(head[:4], "big"))
    body = await reader.readexactly(int.from_bytes(head[4:], "big"))
    return json.loads(text), body


def load_protos(libraries: Path) -> Any:
    """Return the messages. They come in the `tests` folder of the v1 package, which needs gRPC as a whole."""
    package = types.ModuleType(_PROTOS)
    package.__path__ = [str(libraries / "tests/protos")]
    sys.modules[_PROTOS] = package
    messages = vars(importlib.import_module(f"{_PROTOS}.FunctionRpc_pb2"))
    nullable = vars(importlib.import_module(f"{_PROTOS}.shared.NullableTypes_pb2"))
    return SimpleNamespace(
        **{name: value for name, value in {**nullable, **messages}.items() if name[0] != "_"}
    )


class Worker:
    def __init__(self, libraries: Path, version: int, writer: asyncio.StreamWriter) -> None:
        self._protos = load_protos(libraries)
        name = "azure_functions_runtime" if version == 2 else "azure_functions_runtime_v1"
        self._runtime: Any = importlib.import_module(name)
        self._writer = writer
        self._running: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Do what the host says until it hangs up."""
        while True:
            try:
                message, body = await read_frame(reader)
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            act = self._start if message["do"] == "start" else self._invoke
            task = asyncio.create_task(act(message, body))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _tell(self, message: dict[str, Any], body: bytes = b"") -> None:
        self._writer.write(pack(message, body))
        await self._writer.drain()

    async def _ask(self, act: str, **content: Any) -> Any:
        """Hand a message to the worker code and return its answer."""
        request = SimpleNamespace(
            request=self._protos.StreamingMessage(**content),
            properties={"host": "127.0.0.1", "protos": self._protos},
        )
        return await getattr(self._runtime, act)(request)

    # Loading.

    async def _start(self, message: dict[str, Any], _: bytes) -> None:
        protos = self._protos
        self._runtime.start_threadpool_executor()
        hello = protos.WorkerInitRequest(host_version="4.0.0", function_app_directory=message["directory"])
        answer = await self._ask("worker_init_request", worker_init_request=hello)
        quieten_access_log()
        told: dict[str, Any] = {"is": "started", "capabilities": dict(answer.capabilities)}
        told["failures"] = self._failure("", answer.result)
        if message["functions"] is None:
            told["functions"] = [] if told["failures"] else await self._indexed()
        else:
            told["functions"] = []
            for function in message["functions"]:
                told["failures"] += await self._load(function)
        await self._tell(told)

    async def _indexed(self) -> list[dict[str, Any]]:
        """Return the functions of a v2 app, which only the worker knows, and load them."""
        asked = self._protos.FunctionsMetadataRequest()
        answer = await self._ask("functions_metadata_request", functions_metadata_request=asked)
        found: list[dict[str, Any]] = []
        for function in answer.function_metadata_results:
            load = self._protos.FunctionLoadRequest(function_id=function.function_id, metadata=function)
            await self._ask("function_load_request", function_load_request=load)
            bindings = [json.loads(raw) for raw in function.raw_bindings]
            found.append({"id": function.function_id, "name": function.name, "bindings": bindings})
        return found

    async def _load(self, function: dict[str, Any]) -> list[dict[str, Any]]:
        protos = self._protos
        bindings = {
            binding["name"]: protos.BindingInfo(
                type=binding["type"], direction=getattr(protos.BindingInfo, binding["direction"])
            )
            for binding in function["bindings"]
        }
        metadata = protos.RpcFunctionMetadata(
            name=function["name"],
            directory=function["directory"],
            script_file=function["script_file"],
            entry_point=function["entry_point"],
            bindings=bindings,
        )
        load = protos.FunctionLoadRequest(function_id=function["id"], metadata=metadata)
        answer = await self._ask("function_load_request", function_load_request=load)
        return self._failure(function["name"], answer.result)

    def _failure(self, name: str, result: Any) -> list[dict[str, Any]]:
        if result.status == self._protos.StatusResult.Success:
            return []
        return [{"function": name, **told_exception(result.exception)}]

    # Invoking.

    async def _invoke(self, message: dict[str, Any], body: bytes) -> None:
        protos = self._protos
        inputs = [
            protos.ParameterBinding(name=name, data=protos.TypedData(json=value))
            for name, value in message["inputs"].items()
        ]
        if message["http"] is not None:
            content = protos.TypedData(bytes=body) if body else None
            http = protos.RpcHttp(**message["http"], body=content)
            inputs.append(protos.ParameterBinding(name=message["trigger"], data=protos.TypedData(http=http)))
        asked = protos.InvocationRequest(
            invocation_id=message["invocation"], function_id=message["function"], input_data=inputs
        )
        answer = await self._ask("invocation_request", invocation_request=asked)
        told: dict[str, Any] = {"is": "invoked", "invocation": message["invocation"], "outputs": {}}
        if answer.result.status != protos.StatusResult.Success:
            await self._tell({**told, "error": told_exception(answer.result.exception)})
            return
        returned = answer.return_value
        for output in answer.output_data:
            if output.data.WhichOneof("data") == "http":
                returned = output.data
            else:
                told["outputs"][output.name] = as_text(output.data)
        told["kind"] = returned.WhichOneof("data")
        if told["kind"] == "http":
            told["http"] = described(returned.http)
            await self._tell(told, as_bytes(returned.http.body))
        else:
            await self._tell(told, as_bytes(returned))


def told_exception(exception: Any) -> dict[str, str]:
    """Return an exception for the host, and show it to the app's author: its words may be in no log."""
    sys.stderr.write(f"{exception.stack_trace or exception.message}\n")
    sys.stderr.flush()
    return {"message": exception.message, "stack": exception.stack_trace}


def described(http: Any) -> dict[str, Any]:
    headers = list(http.headers.items())
    return {
        "status": int(http.status_code or 200),
        "headers": headers + [cookie(each) for each in http.cookies],
    }


def cookie(each: Any) -> tuple[str, str]:
    """Return a Set-Cookie header from the message's parts."""
    parts = [f"{each.name}={each.value}"]
    parts += [f"Domain={each.domain.value}"] if each.domain.value else []
    parts += [f"Path={each.path.value}"] if each.path.value else []
    parts += [f"Max-Age={int(each.max_age.value)}"] if each.HasField("max_age") else []
    if each.HasField("expires"):
        parts.append(f"Expires={each.expires.value.ToDatetime():%a, %d %b %Y %H:%M:%S} GMT")
    parts += ["Secure"] if each.secure.value else []
    parts += ["HttpOnly"] if each.http_only.value else []
    site = {1: "Lax", 2: "Strict", 3: "None"}.get(each.same_site)
    return "set-cookie", "; ".join([*parts, f"SameSite={site}"] if site else parts)


def as_bytes(data: Any) -> bytes:
    kind = data.WhichOneof("data")
    if kind is None:
        return b""
    value = getattr(data, kind)
    return value if isinstance(value, bytes) else str(value).encode()


def as_text(data: Any) -> str:
    return as_bytes(data).decode("utf-8", "replace")


def quieten_access_log() -> None:
    """Keep uvicorn, which the streaming extension runs here, from logging addresses with their queries."""
    config = sys.modules.get("uvicorn.config")
    if config is not None:
        for logger in config.LOGGING_CONFIG["loggers"].values():
            logger["level"] = "WARNING"


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--libraries", type=Path, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--version", type=int, choices=(1, 2), required=True)
    given = parser.parse_args()
    # As on Azure: the app's own folder and packages come before the platform's.
    site = given.directory / ".python_packages/lib/site-packages"
    sys.path[:0] = [str(given.directory), str(site)]
    sys.path.append(str(given.libraries))
    os.chdir(given.directory)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("azure.functions").setLevel(logging.WARNING)  # the worker's own words
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    connection = socket.socket(fileno=given.fd)
    reader, writer = await asyncio.open_connection(sock=connection)
    await Worker(given.libraries, given.version, writer).serve(reader)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # neither a function that blocks its thread nor the streams' server may hold up the end


if __name__ == "__main__":
    asyncio.run(main())
