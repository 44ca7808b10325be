"""The application: routes over one set of shared models, and the process that serves them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from kaiwa.engines.speech_service import SpeechService
from kaiwa.server import described, described_chat, described_signalr
from kaiwa.server.admission import Admission
from kaiwa.server.calls import Calls
from kaiwa.server.calls_live import LiveCalls
from kaiwa.server.calls_media import Media, check_way, way_of
from kaiwa.server.chainlit import ChatPage
from kaiwa.server.chat_local import LocalChat
from kaiwa.server.chat_stream import ChatStream
from kaiwa.server.chats import Chats
from kaiwa.server.conversations import Answerer, CascadeAnswerer
from kaiwa.server.directory import Directory
from kaiwa.server.doors import Doors
from kaiwa.server.ephemeral import EphemeralKeys
from kaiwa.server.gate import Gate, broken, unknown_address
from kaiwa.server.gateway import House, RelayDoor, first_found, gateway_of, relayed_if
from kaiwa.server.holding import Holding
from kaiwa.server.listening import HouseServer, settle_memory
from kaiwa.server.listing import Listing
from kaiwa.server.logs import log_to_stderr
from kaiwa.server.measures.house import METRICS, Measures
from kaiwa.server.minting import Minting
from kaiwa.server.models import load_chat, load_shared
from kaiwa.server.openapi import FUNCTION_PATH
from kaiwa.server.own_pages import keyed_or_own
from kaiwa.server.page import Console
from kaiwa.server.pool_state import POOL, PoolView
from kaiwa.server.readiness import READY, readiness_of
from kaiwa.server.realtime import RealtimeEndpoint
from kaiwa.server.reception import Reception
from kaiwa.server.reference import Reference
from kaiwa.server.relay import relay_from
from kaiwa.server.routes import (
    AUDIO,
    BASES,
    CHAT,
    OPENAI,
    PORTAL,
    REALTIME,
    RINGING,
    RTC,
    Answer,
    Entry,
    routes_of,
    under,
)
from kaiwa.server.seed_api import SeedApi
from kaiwa.server.settings import Settings
from kaiwa.server.signalr import SignalR
from kaiwa.server.signalr_endpoints import SignalREndpoints
from kaiwa.server.signalr_page import SignalRPage
from kaiwa.server.speaking import Speaking
from kaiwa.server.text import TextAnswerer
from kaiwa.server.tokens import TOKEN, Tokens
from kaiwa.server.transcribing import Transcribing
from kaiwa.server.upstream_pool import UpstreamPool
from kaiwa.upstream.pool.pool import DeploymentPool

SWITCH_S = 0.0005


def create_app(
    settings: Settings,
    answerer: Answerer | None = None,
    keys: EphemeralKeys | None = None,
    speech: SpeechService | None = None,
    media: Callable[[], Awaitable[Media]] | None = None,
) -> Starlette:
    """Return the ASGI application. Models are loaded when it starts, before a peer is let in.

    `answerer` None: the one that the settings ask for, with the speech that goes with it; `keys`: where
    ephemeral keys are kept; `media`: starts what carries calls, None: the WebRTC of this house.
    Raises ConfigError for a wrong setting or agent.
    """
    directory = Directory(settings)
    doors = Doors(settings, keys)
    admission = Admission(settings, directory, doors)
    gate = Gate(settings, doors)
    endpoints: list[RealtimeEndpoint] = []
    talks: list[Chats] = []
    minting, pages = Minting(admission), SeedApi(admission)
    relay = answerer or relay_from(settings)
    check_way(settings, relay)
    upstreams = UpstreamPool(settings)
    relaying = gateway_of(settings, upstreams.pool, doors.prices)
    measures = Measures(settings, directory, doors.prices, upstreams.pool, relaying.streams)
    ledger, doors.ledger = doors.ledger, measures.counted(doors.ledger)
    holding = Holding(measures.conversations)
    readiness = readiness_of(upstreams.pool, relaying.streams, relay)
    services = [speech]
    beside = ChatPage(settings, keyed=doors.closed) if settings.chainlit else None

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        answers = relay
        if answers is None and settings.engine != "text":
            shared = await asyncio.to_thread(load_shared, settings, relaying, _tell)
            answers = CascadeAnswerer(settings, shared)
            services[0] = SpeechService(shared.speech, shared.lanes)
            text: Answerer = TextAnswerer(settings, shared.chat)
        else:
            text = answerer or TextAnswerer(settings, load_chat(settings, relaying))
            answers = answers or text
        calls = LiveCalls(way_of(settings, answers, media), holding)
        endpoints.append(RealtimeEndpoint(admission, answers, holding, calls))
        chats = Chats(admission, text, holding)
        talks.append(chats)
        try:
            async with (
                doors.running(),
                upstreams.watched(),
                relaying.running(),
                signalr.running(),
                chats.running(),
            ):
                with measures.running(), readiness.loaded():
                    yield
        finally:
            if beside is not None:
                await beside.close()
            await calls.close()
            endpoints.clear()
            talks.clear()
            await text.close()
            await answers.close()
            await pages.close()
            await directory.close()

    async def realtime(socket: WebSocket) -> None:
        await endpoints[0](socket)

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok", "sessions": holding.live})

    signalr = SignalR(settings, lambda: talks[0])
    measures.watch(lambda: signalr.hubs)
    house = House(doors.ledger, doors.prices)
    most_bytes = settings.chat_request_mb * 1024 * 1024
    door = RelayDoor(relaying, house, most_bytes)
    # What it refuses is asked again by the door behind it, and counted there.
    first_door = RelayDoor(relaying, House(ledger, doors.prices), most_bytes)
    table = [
        # First, since each address that does not fit takes time, and these are asked for most.
        *_chats(gate, upstreams.pool, door, LocalChat(directory, settings.time_zone)),
        Entry("GET", ("/healthz",), health, described.HEALTH),
        Entry("GET", ("/readyz",), readiness.answer, READY),
        Entry("GET", ("/metrics",), gate.keyed(measures.page), METRICS),
        *_lists_models(gate, Listing(directory, upstreams.pool)),
        *_mints(gate, minting),
        Entry("POST", ("/api/tokens",), gate.keyed(Tokens(doors.tokens).mint, "tokens"), TOKEN),
        *_calls(gate, Calls(minting, holding, lambda: endpoints[0].calls)),
        *_serves_pages(gate, pages),
        *_streams(gate, ChatStream(lambda: talks[0], directory, doors, settings.chat_pace_ms / 1000), door),
        *_speaks(gate, lambda: services[0]),
        *_tells_hubs(gate, SignalREndpoints(signalr, lambda: talks[0], directory, doors)),
    ]
    table += _shows(Console(settings, directory, _carriers(table), keyed=doors.closed))
    table += _shows_pool(gate, PoolView(upstreams))
    table += _shows_signalr(SignalRPage(settings))
    table += _tells(gate, Reference(lambda: table, pages.served, key_required=doors.closed))
    app = Starlette(
        routes=[
            *routes_of(table, realtime, gate.preflight),
            *signalr.routes,
            *(beside.routes() if beside else ()),
        ],
        lifespan=lifespan,
        exception_handlers={404: unknown_address, 405: unknown_address, Exception: broken},
    )
    app.state.drain = relaying.drain
    app.state.reception = Reception(first_door, doors.caller)
    app.state.beside = beside
    return app


def _tells_hubs(gate: Gate, signalr: SignalREndpoints) -> list[Entry]:
    negotiate = gate.keyed(signalr.negotiate, "signalr")
    return [
        Entry("GET", ("/api/negotiate",), negotiate, described_signalr.NEGOTIATE),
        Entry("POST", ("/api/negotiate",), negotiate, described_signalr.NEGOTIATE),
        Entry(
            "POST",
            ("/api/broadcast",),
            gate.counted(signalr.broadcast, "signalr"),
            described_signalr.BROADCAST,
        ),
        Entry("POST", ("/api/chat_stream",), gate.keyed(signalr.ask, "signalr"), described_signalr.ASK),
    ]


def _shows(console: Console) -> list[Entry]:
    return [
        Entry("GET", ("/",), console.page),
        Entry("GET", ("/console/facts",), console.facts),
        Entry("GET", ("/console/{name}",), console.part),
    ]


def _tells(gate: Gate, reference: Reference) -> list[Entry]:
    return [
        Entry("GET", ("/openapi.json",), gate.open(reference.document), described.DOCUMENT),
        Entry("GET", ("/docs",), gate.open(reference.page), described.PAGE),
    ]


def _shows_pool(gate: Gate, view: PoolView) -> list[Entry]:
    return [
        Entry("GET", ("/api/pool",), gate.keyed(view.state), POOL),
        Entry("GET", ("/pool",), view.page),
        Entry("GET", ("/pool/{name}",), view.part),
    ]


def _shows_signalr(page: SignalRPage) -> list[Entry]:
    return [Entry("GET", ("/signalr",), page.page), Entry("GET", ("/signalr/{name}",), page.part)]


def _carriers(table: Sequence[Entry]) -> list[str]:
    """How a page may connect: calls need their route and what carries them."""
    calls = any(f"{OPENAI}/realtime/calls" in entry.paths for entry in table)
    return ["websocket", *(["webrtc"] if calls and find_spec("aiortc") else []), "sse"]


def _lists_models(gate: Gate, listing: Listing) -> list[Entry]:
    return [
        Entry("GET", under(BASES, "models"), gate.open(listing.all), described.MODELS),
        Entry("GET", under(BASES, "models/{model:path}"), gate.open(listing.one), described.MODEL),
    ]


def _mints(gate: Gate, minting: Minting) -> list[Entry]:
    preview = (*REALTIME, PORTAL)
    return [
        Entry(
            "POST",
            under(REALTIME, "client_secrets"),
            gate.keyed(minting.client_secret, "tokens"),
            described.CLIENT_SECRET,
        ),
        Entry(
            "POST",
            under(preview, "sessions"),
            gate.keyed(minting.preview_session, "tokens"),
            described.PREVIEW_SESSION,
        ),
        Entry(
            "POST",
            under(preview, "transcription_sessions"),
            gate.keyed(minting.preview_transcription, "tokens"),
            described.PREVIEW_SESSION,
        ),
    ]


def _calls(gate: Gate, calls: Calls) -> list[Entry]:
    # The keys of offers are looked at where ephemeral ones are known.
    return [
        Entry("POST", (*under(REALTIME, "calls"), *REALTIME, *RTC), gate.open(calls.create)),
        Entry("POST", under(REALTIME, "calls/{call_id}/hangup"), gate.keyed(calls.hang_up, "realtime")),
        Entry(
            "POST",
            under(REALTIME, *(f"calls/{{call_id}}/{act}" for act in RINGING)),
            gate.keyed(calls.answer_ringing, "realtime"),
        ),
    ]


def _serves_pages(gate: Gate, api: SeedApi) -> list[Entry]:
    session = described.page_session(api.admission.directory.names)
    return [
        Entry("GET", ("/api/realtime/session",), keyed_or_own(gate, api.session, "tokens"), session),
        Entry("POST", ("/api/realtime/session",), keyed_or_own(gate, api.session, "tokens"), session),
        Entry("POST", (FUNCTION_PATH,), keyed_or_own(gate, api.function, "tools"), described.FUNCTION),
    ]


def _streams(gate: Gate, stream: ChatStream, door: RelayDoor) -> list[Entry]:
    return [
        Entry("POST", ("/api/chat-stream",), gate.keyed(stream.ask, "chat"), described_chat.ASK),
        Entry(
            "GET",
            ("/api/chat-stream/{stream_id}",),
            gate.keyed(stream.take_up, "chat"),
            described_chat.TAKE_UP,
        ),
        Entry("GET", ("/api/streams/{stream_id}",), gate.keyed(door.resume, "chat"), described_chat.READ_ON),
        Entry(
            "DELETE",
            ("/api/streams/{stream_id}",),
            gate.keyed(first_found(door.stop, stream.stop), "chat"),
            described_chat.STOP,
        ),
    ]


def _speaks(gate: Gate, service: Callable[[], SpeechService | None]) -> list[Entry]:
    return [
        Entry(
            "POST", under(AUDIO, "audio/speech"), gate.counted(Speaking(service), "audio"), described.speech()
        ),
        Entry(
            "POST",
            under(AUDIO, "audio/transcriptions"),
            gate.counted(Transcribing(service), "audio"),
            described.TRANSCRIPTION,
        ),
    ]


def _chats(gate: Gate, pool: DeploymentPool, door: RelayDoor, chat: LocalChat) -> list[Entry]:
    # A relayed request reserves what it may use by itself; of the others each counts as one.
    def either(relayed: Answer, local: Answer) -> Answer:
        return relayed_if(pool, gate.keyed(relayed, "chat"), gate.counted(local, "chat"))

    return [
        Entry(
            "POST",
            under(CHAT, "chat/completions"),
            either(door.completions, chat.completions),
            described_chat.COMPLETIONS,
        ),
        Entry(
            "POST",
            under(CHAT, "embeddings"),
            either(door.embeddings, chat.embeddings),
            described_chat.EMBEDDINGS,
        ),
        Entry(
            "POST",
            under(BASES, "responses"),
            either(door.responses, chat.responses),
            described_chat.RESPONSES,
        ),
    ]


def serve(settings: Settings) -> None:
    """Serve until the process is told to end. Prints the addresses once they can be used."""
    log_to_stderr(settings.log_level, settings.log_format)
    # A tool that computes in a thread keeps the interpreter's lock this long each time a voice wants it.
    sys.setswitchinterval(SWITCH_S)
    HouseServer(create_app(settings), settings, ready=_say_where).run()


def _say_where(server: HouseServer) -> None:
    settle_memory()
    for address in server.addresses:
        sys.stdout.write(f"kaiwa 会話  {address}   ws{address[4:]}/v1/realtime?model=gpt-realtime\n")
    if server.authority is not None:
        sys.stdout.write("Clients trust it with either of these in their environment:\n")
        sys.stdout.write(f"  NODE_EXTRA_CA_CERTS={server.authority}\n  SSL_CERT_FILE={server.authority}\n")
    sys.stdout.flush()


def _tell(step: str, done: float) -> None:
    sys.stderr.write(f"loading {step} … {done:.0%}\n")
