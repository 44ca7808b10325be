"""The stand-in as one application, and running it in this process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from kaiwa.testing.service.calls import call_routes
from kaiwa.testing.service.chat import chat_routes
from kaiwa.testing.service.chat_habits import USUAL, Habits
from kaiwa.testing.service.chat_responses import response_routes
from kaiwa.testing.service.chat_wire import HttpWire
from kaiwa.testing.service.control import control_routes
from kaiwa.testing.service.faults import NO_FAULTS, Faults
from kaiwa.testing.service.flavours import Flavour
from kaiwa.testing.service.listings import listing_routes
from kaiwa.testing.service.realtime import realtime_routes
from kaiwa.testing.service.script import Script
from kaiwa.testing.service.sockets import listening
from kaiwa.testing.service.state import CHAT_MODELS, DEFAULT_KEY, DEPLOYMENTS, MODELS, Service

# Every emulated service adds its routes here; keys, faults and records are shared.
ROOMS = (realtime_routes, call_routes, chat_routes, response_routes, listing_routes, control_routes)


def create_service_app(service: Service) -> Starlette:
    return Starlette(routes=[route for room in ROOMS for route in room(service)])


@asynccontextmanager
async def running_service(
    script: Script | None = None,
    faults: Faults = NO_FAULTS,
    *,
    flavour: Flavour | None = None,
    keys: tuple[str, ...] = (DEFAULT_KEY,),
    models: Mapping[str, str] = MODELS,
    deployments: Mapping[str, str] = DEPLOYMENTS,
    chat_models: Mapping[str, str] = CHAT_MODELS,
    habits: Habits = USUAL,
    seed: int = 0,
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncGenerator[Service]:
    """Serve a stand-in on a real socket until the block is left; `service.url` says where.

    Raises OSError when the port is taken.
    """
    service = Service(
        script=script or Script(),
        flavour=flavour,
        keys=keys,
        models=models,
        deployments=deployments,
        chat_models=chat_models,
        habits=habits,
        seed=seed,
    )
    service.faults = faults
    app = create_service_app(service)
    async with listening(
        app, host=host, port=port, http=HttpWire, before_stop=service.stopping.set
    ) as used_port:
        service.url = f"http://{host}:{used_port}"
        yield service
