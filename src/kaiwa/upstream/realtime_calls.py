"""Calls at a service over HTTP: a key for one call, an offer and its answer, hanging up.

Knows addresses, statuses and headers; opens no WebSocket and reads no SDP. No message or log line carries a
key, an address, an SDP or the text of the service.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any, Final, NamedTuple

import aiohttp
import msgspec

from kaiwa.errors import PeerError, UpstreamError
from kaiwa.upstream.bodies import bounded_body
from kaiwa.upstream.realtime import RealtimeTarget

log = logging.getLogger(__name__)

_ANSWER_S: Final = 15.0
_MAX_ANSWER_BYTES: Final = 256 * 1024
_CALL_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_CALLS: Final = "calls"
_HANG_UP: Final = "hangup"
_KEY_S: Final = 60
_REFUSALS: Final = {
    401: ("upstream_unauthorized", "The service refused the key of this server."),
    403: ("upstream_unauthorized", "The key of this server may not take calls."),
    404: ("upstream_not_found", "The service has no such model or deployment, or takes no calls."),
    429: ("rate_limit_exceeded", "The service takes no more calls at the moment."),
}


class _Minted(msgspec.Struct):
    value: str


class CallAtService(NamedTuple):
    call_id: str
    answer_sdp: str


class ServiceCalls:
    """The calls of one target."""

    def __init__(self, http: aiohttp.ClientSession, target: RealtimeTarget) -> None:
        self._http = http
        self._target = target
        self._base = f"http{target.address.removeprefix('ws')}"

    async def place(self, session: dict[str, Any], offer_sdp: str, *, filtered: bool) -> CallAtService:
        """Hand a browser's offer to the service, for a session with these settings.

        `filtered`: the service shows the browser a few events only.

        Raises PeerError for an offer the service does not take, UpstreamError when it takes no call.
        """
        wanted = {"expires_after": {"anchor": "created_at", "seconds": _KEY_S}, "session": session}
        _, minted = await self._post("client_secrets", msgspec.json.encode(wanted), "application/json", None)
        key = _key_in(minted)
        path = f"{_CALLS}?webrtcfilter=on" if filtered else _CALLS
        where, answer = await self._post(path, offer_sdp.encode(), "application/sdp", key)
        call_id = (where or "").rstrip("/").rpartition("/")[2].partition("?")[0]
        if not _CALL_ID.fullmatch(call_id):
            raise UpstreamError("upstream_unavailable", "The service did not name the call.")
        return CallAtService(call_id, answer.decode("utf-8", "replace"))

    async def hang_up(self, call_id: str) -> None:
        """End a call; one that is over already is no fault."""
        try:
            await self._post(f"{_CALLS}/{call_id}/{_HANG_UP}", b"", "application/json", None)
        except (UpstreamError, PeerError):
            log.info("the service had no call to end", extra={"upstream": self._target.name})

    async def _post(self, path: str, body: bytes, kind: str, key: str | None) -> tuple[str | None, bytes]:
        """Return where the service says the new thing is, and the body of its answer."""
        url = f"{self._base}/{path}"
        try:
            async with asyncio.timeout(_ANSWER_S):
                own = {"Authorization": f"Bearer {key}"}
                proof = await self._target.credential.headers() if key is None else own
                headers = {**proof, "Content-Type": kind}
                async with self._http.post(url, data=body, headers=headers) as answer:
                    if answer.status >= 300:
                        raise self._refusal(path, answer.status)
                    return answer.headers.get("Location"), await bounded_body(answer, _MAX_ANSWER_BYTES)
        except TimeoutError:
            raise UpstreamError("upstream_timeout", "The service did not answer in time.") from None
        except (aiohttp.ClientError, OSError):
            raise UpstreamError("upstream_unreachable", "The service cannot be reached.") from None

    def _refusal(self, path: str, status: int) -> PeerError | UpstreamError:
        if not path.endswith(_HANG_UP):
            facts = {"upstream": self._target.name, "status": str(status)}
            log.warning("upstream did not take the call", extra=facts)
        if status == 400 and path.startswith(_CALLS):
            return PeerError("invalid_sdp", "The service cannot answer this SDP offer.", param="sdp")
        code, message = _REFUSALS.get(status, ("upstream_unavailable", "The service is in trouble."))
        return UpstreamError(code, message, retryable=status == 429 or status >= 500)


def _key_in(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Minted).value
    except msgspec.DecodeError:
        raise UpstreamError("upstream_unavailable", "The service gave no key for the call.") from None
