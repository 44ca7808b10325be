"""openai-python, unmodified: it posts an offer, attaches beside the call and hangs up."""

from __future__ import annotations

from pathlib import Path

import aiohttp
from openai import AsyncOpenAI, BadRequestError, NotFoundError
from tests.server.paper_media import ANSWER, OFFER, PaperMedia
from tests.server.running import at_home, running
from tests.server.test_calls import KEY, Desk


async def test_openai_python_calls_attaches_and_hangs_up(tmp_path: Path) -> None:
    media = PaperMedia()
    async with (
        running(at_home(tmp_path, api_key=KEY), media=media) as server,
        aiohttp.ClientSession() as http,
        AsyncOpenAI(api_key=KEY, base_url=f"{server.addresses[0]}/v1", max_retries=0) as client,
    ):
        desk = Desk(server, media, http)
        made = await client.realtime.calls.create(
            sdp=OFFER, session={"type": "realtime", "model": "gpt-realtime", "instructions": "Be brief."}
        )
        assert made.text == ANSWER
        call_id = made.response.headers["location"].rpartition("/")[2]
        async with client.realtime.connect(call_id=call_id) as beside:
            created = await beside.recv()
            assert created.type == "session.created"
            assert created.session.type == "realtime" and created.session.instructions == "Be brief."
            await beside.response.create()
            await desk.call.until("response.done")
            await client.realtime.calls.hangup(call_id)
        assert desk.call.ended.is_set()
        for wrong, error in (
            (client.realtime.calls.hangup(call_id), NotFoundError),
            (client.realtime.calls.create(sdp="nothing", session={"type": "realtime"}), BadRequestError),
        ):
            try:
                await wrong
            except error as refused:
                assert refused.code
            else:
                raise AssertionError(f"not refused with {error.__name__}")
