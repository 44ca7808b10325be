"""A streaming client of chat completions. Knows HTTP and its failures; does not know what is said.

Keys travel in headers only: no message, log line or repr of this module carries a header, an address, a
prompt or the text of an upstream error.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import msgspec

from kaiwa.errors import UpstreamError
from kaiwa.upstream.bodies import bounded_body
from kaiwa.upstream.chunks import Chunk, decode_chunk
from kaiwa.upstream.endpoint import ChatEndpoint
from kaiwa.upstream.sse import EventStreamParser

log = logging.getLogger(__name__)

MAX_ERROR_BYTES = 64 * 1024
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_STATUS: dict[int, tuple[str, str]] = {
    400: ("upstream_rejected", "The model refused the request."),
    401: ("upstream_unauthorized", "The model refused the key."),
    403: ("upstream_unauthorized", "The key may not use this model."),
    404: ("upstream_not_found", "There is no such model or deployment."),
    408: ("upstream_timeout", "The model did not answer in time."),
    429: ("rate_limit_exceeded", "The model is over its rate limit."),
}
_RETRYABLE = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


class ChatCompletions:
    """One endpoint, many requests over kept connections. Create it anywhere, close it in its loop."""

    def __init__(self, endpoint: ChatEndpoint, *, connect_s: float = 5.0, silence_s: float = 60.0) -> None:
        """`silence_s` bounds the wait for the first and for every further piece."""
        self._endpoint = endpoint
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_s, sock_read=silence_s)
        self._http: aiohttp.ClientSession | None = None

    @property
    def endpoint(self) -> ChatEndpoint:
        return self._endpoint

    @property
    def limit_field(self) -> str:
        """What this endpoint calls the longest answer."""
        return self._endpoint.limit_field

    async def stream(self, body: dict[str, Any]) -> AsyncGenerator[Chunk, None]:
        """Yield the chunks of one completion until `[DONE]`. Closing the generator closes the request.

        `model` and the streaming options are added here. Raises UpstreamError.
        """
        payload = msgspec.json.encode(
            {"model": self._endpoint.model, **body, "stream": True, "stream_options": {"include_usage": True}}
        )
        try:
            response = await self._open(payload)
            try:
                async for chunk in _chunks(response):
                    yield chunk
            finally:
                response.close()
        except TimeoutError as late:
            raise UpstreamError(
                "upstream_timeout", "The model did not answer in time.", retryable=True
            ) from late
        except aiohttp.ClientError as broken:
            # `from None`: the text of these errors names the host.
            log.warning("upstream connection failed", extra={"cause": type(broken).__name__})
            raise UpstreamError(
                "upstream_unreachable", "The model cannot be reached.", retryable=True
            ) from None

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()

    async def _open(self, payload: bytes) -> aiohttp.ClientResponse:
        try:
            response = await self._post(payload)
        except aiohttp.ServerDisconnectedError:
            # A kept connection that the server gave up meanwhile; nothing was answered, so ask once more.
            response = await self._post(payload)
        if response.status == 200:
            return response
        try:
            raise await _refusal(response)
        finally:
            response.close()

    async def _post(self, payload: bytes) -> aiohttp.ClientResponse:
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=self._timeout, trust_env=True)
        headers = {
            **self._endpoint.headers,
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
        }
        return await self._http.post(self._endpoint.url, data=payload, headers=headers, allow_redirects=False)


async def _chunks(response: aiohttp.ClientResponse) -> AsyncGenerator[Chunk, None]:
    parser = EventStreamParser()
    finished = False
    async for piece in response.content.iter_any():
        for data in parser.feed(piece):
            if data == b"[DONE]":
                return
            chunk = decode_chunk(data)
            finished = finished or any(choice.finish_reason for choice in chunk.choices or ())
            yield chunk
    if not finished:
        raise UpstreamError("upstream_cut_off", "The model's answer broke off.", retryable=True)


async def _refusal(response: aiohttp.ClientResponse) -> UpstreamError:
    return refusal_of(response.status, await bounded_body(response, MAX_ERROR_BYTES))


def refusal_of(status: int, body: bytes) -> UpstreamError:
    """Return what a status other than 200 means, in words of ours."""
    code = _code_in(body)
    log.warning("upstream refused", extra={"status": status, "upstream_code": code})
    if code == "content_filter":
        return UpstreamError("content_filter", "The content filter refused the request.")
    # The relay's own word for a service's 401, which must not reach a client as such.
    known = _STATUS.get(401 if code == "upstream_unauthorized" else status)
    if known is None:
        known = ("upstream_unavailable", "The model is not available.") if status >= 500 else _STATUS[400]
    return UpstreamError(*known, retryable=status in _RETRYABLE)


def _code_in(body: bytes) -> str | None:
    try:
        error = msgspec.json.decode(body, type=dict[str, Any]).get("error")
    except msgspec.MsgspecError:
        return None
    code: object = msgspec.convert(error, dict[str, Any]).get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None
