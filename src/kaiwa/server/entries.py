"""Which addresses there are, and who may ask them: the rows of the table of routes, by what they are for.

Knows gates and addresses; nothing of how anything is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec

from kaiwa.engines.speech_service import SpeechService
from kaiwa.server import described, described_chat, described_signalr
from kaiwa.server.calls import Calls
from kaiwa.server.chat_local import LocalChat
from kaiwa.server.chat_stream import ChatStream
from kaiwa.server.gate import Gate
from kaiwa.server.gateway import RelayDoor, first_found, relayed_if
from kaiwa.server.listing import Listing
from kaiwa.server.measures.house import METRICS
from kaiwa.server.minting import Minting
from kaiwa.server.openapi import FUNCTION_PATH
from kaiwa.server.own_pages import keyed_or_own
from kaiwa.server.page import Console
from kaiwa.server.pool_state import POOL, PoolView
from kaiwa.server.readiness import READY, Readiness
from kaiwa.server.reference import Reference
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
    under,
)
from kaiwa.server.seed_api import SeedApi
from kaiwa.server.signalr_endpoints import SignalREndpoints
from kaiwa.server.signalr_joining import PATH as JOINED
from kaiwa.server.signalr_joining import Joining
from kaiwa.server.signalr_page import SignalRPage
from kaiwa.server.speaking import Speaking
from kaiwa.server.status.view import STATUS, StatusView
from kaiwa.server.tokens import TOKEN, Tokens
from kaiwa.server.transcribing import Transcribing
from kaiwa.upstream.pool.pool import DeploymentPool


def health(gate: Gate, alive: Answer, readiness: Readiness, measures: Answer) -> list[Entry]:
    return [
        Entry("GET", ("/healthz",), alive, described.HEALTH),
        Entry("GET", ("/readyz",), readiness.answer, READY),
        Entry("GET", ("/metrics",), gate.keyed(measures), METRICS),
    ]


def hubs(gate: Gate, signalr: SignalREndpoints, joining: Joining | None) -> list[Entry]:
    """`joining`: for the other processes of a house, by a token of theirs."""
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
        *([Entry("GET", (JOINED,), joining.answer)] if joining is not None else ()),
    ]


def console(shown: Console) -> list[Entry]:
    return [
        Entry("GET", ("/",), shown.page),
        Entry("GET", ("/console/facts",), shown.facts),
        Entry("GET", ("/console/{name}",), shown.part),
    ]


def reference(gate: Gate, told: Reference) -> list[Entry]:
    return [
        Entry("GET", ("/openapi.json",), gate.open(told.document), described.DOCUMENT),
        Entry("GET", ("/docs",), gate.open(told.page), described.PAGE),
    ]


def pool(gate: Gate, view: PoolView) -> list[Entry]:
    return [
        Entry("GET", ("/api/pool",), gate.keyed(view.state), POOL),
        Entry("GET", ("/pool",), view.shown.page),
        Entry("GET", ("/pool/{name}",), view.shown.part),
    ]


def status(gate: Gate, view: StatusView) -> list[Entry]:
    return [
        Entry("GET", ("/api/status",), gate.keyed(view.state), STATUS),
        Entry("GET", ("/status",), view.shown.page),
        Entry("GET", ("/status/{name}",), view.shown.part),
    ]


def signalr_page(page: SignalRPage) -> list[Entry]:
    return [Entry("GET", ("/signalr",), page.page), Entry("GET", ("/signalr/{name}",), page.part)]


def carriers(table: Sequence[Entry]) -> list[str]:
    """How a page may connect: calls need their route and what carries them."""
    calls = any(f"{OPENAI}/realtime/calls" in entry.paths for entry in table)
    return ["websocket", *(["webrtc"] if calls and find_spec("aiortc") else []), "sse"]


def models(gate: Gate, listing: Listing) -> list[Entry]:
    return [
        Entry("GET", under(BASES, "models"), gate.open(listing.all), described.MODELS),
        Entry("GET", under(BASES, "models/{model:path}"), gate.open(listing.one), described.MODEL),
    ]


def minting(gate: Gate, mint: Minting, tokens: Tokens) -> list[Entry]:
    preview = (*REALTIME, PORTAL)
    return [
        Entry(
            "POST",
            under(REALTIME, "client_secrets"),
            gate.keyed(mint.client_secret, "tokens"),
            described.CLIENT_SECRET,
        ),
        Entry(
            "POST",
            under(preview, "sessions"),
            gate.keyed(mint.preview_session, "tokens"),
            described.PREVIEW_SESSION,
        ),
        Entry(
            "POST",
            under(preview, "transcription_sessions"),
            gate.keyed(mint.preview_transcription, "tokens"),
            described.PREVIEW_SESSION,
        ),
        Entry("POST", ("/api/tokens",), gate.keyed(tokens.mint, "tokens"), TOKEN),
    ]


def calls(gate: Gate, live: Calls) -> list[Entry]:
    # The keys of offers are looked at where ephemeral ones are known.
    return [
        Entry("POST", (*under(REALTIME, "calls"), *REALTIME, *RTC), gate.open(live.create)),
        Entry("POST", under(REALTIME, "calls/{call_id}/hangup"), gate.keyed(live.hang_up, "realtime")),
        Entry(
            "POST",
            under(REALTIME, *(f"calls/{{call_id}}/{act}" for act in RINGING)),
            gate.keyed(live.answer_ringing, "realtime"),
        ),
    ]


def own_pages(gate: Gate, api: SeedApi) -> list[Entry]:
    session = described.page_session(api.admission.directory.names)
    return [
        Entry("GET", ("/api/realtime/session",), keyed_or_own(gate, api.session, "tokens"), session),
        Entry("POST", ("/api/realtime/session",), keyed_or_own(gate, api.session, "tokens"), session),
        Entry("POST", (FUNCTION_PATH,), keyed_or_own(gate, api.function, "tools"), described.FUNCTION),
    ]


def streams(gate: Gate, stream: ChatStream, door: RelayDoor) -> list[Entry]:
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


def speech(gate: Gate, service: Callable[[], SpeechService | None]) -> list[Entry]:
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


def chats(gate: Gate, deployments: DeploymentPool, door: RelayDoor, chat: LocalChat) -> list[Entry]:
    # First in the table, since each address that does not fit takes time, and these are asked for most.
    # A relayed request reserves what it may use by itself; of the others each counts as one.
    def either(relayed: Answer, local: Answer) -> Answer:
        return relayed_if(deployments, gate.keyed(relayed, "chat"), gate.counted(local, "chat"))

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
