"""Conversations relayed to Azure OpenAI or OpenAI: from settings to the parts of one conversation.

Knows settings, agents and deployments; frames are the codec's, the conversation is the relay session's.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, NamedTuple, cast

import msgspec
from msgspec.structs import replace

from kaiwa.engines.realtime import RealtimeEngine, Upstreams
from kaiwa.errors import ConfigError, UpstreamError
from kaiwa.events.config import SessionConfig
from kaiwa.interfaces import Session
from kaiwa.protocol.realtime.passing import client_side
from kaiwa.server.conversations import Admitted, Parts
from kaiwa.server.ids import new_id
from kaiwa.server.settings import Settings, UpstreamEntry
from kaiwa.server.settings_budgets import wording_of
from kaiwa.session.policy import FILLERS
from kaiwa.session.relay import unbroken
from kaiwa.session.relay.offered_tools import OfferedTools, offered
from kaiwa.session.relay.pins import PINNABLE
from kaiwa.session.relay.profile import RelayProfile, Remedies
from kaiwa.session.relay.reopening import Renewal
from kaiwa.session.relay.session import RelaySession, looks_at
from kaiwa.session.relay.unbroken import UnbrokenSession
from kaiwa.tools.agent import Agent
from kaiwa.tools.jobs import Jobs
from kaiwa.tools.toolbox import AgentToolBox
from kaiwa.upstream.credentials import ApiKey, Credential, entra_token
from kaiwa.upstream.realtime import RealtimeTarget, azure_realtime, openai_realtime
from kaiwa.upstream.realtime_calls import CallAtService, ServiceCalls
from kaiwa.upstream.realtime_pool import RealtimePool

# Of the conversation, not of how it is held: the service gives its own.
_PCM: Final = {"format": {"type": "audio/pcm", "rate": 24000}}
# Where kaiwa plays the sound it takes it as it is inside.
_SOUND: Final = {
    "realtime": {"audio": {"input": _PCM, "output": _PCM}},
    "transcription": {"audio": {"input": _PCM}},
}
# What `realtime_targets` goes by, as far as it may change while the server runs.
_OF_TARGETS: Final = (
    "realtime_upstreams",
    "azure_openai_endpoint",
    "azure_openai_api_key",
    "openai_api_key",
    "openai_base_url",
)
_OWN_KEYS: Final = frozenset({"type", "object", "id", "model", "expires_at"})


def relay_from(settings: Settings, jobs: Jobs | None = None) -> RelayAnswerer | None:
    """Return who relays conversations; None when this machine answers. Raises ConfigError."""
    check_pins(settings)
    if settings.engine in ("local", "text"):
        return None
    targets, remedies = realtime_targets(settings)
    if not targets:
        if settings.engine == "relay":
            raise ConfigError(
                "KAIWA_ENGINE",
                "is relay, and no service is named.",
                "Set AZURE_OPENAI_ENDPOINT and AZURE_OPENAI_REALTIME_DEPLOYMENT, or OPENAI_API_KEY.",
            )
        return None
    return RelayAnswerer(settings, Upstreams(RealtimePool(targets)), remedies, jobs or Jobs())


class RelayedCall(NamedTuple):
    """A call at the service, and the conversation beside it. `attached`: see `PlacedCall`."""

    placed: CallAtService
    parts: Parts
    hang_up: Callable[[], Awaitable[None]]
    attached: Callable[[], Awaitable[bool]]


class RelayAnswerer:
    """Fits `server.conversations.Answerer`."""

    def __init__(self, settings: Settings, upstreams: Upstreams, remedies: Remedies, jobs: Jobs) -> None:
        self._settings = settings
        self._jobs = jobs
        self.upstreams = self._upstreams = upstreams
        self._remedies = remedies

    @property
    def is_well(self) -> bool:
        """Whether a service is there to answer, as far as is known."""
        return self._upstreams.pool.is_well

    async def open(self, admitted: Admitted) -> Parts:
        config = admitted.config
        profile = self._profile(admitted.agent, config)
        if admitted.paced:
            profile = replace(profile, session=merged(profile.session, _SOUND[config.type]), paced=True)
        elif admitted.may_call:
            profile = replace(profile, may_call=True)
        return self._parts(admitted, profile, None)[1]

    async def place_call(self, admitted: Admitted, offer_sdp: str, *, filtered: bool) -> RelayedCall:
        """Hand a browser's offer to the service, and attach to the call that comes of it.

        Raises PeerError for an offer the service does not take, UpstreamError when no target takes a call.
        """
        profile = replace(self._profile(admitted.agent, admitted.config), attached=True)
        model, trouble = self._model(admitted), None
        for target in self._upstreams.pool.candidates(model):
            calls = ServiceCalls(self._upstreams.http, target)
            try:
                placed = await calls.place(
                    self._minting(admitted, profile, target), offer_sdp, filtered=filtered
                )
            except UpstreamError as error:
                trouble = error
                self._upstreams.pool.rest(target)
                continue
            engine, parts = self._parts(
                admitted, profile, dataclasses.replace(target, call_id=placed.call_id)
            )
            return RelayedCall(placed, parts, partial(calls.hang_up, placed.call_id), engine.taken)
        assert trouble is not None, "a pool has targets"
        raise trouble

    def _minting(self, admitted: Admitted, profile: RelayProfile, target: RealtimeTarget) -> dict[str, Any]:
        """Return the session that a call begins with at the service."""
        session = {"type": profile.type, **profile.session}
        if profile.type == "transcription":
            return session
        tools = OfferedTools(offered(admitted.agent.specs), session.get("tools"))
        if tools:
            session["tools"] = tools.beside(session.get("tools"))
        return {**session, "model": target.deployment or self._model(admitted)}

    def _parts(
        self, admitted: Admitted, profile: RelayProfile, call: RealtimeTarget | None
    ) -> tuple[RealtimeEngine, Parts]:
        agent = admitted.agent
        box = AgentToolBox(agent, language=agent.language, jobs=self._jobs)
        specs = () if profile.type == "transcription" else box.specs
        heard, said = looks_at(profile, specs)
        session: Session = RelaySession(profile, ids=new_id, tools=specs, now=time.monotonic())
        if call is None and self._settings.realtime_reopen_s > 0:
            renewal = Renewal(within_s=self._settings.realtime_reopen_s)
            session, said = UnbrokenSession(session, said, renewal, ids=new_id), said | unbroken.TYPES
        engine = RealtimeEngine(self._upstreams, self._model(admitted), said, call=call)
        parts = Parts(
            session,
            engine,
            box,
            lambda dialect: client_side(dialect, heard),
            engine.ready,
            agent=agent.name,
            wording=wording_of(self._settings, agent.language),
        )
        return engine, parts

    def _model(self, admitted: Admitted) -> str | None:
        config = admitted.config
        if config.type == "transcription":
            return None
        return config.model if config.model != admitted.agent.name else self._settings.openai_realtime_model

    def adjust(self, settings: Settings) -> None:
        """Go by other settings from the next conversation on, and ask other services if those changed."""
        before, self._settings = self._settings, settings
        if any(getattr(before, name) != getattr(settings, name) for name in _OF_TARGETS):
            targets, self._remedies = realtime_targets(settings)
            self._upstreams.pool.become(targets)

    async def close(self) -> None:
        await self._jobs.finish()
        await self._upstreams.close()

    def _profile(self, agent: Agent, config: SessionConfig) -> RelayProfile:
        usual = ("instructions",) if agent.instructions else ()
        return RelayProfile(
            type=config.type,
            session=merged(_wishes(config), self._settings.relay_session),
            pinned=usual if self._settings.pinned is None else self._settings.pinned,
            hide_tools=not self._settings.show_tool_calls,
            remedies=self._remedies,
            lifetime_s=self._settings.session_minutes * 60,
            filler_s=self._settings.filler_ms / 1000 or None,
            filler=FILLERS.get(agent.language or "", "") if agent.filler is None else agent.filler,
        )


def merged(first: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `first` with the values of `over`, objects merged key by key."""
    result = dict(first)
    for key, value in over.items():
        old = result.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        result[key] = merged(cast(dict[str, Any], old), cast(dict[str, Any], value)) if both else value
    return result


