"""The REST API of the service: its addresses in both forms, and who may ask (rules S-53 and S-56).

Knows Starlette's routes and tokens; what a call does is in `calls`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from kaiwa.hub.azure.service import calls
from kaiwa.hub.azure.service.bodies import hub_in
from kaiwa.hub.azure.service.calls import Asked
from kaiwa.hub.azure.service.faults import Fault, answer_of, invalid
from kaiwa.hub.azure.service.local import LocalService, TooManyHubs
from kaiwa.hub.azure.tokens import claims_of, hub_named, is_for_path

VERSIONS: Final = ("2022-06-01", "2022-11-01", "2023-07-01", "2024-01-01", "2024-12-01")
_BEARER: Final = "bearer "
_FIRST: Final = VERSIONS[0]
_TOKENS, _TRANSACTIONS, _NEWEST = VERSIONS[1], VERSIONS[2], VERSIONS[4]


class Call(NamedTuple):
    """One call: its method, its address under a hub, and the version that brought it."""

    method: str
    path: str
    act: Callable[[Asked], Awaitable[Response]]
    since: str = _FIRST


_CONNECTION, _GROUP, _USER = "/connections/{connection}", "/groups/{group:path}", "/users/{user:path}"
_STREAM: Final = f"{_CONNECTION}/streams/{{stream}}"

# Longer addresses first: a name may hold a slash, so the shorter would take them.
_SHARED: Final = (
    Call("PUT", f"{_GROUP}/connections/{{connection}}", calls.add_connection),
    Call("DELETE", f"{_GROUP}/connections/{{connection}}", calls.remove_connection),
    Call("DELETE", f"{_CONNECTION}/groups", calls.remove_connection_everywhere),
    Call("PUT", "/users/{user}/groups/{group:path}", calls.add_user),
    Call("DELETE", "/users/{user}/groups/{group:path}", calls.remove_user),
    Call("HEAD", "/users/{user}/groups/{group:path}", calls.user_in_group),
    Call("DELETE", "/users/{user}/groups", calls.remove_user_everywhere),
    Call("HEAD", _CONNECTION, calls.connection_exists),
    Call("HEAD", _GROUP, calls.group_exists),
    Call("HEAD", _USER, calls.user_exists),
    Call("DELETE", _CONNECTION, calls.close_connection),
)
_DATED: Final = (
    Call("POST", "/:send", calls.broadcast),
    Call("POST", "/:closeConnections", calls.close_all),
    Call("POST", "/:generateToken", calls.generate_token, _TOKENS),
    Call("POST", "/:execute", calls.execute, _TRANSACTIONS),
    Call("POST", f"{_STREAM}/:send", calls.send_item, _NEWEST),
    Call("POST", f"{_STREAM}/:complete", calls.complete_stream, _NEWEST),
    Call("POST", f"{_CONNECTION}/:send", calls.send_to_connection),
    Call("POST", f"{_CONNECTION}/:invoke", calls.invoke, _NEWEST),
    Call("GET", f"{_GROUP}/connections", calls.list_group, _NEWEST),
    Call("POST", f"{_GROUP}/:send", calls.send_to_group),
    Call("POST", f"{_GROUP}/:closeConnections", calls.close_group),
    Call("POST", f"{_USER}/:send", calls.send_to_user),
    Call("POST", f"{_USER}/:closeConnections", calls.close_user),
    *_SHARED,
)
_V1: Final = (
    Call("PUT", "/groups/{group}/users/{user:path}", calls.add_user),
    Call("DELETE", "/groups/{group}/users/{user:path}", calls.remove_user),
    Call("HEAD", "/groups/{group}/users/{user:path}", calls.user_in_group),
    *_SHARED,
    Call("POST", "", calls.broadcast),
    Call("POST", _CONNECTION, calls.send_to_connection),
    Call("POST", _GROUP, calls.send_to_group),
    Call("POST", _USER, calls.send_to_user),
)


def data_plane(service: LocalService, served: Callable[[Request], str]) -> list[BaseRoute]:
    """Return the routes of a service. `served` tells the address that a request came to."""
    return [
        *_others(service),
        *(_route(service, served, "/api/v1/hubs/{hub}", call, dated=False) for call in _V1),
        *(_route(service, served, "/api/hubs/{hub}", call, dated=True) for call in _DATED),
    ]


def _others(service: LocalService) -> list[BaseRoute]:
    async def health(request: Request) -> Response:
        return Response(status_code=200)

    async def access_key(request: Request) -> Response:
        _check_version(request, _FIRST)
        return JSONResponse({"AccessKey": service.keys.primary, "KeyId": "primary"})

    checked = _guarded(service, health)
    return [
        Route("/api/health", checked, methods=["GET", "HEAD"]),
        Route("/api/v1/health", checked, methods=["GET", "HEAD"]),
        Route("/api/auth/accessKey", _guarded(service, access_key), methods=["GET"]),
    ]


def _route(
    service: LocalService, served: Callable[[Request], str], base: str, call: Call, *, dated: bool
) -> Route:
    async def answer(request: Request) -> Response:
        if dated:
            _check_version(request, call.since)
        hub, application = hub_in(request)
        name = hub_named(hub, application)
        try:
            served_hub = service.hub(name)
        except TooManyHubs:
            raise Fault(503, "Error.Hub.TooMany", "Too many hubs are in use.") from None
        await served_hub.switchboard.start()
        return await call.act(Asked(served_hub, name, request, served(request), service.keys.primary))

    # Starlette lets HEAD pass where GET may; asking whether something exists works by either.
    methods = ["GET", "HEAD"] if call.method == "HEAD" else [call.method]
    return Route(f"{base}{call.path}", _guarded(service, answer), methods=methods)


def _guarded(
    service: LocalService, answer: Callable[[Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    async def checked(request: Request) -> Response:
        try:
            _check_token(request, service.keys.all)
            return await answer(request)
        except Fault as fault:
            return answer_of(fault)

    return checked


def _check_token(request: Request, keys: Sequence[str]) -> None:
    header = request.headers.get("authorization", "")
    token = header[len(_BEARER) :].strip() if header[: len(_BEARER)].lower() == _BEARER else None
    claims = claims_of(token, keys)
    if claims is None:
        raise Fault(401, "Error.Token.Invalid", "There is no token that the service's keys have signed.")
    path = request.scope.get("raw_path", b"").decode("latin-1").partition("?")[0] or request.url.path
    if not is_for_path(claims, path) and not is_for_path(claims, request.url.path):
        raise Fault(401, "Error.Token.Audience", "The token's audience is another address.")


def _check_version(request: Request, since: str) -> None:
    version = request.query_params.get("api-version")
    if version is None:
        raise invalid("The query names no api-version.", "api-version")
    if version not in VERSIONS:
        raise invalid(f"Known versions: {', '.join(VERSIONS)}.", "api-version")
    if version < since:
        raise invalid(f"This call came with version {since}.", "api-version")
