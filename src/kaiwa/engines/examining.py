"""Whether a realtime deployment takes sessions, and writes down speech: one is begun and ended at once.

Costs nothing: no response is asked for, no sound is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import urlsplit

import aiohttp
import msgspec

from kaiwa.engines.realtime import Upstreams
from kaiwa.errors import UpstreamError
from kaiwa.events.examined import Examined, failure, well
from kaiwa.upstream.credentials import EntraToken
from kaiwa.upstream.examining import Names, no_token, refused, unreachable
from kaiwa.upstream.realtime import RealtimeTarget

_BEGUN: Final = ("session.created", "transcription_session.created")
_CHANGED: Final = ("session.updated", "transcription_session.updated", "error")
# How OpenAI tells on an open connection what others tell by a status.
_STATUSES: Final = {
    "invalid_api_key": 401,
    "insufficient_permissions": 403,
    "model_not_found": 404,
    "invalid_model": 404,
    "insufficient_quota": 429,
    "rate_limit_exceeded": 429,
}


async def examine_realtime(
    upstreams: Upstreams, target: RealtimeTarget, model: str | None, names: Names
) -> Examined:
    """Begin a session with a target and end it. `model` None: a session that only writes down."""
    return await _in_session(upstreams, target, model, names, None)


async def examine_transcription(
    upstreams: Upstreams, target: RealtimeTarget, model: str, transcription: Mapping[str, Any], names: Names
) -> Examined:
    """See that a session takes the transcription that the operator wants."""
    wish = {"type": "realtime", "audio": {"input": {"transcription": dict(transcription)}}}
    if target.dialect != "ga":
        wish = {"input_audio_transcription": dict(transcription)}
    return await _in_session(upstreams, target, model, names, wish)


async def _in_session(
    upstreams: Upstreams,
    target: RealtimeTarget,
    model: str | None,
    names: Names,
    wish: dict[str, Any] | None,
) -> Examined:
    tokens = isinstance(target.credential, EntraToken)
    try:
        socket = await upstreams.dial(target, model)
        try:
            said = await _next(socket, (*_BEGUN, "error"))
            if wish is not None and said.get("type") in _BEGUN:
                await socket.send_json({"type": "session.update", "session": wish})
                said = await _next(socket, _CHANGED)
        finally:
            await socket.close()
    except aiohttp.WSServerHandshakeError as refusal:
        return refused(refusal.status, names, tokens=tokens)
    except UpstreamError:
        return no_token()
    except (aiohttp.ClientError, OSError):
        parts = urlsplit(target.address)
        tls = parts.scheme == "wss"
        return await unreachable(parts.hostname or "", parts.port or (443 if tls else 80), names, tls=tls)
    return _judged(said, names, tokens)


def _judged(said: Mapping[str, Any], names: Names, tokens: bool) -> Examined:
    if said.get("type") not in (None, "error"):
        return well("takes a session", "セッションを開始できます")
    error = cast(Mapping[str, Any], said.get("error") or {})
    status = _STATUSES.get(str(error.get("code")))
    if status is not None:
        return refused(status, names, tokens=tokens)
    return failure(
        ("does not take such a session", "このセッションは受け付けられません"),
        (
            f"Check {names.deployment}, the model behind it and KAIWA_RELAY_SESSION.",
            f"{names.deployment} とそのモデル、KAIWA_RELAY_SESSION を確認してください。",
        ),
    )


async def _next(socket: aiohttp.ClientWebSocketResponse, wanted: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the next event of these types; an empty one when the connection ends before."""
    while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
        event = msgspec.json.decode(cast(str, message.data), type=dict[str, Any])
        if event.get("type") in wanted:
            return event
    return {}
