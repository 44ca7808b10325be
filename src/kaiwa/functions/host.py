"""The host of a Functions app as an ASGI application: HTTP triggers, SignalR bindings, the hub itself.

Knows HTTP and which function is meant; what runs it is `running`'s, what a binding means `signalr`'s.
"""

from __future__ import annotations

import hmac
import logging
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from kaiwa.errors import ConfigError
from kaiwa.functions import troubles
from kaiwa.functions.answers import answer_of, refusal
from kaiwa.functions.cors import Cors
from kaiwa.functions.expressions import with_request, with_settings
from kaiwa.functions.manifest import AppFiles, Binding, Function, check, is_placeholder, warnings_of
from kaiwa.functions.messages import BindingError, actions_of
from kaiwa.functions.process import Failure, Interpreter, Invocation, Invoked, Started
from kaiwa.functions.routes import Found, find, routes_of
from kaiwa.functions.running import InvocationFailed, RunningApp
from kaiwa.functions.signalr import CLIENT, KINDS, AzureService, OwnService, SignalRBindings, hubs_of
from kaiwa.functions.streams import WorkerStreams
from kaiwa.functions.troubles import Trouble
from kaiwa.hub.azure.connection_string import read_connection_string

log = logging.getLogger("kaiwa.functions")
MAX_BODY_BYTES: Final = 100 * 1024 * 1024
_SETTING: Final = "AzureSignalRConnectionString"


class HostOptions(msgspec.Struct, frozen=True):
    """`key`: what functions that are not anonymous ask for; None: nothing, as with Core Tools."""

    interpreter: Interpreter
    settings: dict[str, str]
    """All settings of the app: the environment over local.settings.json."""
    key: str | None = None

    def __repr__(self) -> str:
        return f"HostOptions({sorted(self.settings)})"


