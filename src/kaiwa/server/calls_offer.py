"""What a caller posts to begin a call: an SDP offer, alone or with the session it wishes for.

Knows HTTP bodies and where the parts of an offer stand; judges no key and answers no SDP.
Source: reference A2.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Final, cast

import msgspec
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from kaiwa.errors import PeerError
from kaiwa.events.value import Value
from kaiwa.protocol.realtime.dialects import Dialect, dialect_of
from kaiwa.protocol.realtime.own_events import wants_own_events
from kaiwa.server.bodies import MAX_JSON_BYTES, read_body

MAX_SDP_BYTES: Final = 64 * 1024
_MAX_BYTES: Final = MAX_JSON_BYTES + MAX_SDP_BYTES
_CALLS: Final = "/calls"


class PostedOffer(Value, kw_only=True):
    """`session` None: the key or `model` says what the session is. `filtered`: as `webrtcfilter=on` asks.

    `own_events`: the caller wants to be told what only kaiwa tells.
    """

    sdp: str
    session: dict[str, Any] | None
    model: str | None
    dialect: Dialect
    filtered: bool
    own_events: bool


async def read_posted(request: Request) -> PostedOffer:
    """Return what was posted. Raises PeerError for a body that holds no offer, TooLarge for too much."""
    query = request.query_params
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        sdp, session = await _parts(request)
    else:
        sdp, session = _text(await read_body(request, MAX_SDP_BYTES)), None
    if not sdp.strip():
        raise PeerError("invalid_sdp", "There is no SDP offer in the request.", param="sdp")
    return PostedOffer(
        sdp=sdp,
        session=session,
        model=query.get("model") or query.get("deployment"),
        dialect=_dialect(request),
        filtered=query.get("webrtcfilter", "").lower() == "on",
        own_events=wants_own_events(query),
    )


async def _parts(request: Request) -> tuple[str, dict[str, Any] | None]:
    body = await read_body(request, _MAX_BYTES)

    async def at_once() -> AsyncGenerator[bytes]:
        yield body

    parser = MultiPartParser(
        request.headers, at_once(), max_files=4, max_fields=16, max_part_size=MAX_JSON_BYTES
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, UnicodeError):
        raise PeerError("invalid_form", "The form of your request could not be read.") from None
    try:
        given = {name: await _content(form.get(name)) for name in ("sdp", "session")}
    finally:
        await form.close()
    if len(given["sdp"]) > MAX_SDP_BYTES:
        raise PeerError("invalid_sdp", "The SDP offer is too long.", param="sdp")
    return _text(given["sdp"]), _session(given["session"])


async def _content(part: UploadFile | str | None) -> bytes:
    if isinstance(part, UploadFile):
        return await part.read()
    return (part or "").encode()


def _session(written: bytes) -> dict[str, Any] | None:
    if not written.strip():
        return None
    try:
        session = msgspec.json.decode(written)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise PeerError("invalid_json", "We could not parse the session.", param="session") from None
    if not isinstance(session, dict):
        raise PeerError("invalid_type", "The session must be a JSON object.", param="session")
    return cast(dict[str, Any], session)


def _text(written: bytes) -> str:
    try:
        return written.decode()
    except UnicodeError:
        raise PeerError("invalid_sdp", "The SDP offer is no text.", param="sdp") from None


def _dialect(request: Request) -> Dialect:
    """The addresses that had no `calls` yet speak the preview, as every client of them does."""
    path = request.url.path
    if not path.endswith(_CALLS):
        return "preview"
    return dialect_of(path.removesuffix(_CALLS), request.query_params, request.headers, ())
