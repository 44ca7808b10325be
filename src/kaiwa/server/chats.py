"""Conversations in text, while they are kept: by whom, under which name, and for how long.

Knows agents, conversations and their answers; nothing of HTTP or hubs, which ask here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from msgspec import structs

from kaiwa.errors import SERVER_ERROR, PeerError
from kaiwa.events.items import ClientItem, Message
from kaiwa.events.pieces import ErrorPiece, NoticePiece, TextPiece, UsagePiece
from kaiwa.gateway.accounts import Account
from kaiwa.policy.amounts import Limit
from kaiwa.policy.caller import ANYBODY, Caller
from kaiwa.protocol.chat.usage import TokensCounted
from kaiwa.protocol.replay import Forgotten
from kaiwa.server.admission import Admission
from kaiwa.server.conversations import Admitted, Answerer
from kaiwa.server.holding import Counting, Holding
from kaiwa.server.ids import new_id
from kaiwa.server.settings_budgets import wording_of
from kaiwa.tools.agent import Agent
from kaiwa.transports.chat import Busy, ChatTransport, Turn

T = TypeVar("T")
Released = Callable[[str, str], Coroutine[Any, Any, None]]
log = logging.getLogger("kaiwa.server")
MOST_KEPT: Final = 512


class NoRoom(PeerError):
    """A question that has to wait: there are as many as may be. `status` is HTTP's word for it."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(code, message, type=SERVER_ERROR if status == 503 else "rate_limit_error")
        self.status = status


@dataclass(frozen=True, slots=True)
class Keeping:
    """`idle_s`: how long a named conversation is kept after its last answer. `grace_s`: how long an answer
    that can be taken up again goes on without a reader, and is kept when it is whole."""

    idle_s: float = 600.0
    grace_s: float = 30.0


USUAL: Final = Keeping()
_BYTES_A_TOKEN: Final = 4


@dataclass(eq=False, slots=True)
class Chat:
    """One conversation. `key`: who keeps it, and under which name; None: it ends with its answer."""

    agent: Agent
    transport: ChatTransport
    key: tuple[str, str] | None
    asked: bool = False
    warned: bool = False
    expiry: asyncio.TimerHandle | None = None


@dataclass(eq=False, slots=True)
class Answering:
    """An answer, and who reads it. `resumable`: it survives a reader that went away, for a while.

    `account`: what it costs whom; the caller's limits hold while it is made.
    """

    chat: Chat
    turn: Turn
    owner: str
    resumable: bool
    account: Account | None = None
    readers: int = 0
    expiry: asyncio.TimerHandle | None = None