def _wishes(config: SessionConfig) -> dict[str, Any]:
    """Return what the first session says beyond the defaults: its agent's settings, or a minted key's."""
    usual = msgspec.to_builtins(SessionConfig(type=config.type))
    difference = _difference(msgspec.to_builtins(config), usual)
    wishes = {key: value for key, value in difference.items() if key not in _OWN_KEYS}
    if "tools" in wishes:
        # A tool's null is nothing to clear, and the service refuses some of them.
        tools = cast(list[dict[str, Any]], wishes["tools"])
        wishes["tools"] = [{k: v for k, v in tool.items() if v is not None} for tool in tools]
    return wishes


def _difference(given: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    wishes: dict[str, Any] = {}
    for key, value in given.items():
        if value == usual.get(key):
            continue
        if key in ("audio", "input", "output") and isinstance(value, dict):
            value = _difference(cast(dict[str, Any], value), cast(dict[str, Any], usual.get(key) or {}))
        wishes[key] = value
    return wishes


# --- from settings to targets ------------------------------------------------------------------


def check_relay(settings: Settings) -> None:
    """See that conversations could be relayed by these settings. Raises ConfigError."""
    check_pins(settings)
    if settings.engine not in ("local", "text"):
        realtime_targets(settings)


def check_pins(settings: Settings) -> None:
    """Raises ConfigError for what cannot be pinned."""
    for name in settings.pinned or ():
        if name not in PINNABLE:
            raise ConfigError(
                "KAIWA_PINNED", f"{name!r} cannot be pinned.", f"There are: {', '.join(PINNABLE)}."
            )


def realtime_targets(settings: Settings) -> tuple[list[RealtimeTarget], Remedies]:
    """Return the services that conversations may be relayed to, and the settings that name them.

    Raises ConfigError.
    """
    if settings.realtime_upstreams:
        setting = "KAIWA_REALTIME_UPSTREAMS"
        entries = settings.realtime_upstreams
        targets = [_ranked(_entered(entry, number), entry) for number, entry in enumerate(entries, 1)]
        if len({target.name for target in targets}) < len(targets):
            raise ConfigError(setting, "two upstreams have one name.", "Give one another name.")
        return targets, Remedies(key=setting, address=setting, deployment=setting)
    if settings.azure_openai_endpoint is not None and (deployment := _deployment(settings)) is not None:
        key = settings.azure_openai_api_key
        credential = (
            entra_token("AZURE_OPENAI_API_KEY")
            if key is None
            else ApiKey(key.get_secret_value(), bearer=False)
        )
        endpoint, version = settings.azure_openai_endpoint, settings.realtime_api_version
        return [azure_realtime("azure", endpoint, deployment, credential, api_version=version)], Remedies()
    if settings.openai_api_key is not None and settings.engine == "relay":
        # Many programs leave this key in the environment: alone it is no wish to spend money.
        credential = ApiKey(settings.openai_api_key.get_secret_value(), bearer=True)
        remedies = Remedies(
            key="OPENAI_API_KEY", address="OPENAI_BASE_URL", deployment="KAIWA_OPENAI_REALTIME_MODEL"
        )
        return [openai_realtime("openai", settings.openai_base_url, credential)], remedies
    return [], Remedies()


def _deployment(settings: Settings) -> str | None:
    """The bare AZURE_OPENAI_DEPLOYMENT counts when the relay was asked for by name."""
    named = settings.azure_openai_realtime_deployment
    return named or (settings.azure_openai_chat_deployment if settings.engine == "relay" else None)


def _ranked(target: RealtimeTarget, entry: UpstreamEntry) -> RealtimeTarget:
    return dataclasses.replace(
        target, priority=entry.priority, weight=entry.weight, most_sessions=entry.sessions
    )


def _entered(entry: UpstreamEntry, number: int) -> RealtimeTarget:
    setting, name = "KAIWA_REALTIME_UPSTREAMS", entry.name or f"upstream-{number}"
    key = entry.api_key.get_secret_value() if entry.api_key else None
    if entry.endpoint is not None and entry.deployment is not None:
        credential: Credential = (
            entra_token("AZURE_OPENAI_API_KEY") if key is None else ApiKey(key, bearer=False)
        )
        return azure_realtime(
            name,
            entry.endpoint,
            entry.deployment,
            credential,
            api_version=entry.api_version,
            models=entry.models,
            setting=setting,
        )
    if entry.base_url is not None and key is not None:
        credential = ApiKey(key, bearer=True)
        return openai_realtime(
            name, entry.base_url, credential, model=entry.deployment, models=entry.models, setting=setting
        )
    raise ConfigError(
        setting,
        f"{name} does not say enough.",
        'Give "endpoint" and "deployment" (Azure), or "base_url" and "api_key".',
    )
