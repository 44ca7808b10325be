"""What a status or an error's code says about a deployment. Tables; the consequences are the member's."""

from __future__ import annotations

from typing import Final, Literal

Fault = Literal["none", "client", "rate_limited", "disabled", "broken"]
"""`client`: the request is at fault, everywhere. `rate_limited`: no fault, it has had enough. `disabled`: it
takes nothing from us until somebody mends it. `broken`: it failed, and may do better."""

_BROKEN: Final = frozenset({408, 409, 424, 425, 499})
_DISABLED: Final = frozenset({401, 402, 403, 404})
# Of all that a 404 may mean (a stored response, a file), these are about the deployment itself.
_NO_DEPLOYMENT: Final = frozenset(
    {"DeploymentNotFound", "deployment_not_found", "model_not_found", "ResourceNotFound", "404"}
)
_RATE_CODES: Final = frozenset(
    {"rate_limit_exceeded", "rate_limit_error", "too_many_requests", "RateLimitReached", "insufficient_quota"}
)
_KEY_CODES: Final = frozenset({"invalid_api_key", "unauthorized", "PermissionDenied"})
_CLIENT_CODES: Final = frozenset(
    {
        "content_filter",
        "content_policy_violation",
        "context_length_exceeded",
        "invalid_prompt",
        "invalid_request_error",
        "ResponsibleAIPolicyViolation",
    }
)
REASONS: Final = {
    401: "The service refuses the key.",
    402: "The account has no credit.",
    403: "The key may not use this deployment.",
    404: "There is no such deployment, or it is not in this place.",
}
NO_TOKEN: Final = "No token of Microsoft Entra ID could be had."


def fault_of_status(status: int, code: str | None, *, open_ended: bool) -> Fault:
    """Judge a status. `open_ended`: the model's name is the client's, and an unknown one its mistake."""
    if status < 300:
        return "none"
    if status == 429:
        return "rate_limited"
    if status == 404 and (open_ended or (code is not None and code not in _NO_DEPLOYMENT)):
        return "client"
    if status in _DISABLED:
        return "disabled"
    return "broken" if status in _BROKEN or status >= 500 or status < 400 else "client"


def fault_of_code(code: str | None, *, open_ended: bool) -> Fault:
    """Judge an error that came inside a 200; its code may be a word or a status."""
    if code is not None and code.isascii() and code.isdigit() and len(code) == 3 and code >= "300":
        return fault_of_status(int(code), None, open_ended=open_ended)
    if code in _CLIENT_CODES:
        return "client"
    if code in _RATE_CODES:
        return "rate_limited"
    if code in _NO_DEPLOYMENT:
        return "client" if open_ended else "disabled"
    return "disabled" if code in _KEY_CODES else "broken"


def status_of_code(code: str | None) -> int:
    """Return the status that a disabling code stands for."""
    if code in _KEY_CODES:
        return 401
    return int(code) if code in {"401", "402", "403"} else 404
