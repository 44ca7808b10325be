"""Calls over HTTP: an SDP offer becomes a live call, and what may be done to one by its id.

Source: reference A2. Knows requests and who may make them; the calls themselves are `calls_live`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from msgspec import UNSET, structs
from starlette.requests import Request
from starlette.responses import Response

from kaiwa.policy.caller import Caller
from kaiwa.policy.holds import LimitReached
from kaiwa.server.admission import BAD_KEY, Refusal
from kaiwa.server.calls_live import LiveCalls, Seat
from kaiwa.server.calls_media import PlacedCall
from kaiwa.server.calls_offer import PostedOffer, read_posted
from kaiwa.server.conversations import Admitted
from kaiwa.server.doors import Visitor
from kaiwa.server.failures import failure, full
from kaiwa.server.gate import limit_reached, out_of_scope
from kaiwa.server.holding import Holding
from kaiwa.server.ids import new_token
from kaiwa.server.minting import Minting, read_session
from kaiwa.server.resuming import HEADER, NO_TOKEN, Wish, wish_of
from kaiwa.session.settings import updated

_STATUS: Final = {
    "invalid_api_key": 401,
    "model_not_found": 404,
    "session_not_resumable": 404,
    "session_not_a_call": 409,
}


@dataclass(frozen=True)
class Calls:
    """Answers the requests about calls. `live` is there once the server has started."""

    minting: Minting
    holding: Holding
    live: Callable[[], LiveCalls]

    async def create(self, request: Request) -> Response:
        """`POST …/realtime/calls`, `/v1/realtime`, `/v1/realtimertc`: answer an offer."""
        admission = self.minting.admission
        visitor = await admission.doors.visitor(request)
        if visitor is None:
            return _refused(BAD_KEY)
        if not visitor.caller.may("realtime"):
            return out_of_scope("realtime")
        offer = await read_posted(request)
        asked, offered = request.query_params, request.headers.get(HEADER)
        wish = wish_of(asked, offered) if admission.settings.resume_s > 0 else None
        if wish is not None and wish.returns:
            return await self._come_back(wish, offer, visitor.caller)
        admitted = self._admitted(offer, visitor)
        if isinstance(admitted, Refusal):
            return _refused(admitted)
        admitted = replace(admitted, own_events=offer.own_events)
        if self.holding.live >= admission.settings.max_sessions:
            return full(admission.no_room().message)
        hold = await admission.doors.enter(visitor.caller)
        if isinstance(hold, LimitReached):
            return limit_reached(hold)
        seat = Seat(hold, admission.doors.charge(hold, admitted.config.model, visitor.caller))
        token = None if wish is None else new_token()
        placed = await self.live().begin(
            admitted, offer.sdp, filtered=offer.filtered, minted=visitor.minted, seat=seat, token=token
        )
        kept = token is not None and placed.transport is not None
        return _answered(placed, {HEADER: token} if kept and token else {})

    async def _come_back(self, wish: Wish, offer: PostedOffer, caller: Caller) -> Response:
        """Let the session of a token go on as a call."""
        if wish.token is None:
            return _refused(NO_TOKEN)
        placed = await self.live().come_back(wish.token, caller, offer, wish.last_event_id)
        return _refused(placed) if isinstance(placed, Refusal) else _answered(placed, {})

    async def hang_up(self, request: Request) -> Response:
        """`POST …/calls/{call_id}/hangup`."""
        call_id = request.path_params["call_id"]
        return Response() if await self.live().hang_up(call_id) else _no_call(call_id)

    async def answer_ringing(self, request: Request) -> Response:
        """`POST …/calls/{call_id}/accept`, `reject`, `refer`: only calls of telephones ring."""
        call_id = request.path_params["call_id"]
        if not self.live().knows(call_id):
            return _no_call(call_id)
        text = (
            "Only calls that come over SIP can be accepted, rejected or referred; this one came over WebRTC."
        )
        return failure(400, "not_a_sip_call", text, param="call_id")

    def _admitted(self, offer: PostedOffer, visitor: Visitor) -> Admitted | Refusal:
        """The key's session, the posted one, or that of the named model; a posted one changes the key's."""
        minted, caller = visitor.minted if visitor.opens_one_session else None, visitor.caller
        if offer.session is None:
            admitted = self.minting.admission.session(offer.model, offer.dialect, minted, caller)
            return admitted if isinstance(admitted, Refusal) else replace(admitted, paced=True)
        update = read_session(offer.dialect, "session.update", offer.session)
        if minted is None:
            if update.model is UNSET and offer.model:
                update = structs.replace(update, model=offer.model)
            config = self.minting.begun(update, caller)
        else:
            admitted = self.minting.admission.session(None, offer.dialect, minted, caller)
            assert isinstance(admitted, Admitted), "a living key opens a session"
            config = updated(admitted.config, update, voice_locked=False)
        directory = self.minting.admission.directory
        agent = directory.find(config.model) if config.type == "realtime" else None
        return Admitted(agent or directory.plain, offer.dialect, config, paced=True, caller=caller)


def _answered(placed: PlacedCall, more: dict[str, str]) -> Response:
    headers = {"location": f"/v1/realtime/calls/{placed.id}", "cache-control": "no-store"}
    return Response(placed.answer_sdp, 201, headers=headers | more, media_type="application/sdp")


def _refused(refusal: Refusal) -> Response:
    status = _STATUS.get(refusal.code, 400)
    return failure(status, refusal.code, refusal.message, type=refusal.type)


def _no_call(call_id: str) -> Response:
    text = f"No live call has the id '{call_id[:64]}'."
    return failure(404, "call_not_found", text, param="call_id")
