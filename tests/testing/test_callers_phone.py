"""A simulated caller by WebRTC: the same scenario as over a WebSocket, over a line that loses and delays packets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.faults.house import WORDS, house_with
from tests.testing.test_callers import Tone, found, scenario_of

from kaiwa.testing.callers import ScenarioCaller, judge, render

SPOKEN = """
name = "by phone"
agent = "gpt-realtime"
[caller]
transport = "webrtc"
turn_detection = "server_vad"
[line]
loss = 0.03
late_ms = 30
[[step]]
say = "tell me of your cars"
[[step]]
write = "look Sato"
[expect]
says = ["The desk says Sato is here"]
"""


@pytest.mark.clients
async def test_a_scenario_is_done_by_a_call(tmp_path: Path) -> None:
    scenario = scenario_of(SPOKEN)
    async with asyncio.timeout(120), house_with(tmp_path, rtc_host="127.0.0.1") as house:
        url = f"{house.address.replace('http', 'ws')}/v1/realtime?model=gpt-realtime"
        headers = {"authorization": "Bearer key"}
        done = await ScenarioCaller(scenario, url, render(scenario, Tone()), headers=headers).run()
    assert found(judge(scenario, done, None)) == {}
    assert done.call.turns[0].reply == WORDS
    assert all(turn.first_audio_s is not None for turn in done.call.turns)
