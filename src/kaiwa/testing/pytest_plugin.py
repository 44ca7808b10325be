"""pytest: a recorded conversation as the service of a test, without a key.

    @pytest.mark.kaiwa_cassette("booking.jsonl")
    def test_a_booking_goes_as_recorded(kaiwa_cassette):
        my_program(base_url=f"{kaiwa_cassette.url}/v1", api_key=kaiwa_cassette.key)

The file lies beside the test, which fails when a frame of the client is not the recorded one, or when not all
of the recording was asked for. `pytest --record-cassettes URL` makes the cassettes anew at a live service.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from kaiwa.testing.cassettes import Replay

MARKER = "kaiwa_cassette"
FIRST_TARGET = "/v1/realtime?model=gpt-realtime"
_SHAPE = "kaiwa_cassette(file, *, ignore=(), audio='exact', pace=None, patience_s=10): play this recording"


@dataclass
class PlayedCassette:
    """The stand-in of the recorded service. `url` is its base address; any key will do."""

    path: Path
    url: str
    realtime_url: str = ""
    key: str = "any-key"
    replay: Replay | None = field(default=None, repr=False)

    def problems(self) -> list[str]:
        """Return what went otherwise than recorded up to now."""
        return self.replay.problems() if self.replay else []


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kaiwa")
    group.addoption("--record-cassettes", metavar="URL", help="record the cassettes anew at this service")
    group.addoption(
        "--record-key-from",
        metavar="NAME",
        default="KAIWA_RECORD_KEY",
        help="the variable that holds its key",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _SHAPE)


@pytest.fixture
def kaiwa_cassette(request: pytest.FixtureRequest) -> Iterator[PlayedCassette]:
    """The cassette of the test's marker, played as the service; checked when the test is over."""
    marker = request.node.get_closest_marker(MARKER)
    if marker is None or not marker.args:
        raise pytest.UsageError(f"kaiwa_cassette needs a file: @pytest.mark.{MARKER}('call.jsonl')")
    path = request.path.parent / marker.args[0]
    service: str | None = request.config.getoption("--record-cassettes")
    if service is not None:
        key = os.environ.get(str(request.config.getoption("--record-key-from")))
        with _recording(path, service, key) as played:
            yield played
        return
    with _replaying(path, dict(marker.kwargs)) as played:
        yield played
        problems = played.problems()
    if problems:
        told = "\n".join(problems)
        pytest.fail(f"not as recorded in {path.name}:\n{told}", pytrace=False)


@contextmanager
def _replaying(path: Path, rules: dict[str, Any]) -> Generator[PlayedCassette]:
    from kaiwa.testing.cassettes import CassetteError, Matching, load_cassette, replaying
    from kaiwa.testing.threads import entered_in_a_thread

    pace = rules.pop("pace", None)
    try:
        cassette = load_cassette(path)
    except CassetteError as wrong:
        remedy = "`kaiwa record` or `pytest --record-cassettes URL` makes one."
        pytest.fail(f"{wrong} {remedy}", pytrace=False)
    with entered_in_a_thread(lambda: replaying(cassette, Matching(**rules), pace=pace)) as replay:
        websockets = any(one.opened.door == "websocket" for one in cassette.exchanges)
        realtime_url = replay.realtime_url if websockets else ""
        yield PlayedCassette(path, replay.url, realtime_url, replay=replay)


@contextmanager
def _recording(path: Path, service: str, key: str | None) -> Generator[PlayedCassette]:
    from kaiwa.protocol.cassette.redaction import Redactor
    from kaiwa.testing.cassettes import Recorder, Upstream, load_cassette, recording_proxy
    from kaiwa.testing.threads import entered_in_a_thread

    realtime = FIRST_TARGET
    if path.exists():
        sockets = [one.opened for one in load_cassette(path).exchanges if one.opened.door == "websocket"]
        realtime = sockets[0].target if sockets else FIRST_TARGET
    with (
        Recorder(path, Redactor(secrets=[key or ""]), overwrite=True) as recorder,
        entered_in_a_thread(lambda: recording_proxy(Upstream(service, key), recorder)) as proxy,
    ):
        yield PlayedCassette(path, proxy.url, proxy.url.replace("http", "ws", 1) + realtime)
