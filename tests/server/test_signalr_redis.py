"""Two houses with one Redis are one hub."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr
from tests.redis_server import _redis_of_module, redis_url  # noqa: F401 - fixtures
from tests.server.test_chat_stream import house
from tests.server.test_signalr import DONE, ask, page, told


async def test_tokens_and_broadcasts_of_one_process_reach_the_pages_of_another(
    tmp_path: Path,
    redis_url: str,  # noqa: F811
) -> None:
    shared = SecretStr(redis_url)
    async with (
        house(tmp_path, redis_url=shared) as one,
        house(tmp_path, redis_url=shared) as two,
        page(two) as (there, there_id),
    ):
        async with one.http.post(f"{one.address}/api/broadcast", json={"message": "みんなへ"}) as sent:
            assert sent.status == 200
        assert (await there.record())["arguments"] == ["みんなへ"]
        async with ask(one, {"prompt": "元気？", "connectionId": there_id}) as answer:
            assert (await answer.json())["ok"] is True
        assert await told(there) == f"答え: 元気？{DONE}"
