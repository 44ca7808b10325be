"""Whether a realtime deployment takes sessions, and writes down speech: one is begun and ended at once.

No response is asked for; half a second of silence is all that may be heard.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, cast
from urllib.parse import urlsplit

import aiohttp
import msgspec

from kaiwa.audio.formats import HOUSE_RATE_HZ
from kaiwa.engines.realtime import Upstreams
from kaiwa.errors import UpstreamError
from kaiwa.events.examined import Examined, failure, well
from kaiwa.upstream.credentials import EntraToken
from kaiwa.upstream.examining import Names, no_token, refused, unreachable
from kaiwa.upstream.realtime import RealtimeTarget

_BEGUN: Final = ("session.created", "transcription_session.created")
_WRITTEN: Final = "conversation.item.input_audio_transcription.completed"
_UNWRITTEN: Final = "conversation.item.input_audio_transcription.failed"
_SILENCE: Final = b64encode(bytes(HOUSE_RATE_HZ)).decode()
"""Half a second, at two bytes a sample."""
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

    async def begin(socket: aiohttp.ClientWebSocketResponse) -> Mapping[str, Any]:
        return await _next(socket, (*_BEGUN, "error"))

    return await _in_session(upstreams, target, model, names, begin)


async def examine_transcription(
    upstreams: Upstreams, target: RealtimeTarget, model: str, transcription: Mapping[str, Any], names: Names
) -> Examined:
    """Have half a second of silence written down: before that no service looks for the model."""
    wish: dict[str, Any] = {
        "type": "realtime",
        "audio": {"input": {"transcription": dict(transcription), "turn_detection": None}},
    }
    if target.dialect != "ga":
        wish = {"input_audio_transcription": dict(transcription), "turn_detection": None}

    async def write_down(socket: aiohttp.ClientWebSocketResponse) -> Mapping[str, Any]:
        said = await _next(socket, (*_BEGUN, "error"))
        if said.get("type") not in _BEGUN:
            return said
        await socket.send_json({"type": "session.update", "session": wish})
        await socket.send_json({"type": "input_audio_buffer.append", "audio": _SILENCE})
        await socket.send_json({"type": "input_audio_buffer.commit"})
        return await _next(socket, (_WRITTEN, _UNWRITTEN, "error"))

    return await _in_session(upstreams, target, model, names, write_down)


async def _in_session(
    upstreams: Upstreams,
    target: RealtimeTarget,
    model: str | None,
    names: Names,
    talk: Callable[[aiohttp.ClientWebSocketResponse], Awaitable[Mapping[str, Any]]],
) -> Examined:
    tokens = isinstance(target.credential, EntraToken)
    try:
        socket = await upstreams.dial(target, model)
        try:
            said = await talk(socket)
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
    kind = said.get("type")
    if kind == _WRITTEN:
        return well("writes speech down", "文字起こしができます")
    if kind in _BEGUN:
        return well("takes a session", "セッションを開始できます")
    if kind == _UNWRITTEN:
        return _no_transcription()
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


def _no_transcription() -> Examined:
    return failure(
        ("cannot write speech down with this model", "このモデルでは文字起こしができません"),
        (
            "Name a transcription deployment that the resource has in KAIWA_RELAY_SESSION "
            "(audio.input.transcription.model).",
            "KAIWA_RELAY_SESSION の audio.input.transcription.model に、"
            "リソースにある文字起こしのデプロイを指定してください。",
        ),
    )


async def _next(socket: aiohttp.ClientWebSocketResponse, wanted: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the next event of these types; an empty one when the connection ends before."""
    while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
        event = msgspec.json.decode(cast(str, message.data), type=dict[str, Any])
        if event.get("type") in wanted:
            return event
    return {}
