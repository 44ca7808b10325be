"""A spoken call while three tools run at once: the talk goes on, and every result is told once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.demo.busy_desk import SLOW_S

from kaiwa.cli.local_server import ServerProcess
from kaiwa.engines.speech.synthesis import LocalSynthesizer
from kaiwa.testing.call import Call
from kaiwa.testing.caller import CallerManners, SimulatedCaller, SpokenLine

LINES = (
    "音声認識について、資料を検索してください。",
    "荷物の配送状況を調べてください。",
    "売上の集計をお願いします。",
    "東京の天気を教えてください。",
    "今、何をしていますか。",
)
SLOW = ("search_database", "check_parcel", "total_sales")
SESSION = {
    "type": "realtime",
    "audio": {
        "input": {
            "transcription": {"model": "whisper-1", "language": "ja"},
            "turn_detection": {"type": "semantic_vad"},
        }
    },
}
_SILENCE = bytes(150 * 48)


def spoken() -> list[SpokenLine]:
    """Every line cuts into the answer before it, so that all are said while the tools run."""
    voice = LocalSynthesizer()
    return [
        SpokenLine(
            str(index),
            text,
            _SILENCE + b"".join(voice.speak(text, language="ja")) + _SILENCE,
            interrupt_after_ms=1500 if index else None,
        )
        for index, text in enumerate(LINES)
    ]


async def place_call(tmp_path: Path) -> Call:
    manners = CallerManners(tool_patience_s=SLOW_S + 20, reply_timeout_s=30)
    async with ServerProcess("tests.demo.busy_desk:agent", tmp_path / "busy.db") as server:
        url = server.url.split("?")[0] + "?model=busy"
        return await SimulatedCaller(url, spoken(), session=SESSION, manners=manners).run()


@pytest.mark.clients
async def test_questions_are_answered_while_three_tools_run_and_their_results_are_told_once(
    tmp_path: Path,
) -> None:
    call = await place_call(tmp_path)

    assert not call.errors
    used = {use.name: use for use in call.tools}
    assert {*SLOW, "get_weather"} <= set(used), [turn.transcript for turn in call.turns]
    first_settled_s = min(used[name].settled_s or 0 for name in SLOW)
    weather, running = call.turns[3], call.turns[4]
    assert weather.first_audio_s is not None and weather.first_audio_s < first_settled_s
    assert running.first_audio_s is not None and running.first_audio_s < first_settled_s
    assert "東京" in weather.reply or "お調べ" in weather.reply
    assert all(word in running.reply for word in ("検索", "荷物", "売上")), running.reply

    assert all(used[name].output for name in SLOW), "a result was lost"
    for told in ("荷物は配達中です", "売上は五百万円"):
        assert "".join(turn.reply for turn in call.turns).count(told) == 1, call.turns[-1].reply
