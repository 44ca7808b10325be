"""A console server whose engine answers by script: fast, and the same every time."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from tests.server.running import InThisLoop, at_home, running

from kaiwa.server.conversations import HostAnswerer
from kaiwa.testing.service.engine import ServiceEngine
from kaiwa.testing.service.script import Call, Rule, Say, Script

SENTENCES = "。".join(f"これは長い返事の{number}番目の文です" for number in range(1, 13)) + "。"
SCRIPT = Script(
    hears=("東京でレンタカーを借りたいです。", "やっぱり羽田空港にします。"),
    rules=(
        Rule(pattern="お店は.*", answers=(Call(name="list_locations"),)),
        Rule(pattern="長く話して.*", answers=(Say(text=SENTENCES),)),
        Rule(pattern=".*", answers=(Say(text=r"\g<0> ですね。"),)),
    ),
    on_result=(Say(text="三店舗あります。"),),
)


@asynccontextmanager
async def scripted(directory: Path, script: Script = SCRIPT, **given: Any) -> AsyncIterator[str]:
    """Serve the console; give its address."""
    settings = at_home(directory, **given)
    answerer = HostAnswerer(settings, lambda agent: ServiceEngine(script))
    async with running(settings, answerer) as server:
        yield address(server)


def address(server: InThisLoop) -> str:
    return server.addresses[0]


def voice(duration_ms: int) -> bytes:
    """Something that voice detection by level takes for speech: 24 kHz mono PCM16."""
    moments = np.arange(24 * duration_ms) / 24_000
    swelling = 0.6 + 0.4 * np.sin(2 * math.pi * 4 * moments)
    return (8000 * swelling * np.sin(2 * math.pi * 220 * moments)).astype("<i2").tobytes()
