"""What a house in test mode lets somebody do to it: stand before its door, send word to its services.

Knows the seam only. Who stands there is brought by the command line (`kaiwa.testing.faults`); without one
nothing here is in the way of anybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from starlette.types import ASGIApp

from kaiwa.engines.realtime import Dialling, Follow
from kaiwa.errors import ConfigError
from kaiwa.gateway.asking import Asked
from kaiwa.gateway.ended import StreamEnded
from kaiwa.gateway.following import Followers, Following
from kaiwa.gateway.gateway import Gateway
from kaiwa.server.conversations import Answerer
from kaiwa.server.relay import RelayAnswerer
from kaiwa.server.settings import Settings
from kaiwa.upstream.realtime import RealtimeTarget


class Disturber(Protocol):
    """Lets things go wrong on purpose."""

    def around(self, app: ASGIApp) -> ASGIApp: ...

    def upstream_headers(self, door: Literal["chat", "realtime"]) -> Mapping[str, str]:
        """Return what the next request to a service bears. Asked before each."""
        ...


def check_test_mode(settings: Settings, disturber: Disturber | None) -> None:
    """Raises ConfigError where test mode is on and nobody can keep what it promises."""
    if settings.test_mode and disturber is None:
        raise ConfigError(
            "KAIWA_TEST_MODE", "is on, and this program brings no faults.", "Start it with `kaiwa serve`."
        )


def disturb_requests(gateway: Gateway, relay: Answerer | None, disturber: Disturber) -> None:
    """Send the disturber's word along with every request to a service; call after traces follow them."""
    gateway.followers = _DisturbedRequests(gateway.followers, disturber)
    if isinstance(relay, RelayAnswerer):
        relay.upstreams.follow = _disturbed_dials(relay.upstreams.follow, disturber)


class _DisturbedRequests:
    def __init__(self, followers: Followers | None, disturber: Disturber) -> None:
        self._followers, self._disturber = followers, disturber

    def follow(self, asked: Asked) -> Following:
        following = None if self._followers is None else self._followers.follow(asked)
        return _DisturbedRequest(following, self._disturber)


class _DisturbedRequest:
    def __init__(self, following: Following | None, disturber: Disturber) -> None:
        self._following, self._disturber = following, disturber

    @property
    def trace_id(self) -> str:
        return "" if self._following is None else self._following.trace_id

    def headers(self) -> Sequence[tuple[str, str]]:
        traced = () if self._following is None else self._following.headers()
        return *traced, *self._disturber.upstream_headers("chat").items()

    def ended(self, ended: StreamEnded) -> None:
        if self._following is not None:
            self._following.ended(ended)


def _disturbed_dials(follow: Follow | None, disturber: Disturber) -> Follow:
    def followed(target: RealtimeTarget) -> Dialling:
        return _DisturbedDial(None if follow is None else follow(target), disturber)

    return followed


class _DisturbedDial:
    def __init__(self, dialling: Dialling | None, disturber: Disturber) -> None:
        traced: Mapping[str, str] = {} if dialling is None else dialling.headers
        self._dialling = dialling
        self.headers: Mapping[str, str] = {**traced, **disturber.upstream_headers("realtime")}

    def over(self, code: str | None) -> None:
        if self._dialling is not None:
            self._dialling.over(code)