class FunctionsHost:
    """Serve an app. Made by `running_host`; requests that come earlier are told to wait."""

    def __init__(self, app: AppFiles, running: RunningApp, started: Started, options: HostOptions) -> None:
        self.functions = [_resolved(each, options.settings) for each in started.functions]
        self.failed: Mapping[str, Failure] = {each.function: each for each in started.failures}
        self._running = running
        self._options = options
        self._routes = routes_of(self.functions, app.host.route_prefix)
        self._cors = Cors(app.local.cors, app.local.cors_credentials)
        self.hubs = OwnService(self.functions, self._happened, app.local.cors)
        self.services = azure_services(self.functions, options.settings)
        """By the setting that names them; what is not there is kaiwa's own."""
        self.streams: WorkerStreams | None = None

    @property
    def addresses(self) -> list[tuple[str, str, str]]:
        """Name, methods and path of each HTTP function."""
        return [(each.function.name, ",".join(each.methods), f"/{each.template}") for each in self._routes]

    @property
    def asks_for_keys(self) -> list[str]:
        """Names of the functions that are not anonymous."""
        return [each.function.name for each in self._routes if each.level != "anonymous"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path == CLIENT or path.startswith(f"{CLIENT}/"):
            await self.hubs(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            request = Request(scope, receive)
            response = await self._answered(request)
            self._cors.mark(request, response)
            await response(scope, receive, send)

    async def _answered(self, request: Request) -> Response:
        if self._cors.is_preflight(request):
            return self._cors.preflight(request)
        path: str = request.scope["path"]
        found = find(self._routes, path, request.method)
        if path == "/" and request.method == "GET":
            return JSONResponse({"functions": [name for name, _, _ in self.addresses]})
        if isinstance(found, list):
            return Response(
                status_code=405 if found else 404, headers={"allow": ", ".join(found)} if found else {}
            )
        if not self._is_let_in(request, found.route.level):
            return Response(status_code=401)
        invocation_id = str(uuid.uuid4())
        try:
            return await self._run(request, found, invocation_id)
        except InvocationFailed as failed:
            return refusal(failed.trouble, failed.status, invocation_id)
        except BindingError as wrong:
            log.error("a binding failed", extra={"invocation_id": invocation_id, "code": wrong.trouble.code})
            return refusal(wrong.trouble, 500, invocation_id)

    def _is_let_in(self, request: Request, level: str) -> bool:
        key = self._options.key
        if key is None or level == "anonymous":
            return True
        offered = request.headers.get("x-functions-key") or request.query_params.get("code") or ""
        return hmac.compare_digest(offered.encode(), key.encode())

    async def _run(self, request: Request, found: Found, invocation_id: str) -> Response:
        function = found.route.function
        failure = self.failed.get(function.name)
        if failure is not None:
            raise InvocationFailed(troubles.of_exception(failure.message) or troubles.FAILED)
        http: dict[str, Any] = {
            "method": request.method,
            "url": str(request.url),
            "headers": dict(request.headers),
            "params": found.parameters,
            "query": dict(request.query_params),
        }
        inputs = {
            each.name: await self._input(each, request, found)
            for each in function.bindings
            if each.direction == "in" and each is not found.route.trigger
        }
        invocation = Invocation(invocation_id, function, http, inputs)
        if self.streams is not None:
            return await self.streams.exchange(request, invocation, self._invoked)
        body = await _body(request)
        if body is None:
            return Response(status_code=413)
        return answer_of(await self._invoked(msgspec.structs.replace(invocation, body=body)))

    async def _invoked(self, invocation: Invocation) -> Invoked:
        """Run a function and deliver its outputs. Raises InvocationFailed and BindingError."""
        invoked = await self._running.invoke(invocation)
        for binding in invocation.function.of_type("signalR", "out"):
            text = invoked.outputs.get(binding.name)
            if text is None and binding.name == "$return":
                text = invoked.body.decode("utf-8", "replace") or None
            if text is not None:
                service, hub = self._service(binding)
                await service.deliver(hub, actions_of(text))
        return invoked

    async def _input(self, binding: Binding, request: Request, found: Found) -> str:
        if binding.type != "signalRConnectionInfo":
            return "null"
        query = dict(request.query_params)
        user = with_request(binding.option("userId"), request.headers, query, found.parameters)
        service, hub = self._service(binding)
        base_url = f"{request.url.scheme}://{request.url.netloc}"
        return msgspec.json.encode(await service.connection_info(hub, user, base_url)).decode()

    def _service(self, binding: Binding) -> tuple[SignalRBindings, str]:
        """Return who serves a binding, and its hub."""
        hub = binding.option("hubName")
        setting = binding.option("connectionStringSetting", _SETTING)
        return self.services.get(setting, self.hubs), hub

    async def _happened(self, function: Function, happened: dict[str, Any]) -> Any:
        """Run a function for something that happened at the hub, and return its answer."""
        assert function.trigger is not None, "the hub calls triggers"
        text = msgspec.json.encode(happened).decode()
        invoked = await self._invoked(
            Invocation(str(uuid.uuid4()), function, inputs={function.trigger.name: text})
        )
        if invoked.kind is None or (any(function.of_type("signalR", "out")) and not _returns(function)):
            return None
        try:
            return msgspec.json.decode(invoked.body)
        except msgspec.DecodeError:
            return invoked.body.decode("utf-8", "replace")


@asynccontextmanager
async def running_host(app: AppFiles, options: HostOptions) -> AsyncGenerator[FunctionsHost]:
    """Start an app's worker and yield its host. Raises ConfigError."""
    for function in app.functions or ():
        check(function)
    environment = {**options.settings, "AzureWebJobsScriptRoot": str(app.directory)}
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(RunningApp(app, options.interpreter, environment))
        started = await running.start()
        _check_loaded(app.directory, started)
        values = {name: options.settings[name] for name in app.local.values}
        _warn(warnings_of(started.functions, values))
        host = FunctionsHost(app, running, started, options)
        await stack.enter_async_context(host.hubs.running())
        for service in host.services.values():
            await stack.enter_async_context(service.running())
        if host.services:
            _warn([troubles.SERVERLESS])
        if started.http_uri is not None:
            host.streams = await stack.enter_async_context(WorkerStreams(lambda: _uri(running)))
        yield host


def azure_services(functions: Sequence[Function], settings: Mapping[str, str]) -> dict[str, AzureService]:
    """Return the services of all connection strings that bindings name. Raises ConfigError for a bad one.

    None or a placeholder for one: kaiwa's own hubs serve, so that an app runs before it has a service.
    """
    bindings = [each for function in functions for each in function.bindings if each.type in KINDS]
    named = {each.option("connectionStringSetting", _SETTING) for each in bindings}
    given = {name: text for name in named if (text := settings.get(name, "")) and not is_placeholder(text)}
    return {
        name: AzureService(read_connection_string(text, name), hubs_of(functions, name, _SETTING))
        for name, text in given.items()
    }


def _resolved(function: Function, settings: Mapping[str, str]) -> Function:
    """Put settings in the place of `%NAME%` in bindings. Raises ConfigError for one that is missing."""

    def value(written: Any) -> Any:
        return with_settings(written, settings) if isinstance(written, str) else written

    try:
        bindings = [
            msgspec.structs.replace(
                each, options={name: value(written) for name, written in each.options.items()}
            )
            for each in function.bindings
        ]
    except BindingError as wrong:
        raise wrong.trouble.error(function.name) from None
    return msgspec.structs.replace(function, bindings=tuple(bindings))


def _uri(running: RunningApp) -> str:
    """Return where the worker listens now: one that was started anew has another port."""
    assert running.started is not None, "it was started"
    assert running.started.http_uri is not None, "the app streams"
    return running.started.http_uri


def _check_loaded(directory: Path, started: Started) -> None:
    for failure in started.failures:
        cause = failure.message.split(":", 1)[0]
        log.error("a function could not be loaded", extra={"function": failure.function, "cause": cause})
        trouble = troubles.of_exception(failure.message)
        if trouble is not None:
            _warn([trouble])
    if len(started.failures) >= max(1, len(started.functions)) and not _any_loaded(started):
        trouble = troubles.of_exception(started.failures[0].message)
        remedy = str(trouble) if trouble else "Its error is above. / エラーは上に表示されています。"
        raise ConfigError(str(directory), "no function could be loaded.", remedy)


def _any_loaded(started: Started) -> bool:
    failed = {each.function for each in started.failures}
    return any(each.name not in failed for each in started.functions)


def _warn(found: list[Trouble]) -> None:
    for trouble in found:
        log.warning(str(trouble), extra={"code": trouble.code})


def _returns(function: Function) -> bool:
    return any(each.name == "$return" for each in function.bindings)


async def _body(request: Request) -> bytes | None:
    """Return the whole body, None when it is larger than the platform takes."""
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > MAX_BODY_BYTES:
            return None
        pieces.append(piece)
    return b"".join(pieces)
