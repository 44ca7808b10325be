"""SignalR in this house: its own service, or Azure's where a connection string names one.

Puts hubs, tokens and answers together; the requests are those of `signalr_endpoints`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Final, Protocol

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.routing import BaseRoute

from kaiwa.errors import ConfigError, UpstreamError
from kaiwa.hub import Clients, Elsewhere, HubOptions, One, Target
from kaiwa.hub.azure import AzureSignalR, LocalService, read_connection_string
from kaiwa.hub.azure.publisher import Took
from kaiwa.hub.azure.service.data_plane import data_plane
from kaiwa.hub.azure.service.hubs import ServedHub
from kaiwa.hub.azure.service.local import Keys
from kaiwa.hub.azure.service.upstream import NO_UPSTREAM, Template, Upstream, WebUpstream
from kaiwa.hub.doors.mounting import HubRoute
from kaiwa.hub.following import Follow
from kaiwa.hub.redis import RedisBackplane
from kaiwa.policy.postage import Postage
from kaiwa.server.chats import Answering, Chats
from kaiwa.server.cluster.crossing import Crossing
from kaiwa.server.ids import MARK
from kaiwa.server.settings import Settings
from kaiwa.server.signalr_hub import OWNER, ChatHub, words_of
from kaiwa.server.signalr_joining import Joining

log = logging.getLogger("kaiwa.server")
TARGET: Final = "token"
AZURE_PACE_S: Final = 0.04
"""Azure bills each message, so words are gathered for so long."""
LEAST_KEY_LETTERS: Final = 32
_LOCAL_PAGES: Final = tuple(
    f"{scheme}://{host}{port}"
    for scheme in ("http", "https")
    for host in ("localhost", "127.0.0.1", "[::1]")
    for port in ("", ":*")
)


class Service(Protocol):
    """Where the hub `chat` is. `paid`: whether each message costs."""

    pace_s: float
    paid: bool

    def clients_for(self, took: Took) -> Clients:
        """Return whom to talk to; `took` hears how many messages were paid for."""
        ...

    async def negotiated(self, endpoint: str, owner: str, user_id: str | None) -> Elsewhere: ...

    def has(self, connection_id: str) -> bool:
        """Whether a connection is there, as far as it can be known."""
        ...


class OwnService:
    """The hub is in this process. `shared`: and in others, which have clients too."""

    pace_s = 0.0
    paid = False

    def __init__(self, service: LocalService, hub: str, lifetime_s: int, shared: bool) -> None:
        self._service, self._hub, self._lifetime_s = service, hub, lifetime_s
        self._shared = shared

    @property
    def _served(self) -> ServedHub:
        return self._service.hub(self._hub)

    def clients_for(self, took: Took) -> Clients:
        return self._served.clients

    async def negotiated(self, endpoint: str, owner: str, user_id: str | None) -> Elsewhere:
        claims = {OWNER: owner}
        return self._service.negotiated(endpoint, self._hub, self._lifetime_s, user_id, claims)

    def has(self, connection_id: str) -> bool:
        return self._shared or self._served.has(connection_id)

    async def start(self) -> None:
        """Hear the other processes, before there are clients here. Raises ConfigError."""
        if self._shared:
            await self._served.switchboard.start()


class AzureService:
    """The hub is at Azure SignalR Service; no method of it can be called there."""

    pace_s = AZURE_PACE_S
    paid = True

    def __init__(self, publisher: AzureSignalR, lifetime_s: int) -> None:
        self._publisher, self._lifetime_s = publisher, lifetime_s

    def clients_for(self, took: Took) -> Clients:
        return self._publisher.clients_for(took)

    async def negotiated(self, endpoint: str, owner: str, user_id: str | None) -> Elsewhere:
        return await self._publisher.negotiated(self._lifetime_s, user_id)

    def has(self, connection_id: str) -> bool:
        return True


class SignalR:
    """Raises ConfigError for settings that are wrong. Works inside `running`."""

    def __init__(
        self,
        settings: Settings,
        chats: Callable[[], Chats],
        follow: Follow | None = None,
        crossing: Crossing | None = None,
        took: Took | None = None,
    ) -> None:
        """`took` hears of every message that Azure SignalR Service takes, whoever pays for it."""
        keys = _keys(settings.signalr_service_key)
        self.anonymous_to_all = settings.signalr_anonymous_to_all
        self._chats = chats
        self.joining = None if crossing is None else Joining(lambda: self._local.keys, chats, crossing)
        self._open = keys is not None
        self._local = LocalService(
            keys or Keys(secrets.token_urlsafe(48)),
            HubOptions(prefix=f"{MARK}.", origins=_origins(settings), follow=follow),
            {settings.signalr_hub: self._hub},
            _upstream(settings.signalr_upstreams, keys),
        )
        lifetime_s = settings.signalr_token_minutes * 60
        self._publisher: AzureSignalR | None = None
        self._redis = settings.redis_url
        shared = self._redis is not None
        self.service: Service = OwnService(self._local, settings.signalr_hub, lifetime_s, shared)
        if settings.azure_signalr is not None:
            endpoint = read_connection_string(settings.azure_signalr.get_secret_value())
            self._publisher = AzureSignalR(endpoint, settings.signalr_hub, took=took)
            self.service = AzureService(self._publisher, lifetime_s)
        self._tasks: asyncio.TaskGroup | None = None

    def adjust(self, settings: Settings) -> None:
        """Let pages of other origins in from now on."""
        self._local.allow(_origins(settings))

    def share(self, secret: str | None) -> None:
        """Let the tokens of pages be good at every process that knows this secret. Before `running`."""
        if secret is not None and not self._open:
            self._local.keys = Keys(secret)

    async def leave(self) -> None:
        """Send all clients away, with leave to come back: to another process."""
        await asyncio.gather(*(hub.switchboard.stop() for hub in list(self._local.hubs)))

    @property
    def routes(self) -> list[BaseRoute]:
        """The door of clients, and with a key of the service its REST API."""
        door: list[BaseRoute] = [HubRoute("/client", self._local)]
        return [*door, *data_plane(self._local, served_at)] if self._open else door

    @property
    def hubs(self) -> Collection[ServedHub]:
        """Those of this process that somebody has asked for."""
        return self._local.hubs

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        async with self._local.running(), _running(self._publisher), asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                if isinstance(self.service, OwnService):
                    await self.service.start()
                yield
            finally:
                self._tasks = None

    def _hub(self, name: str, options: HubOptions, upstream: Upstream) -> ServedHub:
        redis = self._redis
        joined = None if redis is None else RedisBackplane(redis.get_secret_value(), f"kaiwa.{name}")
        elsewhere = None if self.joining is None else self.joining.words
        return ChatHub(name, options, upstream, self._chats, joined, elsewhere)

    def tell(
        self, answering: Answering, target: Target, connection_id: str | None, postage: Postage
    ) -> asyncio.Task[None]:
        """Send an answer's words to a target as they come, until its end or until the connection has gone.

        `postage` is settled then. When it is more than the asker may spend, the answer ends.
        """
        assert self._tasks is not None, "answers are told inside `running`"
        return self._tasks.create_task(self._tell(answering, target, connection_id, postage))

    async def _tell(
        self, answering: Answering, target: Target, connection_id: str | None, postage: Postage
    ) -> None:
        words = words_of(answering.turn, self.service.pace_s)
        with postage, self._chats().reading(answering):
            async with aclosing(words):
                async for said in words:
                    if connection_id is not None and not self.service.has(connection_id):
                        return  # whoever comes back joins the answer
                    try:
                        await target.send(TARGET, said)
                    except UpstreamError as failed:
                        log.warning("an answer could not be told", extra={"code": failed.code})
                        return
                    if postage.reached is not None:
                        self._chats().stop_at(answering, postage.reached)


def served_at(request: Request) -> str:
    """Return the address that a request came to."""
    return str(request.base_url).rstrip("/")


def one_of(
    clients: Clients, connection_id: str | None, user_id: str | None, group: str | None
) -> Target | One:
    """Return whom a request names: a connection, else a user, else a group, else everybody."""
    if connection_id is not None:
        return clients.client(connection_id)
    if user_id is not None:
        return clients.user(user_id)
    return clients.all if group is None else clients.group(group)


@asynccontextmanager
async def _running(publisher: AzureSignalR | None) -> AsyncGenerator[None]:
    if publisher is None:
        yield
    else:
        async with publisher.running():
            yield


def _origins(settings: Settings) -> tuple[str, ...]:
    return (*settings.allowed_origins, *_LOCAL_PAGES)


def _keys(setting: SecretStr | None) -> Keys | None:
    if setting is None:
        return None
    keys = [key.strip() for key in setting.get_secret_value().split(",") if key.strip()]
    if not 1 <= len(keys) <= 2 or any(len(key) < LEAST_KEY_LETTERS for key in keys):
        remedy = "Make one with `openssl rand -base64 48`; write two with a comma between to change keys."
        problem = f"needs one or two keys of {LEAST_KEY_LETTERS} letters or more."
        raise ConfigError("KAIWA_SIGNALR_SERVICE_KEY", problem, remedy)
    return Keys(*keys)


class UpstreamTemplate(BaseModel):
    """As in the settings of the Azure service."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url_template: str = Field(alias="UrlTemplate", pattern="^https?://")
    hubs: str = Field("*", alias="HubPattern")
    categories: str = Field("*", alias="CategoryPattern")
    events: str = Field("*", alias="EventPattern")


def _upstream(setting: SecretStr | None, keys: Keys | None) -> Upstream:
    if setting is None:
        return NO_UPSTREAM
    name = "KAIWA_SIGNALR_UPSTREAMS"
    if keys is None:
        raise ConfigError(name, "needs keys to sign with.", "Set KAIWA_SIGNALR_SERVICE_KEY.")
    try:
        written = json.loads(setting.get_secret_value())
        templates = TypeAdapter(list[UpstreamTemplate]).validate_python(written)
    except (ValueError, ValidationError):
        remedy = '[{"UrlTemplate": "http://127.0.0.1:7071/{hub}/{category}/{event}"}]'
        raise ConfigError(name, "is no list of upstream templates.", remedy) from None
    return WebUpstream(_templates(templates), keys.all)


def _templates(written: Sequence[UpstreamTemplate]) -> list[Template]:
    return [Template(one.url_template, one.hubs, one.categories, one.events) for one in written]
