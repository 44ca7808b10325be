"""What a scenario may do at any door: ask, ask and not wait, stop an answer, leave."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar

T = TypeVar("T")
PATIENCE_S = 30.0
End = Literal["stop", "cancelled", "error"]


@dataclass(frozen=True)
class Reply:
    """An answer as its reader has it: all its words, one blank between them, and how it ended."""

    text: str
    end: End = "stop"


@dataclass(eq=False)
class Question:
    """One that was asked. `text` grows with the answer; `tokens` of input and output, where the door tells them.

    `cut_off`: the answer was whole, and its sound was stopped before all of it was heard.
    """

    text: str = ""
    tokens: tuple[int, int] = (0, 0)
    end: End | None = None
    cut_off: bool = False
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, words: str) -> None:
        self.text += words
        self.begun.set()

    def used(self, input_tokens: int, output_tokens: int) -> None:
        self.tokens = self.tokens[0] + input_tokens, self.tokens[1] + output_tokens

    def close(self, end: End) -> None:
        self.end = end
        self.over.set()

    async def reply(self) -> Reply:
        await soon(self.over.wait(), f"the end of an answer that began with {self.text[:40]!r}")
        assert self.end is not None, "an answer that is over has an end"
        return Reply(" ".join(self.text.split()), self.end)

    async def first_words(self) -> None:
        await soon(self.begun.wait(), "the first words of an answer")


class Peer(Protocol):
    tells_stops: bool
    """Whether the door has a word for an answer that was stopped; else it simply ends."""

    remarks: list[str]
    """What the agent said on its own account, where the door tells that apart from answers."""

    async def begin(self, text: str) -> Question:
        """Ask and do not wait."""
        ...

    async def stop(self, question: Question) -> None:
        """Want no more of an answer."""
        ...

    async def drop(self) -> None:
        """Lose the connection, with no goodbye."""
        ...

    async def come_back(self) -> None:
        """Connect again and go on behind what came last."""
        ...

    async def refused(self) -> str:
        """Return the code of the error that whoever may ask nothing more is told."""
        ...


async def ask(peer: Peer, text: str) -> Reply:
    return await (await peer.begin(text)).reply()


async def soon(awaited: Awaitable[T], what: str) -> T:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await awaited
    except TimeoutError:
        raise AssertionError(f"not within {PATIENCE_S} s: {what}") from None
