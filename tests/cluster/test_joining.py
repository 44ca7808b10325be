"""A tab that comes late to another process joins the answer all the same: both ends of the way between them."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
from aiohttp import web
from pydantic import SecretStr
from tests.redis_server import _redis_of_module, redis_url  # noqa: F401 - fixtures
from tests.server.test_chat_stream import house
from tests.server.test_signalr import DONE, ask, page

from kaiwa.hub.azure.tokens import claims_of, signed
from kaiwa.policy.caller import ANYBODY
from kaiwa.server.cluster.directory import this_machine
from kaiwa.server.cluster.redis import RedisDirectory
from kaiwa.server.signalr_hub import OWNER

KEY = "k" * 40
THERE = "turn_zzzz2345678901234567"


async def test_the_words_come_from_the_process_that_makes_them(redis_url: str, tmp_path: Path) -> None:  # noqa: F811
    asked: list[tuple[str, str]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append((request.path, request.headers["authorization"].removeprefix("Bearer ")))
        if request.path != f"/client/answers/{THERE}":
            return web.Response(status=404)
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in ('"一二"\n"', '三"\n', f"{json.dumps(DONE)}\n"):
            await response.write(piece.encode())
        return response

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"127.0.0.1:{runner.addresses[0][1]}"
    given = {"redis_url": SecretStr(redis_url), "signalr_service_key": SecretStr(KEY)}
    async with (
        RedisDirectory(redis_url, address, this_machine(), mark="zzzz").running(),
        house(tmp_path, **given) as desk,
        page(desk) as (late, _),
    ):
        await late.send(type=4, invocationId="1", target="join", arguments=[THERE])
        words = ""
        while (record := await late.record())["type"] == 2:
            words += record["item"]
        assert (words, record) == (f"一二三{DONE}", {"type": 3, "invocationId": "1"})

        for number, wrong in (("2", f"{THERE[:-1]}x"), ("3", f"{THERE[:20]}/x?y=1")):
            await late.send(type=4, invocationId=number, target="join", arguments=[wrong])
            refused = await late.record()
            assert (refused["invocationId"], "No answer" in refused["error"]) == (number, True)
    await runner.cleanup()
    assert [path for path, _ in asked] == [f"/client/answers/{THERE}", f"/client/answers/{THERE[:-1]}x"]
    claims = claims_of(asked[0][1], [KEY])
    assert claims is not None and claims[OWNER] == ANYBODY.id


async def test_only_a_process_of_the_house_is_told_and_only_its_owners_answer(
    redis_url: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    given = {"redis_url": SecretStr(redis_url), "signalr_service_key": SecretStr(KEY)}
    async with house(tmp_path, **given) as desk, page(desk) as (_, mine):
        async with ask(desk, {"prompt": "元気？", "connectionId": mine}) as answer:
            assert (await answer.json())["ok"]
            path = f"/client/answers/{answer.headers['x-stream-id']}"

        async def told(audience: str, owner: str, key: str = KEY) -> tuple[int, list[str]]:
            token = signed(audience, key, 60, {OWNER: owner})
            headers = {"authorization": f"Bearer {token}"}
            async with aiohttp.ClientSession(desk.address) as other, other.get(path, headers=headers) as said:
                lines = (await said.text()).splitlines() if said.status == 200 else []
                return said.status, [json.loads(line) for line in lines]

        status, words = await told(path, ANYBODY.id)
        assert (status, "".join(words)) == (200, f"答え: 元気？{DONE}")
        assert await told(path, "somebody") == (404, [])
        assert await told(path, ANYBODY.id, "x" * 40) == (401, [])
        assert await told("/client/answers/another", ANYBODY.id) == (401, [])
