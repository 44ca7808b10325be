"""Who answers an admitted peer: the parts of one conversation, ready for the runner."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol

from msgspec import structs

from kaiwa.engines.cascade import CascadeEngine, Shared
from kaiwa.events.config import SessionConfig
from kaiwa.interfaces import Engine, Session, ToolBox, ToolServers
from kaiwa.policy.caller import ANYBODY, Caller
from kaiwa.protocol.realtime.dialects import Dialect, codec_for
from kaiwa.server.asked import asked_by
from kaiwa.server.ids import new_id
from kaiwa.server.settings import Settings
from kaiwa.server.settings_budgets import wording_of
from kaiwa.session.budgeted import SILENT, Wording
from kaiwa.session.host import HostSession
from kaiwa.session.policy import FILLERS, HostPolicy
from kaiwa.tools.agent import Agent
from kaiwa.tools.jobs import Jobs
from kaiwa.tools.mcp import McpServers
from kaiwa.tools.mcp_client import require_mcp
from kaiwa.tools.mcp_servers import read_servers
from kaiwa.tools.toolbox import AgentToolBox
from kaiwa.transports.websocket import Codec


@dataclass(frozen=True, slots=True)
class Admitted:
    """A peer that was let in: whom it asked for, in which dialect, and the session it begins with.

    `paced`: the server plays the sound to it, as in a call; `may_call`: it may come back as one.
    `own_events`: a caller wants kaiwa's too.
    """

    agent: Agent
    dialect: Dialect
    config: SessionConfig
    paced: bool = False
    may_call: bool = False
    own_events: bool = False
    caller: Caller = ANYBODY


@dataclass(frozen=True, slots=True)
class Parts:
    """What `runner.converse` needs besides the transport, and who reads frames for it in each dialect.

    `ready`, when it is there, is waited for before more is read of the peer. `agent` is whom the peer talks
    to, `wording` what that says of its budget; `silence_ms` says how long it had been silent when its last
    turn was taken to be over.
    """

    session: Session
    engine: Engine
    tools: ToolBox
    codec_for: Callable[[Dialect], Codec]
    ready: Callable[[], Awaitable[None]] | None = None
    servers: ToolServers | None = None
    agent: str = ""
    wording: Wording = SILENT
    silence_ms: Callable[[], int | None] | None = None


class Answerer(Protocol):
    """One way to answer: here, or by relay to a service. Serves every conversation of the process."""

    async def open(self, admitted: Admitted) -> Parts: ...

    def adjust(self, settings: Settings) -> None:
        """From now on open conversations by these settings."""
        ...

    async def close(self) -> None: ...


class HostAnswerer:
    """Conversations that are held here: a host session over an engine of this process.

    `jobs` None: its tools are called by nobody else in this process. Raises ConfigError for MCP servers that
    cannot be used.
    """

    def __init__(
        self, settings: Settings, engine_for: Callable[[Admitted], Engine], jobs: Jobs | None = None
    ) -> None:
        self._settings = settings
        self._engine_for = engine_for
        secret = settings.mcp_servers
        self._jobs = jobs or Jobs()
        self._mcp_allowed = read_servers(secret.get_secret_value() if secret else "")
        if secret:
            require_mcp()

    async def open(self, admitted: Admitted) -> Parts:
        agent = admitted.agent
        box = AgentToolBox(agent, language=agent.language, jobs=self._jobs)
        session = HostSession(
            admitted.config,
            ids=new_id,
            policy=self._policy(admitted),
            tools=box.specs,
            servers=[server.label for server in agent.mcp],
            now=time.monotonic(),
        )
        servers = McpServers(agent.mcp, self._mcp_allowed)
        return Parts(
            session,
            self._engine_for(admitted),
            box,
            codec_for,
            servers=servers,
            agent=agent.name,
            wording=wording_of(self._settings, agent.language),
            silence_ms=lambda: session.silence_ms,
        )

    def adjust(self, settings: Settings) -> None:
        self._settings = settings

    async def close(self) -> None:
        """Let calls that outlived their conversations come to their end."""
        await self._jobs.finish()

    def _policy(self, admitted: Admitted) -> HostPolicy:
        filler = admitted.agent.filler
        policy = HostPolicy(
            lifetime_s=self._settings.session_minutes * 60,
            paced_output=admitted.paced,
            filler_ms=self._settings.filler_ms or None,
            filler=FILLERS.get(admitted.agent.language or "", "") if filler is None else filler,
        )
        return policy if self._settings.backchannels else structs.replace(policy, backchannels=())


class CascadeAnswerer(HostAnswerer):
    """Conversations over the speech models and the chat model that this process has loaded."""

    def __init__(self, settings: Settings, shared: Shared, jobs: Jobs) -> None:
        super().__init__(
            settings,
            lambda admitted: CascadeEngine(
                replace(shared, chat=asked_by(admitted.caller, shared.chat)),
                language=admitted.agent.language,
                time_zone=admitted.agent.time_zone,
            ),
            jobs,
        )
        self._shared = shared

    async def close(self) -> None:
        await super().close()
        self._shared.lanes.close()
