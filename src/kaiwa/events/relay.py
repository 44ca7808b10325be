"""Values of a relayed conversation: frames on their way between a peer and the service behind kaiwa.

A relayed frame is always in GA form; dialects are translated at the edges.
"""

from __future__ import annotations

from typing import Any, Literal

from kaiwa.events.value import Value


class PassedFrame(Value, kw_only=True):
    """A frame that goes on as it came. `frame` None: it has to be written from `body`.

    `body` is there when the relay looks into frames of this type; it is the decoded JSON object and is
    never changed in place.
    """

    type: str
    event_id: str | None = None
    frame: str | None = None
    body: dict[str, Any] | None = None


# --- commands ---------------------------------------------------------------------------------


class Forward(Value, kw_only=True):
    """Say this to the service. What is said before the connection stands waits for it, in order."""

    frame: PassedFrame


class Reopen(Value, kw_only=True):
    """Begin another session at the service, and drop what waits for the present one.

    `failed`: the present one broke, so its deployment is asked last.
    """

    failed: bool = False


# --- events -----------------------------------------------------------------------------------


class UpstreamSaid(PassedFrame, kw_only=True):
    """The service said this."""


class UpstreamOpened(Value, kw_only=True):
    """A session has begun, and what the service says from now on is its. `lives_s`: how long it may last."""

    lives_s: float | None = None


class UpstreamRefused(Value, kw_only=True):
    """The service did not take us in. `status` is its HTTP answer, `code` its error event; one is there."""

    status: int | None = None
    code: str | None = None


class UpstreamUnreachable(Value, kw_only=True):
    """No connection came about: nobody answered in time, not at all, or no token could be had."""

    cause: Literal["timeout", "network", "credentials"]


class UpstreamClosed(Value, kw_only=True):
    """The connection ended. 1006: without a close frame."""

    code: int
    reason: str = ""


RelayEvent = UpstreamOpened | UpstreamSaid | UpstreamRefused | UpstreamUnreachable | UpstreamClosed
