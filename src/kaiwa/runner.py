"""One conversation, run: one bounded inbox, one loop, one task group.

Moves values between a session, its peer, its engine and its tools. Knows the order of things and their
bounds; knows nothing of what the values mean.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from math import inf
from typing import Any, Final
from uuid import uuid4

from kaiwa.errors import SERVER_ERROR
from kaiwa.events import client, server
from kaiwa.events.actions import Action, Ask, ForgetTools, Hang, ListTools, RunTool, Send, StopTool
from kaiwa.events.budget import BudgetEvent, Charge, CostChanged
from kaiwa.events.items import Message
from kaiwa.events.relay import PassedFrame
from kaiwa.events.tools import ToolCall, ToolEvent, ToolSettled, ToolsListed
from kaiwa.interfaces import STOPPED, Engine, Session, Spending, ToolBox, ToolServers, Transport
from kaiwa.session.quiet import Quiet

log = logging.getLogger("kaiwa.conversation")

NORMAL, GOING_AWAY, INTERNAL_ERROR, SLOW_CONSUMER = 1000, 1001, 1011, 1013
SHUTTING_DOWN: Final = "server_shutting_down"
_FRAME_BYTES = 600


@dataclass(frozen=True, slots=True)
class Bounds:
    """`inbox_events`: a full inbox makes its pumps wait. `outbox_bytes`: over it the peer is too slow
    and is closed. `close_s`: how long the last words may take."""

    inbox_events: int = 1024
    outbox_bytes: int = 32 * 1024 * 1024
    close_s: float = 5.0


USUAL = Bounds()


class Leaving:
    """A house's wish that its conversations end: each after its turn, and all `within_s`."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.by = inf

    def ask(self, within_s: float) -> None:
        self.by = asyncio.get_running_loop().time() + within_s
        self.asked.set()


async def converse(
    session: Session,
    transport: Transport,
    engine: Engine,
    tools: ToolBox,
    *,
    servers: ToolServers | None = None,
    bounds: Bounds = USUAL,
    leaving: Leaving | None = None,
    spending: Spending | None = None,
) -> str:
    """Run the conversation to its end and return why it ended. Frees engine, tools and transport.

    `servers` None: the session's wishes for tools from elsewhere are answered with a sentence.
    `leaving`: once it is asked, the conversation ends at the next pause (an error event, then close 1001).
    `spending` is charged with all that was used, however the conversation ends; None: nobody counts.

    The edge of a conversation: a bug inside ends this conversation (close 1011), never the process.
    """
    conversation = _Conversation(
        session, transport, engine, tools, servers, bounds, leaving or Leaving(), spending
    )
    try:
        return await conversation.run()
    except Exception:
        log.exception("conversation failed")
        await _apologise(transport, bounds.close_s)
        return "internal error"
    finally:
        conversation.charge_the_rest()
        await engine.close()


