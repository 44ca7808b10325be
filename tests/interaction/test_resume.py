"""Sessions that survive their connections, on the real server: what was missed comes once and in order."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.server.running import at_home, running
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from kaiwa.policy.keys import KeyStore
from kaiwa.server.conversations import HostAnswerer
from kaiwa.testing.conformance import check_transcript
from kaiwa.testing.service.engine import ServiceEngine
from kaiwa.testing.service.script import Call, Rule, Say, Script

KEY, PATIENCE_S = "key-of-the-house", 10
DESK = """
import asyncio
from kaiwa import Agent, tool

going, over = asyncio.Event(), asyncio.Event()
booked = []

@tool
async def book(name: str) -> str:
    await going.wait()
    booked.append(name)
    over.set()
    return f"R-{len(booked):03}"

agent = Agent(name="desk", instructions="", tools=[book])
"""
SCRIPT = Script(
    rules=(
        Rule(pattern="book", answers=(Call(name="book", arguments='{"name": "Sato"}'),)),
        Rule(pattern="slowly (.*)", answers=(Say(text=r"\1", pace_ms=20),)),
        Rule(pattern=".*", answers=(Say(text=r"\g<0>"),)),
    )
)


@dataclass(frozen=True)
class House:
    url: str
    desk: Any


@asynccontextmanager
async def house_of(directory: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> AsyncIterator[House]:
    (directory / "resumable_desk.py").write_text(DESK, encoding="utf-8")
    monkeypatch.chdir(directory)
    monkeypatch.delitem(sys.modules, "resumable_desk", raising=False)
    home = at_home(directory, api_key=KEY, agent="resumable_desk:agent", **settings)
    answerer = HostAnswerer(home, lambda agent: ServiceEngine(SCRIPT))
    async with running(home, answerer) as server:
        address = server.addresses[0].replace("http", "ws")
        yield House(f"{address}/v1/realtime", sys.modules["resumable_desk"])


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    async with house_of(tmp_path, monkeypatch) as house:
        yield house


class Talk:
    """One client's talk over any number of connections: all it heard, in order."""

    def __init__(self, house: House, *, own_events: bool = True, key: str = KEY) -> None:
        self.house, self._own, self._key = house, own_events, key
        self.heard: list[dict[str, Any]] = []
        self.socket: ClientConnection | None = None
        self.token = ""
        self.patience_s = PATIENCE_S

    async def begin(self, **query: str) -> None:
        await self._connect({"model": "desk", "resume": "on"} | query)
        assert self.socket is not None and self.socket.response is not None
        self.token = self.socket.response.headers["x-kaiwa-resume"]
        await self.until("session.created")
        await self.send("session.update", session={"type": "realtime", "output_modalities": ["text"]})
        await self.until("session.updated")

    async def come_back(self, last_event_id: str | None = None) -> None:
        """Return with the id of what was heard last, or with this one."""
        query = {"resume": self.token, "last_event_id": last_event_id or self.last_id}
        await self._connect(query)

    async def come_back_in_band(self, last_event_id: str) -> None:
        """Return with a token that is in no address."""
        await self._connect({"resume": "event"})
        await self.send("kaiwa.session.resume", token=self.token, last_event_id=last_event_id)

    async def _connect(self, query: dict[str, str]) -> None:
        query |= {"kaiwa_events": "on"} if self._own else {}
        text = "&".join(f"{name}={value}" for name, value in query.items())
        headers = {"api-key": self._key}
        self.socket = await connect(
            f"{self.house.url}?{text}", additional_headers=headers, proxy=None, max_queue=None
        )

    @property
    def last_id(self) -> str:
        return str(self.heard[-1]["event_id"])

    def drop(self) -> None:
        """The network is gone: no close frame, no goodbye."""
        assert self.socket is not None
        self.socket.transport.abort()

    async def send(self, kind: str, **fields: Any) -> None:
        assert self.socket is not None
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def say(self, text: str) -> None:
        content = [{"type": "input_text", "text": text}]
        await self.send(
            "conversation.item.create", item={"type": "message", "role": "user", "content": content}
        )
        await self.send("response.create")

    async def hear(self) -> dict[str, Any]:
        assert self.socket is not None
        async with asyncio.timeout(self.patience_s):
            frame = json.loads(await self.socket.recv())
        self.heard.append(frame)
        return frame

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        while True:
            frame = await self.hear()
            if frame["type"] == kind and all(frame.get(name) == value for name, value in fields.items()):
                return frame

    def transcript(self) -> list[dict[str, Any]]:
        """Return what was heard without what only a return brings."""
        seen_created = False
        kept: list[dict[str, Any]] = []
        for frame in self.heard:
            if frame["type"].startswith("kaiwa.") or (frame["type"] == "session.created" and seen_created):
                continue
            seen_created = seen_created or frame["type"] == "session.created"
            kept.append(frame)
        return kept


