"""What every WebRTC peer of the benchmark does alike: offers come in by standard input, answers go out.

Run as a script in an environment of the peer's own, without kaiwa: `python pipecat_house.py SOUND`, where
SOUND is a file of PCM16 at 24 kHz that is spoken without a break, or `echo`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

RATE_HZ = 24_000
PIECE_S = 0.2
PIECE_BYTES = int(RATE_HZ * PIECE_S) * 2
EVENT = {
    "type": "response.output_text.delta",
    "delta": "Bring it back by six, please. ",
    "fill": " " * 120,
}


def sound_to_speak() -> bytes | None:
    """Return the sound named on the command line; None: echo what is heard."""
    return None if sys.argv[1] == "echo" else Path(sys.argv[1]).read_bytes()


def pieces(sound: bytes, count: int) -> bytes:
    at = count * PIECE_BYTES % (len(sound) - PIECE_BYTES)
    return sound[at : at + PIECE_BYTES]


async def answer_offers(answer: Callable[[str], Awaitable[str]]) -> None:
    """Answer one offer a line until standard input ends."""
    loop = asyncio.get_running_loop()
    print(json.dumps("ready"), flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await answer(json.loads(line))), flush=True)
