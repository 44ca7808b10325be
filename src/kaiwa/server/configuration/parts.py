"""What the parts of a house find wrong with right settings: in files of keys and policy, deployments, agents.

Builds each part by itself and opens no connection, so that one wrong part hides no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NoReturn

from kaiwa.errors import ConfigError
from kaiwa.server.calls_media import check_way
from kaiwa.server.conversations import HostAnswerer
from kaiwa.server.directory import Directory
from kaiwa.server.doors import Doors
from kaiwa.server.listening import certificate_of
from kaiwa.server.models import chat_model_name
from kaiwa.server.relay import relay_from
from kaiwa.server.settings import Settings
from kaiwa.server.signalr import SignalR
from kaiwa.server.upstream_pool import UpstreamPool


def wrong_parts(settings: Settings) -> Iterator[ConfigError]:
    """Give what each part says about its settings; nothing when all of them can be put together."""
    told: set[str] = set()
    for build in _PARTS:
        try:
            build(settings)
        except ConfigError as wrong:
            if str(wrong) not in told:
                told.add(str(wrong))
                yield wrong


def _relay(settings: Settings) -> None:
    check_way(settings, relay_from(settings))


def _chat(settings: Settings) -> None:
    chat_model_name(settings, UpstreamPool(settings).pool)


def _mcp(settings: Settings) -> None:
    HostAnswerer(settings, _no_engine)


def _hub(settings: Settings) -> None:
    SignalR(settings, _no_chats)


def _no_engine(agent: object) -> NoReturn:
    raise AssertionError("nobody talks here")


def _no_chats() -> NoReturn:
    raise AssertionError("nobody asks here")


_PARTS: Final[tuple[Callable[[Settings], object], ...]] = (
    Doors,
    Directory,
    certificate_of,
    _relay,
    _chat,
    _mcp,
    _hub,
)