class _Conversation:
    def __init__(
        self,
        session: Session,
        transport: Transport,
        engine: Engine,
        tools: ToolBox,
        servers: ToolServers | None,
        bounds: Bounds,
        leaving: Leaving,
        spending: Spending | None,
    ) -> None:
        self._session = session
        self._transport = transport
        self._engine = engine
        self._tools = tools
        self._servers = servers
        self._bounds = bounds
        self._inbox: asyncio.Queue[Any] = asyncio.Queue(bounds.inbox_events)
        self._outbox: deque[server.ServerEvent] = deque()
        self._outbox_bytes = 0
        self._something_to_send = asyncio.Event()
        self._all_sent = asyncio.Event()
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._listings: dict[str, asyncio.Task[None]] = {}
        self._ended: str | None = None
        self._hang: Hang | None = None
        self._leaving = leaving
        self._quiet = Quiet(asyncio.get_running_loop().time())
        self._spending = spending
        if spending is not None:
            spending.tell = self._hear_of_costs

    async def run(self) -> str:
        async with asyncio.TaskGroup() as group:
            self._group = group
            around = [
                group.create_task(self._pump(self._transport.receive(), ends=True)),
                group.create_task(self._pump(self._engine.events(), ends=False)),
                group.create_task(self._write()),
                group.create_task(self._hear_of_leaving()),
            ]
            await self._loop()
            await self._part()
            for task in (*around, *self._calls.values(), *self._listings.values()):
                task.cancel()
        assert self._ended is not None, "the loop ends with a reason"
        return self._ended

    async def _loop(self) -> None:
        clock = asyncio.get_running_loop().time
        session, inbox = self._session, self._inbox
        self._carry_out(session.actions())
        while self._ended is None:
            try:
                event = inbox.get_nowait()
            except asyncio.QueueEmpty:
                event = await self._next_event(_earlier(session.next_timer(), self._leaves_at))
            now = clock()
            if event is None:
                session.handle_timer(now)
            elif type(event) is not _Leave:
                session.receive(event, now)
                if type(event) is client.PeerGone:
                    self._ended = "peer gone"
            self._carry_out(session.actions())
            if self._ended is None and (leaves_at := self._leaves_at) is not None and now >= leaves_at:
                self._leave()

    @property
    def _leaves_at(self) -> float | None:
        """When to end for the house's sake: after the turn, and not later than everybody."""
        leaving = self._leaving
        if not leaving.asked.is_set():
            return None
        since = None if self._calls else self._quiet.since
        return leaving.by if since is None else min(since, leaving.by)

    def _leave(self) -> None:
        text = "The server is shutting down. Connect again, and another one answers."
        self._send(_error(SHUTTING_DOWN, text))
        self._hang, self._ended = Hang(code=GOING_AWAY, reason="server shutting down"), "server shutting down"

    async def _hear_of_leaving(self) -> None:
        await self._leaving.asked.wait()
        await self._inbox.put(_Leave())

    def _hear_of_costs(self, event: BudgetEvent) -> None:
        """Costs come with what was used: a few for each answer."""
        if not self._inbox.full():
            self._inbox.put_nowait(event)
        elif not isinstance(event, CostChanged):  # the next one tells that
            self._group.create_task(self._inbox.put(event))

    def charge_the_rest(self) -> None:
        """Count what is under way, once nothing more of it will be heard."""
        if self._spending is None:
            return
        self._spending.tell = _nobody_hears
        try:
            self._session.receive(client.PeerGone(), asyncio.get_running_loop().time())
            for action in self._session.actions():
                if isinstance(action, Charge):
                    self._charge(action)
        except Exception:  # of a session that has failed before
            log.exception("a conversation's last costs are not known")

    def _charge(self, charge: Charge) -> None:
        if self._spending is not None:
            self._spending.charge(charge)

    async def _next_event(self, deadline: float | None) -> Any:
        """Return the next event, or None when the session's timer is due first."""
        try:
            async with asyncio.timeout_at(deadline):
                return await self._inbox.get()
        except TimeoutError:
            return None

    def _carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            kind = type(action)
            if kind is Ask:
                self._engine.ask(action.command)  # type: ignore[union-attr]
            elif kind is Send:
                self._send(action.event)  # type: ignore[union-attr]
            elif isinstance(action, Charge):
                self._charge(action)
            elif isinstance(action, RunTool):
                self._calls[action.call.call_id] = self._group.create_task(self._run_tool(action.call))
            elif isinstance(action, StopTool):
                if task := self._calls.get(action.call_id):
                    task.cancel(STOPPED)
            elif isinstance(action, ListTools):
                self._list_tools(action)
            elif isinstance(action, ForgetTools):
                if listing := self._listings.pop(action.listing_id, None):
                    listing.cancel()
            elif isinstance(action, Hang):
                self._hang, self._ended = action, action.reason or "hung up"

    def _send(self, event: server.ServerEvent) -> None:
        self._quiet.said(event, asyncio.get_running_loop().time())
        self._outbox.append(event)
        self._outbox_bytes += _size(event)
        if self._outbox_bytes > self._bounds.outbox_bytes:
            self._hang, self._ended = Hang(code=SLOW_CONSUMER, reason="slow consumer"), "slow consumer"
            self._outbox.clear()
        self._something_to_send.set()

    async def _write(self) -> None:
        outbox = self._outbox
        try:
            while True:
                while outbox:
                    event = outbox.popleft()
                    await self._transport.send(event)
                    self._outbox_bytes -= _size(event)
                self._all_sent.set()
                self._something_to_send.clear()
                await self._something_to_send.wait()
                self._all_sent.clear()
        except ConnectionError:
            self._all_sent.set()
            await self._inbox.put(client.PeerGone(reason="write failed"))

    async def _pump(self, source: AsyncIterator[Any], *, ends: bool) -> None:
        clock = asyncio.get_running_loop().time
        async for event in source:
            if ends:
                self._quiet.heard(event, clock())
            await self._inbox.put(event)
        if ends:
            await self._inbox.put(client.PeerGone())

    def _list_tools(self, action: ListTools) -> None:
        listing = action.listing
        if self._servers is None:
            told = ToolsListed(listing_id=listing.listing_id, error="This server reaches no MCP servers.")
            serving = self._inbox.put(told)
        else:
            serving = self._servers.serve(listing, self._inbox.put)
        self._listings[listing.listing_id] = self._group.create_task(serving)

    async def _run_tool(self, call: ToolCall) -> None:
        settled: list[ToolSettled] = []

        def report(event: ToolEvent) -> None:
            if isinstance(event, ToolSettled):
                settled.append(event)
            elif not self._inbox.full():  # progress may be lost, an outcome may not
                self._inbox.put_nowait(event)

        try:
            runs = self._tools.run if call.listing_id is None or self._servers is None else self._servers.run
            await runs(call, report)
            for event in settled:
                await self._inbox.put(event)
        finally:
            self._calls.pop(call.call_id, None)

    async def _part(self) -> None:
        """Say the last words and close, unless the peer went first."""
        if self._hang is None:
            return
        if self._ended != "slow consumer":  # nothing more fits into its connection
            try:
                async with asyncio.timeout(self._bounds.close_s):
                    if self._outbox:
                        self._all_sent.clear()
                    await self._all_sent.wait()
            except TimeoutError:
                log.warning("the last events were not taken")
        await _close(self._transport, self._hang.code, self._hang.reason, self._bounds.close_s)


