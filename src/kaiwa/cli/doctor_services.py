"""The checks of what a server needs elsewhere: deployments, tokens, Redis, SignalR, and the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar, cast

from kaiwa.cli.doctor import Check, Look
from kaiwa.engines.examining import examine_realtime, examine_transcription
from kaiwa.engines.realtime import Upstreams
from kaiwa.errors import ConfigError
from kaiwa.events.examined import Examined, Words
from kaiwa.hub.azure.connection_string import read_connection_string
from kaiwa.hub.azure.examining import examine_service
from kaiwa.policy.examining import examine_redis
from kaiwa.server.relay import realtime_targets
from kaiwa.server.settings import Settings
from kaiwa.server.upstream_pool import SETTING, UpstreamPool
from kaiwa.session.relay.profile import Remedies
from kaiwa.upstream.credentials import Credential, EntraToken
from kaiwa.upstream.examining import Clock, Names, examine_chat, examine_token
from kaiwa.upstream.http1.client import HttpClient, Limits
from kaiwa.upstream.pool.deployment import ANY, Deployment
from kaiwa.upstream.realtime import RealtimeTarget
from kaiwa.upstream.realtime_pool import RealtimePool

MOST_MODELS: Final = 4
"""So many of one deployment are asked for: each is a request."""
_KNOWN: Final = {
    "chat": Names("KAIWA_CHAT_API_KEY", "KAIWA_CHAT_BASE_URL", "KAIWA_CHAT_MODEL"),
    "azure": Names("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_CHAT_DEPLOYMENT"),
    "openai": Names("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_BASE_URL"),
}
T = TypeVar("T")


def service_checks(settings: Settings) -> Iterator[Check]:
    """Give the checks of all services that the settings name; wrong settings are told by other checks."""
    clock = Clock(time.time)
    deployments = _or_nothing(lambda: [one.deployment for one in UpstreamPool(settings).pool.members])
    targets, remedies = realtime_of(settings)
    yield from _tokens([*(one.credential for one in deployments), *(one.credential for one in targets)])
    yield from _chat(settings, deployments, clock)
    yield from _sessions(settings, targets, remedies)
    if settings.redis_url is not None:
        look = partial(examine_redis, settings.redis_url.get_secret_value())
        yield Check("redis", Words("Redis"), _coroutine(look))
    if settings.azure_signalr is not None:
        yield Check("signalr", Words("Azure SignalR Service"), _signalr(settings))
    yield Check("clock", Words("Clock", "時計"), clock.examined, last=True)


def _or_nothing(look: Callable[[], list[T]]) -> list[T]:
    try:
        return look()
    except ConfigError:
        return []


def realtime_of(settings: Settings) -> tuple[Sequence[RealtimeTarget], Remedies]:
    """Return whom conversations are relayed to; nobody: this machine answers, or the settings are wrong."""
    if settings.engine in ("local", "text"):
        return [], Remedies()
    try:
        return realtime_targets(settings)
    except ConfigError:
        return [], Remedies()


def _tokens(credentials: Iterable[Credential]) -> Iterator[Check]:
    for credential in {id(one): one for one in credentials if isinstance(one, EntraToken)}.values():
        yield Check("entra", Words("Microsoft Entra ID"), _coroutine(partial(examine_token, credential)))


def _chat(settings: Settings, deployments: Sequence[Deployment], clock: Clock) -> Iterator[Check]:
    name = Words("Chat deployment", "チャットのデプロイ")
    for deployment in deployments:
        entry = f"{SETTING} ({deployment.name})"
        names = Names(entry, entry, entry) if settings.upstreams else _KNOWN[deployment.name]
        for model in list(dict.fromkeys(deployment.models.values()))[:MOST_MODELS]:
            subject = deployment.name if model == ANY else f"{deployment.name}: {model}"
            look = partial(_ask_chat, deployment, model, names, clock)
            yield Check("upstream.chat", name, _coroutine(look), subject=subject)


async def _ask_chat(deployment: Deployment, model: str, names: Names, clock: Clock) -> Examined:
    http = HttpClient(Limits())
    try:
        return await examine_chat(http, deployment, model, names, clock)
    finally:
        await http.close()


def _sessions(settings: Settings, targets: Sequence[RealtimeTarget], remedies: Remedies) -> Iterator[Check]:
    names = Names(remedies.key, remedies.address, remedies.deployment)
    realtime, writing = (
        Words("Realtime deployment", "Realtime のデプロイ"),
        Words("Transcription", "文字起こし"),
    )
    wish = _transcription(settings.relay_session)
    for target in targets:
        model = target.deployment or next(iter(target.models), settings.openai_realtime_model)
        subject = f"{target.name}: {model}"
        look = partial(_ask_realtime, target, partial(examine_realtime, model=model, names=names))
        yield Check("upstream.realtime", realtime, _coroutine(look), subject=subject)
        alone = partial(examine_realtime, model=None, names=names)
        if wish:
            alone = partial(examine_transcription, model=model, transcription=wish, names=names)
            subject = f"{target.name}: {wish.get('model', '')}"
        look = partial(_ask_realtime, target, alone)
        yield Check("upstream.transcription", writing, _coroutine(look), subject=subject)


async def _ask_realtime(target: RealtimeTarget, ask: Any) -> Examined:
    upstreams = Upstreams(RealtimePool([target]))
    try:
        return await ask(upstreams, target)
    finally:
        await upstreams.http.close()  # credentials are shared with other checks


def _transcription(session: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the operator says of transcription in the session of every relayed conversation."""
    found: Any = session
    for key in ("audio", "input", "transcription"):
        found = cast(Mapping[str, Any], found).get(key) if isinstance(found, Mapping) else None
    return cast(Mapping[str, Any], found) if isinstance(found, Mapping) else {}


def _signalr(settings: Settings) -> Look:
    async def look() -> Examined:
        assert settings.azure_signalr is not None
        endpoint = read_connection_string(settings.azure_signalr.get_secret_value())
        return await examine_service(endpoint, settings.signalr_hub)

    return look


def _coroutine(look: Callable[[], Any]) -> Look:
    """A partial of a coroutine function is none to `asyncio`."""

    async def asked() -> Examined:
        return await look()

    return asked
