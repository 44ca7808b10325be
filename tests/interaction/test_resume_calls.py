"""A call that is lost goes on over a WebSocket or another call, and a WebSocket's session as a call: nothing is
said into nothing, and nothing is said twice."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.interaction.test_resume import DESK, KEY, SCRIPT, House, Talk
from tests.server.paper_media import OFFER, PaperCall, PaperMedia
from tests.server.running import at_home, running

from kaiwa.server.conversations import HostAnswerer
from kaiwa.testing.service import Service, running_service
from kaiwa.testing.service.engine import ServiceEngine

PATIENCE_S = 10
ASKED = {"content-type": "application/sdp", "api-key": KEY}


class Caller:
    """Somebody who calls from a browser, and comes back by a socket."""

    def __init__(self, house: House, media: PaperMedia, http: aiohttp.ClientSession) -> None:
        self._house, self._media, self._http = house, media, http
        self.talk = Talk(house)
        self.location = ""

    async def dial(self) -> PaperCall:
        async with self._offered("model=desk&resume=on") as answer:
            assert answer.status == 201
            self.talk.token = answer.headers["x-kaiwa-resume"]
            self.location = answer.headers["location"]
        return self._media.calls[-1]

    async def dial_again(self, last_event_id: str) -> PaperCall:
        """Come back as a call."""
        query = f"resume={self.talk.token}&last_event_id={last_event_id}&kaiwa_events=on"
        async with self._offered(query) as answer:
            assert answer.status == 201, await answer.text()
            self.location = answer.headers["location"]
        return self._media.calls[-1]

    async def refused(self, query: str) -> tuple[int, str]:
        async with self._offered(query) as answer:
            return answer.status, (await answer.json())["error"]["code"]

    async def hang_up(self) -> None:
        url = f"{self._house.url.replace('ws', 'http', 1).removesuffix('/v1/realtime')}{self.location}/hangup"
        async with self._http.post(url, headers={"api-key": KEY}) as answer:
            assert answer.status == 200

    def _offered(self, query: str) -> Any:
        url = self._house.url.replace("ws", "http", 1)
        return self._http.post(f"{url}/calls?{query}", data=OFFER, headers=ASKED)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with running_service(SCRIPT) as service:
        yield service


@asynccontextmanager
async def calling(
    directory: Path, monkeypatch: pytest.MonkeyPatch, service: Service | None, **given: Any
) -> AsyncIterator[tuple[Caller, House]]:
    (directory / "resumable_desk.py").write_text(DESK, encoding="utf-8")
    monkeypatch.chdir(directory)
    monkeypatch.delitem(sys.modules, "resumable_desk", raising=False)
    usual: dict[str, Any] = {"api_key": KEY, "agent": "resumable_desk:agent", "filler_ms": 0}
    if service is not None:
        usual |= {"azure_openai_endpoint": service.url, "azure_openai_api_key": service.key}
        usual |= {"azure_openai_realtime_deployment": "voice"}
    home, media = at_home(directory, **usual | given), PaperMedia()
    host = None if service else HostAnswerer(home, lambda agent: ServiceEngine(SCRIPT))
    answers = running(home, host, media=media, as_configured=service is not None)
    async with answers as server, aiohttp.ClientSession() as http:
        address = server.addresses[0].replace("http", "ws")
        house = House(f"{address}/v1/realtime", sys.modules["resumable_desk"])
        yield Caller(house, media, http), house


@pytest.mark.parametrize("relayed", [False, True], ids=["host", "relay"])
async def test_a_call_lost_within_a_tool_hears_its_result_once_over_a_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: Service, relayed: bool
) -> None:
    async with calling(tmp_path, monkeypatch, service if relayed else None) as (caller, house):
        call = await caller.dial()
        await call.until("session.created")
        call.ask("book")
        last = await call.until("response.done")
        call.transport.leave()  # the network is gone: nobody hung up
        house.desk.going.set()
        async with asyncio.timeout(PATIENCE_S):
            await house.desk.over.wait()
        talk = caller.talk
        await talk.come_back(last["event_id"])
        assert (await talk.until("kaiwa.session.resumed"))["retold"] is False
        await talk.until("response.output_audio.delta")
        await talk.until("response.done")
        # What was begun before the loss was noticed counts as not said.
        cut_off = {f["item_id"] for f in talk.heard if f["type"] == "conversation.item.truncated"}
        told = [frame["transcript"] for frame in talk.heard
                if frame["type"] == "response.output_audio_transcript.done"
                and frame["item_id"] not in cut_off]  # fmt: skip
        assert told == ["The tool said: R-001"] and house.desk.booked == ["Sato"]


@pytest.mark.parametrize("relayed", [False, True], ids=["host", "relay"])
async def test_an_answer_cut_off_by_a_lost_call_goes_on_where_it_was_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: Service, relayed: bool
) -> None:
    words = " ".join(f"word{number}" for number in range(40))
    async with calling(tmp_path, monkeypatch, service if relayed else None) as (caller, _):
        call = await caller.dial()
        await call.until("session.created")
        call.ask(f"slowly {words}")
        for _ in range(12):
            last = await call.until("response.output_audio_transcript.delta")
        call.transport.leave()
        talk = caller.talk
        await talk.come_back(last["event_id"])
        await talk.until("kaiwa.session.resumed")
        truncated = await talk.until("conversation.item.truncated")
        answer = await talk.until("response.output_audio_transcript.done")
        while answer["item_id"] == truncated["item_id"]:
            answer = await talk.until("response.output_audio_transcript.done")
        assert answer["transcript"] and words.endswith(answer["transcript"])
        deltas = [f for f in talk.heard if f["type"] == "response.output_audio.delta"]
        assert {frame["item_id"] for frame in deltas} == {answer["item_id"]}


@pytest.mark.parametrize("relayed", [False, True], ids=["host", "relay"])
async def test_a_socket_that_breaks_comes_back_as_a_call_with_every_word_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: Service, relayed: bool
) -> None:
    words = " ".join(f"word{number}" for number in range(20))
    async with calling(tmp_path, monkeypatch, service if relayed else None) as (caller, _):
        talk = caller.talk
        await talk.begin()
        await talk.send("session.update", session={"type": "realtime", "output_modalities": ["audio"]})
        await talk.until("session.updated")
        await talk.say(f"slowly {words}")
        for _ in range(4):
            await talk.until("response.output_audio.delta")
        last = talk.last_id
        talk.drop()
        call = await caller.dial_again(last)
        await call.until("session.created")
        assert (await call.until("kaiwa.session.resumed"))["retold"] is False
        began = len(talk.heard)
        while talk.heard[-1]["type"] != "response.done":
            talk.heard.append(await call.until_it(lambda frame: True))
        told = [f["delta"] for f in talk.heard if f["type"] == "response.output_audio_transcript.delta"]
        assert "".join(told) == words
        ids = [frame["event_id"] for frame in talk.heard]
        assert len(ids) == len(set(ids))
        assert call.transport.sound, "what is said from here on is heard"
        assert "response.output_audio.delta" not in {frame["type"] for frame in talk.heard[began:]}
        if "output_audio_buffer.started" not in {frame["type"] for frame in talk.heard[began:]}:
            await call.until("output_audio_buffer.started")  # all of the answer was missed, and is played now

        call.ask("book")  # whoever returned is heard, too
        await call.until("response.function_call_arguments.done" if not relayed else "response.done")
        await caller.hang_up()
        assert call.ended.is_set()


@pytest.mark.parametrize("relayed", [False, True], ids=["host", "relay"])
async def test_a_call_lost_within_a_tool_comes_back_as_a_call_and_hears_its_result_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: Service, relayed: bool
) -> None:
    async with calling(tmp_path, monkeypatch, service if relayed else None) as (caller, house):
        first = await caller.dial()
        began_at = caller.location
        await first.until("session.created")
        first.ask("book")
        last = await first.until("response.done")
        first.transport.leave()
        second = await caller.dial_again(last["event_id"])
        await second.until("kaiwa.session.resumed")
        assert caller.location == began_at, "the call goes on"
        house.desk.going.set()
        done = await second.until("response.output_audio_transcript.done")
        await second.until("response.done")
        assert done["transcript"] == "The tool said: R-001" and house.desk.booked == ["Sato"]
        assert second.heard.count("response.output_audio_transcript.done") == 1 and second.transport.sound


async def test_who_cannot_come_back_as_a_call_is_told_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with calling(tmp_path, monkeypatch, None) as (caller, _):
        assert await caller.refused("resume=none.such") == (404, "session_not_resumable")
        assert await caller.refused("resume=event") == (400, "missing_resume_token")
        talk = caller.talk
        await talk.begin()
        pcmu = {"format": {"type": "audio/pcmu"}}
        await talk.send("session.update", session={"type": "realtime", "audio": {"output": pcmu}})
        await talk.until("session.updated")
        talk.drop()
        assert await caller.refused(f"resume={talk.token}") == (409, "session_not_a_call")