async def test_a_call_booked_while_the_client_was_away_is_told_once_and_booked_once(house: House) -> None:
    talk = Talk(house)
    await talk.begin()
    await talk.say("book")
    await talk.until("response.done")
    talk.drop()
    house.desk.going.set()
    async with asyncio.timeout(PATIENCE_S):
        await house.desk.over.wait()
    await talk.come_back()
    resumed = await talk.until("kaiwa.session.resumed")
    answer = await talk.until("response.output_text.done")
    await talk.until("response.done")
    assert answer["text"] == "The tool said: R-001"
    assert house.desk.booked == ["Sato"] and resumed["retold"] is False
    check_transcript(talk.transcript())
    outputs = [frame for frame in talk.transcript() if frame["type"] == "conversation.item.done"
               and frame["item"]["type"] == "function_call_output"]  # fmt: skip
    assert len(outputs) == 1


async def test_what_was_missed_of_an_answer_comes_once_and_in_order(house: House) -> None:
    words = " ".join(f"word{number}" for number in range(30))
    talk = Talk(house)
    await talk.begin()
    await talk.say(f"slowly {words}")
    for _ in range(3):
        await talk.until("response.output_text.delta")
        talk.drop()
        await talk.come_back()
        await talk.until("kaiwa.session.resumed")
    await talk.until("response.done")
    transcript = talk.transcript()
    check_transcript(transcript)
    told = "".join(f["delta"] for f in transcript if f["type"] == "response.output_text.delta")
    assert told == words
    ids = [frame["event_id"] for frame in transcript]
    assert len(ids) == len(set(ids))


async def test_a_stock_client_comes_back_by_its_url_and_meets_legal_events_only(house: House) -> None:
    talk = Talk(house, own_events=False)
    await talk.begin()
    await talk.say("slowly one two three four five six")
    await talk.until("response.output_text.delta")
    talk.drop()
    await talk.come_back()
    assert (await talk.hear())["type"] == "session.created"
    await talk.until("response.done")
    assert not [frame for frame in talk.heard if frame["type"].startswith("kaiwa.")]
    check_transcript(talk.transcript())


async def test_the_new_connection_takes_over_from_one_that_hangs(house: House) -> None:
    talk = Talk(house)
    await talk.begin()
    await talk.say("slowly one two three four five six seven eight nine")
    await talk.until("response.output_text.delta")
    hanging, seen = talk.socket, len(talk.heard)
    assert hanging is not None
    await talk.come_back()
    await talk.until("response.done")
    with pytest.raises(ConnectionClosed) as closed:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await hanging.recv()
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 4009
    check_transcript(talk.transcript())
    assert len(talk.heard) > seen


async def test_who_missed_more_than_is_kept_gets_the_items_told_afresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house_of(tmp_path, monkeypatch, resume_log_mb=0.005) as house:
        talk = Talk(house)
        await talk.begin()
        await talk.say("hello")
        await talk.until("response.done")
        early = talk.heard[0]["event_id"]
        await talk.say("and again")
        await talk.until("response.done")
        before = len(talk.heard)
        talk.drop()
        await talk.come_back(early)
        resumed = await talk.until("kaiwa.session.resumed")
        await talk.say("once more")
        await talk.until("response.done")
    assert resumed["retold"] is True
    told = [frame["item"]["content"][0]["text"] for frame in talk.heard[before:]
            if frame["type"] == "conversation.item.done"]  # fmt: skip
    assert told == ["hello", "hello", "and again", "and again", "once more", "once more"]


@pytest.mark.parametrize("goodbye", [1000, None])
async def test_a_goodbye_is_the_end_of_the_session(house: House, goodbye: int | None) -> None:
    talk = Talk(house)
    await talk.begin()
    assert talk.socket is not None
    if goodbye is None:
        await talk.socket.close()
    else:
        await talk.socket.close(goodbye)
    await talk.come_back()
    assert (await talk.hear())["error"]["code"] == "session_not_resumable"


async def test_after_the_grace_time_nobody_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house_of(tmp_path, monkeypatch, resume_s=0.05) as house:
        talk = Talk(house)
        await talk.begin()
        talk.drop()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await talk.come_back()
                if (await talk.hear())["type"] == "error":
                    break
                talk.drop()
                await asyncio.sleep(0.2)
    assert talk.heard[-1]["error"]["code"] == "session_not_resumable"


async def test_the_token_may_come_in_the_first_event(house: House) -> None:
    talk = Talk(house)
    await talk.begin()
    offered = next(frame for frame in talk.heard if frame["type"] == "kaiwa.session.resumable")
    assert offered["token"] == talk.token and offered["grace_s"] == 30
    last = talk.last_id
    talk.drop()
    await talk.come_back_in_band(last)
    assert (await talk.until("kaiwa.session.resumed"))["replayed"] == 0


async def test_a_token_opens_nothing_for_another_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = KeyStore(tmp_path / "keys.json")
    (mine, _), (theirs, _) = (keys.create(time.time(), label=name) for name in ("mine", "theirs"))
    async with house_of(tmp_path, monkeypatch, keys=tmp_path / "keys.json") as house:
        talk = Talk(house, key=mine)
        await talk.begin()
        stranger = Talk(house, key=theirs)
        stranger.token, stranger.heard = talk.token, list(talk.heard)
        await stranger.come_back()
        assert (await stranger.hear())["error"]["code"] == "session_not_resumable"
        await talk.say("still here")
        assert (await talk.until("response.output_text.done"))["text"] == "still here"
