"""Every address of the server, and what answers there: one table. Knows names, nothing of what they do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

Answer = Callable[[Request], Awaitable[Response]]
Open = Callable[[WebSocket], Awaitable[None]]

REALTIME = ("/v1/realtime", "/openai/v1/realtime", "/openai/realtime")
MODELS = ("/v1/models", "/openai/v1/models", "/openai/models")


class Answers(NamedTuple):
    """What answers at each group of addresses."""

    welcome: Answer
    health: Answer
    models: Answer
    model: Answer
    realtime: Open


def routes_to(answers: Answers) -> list[BaseRoute]:
    table: list[tuple[str, tuple[str, ...], Answer]] = [
        ("GET", ("/",), answers.welcome),
        ("GET", ("/healthz",), answers.health),
        ("GET", MODELS, answers.models),
        ("GET", tuple(f"{path}/{{model:path}}" for path in MODELS), answers.model),
    ]
    requests = [Route(path, answer, methods=[method]) for method, paths, answer in table for path in paths]
    return [*requests, *(WebSocketRoute(path, answers.realtime) for path in REALTIME)]
