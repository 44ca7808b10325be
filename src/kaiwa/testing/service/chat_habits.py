"""How the stand-in's chat behaves when nothing is wrong: pace, size of pieces, filters, what its headers say.

Knows values only. Faults are another value (`faults.py`).
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from kaiwa.events.value import Value

Count = Annotated[int, Meta(ge=0)]


class Habits(Value, kw_only=True):
    """`chunks_per_s` 0 is as fast as it can; `chunk_characters` 0 is a word a chunk.

    `chunks`: answers have so many pieces whatever the script says, for load tests. `asynchronous_filter`:
    Azure's chunks without a delta, behind the text that they judge. `utilization` (percent, of a provisioned
    deployment) and what remains of the limits are told in headers; None tells nothing.
    """

    chunks_per_s: Annotated[float, Meta(ge=0)] = 0
    chunk_characters: Count = 0
    chunks: Count | None = None
    asynchronous_filter: bool = False
    utilization: Annotated[float, Meta(ge=0)] | None = None
    limit_requests: Count = 1000
    remaining_requests: Count | None = 999
    limit_tokens: Count = 1_000_000
    remaining_tokens: Count | None = 999_000


USUAL = Habits()


def parse_habits(text: str) -> Habits:
    """Read `chunks_per_s=50,chunks=200`. Raises ValueError with what is wrong."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    values = {name.strip(): value.strip() for name, _, value in pairs}
    try:
        return msgspec.convert(values, Habits, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
