"""The application: everything put together over one set of shared models, and the process that serves it."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.websockets import WebSocket

from kaiwa.engines.speech_service import SpeechService
from kaiwa.hub.doors.mounting import HubRoute
from kaiwa.server import entries
from kaiwa.server.admission import Admission
from kaiwa.server.calls import Calls
from kaiwa.server.calls_live import LiveCalls
from kaiwa.server.calls_media import Media, check_way, way_of
from kaiwa.server.chainlit import ChatPage
from kaiwa.server.chat_local import LocalChat
from kaiwa.server.chat_stream import ChatStream
from kaiwa.server.chats import Chats
from kaiwa.server.cluster.house import ALONE, Cluster, Place
from kaiwa.server.conversations import Answerer, CascadeAnswerer
from kaiwa.server.directory import Directory
from kaiwa.server.disturbing import Disturber, check_test_mode, disturb_requests
from kaiwa.server.doors import Doors
from kaiwa.server.draining import Draining
from kaiwa.server.ephemeral import EphemeralKeys, SharedKeys
from kaiwa.server.gate import Gate, broken, unknown_address
from kaiwa.server.gateway import House, RelayDoor, gateway_of
from kaiwa.server.holding import Holding
from kaiwa.server.listening import HouseServer, look_for_ports
from kaiwa.server.listing import Listing
from kaiwa.server.logs import change_log, log_to_stderr
from kaiwa.server.measures.house import Measures
from kaiwa.server.measures.workers import WorkersMeasures
from kaiwa.server.memory import settle_memory
from kaiwa.server.minting import Minting
from kaiwa.server.models import chat_model_name, load_chat, load_shared, require_installed
from kaiwa.server.page import Console
from kaiwa.server.pool_state import PoolView
from kaiwa.server.readiness import readiness_of
from kaiwa.server.realtime import RealtimeEndpoint
from kaiwa.server.reception import Reception
from kaiwa.server.reference import Reference
from kaiwa.server.relay import check_relay, relay_from
from kaiwa.server.reloading import Reloading, Reread, outlive_a_hang_up
from kaiwa.server.resuming import KeptSessions
from kaiwa.server.routes import Entry, routes_of
from kaiwa.server.security_headers import SafeAnswers
from kaiwa.server.seed_api import SeedApi
from kaiwa.server.settings import Settings
from kaiwa.server.settings_traces import address_of
from kaiwa.server.signalr import SignalR
from kaiwa.server.signalr_endpoints import SignalREndpoints
from kaiwa.server.signalr_page import SignalRPage
from kaiwa.server.status.board import board_of
from kaiwa.server.status.view import StatusView, Watched
from kaiwa.server.text import TextAnswerer
from kaiwa.server.tokens import Tokens
from kaiwa.server.traces.house import traces_of
from kaiwa.server.traces.incoming import TracedPeers, TraceIds
from kaiwa.server.upstream_pool import UpstreamPool
from kaiwa.tools.jobs import Jobs

SWITCH_S = 0.0005
_MEGABYTE = 1024 * 1024

# Puts more around the application before it runs.
Furnish = Callable[[Starlette], None]


def create_app(
    settings: Settings,
    answerer: Answerer | None = None,
    keys: EphemeralKeys | None = None,
    speech: SpeechService | None = None,
    media: Callable[[], Awaitable[Media]] | None = None,
    *,
    reread: Reread | None = None,
    place: Place = ALONE,
    disturber: Disturber | None = None,
) -> Starlette:
    """Return the ASGI application. Models are loaded when it starts, before a peer is let in.

    `answerer` None: the one that the settings ask for, with the speech that goes with it; `keys`: where
    ephemeral keys are kept; `media`: starts what carries calls, None: the WebRTC of this house; `reread`:
    gives the settings anew on SIGHUP; `place`: which of several workers this is; `disturber`: who lets things
    go wrong, in test mode.
    Raises ConfigError for a wrong setting or agent.
    """
    check_test_mode(settings, disturber)
    house = _Assembly(settings, answerer, keys, speech, media, reread, place)
    if disturber is not None:
        house.disturb(disturber)
    beside = house.beside
    app = Starlette(
        routes=[
            *routes_of(house.table(), house.realtime, house.gate.preflight),
            *house.hub_routes(),
            *(beside.routes() if beside else ()),
        ],
        middleware=[
            Middleware(SafeAnswers, tls_only=settings.tls_cert is not None and settings.tls_port is None),
            *([Middleware(TracedPeers)] if house.traces else ()),
            *([Middleware(disturber.around)] if disturber else ()),
        ],
        lifespan=house.running,
        exception_handlers={404: unknown_address, 405: unknown_address, Exception: broken},
    )
    app.state.drain = house.drain
    app.state.cluster = house.cluster
    app.state.reception = house.reception if disturber is None else None  # nothing goes past the disturber
    app.state.reloading = house.reloading
    app.state.beside = beside
    return app


class _Assembly:
    """The parts of one house. Those that need its event loop are there while it is `running`."""

    def __init__(
        self,
        settings: Settings,
        answerer: Answerer | None,
        keys: EphemeralKeys | None,
        speech: SpeechService | None,
        media: Callable[[], Awaitable[Media]] | None,
        reread: Reread | None,
        place: Place,
    ) -> None:
        self.cluster = Cluster(settings, place)
        self._draining = Draining(settings.drain_s, settings.drain_notice_s)
        self._settings, self._given, self._media = settings, answerer, media
        self._directory = Directory(settings)
        self._doors = Doors(settings, keys)
        if self.cluster.is_shared:
            self._doors.shared = SharedKeys(self._doors.tokens, self.cluster.directory)
        self._admission = Admission(settings, self._directory, self._doors)
        self.gate = Gate(settings, self._doors)
        jobs = self._jobs = Jobs()
        self._minting, self._pages = Minting(self._admission), SeedApi(self._admission, jobs)
        self._relay = answerer or relay_from(settings, jobs)
        check_way(settings, self._relay)
        self._upstreams = UpstreamPool(settings)
        require_installed(settings, self._upstreams.pool, relayed=self._relay is not None)
        self.relaying = gateway_of(settings, self._upstreams.pool, self._doors.prices)
        self.traces = traces_of(settings)
        if self.traces is not None:
            self.traces.follow(self.relaying, self._relay)
        self._measure()
        self._speech = speech
        self._endpoint: RealtimeEndpoint | None = None
        self._chats: Chats | None = None
        self.reloading = Reloading(settings, reread, self._prepared, self._upstreams.reload)
        self._answers: tuple[Answerer, ...] = ()
        self._console: Console | None = None
        self.beside = ChatPage(settings, keyed=self._doors.closed) if settings.chainlit else None

    def _measure(self) -> None:
        """Count what the parts do, and open the relay's two doors.

        What the first refuses is asked again by the one behind it, and counted there.
        """
        settings, doors, pool = self._settings, self._doors, self._upstreams.pool
        streams = self.relaying.streams
        self._measures = Measures(settings, self._directory, doors.prices, pool, streams)
        uncounted, doors.ledger = doors.ledger, self._measures.counted(doors.ledger)
        self._holding = Holding(
            self._measures.conversations, traces=self.traces, leaving=self._draining.leaving
        )
        self._readiness = readiness_of(pool, streams, self._relay)
        crossing = self.cluster.crossing if self.cluster.is_shared else None
        follow = None if self.traces is None else self.traces.hubs
        self.signalr = SignalR(settings, self.chats, follow, crossing, self._measures.messages.took)
        self._measures.watch(lambda: self.signalr.hubs)
        self._board = board_of(self._measures.conversations, streams)
        most_bytes = settings.chat_request_mb * _MEGABYTE
        self._door = RelayDoor(self.relaying, House(doors.ledger, doors.prices), most_bytes)
        first = RelayDoor(self.relaying, House(uncounted, doors.prices), most_bytes)
        self.reception = Reception(first, doors)

    def disturb(self, disturber: Disturber) -> None:
        """Let somebody stand between this house and its services. Before it runs."""
        disturb_requests(self.relaying, self._relay, disturber)

    def chats(self) -> Chats:
        assert self._chats is not None, "the house runs"
        return self._chats

    def _calls(self) -> LiveCalls:
        assert self._endpoint is not None, "the house runs"
        return self._endpoint.calls

    async def realtime(self, socket: WebSocket) -> None:
        assert self._endpoint is not None, "the house runs"
        named = (socket.query_params.get(name) for name in ("call_id", "resume"))
        if not await self.cluster.crossing.serves(socket, *filter(None, named)):
            await self._endpoint(socket)

    def hub_routes(self) -> list[BaseRoute]:
        """Return the doors of hubs: their clients come to the process that they negotiated with."""
        routes = self.signalr.routes
        for route in routes:
            if isinstance(route, HubRoute):
                route.app = self.cluster.crossing.by_query("id", self._draining.hub(route.app))
        return routes

    async def drain(self) -> None:
        """End in order: take nothing new, let finish what runs, and send the clients of hubs away."""
        draining = self._draining
        await draining.run(self._holding.empty, self.relaying.drain, last=self.signalr.leave)

    async def _alive(self, request: Request) -> Response:
        return JSONResponse({"status": "ok", "sessions": self._holding.live})

    @asynccontextmanager
    async def running(self, app: Starlette) -> AsyncGenerator[None]:
        """Load what is needed, let peers in, and close it all again in the opposite order."""
        async with AsyncExitStack() as closing:
            if self.traces is not None:
                await closing.enter_async_context(self.traces.running())
            await closing.enter_async_context(self.cluster.running())
            self.signalr.share(await self.cluster.directory.secret("signalr"))
            closing.push_async_callback(self._directory.close)
            closing.push_async_callback(self._pages.close)
            answers, text = self._answers = await self._answerers()
            closing.push_async_callback(answers.close)
            closing.push_async_callback(text.close)
            way = way_of(self._settings, answers, self._media)
            kept = KeptSessions(self._settings, self._holding)
            closing.push_async_callback(kept.close)
            calls = LiveCalls(way, self._holding, kept, self.cluster.directory)
            closing.push_async_callback(calls.close)
            if self.beside is not None:
                closing.push_async_callback(self.beside.close)
            crossing = self.cluster.crossing
            self._endpoint = RealtimeEndpoint(self._admission, answers, self._holding, calls, kept, crossing)
            self._chats = Chats(self._admission, text, self._holding, released=self.cluster.crossing.release)
            async with (
                self._doors.running(),
                self._upstreams.watched(),
                self.reloading.running(),
                self.relaying.running(),
                self.signalr.running(),
                self._chats.running(),
            ):
                with self._measures.running(), self._readiness.loaded():
                    yield

    async def _answerers(self) -> tuple[Answerer, Answerer]:
        """Return who answers conversations, and who answers those in text."""
        settings = self._settings
        if self._relay is None and settings.engine != "text":
            shared = await asyncio.to_thread(load_shared, settings, self.relaying, _tell)
            self._speech = SpeechService(shared.speech, shared.lanes)
            self._doors.text_model = chat_model_name(settings, self._upstreams.pool)
            chat = shared.chat
            return CascadeAnswerer(settings, shared, self._jobs), TextAnswerer(settings, chat, self._jobs)
        if self._given is not None:
            return self._given, self._given
        text = TextAnswerer(settings, load_chat(settings, self.relaying), self._jobs)
        self._doors.text_model = chat_model_name(settings, self._upstreams.pool)
        return self._relay or text, text

    def _prepared(self, settings: Settings) -> Callable[[], None]:
        """Return what puts live settings in force. Raises ConfigError before anything has changed."""
        check_relay(settings)
        self._upstreams.check(settings)

        def change() -> None:
            self.gate.settings = self._admission.settings = settings
            parts = (self._doors, self._upstreams, self.signalr, self._console, self.beside, *self._answers)
            for part in parts:
                if part is not None:
                    part.adjust(settings)
            change_log(settings.log_level, settings.log_format)

        return change

    def _watched(self) -> Watched:
        return Watched(
            settings=lambda: self._admission.settings,
            board=self._board,
            registry=self._measures.registry,
            readiness=self._readiness,
            upstreams=self._upstreams,
            streams=self.relaying.streams,
            hubs=lambda: self.signalr.hubs,
            cluster=self.cluster,
            traces=self.traces,
        )

    def table(self) -> list[Entry]:
        """Return every address and who answers there."""
        settings, gate, directory, doors = self._settings, self.gate, self._directory, self._doors
        crossing = self.cluster.crossing
        stream = ChatStream(self.chats, directory, doors, settings.chat_pace_ms / 1000, crossing)
        hubs = SignalREndpoints(self.signalr, self.chats, directory, doors, crossing)
        measures = WorkersMeasures(self._measures, self.cluster)
        table = [
            *entries.chats(gate, self._upstreams.pool, self._door, LocalChat(directory, settings.time_zone)),
            *entries.health(gate, self._alive, self._readiness, measures.page),
            *entries.models(gate, Listing(directory, self._upstreams.pool)),
            *entries.minting(gate, self._minting, Tokens(doors.tokens, doors.shared)),
            *entries.calls(gate, Calls(self._minting, self._holding, self._calls)),
            *entries.own_pages(gate, self._pages),
            *entries.streams(gate, stream, self._door),
            *entries.speech(gate, lambda: self._speech),
            *entries.hubs(gate, hubs, self.signalr.joining),
            *entries.pool(gate, PoolView(self._upstreams)),
            *entries.status(gate, StatusView(self._watched())),
            *entries.signalr_page(SignalRPage(settings)),
        ]
        self._console = Console(settings, directory, entries.carriers(table), keyed=doors.closed)
        table += entries.console(self._console)
        table += entries.reference(
            gate, Reference(lambda: table, self._pages.served, key_required=doors.closed)
        )
        return [crossing.around(self._draining.guarded(entry)) for entry in table]


def serve(
    settings: Settings,
    reread: Reread | None = None,
    *,
    place: Place = ALONE,
    sockets: list[socket.socket] | None = None,
    ready: Callable[[HouseServer], None] | None = None,
    furnish: Furnish | None = None,
    disturber: Disturber | None = None,
) -> None:
    """Serve until the process is told to end. Prints the addresses once they can be used.

    `reread` gives the settings anew on SIGHUP. Workers have their `place`, sockets that were made for them,
    and somebody who wants to know when they are `ready`. `furnish` puts more around the application.
    `disturber`: who lets things go wrong, in test mode.
    """
    log_to_stderr(settings.log_level, settings.log_format, *([TraceIds()] if address_of(settings) else []))
    outlive_a_hang_up()
    if sockets is None:
        look_for_ports(settings)
    # A tool that computes in a thread keeps the interpreter's lock this long each time a voice wants it.
    sys.setswitchinterval(SWITCH_S)
    app = create_app(settings, reread=reread, place=place, disturber=disturber)
    if furnish is not None:
        furnish(app)

    def listens(server: HouseServer) -> None:
        settle_memory()
        (ready or _say_where)(server)

    HouseServer(app, settings, ready=listens).run(sockets)


def _say_where(server: HouseServer) -> None:
    for address in server.addresses:
        sys.stdout.write(f"kaiwa 会話  {address}   ws{address[4:]}/v1/realtime?model=gpt-realtime\n")
    if server.authority is not None:
        sys.stdout.write("Clients trust it with either of these in their environment:\n")
        sys.stdout.write(f"  NODE_EXTRA_CA_CERTS={server.authority}\n  SSL_CERT_FILE={server.authority}\n")
    sys.stdout.flush()


def _tell(step: str, done: float) -> None:
    sys.stderr.write(f"loading {step} … {done:.0%}\n")