class Chats:
    """Every text conversation of the process. They live inside `running`."""

    def __init__(
        self,
        admission: Admission,
        answerer: Answerer,
        holding: Holding,
        keeping: Keeping = USUAL,
        *,
        released: Released | None = None,
    ) -> None:
        """`released` is told the owner and the name of a conversation that is kept no longer."""
        self._released = released
        self._admission = admission
        self._answerer = answerer
        self._holding = holding
        self._keeping = keeping
        self._kept: dict[tuple[str, str], Chat] = {}
        self._live: set[Chat] = set()
        self._answers: dict[str, Answering] = {}
        self._group: asyncio.TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Let conversations live until the block ends; then end them."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                yield
            finally:
                self._group = None
                for chat in list(self._live):
                    self._end(chat)
                for answering in list(self._answers.values()):
                    self._forget(answering)

    def ask(
        self,
        agent: Agent,
        items: Sequence[ClientItem],
        *,
        caller: Caller = ANYBODY,
        name: str | None = None,
        resumable: bool = False,
        account: Account | None = None,
    ) -> Answering:
        """Put a question to an agent, in the conversation of that name when there is one.

        Of a conversation that is known already only the newest user messages are taken. Raises NoRoom.
        """
        owner = caller.id
        chat = self._kept.get((owner, name)) if name is not None else None
        if chat is None or chat.transport.over:
            chat = self._open(agent, caller, None if name is None else (owner, name))
        notice = None if account is None else self._notice(chat, account)
        try:
            turn = chat.transport.ask(newest(items) if chat.asked else items, notice)
        except Busy:
            text = "Too many questions of this conversation wait for their answers."
            raise NoRoom("conversation_busy", text, 429) from None
        chat.asked, chat.warned = True, chat.warned or notice is not None
        if chat.expiry is not None:
            chat.expiry.cancel()
        answering = Answering(chat, turn, owner, resumable, account)
        self._answers[turn.id] = answering
        self._make_room()
        self._task_group.create_task(self._see_to_its_end(answering))
        return answering

    def keeps(self, owner: str, name: str) -> bool:
        """Say whether there is a conversation under this name."""
        return (owner, name) in self._kept

    def find(self, turn_id: str, owner: str = "") -> Answering | None:
        """Return an answer that runs or is still kept, if it is this owner's."""
        answering = self._answers.get(turn_id)
        return answering if answering is not None and answering.owner == owner else None

    def cancel(self, answering: Answering) -> None:
        """Nobody wants this answer any more: stop it, and its conversation if it has no name."""
        answering.chat.transport.cancel(answering.turn)

    def stop_at(self, answering: Answering, limit: Limit | None) -> None:
        """End an answer that its caller may have no more of, and tell its readers why. Once."""
        answering.chat.transport.cancel(answering.turn, self._why_not(answering.chat, limit))

    @contextmanager
    def reading(self, answering: Answering) -> Generator[None]:
        """Follow an answer. Once its last reader left, it is stopped: at once, or after its grace."""
        answering.readers += 1
        self._wait_no_more(answering)
        try:
            yield
        finally:
            answering.readers -= 1
            if answering.readers == 0:
                self._left(answering)

    @property
    def _task_group(self) -> asyncio.TaskGroup:
        assert self._group is not None, "conversations live inside running()"
        return self._group

    def _open(self, agent: Agent, caller: Caller, key: tuple[str, str] | None) -> Chat:
        if self._holding.live >= self._admission.settings.max_sessions and not self._drop_an_idle_one():
            refusal = self._admission.no_room()
            raise NoRoom(refusal.code, refusal.message, 503)
        first = self._admission.first_session(agent, agent.name)
        config = structs.replace(first, output_modalities=("text",))
        counting, seat = self._holding.counting("text", config.model), ExitStack()
        seat.enter_context(self._holding.seat())
        chat = Chat(agent, ChatTransport(new_id, counting.meter.note), key)
        admitted = Admitted(agent, "ga", config, caller=caller)
        self._live.add(chat)
        if key is not None:
            self._kept[key] = chat
        self._task_group.create_task(self._converse(chat, admitted, counting, seat))
        return chat

    async def _converse(self, chat: Chat, admitted: Admitted, counting: Counting, seat: ExitStack) -> None:
        """Run a conversation to its end: the edge of it, where nothing may come through."""
        with seat:
            try:
                parts = await self._answerer.open(admitted)
                await self._holding.hold(parts, chat.transport, admitted.config.id, counting)
            except Exception:
                log.exception("a text conversation could not begin")
            finally:
                self._end(chat)

    def _end(self, chat: Chat) -> None:
        self._live.discard(chat)
        if chat.expiry is not None:
            chat.expiry.cancel()
        if chat.key is not None and self._kept.get(chat.key) is chat:
            del self._kept[chat.key]
            if self._released is not None and self._group is not None:
                self._group.create_task(self._released(*chat.key))
        chat.transport.leave()

    def _drop_an_idle_one(self) -> bool:
        """End the named conversation that has been silent for longest. Says whether there was one."""
        idle = [chat for chat in self._kept.values() if chat.expiry is not None]
        if idle:
            self._end(min(idle, key=lambda chat: chat.expiry.when() if chat.expiry is not None else 0))
        return bool(idle)

    async def _see_to_its_end(self, answering: Answering) -> None:
        await self._charge(answering)
        chat = answering.chat
        if chat.key is None:
            self._end(chat)
        elif chat.transport.unanswered == 0 and not chat.transport.over:
            chat.expiry = _later(self._keeping.idle_s, self._end, chat)
        if answering.readers == 0:
            self._left(answering)

    async def _charge(self, answering: Answering) -> None:
        """Count what an answer uses while it is made, to its end."""
        turn, account = answering.turn, answering.account
        if account is None:
            return await turn.end()
        tokens, told = 0, None
        try:
            async for _, piece in turn.read():
                if isinstance(piece, UsagePiece):
                    told = TokensCounted(
                        input=piece.input_tokens, cached=piece.cached_tokens, output=piece.output_tokens
                    )
                elif isinstance(piece, TextPiece):
                    tokens += len(piece.text.encode()) // _BYTES_A_TOKEN + 1
                    if not account.went_on(tokens):
                        self.stop_at(answering, account.reached)
        except Forgotten:  # it grew faster than it was counted
            await turn.end()
        account.settle(told, tokens)
        return None

    def _notice(self, chat: Chat, account: Account) -> NoticePiece | None:
        """Return what is told once of a conversation when a budget is near."""
        settings = self._admission.settings
        words = wording_of(settings, chat.agent.language).near
        if chat.warned or not words or not settings.budget_near <= account.used_share < 1:
            return None
        return NoticePiece(code="budget_near", message=words)

    def _why_not(self, chat: Chat, limit: Limit | None) -> ErrorPiece:
        """Return why an answer goes no further."""
        code, name = ("rate_limit_exceeded", "A limit") if limit is None else (limit.code, limit.name)
        said = f"{name} of this key was reached."
        if limit is not None and limit.is_budget:
            said = f"{wording_of(self._admission.settings, chat.agent.language).spent} ({said})".lstrip()
        return ErrorPiece(code=code, message=said)

    def _left(self, answering: Answering) -> None:
        """Nobody reads it. What may be taken up again waits for its grace, all else is over."""
        if answering.turn.id not in self._answers:
            return
        self._wait_no_more(answering)
        if not answering.resumable:
            self._forget(answering)
        else:
            answering.expiry = _later(self._keeping.grace_s, self._forget, answering)

    def _forget(self, answering: Answering) -> None:
        self._wait_no_more(answering)
        self._answers.pop(answering.turn.id, None)
        self.cancel(answering)

    def _wait_no_more(self, answering: Answering) -> None:
        if answering.expiry is not None:
            answering.expiry.cancel()
            answering.expiry = None

    def _make_room(self) -> None:
        """Keep no more answers than MOST_KEPT: the oldest whole one without a reader goes."""
        if len(self._answers) > MOST_KEPT:
            whole = (one for one in self._answers.values() if one.turn.finished and not one.readers)
            if (oldest := next(whole, None)) is not None:
                self._forget(oldest)


def newest(items: Sequence[ClientItem]) -> Sequence[ClientItem]:
    """Return what follows the last answer: the part of a history that is new to a conversation."""
    answered = [
        n for n, item in enumerate(items) if not isinstance(item, Message) or item.role == "assistant"
    ]
    return items[answered[-1] + 1 :] if answered else items


def _later(delay_s: float, act: Callable[[T], object], subject: T) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(delay_s, act, subject)
