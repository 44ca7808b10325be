"""`kaiwa demo` as a process against a scripted server: what it prints and how it ends."""

from __future__ import annotations

import asyncio
import json
import sys
import wave
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from kaiwa.apps.demo.script import bundled_script, load_script

from .scripted_server import CallTool, Speak, Step, scripted_server

SHOPS = [{"id": "loc1", "name": "東京駅前店"}]


async def run_demo(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "kaiwa", "demo", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def turns(vehicle_type: str) -> list[list[Step]]:
    script = load_script(bundled_script("ja"))
    assert script.row is not None
    today = datetime.now(ZoneInfo(script.timezone)).date()
    period = {
        "startDate": script.row.start.on(today).isoformat(),
        "endDate": script.row.end.on(today).isoformat(),
    }
    booking = {"locationId": "loc1", **period, "vehicleType": vehicle_type, "customerName": "山田太郎"}
    return [
        [CallTool("list_locations", {}, SHOPS), Speak("どの店舗にしますか。", 300)],
        [CallTool("get_availability", {"locationId": "loc1", **period}, {}), Speak("車種は。", 300)],
        [Speak("お名前は。", 300)],
        [Speak("よろしいですか。", 300)],
        [CallTool("create_reservation", booking, {"number": "R-001"}), Speak("予約しました。", 300)],
        [Speak("お待ちしております。", 300)],
    ]


async def test_a_call_that_is_understood_ends_with_zero_and_one_json_document(tmp_path: Path) -> None:
    wav = tmp_path / "call.wav"
    async with scripted_server(turns("コンパクト"), silence_ms=600) as server:
        code, out, err = await run_demo("--json", "--url", server.url, "--wav", str(wav), "--pace", "5")

    document: dict[str, Any] = json.loads(out)
    assert (code, document["ok"], document["misunderstandings"]) == (0, True, []), err
    assert [turn["line_id"] for turn in document["turns"]][:2] == ["day-and-city", "shop-and-times"]
    with wave.open(str(wav)) as reader:
        assert reader.getnchannels() == 2


async def test_a_wrong_vehicle_ends_with_one_and_names_the_turn(tmp_path: Path) -> None:
    async with scripted_server(turns("ミニバン"), silence_ms=600) as server:
        code, out, _ = await run_demo("--url", server.url, "--wav", str(tmp_path / "x.wav"), "--pace", "5")

    assert code == 1
    assert "Misunderstood at vehicle" in out


async def test_a_script_that_is_none_ends_with_two_and_a_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "script.json"
    broken.write_text('{"name": "x"}')

    code, _, err = await run_demo("--script", str(broken), "--url", "ws://127.0.0.1:9/")

    assert code == 2
    assert "is not a script" in err and "Traceback" not in err
