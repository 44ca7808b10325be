"""Record, replay, equal: one recording of a talk and of a stream, played as the service and as the caller."""

from __future__ import annotations

from pathlib import Path

import aiohttp
from tests.testing.recorded import record, typed_talk

from kaiwa.protocol.cassette.matching import STRICT
from kaiwa.testing.cassettes import load_cassette, replay_as_caller, replaying
from kaiwa.testing.service import Service

_CHAT = "/v1/chat/completions"
_QUESTION = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "tell me more"}]}


async def talk_and_stream(url: str) -> tuple[list[str], bytes]:
    """Talk at the Realtime API, then ask for a stream of tokens; return all that came."""
    frames = await typed_talk(url)
    async with aiohttp.ClientSession() as http, http.post(url + _CHAT, json=_QUESTION) as answer:
        assert answer.status == 200
        return frames, await answer.read()


async def test_a_talk_and_a_stream_come_again_byte_for_byte_from_either_side_of_their_recording(
    service: Service, tmp_path: Path
) -> None:
    lived: list[tuple[list[str], bytes]] = []

    async def live(url: str) -> None:
        lived.append(await talk_and_stream(url))

    await record(service, tmp_path / "lived.jsonl", live)
    cassette = load_cassette(tmp_path / "lived.jsonl")
    assert [one.opened.door for one in cassette.exchanges] == ["websocket", "http"]
    async with replaying(cassette) as as_service:
        assert await talk_and_stream(as_service.url) == lived[0]
        assert as_service.problems() == []
    async with replaying(cassette) as as_service:
        as_caller = await replay_as_caller(cassette, as_service.url, rules=STRICT)
        assert as_caller.problems == as_service.problems() == []
        assert as_caller.exchanges == 2
