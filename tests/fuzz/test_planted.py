"""One bug planted for each property: the fuzzer finds it, or it is worth nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from tests.fuzz.budget import hold
from tests.fuzz.exchange import PATIENCE_S, check
from tests.fuzz.frames import IDS, known_types, sequences
from tests.fuzz.house import open_house, scripted_answerer, settings_in
from tests.fuzz.test_upgrades import check_upgrade, upgrades

from kaiwa.events import client, server
from kaiwa.events.actions import Send
from kaiwa.interfaces import Session
from kaiwa.server.conversations import Admitted, Answerer, Parts

# A failure with a huge frame shall be shown, not the warning about showing it.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
SHORT_PATIENCE_S = 1.5
# Which examples are drawn hangs on what else the run has imported: by far more than a bug needs, and the search
# ends with the first that shows it.
MANY = 5000
ENOUGH_S = 120.0


class Around:
    """A session with a bug: everything else is left to the real one."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


class CrashesOnDeletion(Around):
    def receive(self, event: Any, now: float) -> None:
        if isinstance(event, client.ItemDeleteRequested) and event.item_id in IDS:
            raise KeyError(event.item_id)
        self._session.receive(event, now)


class FallsSilentAfterAClear(Around):
    deaf = False

    def receive(self, event: Any, now: float) -> None:
        self.deaf = self.deaf or isinstance(event, client.AudioCleared)
        if not self.deaf or isinstance(event, client.PeerGone):
            self._session.receive(event, now)


class SaysItemsTwice(Around):
    def actions(self) -> list[Any]:
        return [twin for action in self._session.actions() for twin in _doubled(action)]


class SendsAWrongShape(Around):
    def actions(self) -> list[Any]:
        return [_without_prefix(action) for action in self._session.actions()]


class SwallowsWhatIsNoJson(Around):
    def receive(self, event: Any, now: float) -> None:
        if not isinstance(event, client.FrameRejected) or event.code != "invalid_json":
            self._session.receive(event, now)


def _doubled(action: Any) -> list[Any]:
    if not isinstance(action, Send) or not isinstance(action.event, server.ItemDone):
        return [action]
    return [action, Send(event=msgspec.structs.replace(action.event, event_id=action.event.event_id + "_2"))]


def _without_prefix(action: Any) -> Any:
    if not isinstance(action, Send) or not isinstance(action.event, server.Failed):
        return action
    return Send(event=msgspec.structs.replace(action.event, event_id="1"))


class Planted:
    """Answers as usual, with the bug around every session."""

    def __init__(self, answerer: Answerer, bug: Callable[[Session], Any]) -> None:
        self._answerer = answerer
        self._bug = bug

    async def open(self, admitted: Admitted) -> Parts:
        parts = await self._answerer.open(admitted)
        return replace(parts, session=self._bug(parts.session))

    async def close(self) -> None:
        await self._answerer.close()


class TripsOverAnOrigin:
    """The application with a bug in front of it."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        for name, value in scope.get("headers", ()):
            urlsplit(value.decode("latin-1") if name == b"origin" else "")
        await self._app(scope, receive, send)


class LeavesUnknownPathsWaiting(TripsOverAnOrigin):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/v1/nothing":
            await asyncio.sleep(2 * SHORT_PATIENCE_S)
        await self._app(scope, receive, send)


def patience_s(complaint: str) -> float:
    """Only a bug that makes the server silent is looked for with a patience that a busy machine may outlast."""
    return SHORT_PATIENCE_S if "silent" in complaint else PATIENCE_S


@pytest.mark.parametrize(
    ("bug", "complaint"), [(TripsOverAnOrigin, r"^crashed"), (LeavesUnknownPathsWaiting, r"^silent")]
)
def test_a_bug_planted_at_the_door_is_found(bug: Any, complaint: str, tmp_path: Path) -> None:
    with open_house(tmp_path, around=bug) as house, pytest.raises(AssertionError, match=complaint):
        hold(
            lambda upgrade: check_upgrade(house, upgrade, patience_s=patience_s(complaint)),
            upgrades(),
            count=MANY,
            seconds=ENOUGH_S,
            shrink=False,
        )


@pytest.mark.parametrize(
    ("bug", "complaint"),
    [
        (CrashesOnDeletion, r"^crashed"),
        (FallsSilentAfterAClear, r"^silent"),
        (SaysItemsTwice, "item.done_once"),
        (SendsAWrongShape, "event.id"),
        (SwallowsWhatIsNoJson, r"^unanswered"),
    ],
)
def test_a_planted_bug_is_found(bug: Any, complaint: str, tmp_path: Path) -> None:
    answerer = Planted(scripted_answerer(settings_in(tmp_path)), bug)
    known = known_types("ga")
    with open_house(tmp_path, answerer) as house, pytest.raises(AssertionError, match=complaint):
        hold(
            lambda frames: check(house, "ga", frames, known, patience_s=patience_s(complaint)),
            sequences("ga"),
            count=MANY,
            seconds=ENOUGH_S,
            shrink=False,
        )
