"""Tokens to the browser through the hub of this house: who gets them, in which order, who may join, and what breaks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr
from tests.hub.bending import Bend
from tests.hub.house import Socket
from tests.server.running import at_home
from tests.server.test_chat_stream import House, house
from websockets.asyncio.client import connect

from kaiwa.errors import ConfigError
from kaiwa.events.engine import Generate, GenerationEnded, Stop, TextDelta
from kaiwa.events.response import FailureDetail
from kaiwa.server.app import create_app

DONE = "\n\n✅ 完了"


@asynccontextmanager
async def page(desk: House, query: str = "", **headers: str) -> AsyncIterator[tuple[Socket, str]]:
    """A page of the tutorial: it negotiates by POST and connects with what it was given."""
    async with desk.http.post(f"{desk.address}/api/negotiate{query}", headers=headers) as given:
        assert given.status == 200, await given.text()
        told = await given.json()
    bearer = {"authorization": f"Bearer {told['accessToken']}"}
    address = told["url"].replace("/client/?", "/client/negotiate?") + "&negotiateVersion=1"
    async with desk.http.post(address, headers=bearer) as answer:
        assert answer.status == 200, await answer.text()
        negotiated = await answer.json()
    ws = f"{told['url']}&id={negotiated['connectionToken']}&access_token={told['accessToken']}"
    async with connect(ws.replace("http://", "ws://"), compression=None, close_timeout=1) as raw:
        yield await Socket(raw, Bend()).hello(), negotiated["connectionId"]


async def told(socket: Socket, end: str = DONE) -> str:
    """Return everything that came as `token`, up to the end."""
    text = ""
    while not text.endswith(end):
        record = await socket.record()
        assert (record["type"], record["target"], len(record["arguments"])) == (1, "token", 1), record
        text += record["arguments"][0]
    return text


def ask(desk: House, body: Any, **headers: str) -> Any:
    return desk.http.post(f"{desk.address}/api/chat_stream", json=body, headers=headers)


async def test_the_asker_gets_every_token_in_order_and_nobody_else_any(tmp_path: Path) -> None:
    async with house(tmp_path) as desk, page(desk) as (mine, my_id), page(desk) as (other, _):
        async with ask(desk, {"prompt": "元気？", "connectionId": my_id}) as answer:
            body = await answer.json()
            assert body["ok"] is True
            assert body["stream_id"] == answer.headers["x-stream-id"]
            assert set(body["usage"]) == {"input_tokens", "output_tokens"}
        assert await told(mine) == f"答え: 元気？{DONE}"
        async with desk.http.post(f"{desk.address}/api/broadcast", json={"message": "みんなへ"}) as sent:
            assert sent.status == 200
        assert (await other.record())["arguments"] == ["みんなへ"]


async def test_without_a_prompt_the_japanese_one_of_the_tutorial_is_asked(tmp_path: Path) -> None:
    async with house(tmp_path) as desk, page(desk) as (mine, my_id):
        async with ask(desk, {"connectionId": my_id}) as answer:
            assert (await answer.json())["ok"]
        assert await told(mine) == f"答え: 日本語で自己紹介して{DONE}"


async def test_who_names_nobody_reaches_everybody_only_where_the_setting_says_so(tmp_path: Path) -> None:
    async with house(tmp_path) as desk, ask(desk, {"prompt": "元気？"}) as refused:
        assert refused.status == 400
        assert "KAIWA_SIGNALR_ANONYMOUS_TO_ALL" in (await refused.json())["error"]["message"]
    async with (
        house(tmp_path, signalr_anonymous_to_all=True) as desk,
        page(desk) as (one, _),
        page(desk) as (two, _),
    ):
        async with ask(desk, {"prompt": "元気？"}) as answer:
            assert (await answer.json())["ok"]
        assert await told(one) == await told(two) == f"答え: 元気？{DONE}"


async def test_users_and_groups_are_reached_by_their_names(tmp_path: Path) -> None:
    async with house(tmp_path) as desk, page(desk, "?userId=花子") as (hanako, _):
        async with ask(desk, {"prompt": "元気？", "userId": "花子"}) as answer:
            assert (await answer.json())["ok"]
        assert await told(hanako) == f"答え: 元気？{DONE}"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"message": ""}', b'{"message": 5}', b"{}"])
async def test_a_broadcast_of_nothing_is_refused_with_its_reason_and_delivers_nothing(
    tmp_path: Path, body: bytes
) -> None:
    async with house(tmp_path) as desk, page(desk) as (mine, _):
        async with desk.http.post(f"{desk.address}/api/broadcast", data=body) as refused:
            assert refused.status == 400
            assert (await refused.json())["error"]["message"]
        async with desk.http.post(f"{desk.address}/api/broadcast", json={"message": " "}) as sent:
            assert sent.status == 200
        assert (await mine.record())["arguments"] == [" "]


async def test_a_tab_that_comes_late_or_back_gets_all_words_once(tmp_path: Path) -> None:
    async with house(tmp_path) as desk:
        async with page(desk) as (_, my_id):
            answer = await ask(desk, {"prompt": "黙って", "connectionId": my_id})
            stream_id = answer.headers["x-stream-id"]
            await desk.commanded(Generate)
            (engine,) = desk.engines
            rid = next(command for command in engine.asked if isinstance(command, Generate)).response_id
            engine.say(TextDelta(response_id=rid, text="一"), TextDelta(response_id=rid, text="二"))
        async with page(desk) as (late, _):
            await late.send(type=4, invocationId="1", target="join", arguments=[stream_id])
            assert (await late.record())["item"] == "一二"
            engine.say(TextDelta(response_id=rid, text="三"), GenerationEnded(response_id=rid))
            rest = ""
            while (record := await late.record())["type"] == 2:
                rest += record["item"]
            assert (rest, record) == (f"三{DONE}", {"type": 3, "invocationId": "1"})
        assert (await answer.json())["ok"] is True
        assert sum(isinstance(command, Generate) for command in engine.asked) == 1
        assert not any(isinstance(command, Stop) for command in engine.asked)


async def test_an_error_in_mid_stream_is_told_on_the_stream_and_in_the_answer(tmp_path: Path) -> None:
    async with house(tmp_path) as desk, page(desk) as (mine, my_id):
        answer = await ask(desk, {"prompt": "黙って", "connectionId": my_id})
        await desk.commanded(Generate)
        (engine,) = desk.engines
        rid = next(command for command in engine.asked if isinstance(command, Generate)).response_id
        engine.say(TextDelta(response_id=rid, text="一"))
        assert (await mine.record())["arguments"] == ["一"]
        broken = FailureDetail(type="server_error", code="server_error", message="壊れた")
        engine.say(GenerationEnded(response_id=rid, reason="failed", error=broken))
        async with asyncio.timeout(20):
            body = await answer.json()
        assert body["ok"] is False
        told_of_it = (await mine.record())["arguments"][0]
        assert told_of_it.startswith("\n\n⚠️ ")
        assert body["error"]["message"] in told_of_it


async def test_a_key_is_asked_for_and_each_is_its_own_user(tmp_path: Path, caplog: Any) -> None:
    caplog.set_level("DEBUG")
    key = {"authorization": "Bearer house-key"}
    async with house(tmp_path, api_key=SecretStr("house-key")) as desk:
        async with desk.http.post(f"{desk.address}/api/negotiate") as refused:
            assert refused.status == 401
        async with page(desk, **key) as (mine, my_id):
            async with ask(desk, {"prompt": "元気？", "userId": "master"}, **key) as answer:
                assert (await answer.json())["ok"]
            assert await told(mine) == f"答え: 元気？{DONE}"
            assert my_id
        async with desk.http.get(f"{desk.address}/api/negotiate", headers=key) as given:
            token = (await given.json())["accessToken"]
            assert given.headers["cache-control"] == "no-store"
        async with aiohttp.ClientSession() as http:
            bad = f"{desk.address}/client/negotiate?hub=chat&negotiateVersion=1"
            for wrong in ("", "x", token[:-2]):
                async with http.post(bad, headers={"authorization": f"Bearer {wrong}"}) as answer:
                    assert answer.status == 401
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("websockets")]
    assert ours
    assert not any("eyJ" in line for line in ours)


async def test_a_page_of_another_port_of_this_machine_may_use_the_hub(tmp_path: Path) -> None:
    origin = {"origin": "http://localhost:5500"}
    async with house(tmp_path) as desk:
        async with desk.http.post(f"{desk.address}/api/negotiate", headers=origin) as given:
            told_where = await given.json()
            assert given.headers["access-control-allow-origin"] == "http://localhost:5500"
        where = told_where["url"].replace("/client/?", "/client/negotiate?")
        async with desk.http.options(where, headers=origin) as asked:
            assert (asked.status, asked.headers["access-control-allow-origin"]) == (
                204,
                "http://localhost:5500",
            )
        async with desk.http.options(where, headers={"origin": "https://evil.example"}) as asked:
            assert "access-control-allow-origin" not in asked.headers


async def test_the_rest_api_is_there_only_with_a_key_of_the_service(tmp_path: Path) -> None:
    async with house(tmp_path) as desk, desk.http.get(f"{desk.address}/api/v1/health") as answer:
        assert answer.status == 404
    key = SecretStr("k" * 44)
    async with (
        house(tmp_path, signalr_service_key=key) as desk,
        desk.http.get(f"{desk.address}/api/v1/health") as answer,
    ):
        assert answer.status == 401
    with pytest.raises(ConfigError, match="KAIWA_SIGNALR_SERVICE_KEY"):
        create_app(at_home(tmp_path, signalr_service_key=SecretStr("short")))


async def test_with_a_connection_string_the_words_go_through_that_service(tmp_path: Path) -> None:
    """One house is the service, another publishes to it."""
    key = "k" * 44
    async with house(tmp_path, signalr_service_key=SecretStr(key)) as service:
        text = f"Endpoint={service.address};AccessKey={key};Version=1.0;"
        async with house(tmp_path, azure_signalr=SecretStr(text)) as desk, page(desk) as (mine, my_id):
            async with ask(desk, {"prompt": "元気？", "connectionId": my_id}) as answer:
                assert json.loads(await answer.text())["ok"] is True
            assert await told(mine) == f"答え: 元気？{DONE}"
