"""From recorded voice to a row: the real server in its own process, the real models, the real WebSocket.

One whole call belongs to `make test`, the others to `make test-clients`: a call takes as long as it is spoken.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from kaiwa.apps.demo.script import bundled_script

HERE = Path(__file__).parent


async def demo(tmp_path: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "kaiwa", "demo", "--json", "--wav", str(tmp_path / "call.wav"), *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(180):
        out, err = await process.communicate()
    assert out, err.decode()
    assert process.returncode is not None
    return process.returncode, json.loads(out)


async def test_the_demo_books_the_car_from_audio_alone_in_under_two_minutes(tmp_path: Path) -> None:
    code, document = await demo(tmp_path)

    assert (code, document["misunderstandings"]) == (0, []), document["turns"]
    assert document["row"]["number"] == "R-001"
    assert document["wall_s"] < 120
    assert (tmp_path / "call.wav").stat().st_size > 1_000_000


@pytest.mark.clients
async def test_the_english_demo_books_the_car_from_audio_alone(tmp_path: Path) -> None:
    code, document = await demo(tmp_path, "--lang", "en")

    assert (code, document["misunderstandings"]) == (0, []), document["turns"]
    assert document["row"]["customer_name"] == "John Smith"


@pytest.mark.clients
async def test_another_voice_with_another_order_of_answers_books_another_car(tmp_path: Path) -> None:
    code, document = await demo(tmp_path, "--script", str(HERE / "second_caller" / "script.json"))

    assert (code, document["misunderstandings"]) == (0, []), document["turns"]
    assert document["row"]["location"] == "羽田空港店"


@pytest.mark.clients
async def test_a_wrong_line_fails_the_demo_and_is_named(tmp_path: Path) -> None:
    shutil.copytree(bundled_script("ja").parent, tmp_path / "script")
    shutil.copy(HERE / "wrong_line" / "minivan.wav", tmp_path / "script" / "3-vehicle.wav")

    code, document = await demo(tmp_path, "--script", str(tmp_path / "script" / "script.json"))

    assert code == 1
    assert "vehicle" in [one["line_id"] for one in document["misunderstandings"]]
