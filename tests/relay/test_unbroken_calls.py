"""A relayed call whose sound kaiwa carries: its deployment dies in mid-sentence, and the caller hears one answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.interaction.test_resume_calls import calling

from kaiwa.testing.service import Faults, running_service
from kaiwa.testing.service.script import Rule, Say, Script

WORDS = " ".join(f"word{number}" for number in range(24))
SCRIPT = Script(rules=(Rule(pattern=".*", answers=(Say(text=WORDS, pace_ms=15),)),))


async def test_a_call_goes_on_at_another_deployment_when_its_own_dies_in_mid_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_service(SCRIPT) as first, running_service(SCRIPT) as second:
        entries = [
            {"name": name, "endpoint": service.url, "deployment": "voice", "api_key": service.key}
            for name, service in (("first", first), ("second", second))
        ]
        async with calling(tmp_path, monkeypatch, first, realtime_upstreams=entries) as (caller, _):
            call = await caller.dial()
            await call.until("session.created")
            call.ask("before")
            await call.until("response.done")
            whole = len(call.transport.sound)
            call.transport.sound.clear()

            first.faults = Faults(reset_after="response.output_audio.delta", http_status=503)
            call.ask("tell me")
            done = await call.until("response.done")

            answer = done["response"]["output"][0]["content"][0]
            assert answer["transcript"] == WORDS and done["response"]["status"] == "completed"
            assert len(call.transport.sound) == pytest.approx(whole, rel=0.1), "nothing twice, nothing lost"
            assert "error" not in call.heard and call.heard.count("output_audio_buffer.cleared") == 0
    assert [len(service.sessions) for service in (first, second)] == [1, 1]
