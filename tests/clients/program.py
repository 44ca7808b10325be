"""Clients that run in processes of their own: how they get their job and tell what they saw.

A program reads one job of JSON from its standard input and writes one line of JSON for each turn: `surface`,
`turn`, and `saw` or `failed`. It ends with 0 also when turns failed, and goes on with the next surface then.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.clients.place import KEY, Place
from tests.clients.turns import Turn

from kaiwa.audio.wav import house_audio_of

QUESTION = Path(__file__).parents[1] / "data" / "audio" / "en_whats_the_weather_like.wav"
SILENCE = bytes(48_000)
WHOLE_RUN_S = 240.0


def question() -> bytes:
    """Return the recorded words, with silence behind them, as PCM16 at 24 kHz."""
    return house_audio_of(QUESTION.read_bytes()) + SILENCE


def job_at(place: Place, surfaces: Sequence[str], turns: Sequence[str]) -> dict[str, Any]:
    return {
        "plain": place.plain,
        "secure": place.secure,
        "authority": str(place.certificate.authority),
        "key": KEY,
        "patience_s": place.patience_s,
        "surfaces": list(surfaces),
        "turns": list(turns),
    }


async def run_program(
    command: Sequence[str | Path], place: Place, surfaces: Sequence[str], turns: Sequence[str]
) -> list[Turn]:
    """Have a program do these turns on each surface at a place; return them in the order they happened."""
    with TemporaryDirectory() as directory:
        speech = Path(directory) / "speech.pcm"
        speech.write_bytes(question())
        job = job_at(place, surfaces, turns) | {"speech": str(speech)}
        code, out, err = await _run([str(part) for part in command], json.dumps(job), _environment(place))
    done = [Turn(**json.loads(line)) for line in out.splitlines() if line.startswith('{"surface"')]
    assert code == 0, f"{command[-1]} ended with {code}:\n{out[-2000:]}\n{err[-4000:]}"
    assert done, f"{command[-1]} did nothing:\n{out[-2000:]}\n{err[-4000:]}"
    return done


async def _run(command: list[str], job: str, environment: dict[str, str]) -> tuple[int, str, str]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment
    )
    try:
        async with asyncio.timeout(WHOLE_RUN_S):
            out, err = await process.communicate(job.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode(errors="replace"), err.decode(errors="replace")


def _environment(place: Place) -> dict[str, str]:
    """The clients' own environment: no key, endpoint or proxy of the person who runs the tests."""
    names = ("PATH", "HOME", "LANG", "TMPDIR")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    authority = str(place.certificate.authority)
    return kept | {"NODE_EXTRA_CA_CERTS": authority, "SSL_CERT_FILE": authority}
