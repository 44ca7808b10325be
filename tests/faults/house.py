"""A house in test mode as a relay before two deployments of the stand-in, and a peer that talks to it in text."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from tests.faults import desk
from tests.relay.relayed import Peer, impatient, peer_of
from tests.server.running import at_home, running

from kaiwa.server.relay import relay_from
from kaiwa.testing.conformance import check_transcript
from kaiwa.testing.faults.house import HEADER, TestHouse
from kaiwa.testing.service import Service, running_service
from kaiwa.testing.service.chat_habits import Habits
from kaiwa.testing.service.script import Call, Rule, Say, Script

WORDS = " ".join(f"word{number}" for number in range(12))
SCRIPT = Script(
    hears=("tell me",),
    rules=(
        Rule(pattern=r"book (\w+)", answers=(Call(name="book", arguments=r'{"name": "\1"}'),)),
        Rule(pattern=r"look (\w+)", answers=(Call(name="look", arguments=r'{"name": "\1"}'),)),
        Rule(pattern=r"count", answers=(Call(name="count", arguments='{"below": 5}'),)),
        Rule(pattern="tell.*", answers=(Say(text=WORDS, pace_ms=3),)),
        Rule(pattern=".*", answers=(Say(text=r"You said: \g<0>"),)),
    ),
    on_result=(Say(text=r"The desk says \g<0>"),),
)
TEXT = {"type": "realtime", "output_modalities": ["text"]}


@dataclass(frozen=True)
class House:
    """`services`: the two deployments, in the order in which they are asked."""

    address: str
    services: tuple[Service, Service]
    database: Path

    @property
    def sessions(self) -> list[int]:
        """How many sessions each deployment was opened for."""
        return [len(service.sessions) for service in self.services]

    @asynccontextmanager
    async def talk(self, fault: str = "", query: str = "", *, whole: bool = True) -> AsyncIterator[Peer]:
        """Give a peer in whose conversation this goes wrong; check everything that it heard `whole`."""
        path = f"/v1/realtime?model=gpt-realtime&kaiwa_fault={fault}{query}"
        async with peer_of(self.address.replace("http", "ws"), path) as peer:
            await peer.send("session.update", session=TEXT)
            await peer.until("session.updated")
            yield peer
        if whole:
            check_transcript(peer.heard)

    async def ask(self, fault: str = "", *, key: str = "key") -> tuple[int, str]:
        """Ask in chat; return the status and the stream of events."""
        body = {"model": "chat", "stream": True, "messages": [{"role": "user", "content": "tell me"}]}
        headers = {HEADER.decode(): fault, "api-key": key}
        async with (
            aiohttp.ClientSession(self.address, headers=headers) as web,
            web.post("/v1/chat/completions", json=body) as answer,
        ):
            return answer.status, await answer.text()


def words_of(stream: str) -> str:
    """Return what a chat stream said."""
    events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: {")]
    choices = [choice for event in events for choice in event.get("choices", ())]
    return "".join(choice["delta"].get("content") or "" for choice in choices if "delta" in choice)


async def answer(peer: Peer) -> str:
    """Wait for an answer in words; return them."""
    while True:
        response = (await peer.until("response.done"))["response"]
        texts = [
            part["text"]
            for item in response["output"]
            if item["type"] == "message"
            for part in item["content"]
        ]
        if texts:
            return "".join(texts)


def told(peer: Peer) -> str:
    """Return every word that came, in the order of the deltas."""
    kind = "response.output_text.delta"
    return "".join(event["delta"] for event in peer.heard if event["type"] == kind)


@asynccontextmanager
async def house_with(directory: Path, *, ping_s: float = 20, **settings: Any) -> AsyncIterator[House]:
    """`ping_s`: how soon a service that is silent is asked whether it is there."""
    database = directory / "desk.db"
    desk.open_at(database)
    async with running_service(SCRIPT, seed=1) as first, running_service(SCRIPT, seed=2) as second:
        services = (first, second)
        for service in services:
            service.habits = Habits(chunks_per_s=500)
        home = at_home(
            directory,
            agent="tests.faults.desk:agent",
            filler_ms=0,
            test_mode=True,
            realtime_upstreams=[_entry(service, "voice", rank) for rank, service in enumerate(services)],
            upstreams=json.dumps([_entry(service, "chat", rank) for rank, service in enumerate(services)]),
            **settings,
        )
        disturber = TestHouse(database=database)
        relay = relay_from(home)
        assert relay is not None, "services are named"
        impatient(ping_s=ping_s)(relay)
        async with running(home, relay, disturber=disturber) as server:
            yield House(server.addresses[0], services, database)


def _entry(service: Service, deployment: str, rank: int) -> dict[str, Any]:
    entry = {"name": f"d{rank}", "endpoint": service.url, "deployment": deployment, "api_key": service.key}
    return entry | ({"priority": rank + 1} if deployment == "voice" else {"tier": rank})