def _nobody_hears(event: BudgetEvent) -> None:
    """The conversation is over."""


class _Leave:
    """In the inbox: the house wants conversations to end."""


def _earlier(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else min(one, other)


def _error(code: str, text: str) -> server.Failed:
    detail = server.ErrorDetail(type=SERVER_ERROR, code=code, message=text, param=None, event_id=None)
    return server.Failed(event_id=f"event_{uuid4().hex[:21]}", error=detail)


def _size(event: server.ServerEvent) -> int:
    if type(event) is server.AudioDelta:
        return len(event.delta) * 4 // 3 + _FRAME_BYTES
    if isinstance(event, PassedFrame) and event.frame is not None:
        return len(event.frame)
    if type(event) is server.ItemRetrieved and isinstance(event.item, Message):
        parts = (getattr(part, "audio", b"") for part in event.item.content)
        return sum(len(audio) for audio in parts if isinstance(audio, bytes)) * 4 // 3 + _FRAME_BYTES
    return _FRAME_BYTES


async def _apologise(transport: Transport, within_s: float) -> None:
    """Tell the peer that the fault was ours, without what it was, and close."""
    try:
        async with asyncio.timeout(within_s):
            text = "The server had an error while processing your request."
            await transport.send(_error("server_error", text))
    except (ConnectionError, TimeoutError):
        log.info("the peer did not take the error")
    await _close(transport, INTERNAL_ERROR, "internal error", within_s)


async def _close(transport: Transport, code: int, reason: str, within_s: float) -> None:
    try:
        async with asyncio.timeout(within_s):
            await transport.close(code, reason)
    except (ConnectionError, TimeoutError):
        log.info("the peer did not take the close")
