"""How trouble with the service is told to the peer: one `error` event and the close code that fits.

Sources: Realtime reference A1 and K-299. Words are kaiwa's own: what the service writes about a key or an
address is the operator's business. Knows facts of the failure; does not send anything.
"""

from __future__ import annotations

import re
from typing import Final

from kaiwa.errors import INVALID_REQUEST, SERVER_ERROR, PeerError
from kaiwa.events.relay import UpstreamClosed, UpstreamRefused, UpstreamUnreachable
from kaiwa.events.value import Value
from kaiwa.session.relay.profile import Remedies

NORMAL, GOING_AWAY, INTERNAL, TRY_LATER = 1000, 1001, 1011, 1013
_NO_STATUS: Final = 1005
_EXPIRED: Final = "Your session hit the maximum duration"
_SAFE_REASON: Final = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")


class Ending(Value, kw_only=True):
    """`code`, `message`, `type`: the error event; `message` empty: there is none to be told."""

    close_code: int
    reason: str
    code: str = ""
    message: str = ""
    type: str = SERVER_ERROR

    @property
    def error(self) -> PeerError | None:
        return PeerError(self.code, self.message, type=self.type) if self.message else None


def of_refusal(refused: UpstreamRefused, remedies: Remedies) -> Ending:
    code = refused.code or _code_of(refused.status or 500)
    match code:
        case "invalid_api_key" | "insufficient_permissions":
            message = f"The service refused the key of this server. Its operator has to mend {remedies.key}."
            return _ending(3000, code, message, INVALID_REQUEST)
        case "model_not_found" | "invalid_model" | "missing_model":
            message = (
                "The service has no such model or deployment. "
                f"The operator of this server has to mend {remedies.deployment} or {remedies.address}."
            )
            return _ending(4004 if code == "model_not_found" else 4000, code, message, INVALID_REQUEST)
        case "beta_api_shape_disabled":
            message = (
                "The service does not speak the preview protocol any more. "
                "The operator of this server has to leave api_version out of the upstream's settings."
            )
            return _ending(4000, code, message, INVALID_REQUEST)
        case "rate_limit_exceeded":
            message = "The service takes no more sessions at the moment. Try again later."
            return _ending(TRY_LATER, code, message, "rate_limit_error")
        case "session_expired":
            return _ending(GOING_AWAY, code, f"{_EXPIRED} of 60 minutes.", INVALID_REQUEST)
        case _:
            return _ending(INTERNAL, "upstream_unavailable", "The service behind this server is in trouble.")


def of_silence(unreachable: UpstreamUnreachable, remedies: Remedies) -> Ending:
    match unreachable.cause:
        case "timeout":
            message = "The service behind this server did not answer in time."
            return _ending(INTERNAL, "upstream_timeout", message)
        case "credentials":
            message = f"No token for the service could be had. The operator has to mend {remedies.key}."
            return _ending(INTERNAL, "upstream_unauthorized", message)
        case "network":
            message = (
                "The service behind this server cannot be reached. "
                f"Its operator has to see whether {remedies.address} is right."
            )
            return _ending(INTERNAL, "upstream_unreachable", message)


def of_close(closed: UpstreamClosed, told: str | None) -> Ending:
    """`told` is the code of the error the service said last: after that, one more would only confuse."""
    expired = told == "session_expired" or _EXPIRED in closed.reason
    if expired:
        ended = f"{_EXPIRED} of 60 minutes."
        return _ending(GOING_AWAY, "session_expired", "" if told else ended, INVALID_REQUEST, ended)
    reason = closed.reason if _SAFE_REASON.fullmatch(closed.reason) else ""
    if closed.code in (NORMAL, _NO_STATUS):
        return Ending(close_code=NORMAL, reason=reason)
    if 3000 <= closed.code <= 4999:
        message = "" if told else "The service ended the session."
        return _ending(closed.code, told or reason or "upstream_closed", message, reason=reason)
    message = "" if told else "The connection to the service was lost. Connect again to go on."
    code = closed.code if closed.code in (GOING_AWAY, TRY_LATER) else INTERNAL
    return _ending(code, told or "upstream_closed", message)


def of_refused_settings(param: str | None) -> Ending:
    """The service did not take what the operator wants in every session."""
    named = f" ('{param}')" if param else ""
    message = f"The service refused the settings of this server{named}. Its operator has to mend them."
    return _ending(INTERNAL, "upstream_refused_settings", message)


def of_unsettled() -> Ending:
    message = "The service behind this server did not begin the session in time."
    return _ending(INTERNAL, "upstream_timeout", message)


def of_age(minutes: float) -> Ending:
    ended = f"{_EXPIRED} of {minutes:g} minutes."
    return _ending(GOING_AWAY, "session_expired", ended, INVALID_REQUEST, ended)


def of_flood() -> Ending:
    message = "Too much was sent before the session began."
    return _ending(TRY_LATER, "server_busy", message)


def _ending(
    close_code: int, code: str, message: str, type: str = SERVER_ERROR, reason: str | None = None
) -> Ending:
    said = f"{type}.{code}" if reason is None else reason
    return Ending(close_code=close_code, reason=said, code=code, message=message, type=type)


def _code_of(status: int) -> str:
    match status:
        case 401:
            return "invalid_api_key"
        case 403:
            return "insufficient_permissions"
        case 404:
            return "model_not_found"
        case 429:
            return "rate_limit_exceeded"
        case _:
            return "upstream_unavailable"
