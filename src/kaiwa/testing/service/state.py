"""What all rooms of the stand-in share: keys, models, script, faults and the records.

Knows who may come in and what they meet; knows no route.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response

from kaiwa.events.config import SessionConfig
from kaiwa.testing.service.chat_habits import USUAL, Habits
from kaiwa.testing.service.chat_records import ChatRecords
from kaiwa.testing.service.faults import NO_FAULTS, Faults, parse_faults, retry_headers, split_model
from kaiwa.testing.service.flavours import Flavour, flavour_of, http_error, offered_keys
from kaiwa.testing.service.ids import SeededIds
from kaiwa.testing.service.records import RecordedRequest, RecordedSession, Records
from kaiwa.testing.service.script import Script
from kaiwa.transports.shared import SharedTransport

DEFAULT_KEY = "key-of-the-stand-in"
DEFAULT_TOKEN = "entra-token-of-the-stand-in"
MODELS = {
    name: name for name in ("gpt-realtime", "gpt-realtime-mini", "gpt-realtime-2", "gpt-4o-realtime-preview")
}
# Azure's callers name a deployment; the session shows the model behind it.
DEPLOYMENTS = MODELS | {"voice": "gpt-realtime"}
# Chat and embeddings: Azure's deployments and OpenAI's models by one name.
CHAT_MODELS = {name: name for name in ("gpt-4o", "gpt-4o-mini", "gpt-4.1")} | {"chat": "gpt-4o"}
EMBEDDING_MODELS = {name: name for name in ("text-embedding-3-small", "text-embedding-3-large")}
FAULTS_HEADER = "x-emulate-faults"


@dataclass
class EphemeralKey:
    expires_at: float
    config: SessionConfig


@dataclass
class StandInCall:
    """A call that is under way, and the request that began it."""

    request: RecordedRequest
    shared: SharedTransport
    over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Service:
    """One stand-in. `flavour` None: the path decides who is played. Change `faults` at any time."""

    script: Script = field(default_factory=Script)
    flavour: Flavour | None = None
    keys: tuple[str, ...] = (DEFAULT_KEY,)
    models: Mapping[str, str] = field(default_factory=lambda: dict(MODELS))
    deployments: Mapping[str, str] = field(default_factory=lambda: dict(DEPLOYMENTS))
    chat_models: Mapping[str, str] = field(default_factory=lambda: dict(CHAT_MODELS))
    embedding_models: Mapping[str, str] = field(default_factory=lambda: dict(EMBEDDING_MODELS))
    entra_tokens: tuple[str, ...] = (DEFAULT_TOKEN,)
    habits: Habits = USUAL
    seed: int = 0
    url: str = ""
    records: Records = field(default_factory=Records)
    chat: ChatRecords = field(default_factory=ChatRecords)
    ephemeral: dict[str, EphemeralKey] = field(default_factory=dict[str, EphemeralKey])
    calls: dict[str, StandInCall] = field(default_factory=dict[str, StandInCall])
    tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    """What goes on beside requests: kept, so that it is not forgotten while it runs."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.new_id = SeededIds(self.seed)
        self._faults = NO_FAULTS
        self._requests_before_faults = 0
        self._struck_deployments: dict[str, tuple[Faults, int]] = {}

    # --- what a test looks at -------------------------------------------------------------------

    @property
    def key(self) -> str:
        return self.keys[0]

    @property
    def requests(self) -> list[RecordedRequest]:
        return list(self.records.requests)

    @property
    def sessions(self) -> list[RecordedSession]:
        return list(self.records.sessions)

    def realtime_url(self, model: str = "gpt-realtime", *, flavour: Flavour | None = None) -> str:
        """Return the address of the GA WebSocket: OpenAI's, or Azure's with `model` as the deployment."""
        path = "/openai/v1/realtime" if (flavour or self.flavour) == "azure" else "/v1/realtime"
        return f"ws{self.url.removeprefix('http')}{path}?model={model}"

    # --- faults ---------------------------------------------------------------------------------

    @property
    def faults(self) -> Faults:
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults, self._requests_before_faults = faults, self.records.count

    def faults_of(self, request: RecordedRequest) -> Faults:
        """Return what strikes this request now; live connections feel a change at once."""
        if (own := _faults_in_header(request) or _faults_in_model(request)) is not None:
            return own
        times, since = self._faults.times, request.number - self._requests_before_faults
        return NO_FAULTS if times is not None and since > times else self._faults

    def strike(self, deployment: str, faults: Faults) -> None:
        """From now on these faults, and no others, strike requests of this chat deployment."""
        self._struck_deployments[deployment] = (faults, self.chat.requests[deployment])

    def own_faults(self, named: str) -> tuple[str, Faults | None]:
        """Tell a deployment's name from the faults that come with it, or are its own. Raises ValueError."""
        name, faults = split_model(named)
        if faults is None and name in self._struck_deployments:
            faults, before = self._struck_deployments[name]
            spent = faults.times is not None and self.chat.requests[name] - before >= faults.times
            faults = NO_FAULTS if spent else faults
        return name, faults

    async def pause(self, seconds: float) -> None:
        """Wait on purpose, yet not longer than the stand-in lives."""
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return

    # --- the front door -------------------------------------------------------------------------

    def plays(self, path: str) -> Flavour | None:
        """Return who answers on this path; None when the played service has no such path."""
        flavour = flavour_of(path)
        return flavour if self.flavour in (None, flavour) else None

    def knows_key(self, flavour: Flavour, connection: HTTPConnection, *, ephemeral: bool = False) -> bool:
        keys = offered_keys(flavour, connection)
        if ephemeral and self.ephemeral_of(keys) is not None:
            return True
        return any(hmac.compare_digest(own.encode(), key.encode()) for own in self.keys for key in keys)

    def lets_in(self, flavour: Flavour, connection: HTTPConnection) -> bool:
        """Whether chat lets this in: by its key or, at Azure, a token of Entra ID.

        Azure's older addresses take a key as `api-key` only; what is a bearer there is a token.
        """
        if flavour == "openai":
            return self.knows_key(flavour, connection)
        bearer = connection.headers.get("authorization", "").partition(" ")[2]
        known = self.entra_tokens
        if not connection.url.path.startswith("/openai/deployments/"):
            known += self.keys
        if bearer and any(hmac.compare_digest(own.encode(), bearer.encode()) for own in known):
            return True
        key = connection.headers.get("api-key", "")
        return any(hmac.compare_digest(own.encode(), key.encode()) for own in self.keys)

    def ephemeral_of(self, keys: list[str]) -> EphemeralKey | None:
        found = (self.ephemeral.get(key) for key in keys)
        return next((one for one in found if one is not None and time.time() < one.expires_at), None)

    async def struck(self, request: RecordedRequest) -> Response | None:
        """Do what the faults do before an answer; return the answer when they give one."""
        faults = self.faults_of(request)
        if faults.connect_delay_s:
            await self.pause(faults.connect_delay_s)
        return None if faults.http_status is None else self.refuse(request, faults.http_status)

    def refuse(
        self, request: RecordedRequest, status: int, *, faults: Faults | None = None, **error: str
    ) -> Response:
        request.status = status
        headers = retry_headers(faults or self.faults_of(request), time.time())
        return JSONResponse(http_error(flavour_of(request.path), status, **error), status, headers)


def _faults_in_header(request: RecordedRequest) -> Faults | None:
    text = request.header(FAULTS_HEADER)
    try:
        return None if text is None else parse_faults(text)
    except ValueError:
        return None


def _faults_in_model(request: RecordedRequest) -> Faults | None:
    for name, value in request.query:
        if name in ("model", "deployment"):
            try:
                return split_model(value)[1]
            except ValueError:
                return None
    return None
