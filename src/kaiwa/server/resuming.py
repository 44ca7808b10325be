"""Sessions that outlive their connections: who asked for it, which wait, and who may come back.

Knows tokens, callers and bounds; what was missed is the transport's affair. A token is a secret, good for the
caller alone who was given it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from starlette.websockets import WebSocket

from kaiwa.events import server
from kaiwa.policy.caller import Caller
from kaiwa.protocol.realtime.own_events import resume_in
from kaiwa.server.admission import Refusal
from kaiwa.server.conversations import Parts
from kaiwa.server.holding import Counting, Holding
from kaiwa.server.ids import MARK, mark_of, new_id
from kaiwa.server.settings import Settings
from kaiwa.transports.resumable import Keeping, ResumableTransport
from kaiwa.transports.shared import SharedTransport

log = logging.getLogger("kaiwa.server")

HEADER: Final = "x-kaiwa-resume"
_PARAMETER: Final = "resume"
_CURSOR: Final = "last_event_id"
_MEGABYTE: Final = 1024 * 1024
_FIRST_WORD_S: Final = 10.0
_PARTING_S: Final = 5.0

NOT_RESUMABLE: Final = Refusal(
    "session_not_resumable",
    "There is no session to come back to: it is over, or the token is not this caller's. Begin a new one.",
    4004,
)
GONE: Final = Refusal(
    NOT_RESUMABLE.code,
    "The process that held the session is gone, and the conversation with it; or it cannot be asked from "
    "here (KAIWA_PEER_HOST). Begin a new one.",
    4004,
)
NO_CALL: Final = Refusal(
    "session_not_a_call",
    "This session cannot go on as a call: its sound is not PCM16, or calls go past this server. Come back by "
    "a WebSocket with the same token.",
    4000,
)
NO_TOKEN: Final = Refusal(
    "missing_resume_token",
    "With ?resume=event the first event has to be a 'kaiwa.session.resume' with the token.",
    4000,
)


@dataclass(frozen=True, slots=True)
class Wish:
    """`token` None: a new session that can be come back to. `in_band`: the token comes in the first event.

    `said`: that event as it came, once it was read.
    """

    token: str | None = field(default=None, repr=False)
    last_event_id: str | None = None
    in_band: bool = False
    said: str | None = field(default=None, repr=False)

    @property
    def returns(self) -> bool:
        return self.in_band or self.token is not None


def wish_of(query: Mapping[str, str], offered: str | None = None) -> Wish | None:
    """Return what a peer asked for in its query; None: nothing. `offered`: the token in its header."""
    if offered:
        return Wish(offered, query.get(_CURSOR) or None)
    given = query.get(_PARAMETER, "")
    match given:
        case "":
            return None
        case "on":
            return Wish()
        case "event":
            return Wish(in_band=True)
        case token:
            return Wish(token, query.get(_CURSOR) or None)


@dataclass(eq=False)
class Kept:
    """A session whose peer may come back: its parts, its way out, and whose it is.

    `shared`: the way out with those who observe it as a call; `call_id`: by which they find it, if it is one.
    """

    parts: Parts
    transport: ResumableTransport
    shared: SharedTransport
    session_id: str
    owner: str
    call_id: str = ""
    over: asyncio.Event = field(default_factory=asyncio.Event)


class KeptSessions:
    """Every session of the house that can be come back to. Half of all sessions may wait for their peers."""

    def __init__(self, settings: Settings, holding: Holding) -> None:
        self._grace_s = settings.resume_s
        self._log_bytes = int(settings.resume_log_mb * _MEGABYTE)
        self._most_away = max(1, settings.max_sessions // 2)
        self._holding = holding
        self._kept: dict[str, Kept] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def possible(self) -> bool:
        return self._grace_s > 0

    def __len__(self) -> int:
        return len(self._kept)

    def keep(
        self,
        token: str,
        parts: Parts,
        caller: Caller,
        session_id: str,
        note: Callable[[server.ServerEvent], None] | None = None,
    ) -> Kept:
        """Return a session that can be found with the token until `forget`."""
        keeping = Keeping(token, self._grace_s, self._log_bytes)
        transport = ResumableTransport(keeping, ids=new_id, changed=self._bound)
        shared = SharedTransport(transport, ids=new_id, note=note, ready=parts.ready)
        kept = Kept(parts, transport, shared, session_id, caller.spends)
        self._kept[_hash(token)] = kept
        return kept

    def forget(self, kept: Kept) -> None:
        """The session is over."""
        for name in [name for name, value in self._kept.items() if value is kept]:
            del self._kept[name]
        kept.transport.dismiss(reason="The session ended.")
        kept.shared.dismiss(reason="The call ended.")
        kept.over.set()

    def find(self, token: str, caller: Caller) -> Kept | None:
        """Return the caller's session with this token, while it lives."""
        kept = self._kept.get(_hash(token))
        return kept if kept is not None and kept.owner == caller.spends else None

    def hold(self, kept: Kept, counting: Counting, seat: ExitStack) -> None:
        """Run the conversation in a task of the house's, since it outlives the connection it came with."""
        task = asyncio.create_task(self._hold(kept, counting, seat))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait for nobody any more."""
        for kept in list(self._kept.values()):
            kept.transport.give_up()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_PARTING_S)
        for task in self._tasks:
            task.cancel()

    async def _hold(self, kept: Kept, counting: Counting, seat: ExitStack) -> None:
        with seat:
            try:
                await self._holding.hold(kept.parts, kept.shared, kept.session_id, counting)
            finally:
                self.forget(kept)

    def _bound(self) -> None:
        """Let go of who has been away longest, when too many are."""
        away = [kept for kept in self._kept.values() if kept.transport.lost_at is not None]
        if len(away) > self._most_away:
            longest = min(away, key=lambda kept: kept.transport.lost_at or 0.0)
            log.warning("a session was let go: too many wait for their peers (KAIWA_MAX_SESSIONS)")
            longest.transport.give_up()


async def asked_in_band(socket: WebSocket) -> Wish | Refusal:
    """Return what the first event of an accepted socket asks for."""
    try:
        async with asyncio.timeout(_FIRST_WORD_S):
            message = await socket.receive()
    except TimeoutError:
        return NO_TOKEN
    said = message.get("text") or ""
    asked = resume_in(said)
    return NO_TOKEN if asked is None else Wish(asked.token, asked.last_event_id, said=said)


def not_found(token: str) -> Refusal:
    """Return why there is no session with a token: over or a stranger's, or gone with its process."""
    return GONE if mark_of(token) not in ("", MARK) else NOT_RESUMABLE


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
