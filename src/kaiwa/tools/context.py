"""What a running tool may know and say of its own call. Knows no loop, no session, no transport."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

MAX_REPORTS: Final = 200
MAX_TEXT_CHARS: Final = 200
MAX_ANSWERS: Final = 20
MAX_ANSWER_CHARS: Final = 1000


@dataclass(slots=True)
class ToolContext:
    """Handed to a function whose first parameter is annotated with it; no part of the schema.

    `language` is the conversation's ("ja", "en") or None. `progress` and `say` may be called from any thread.
    `idempotency_key` is the same for every try of one change and no other: give it to whoever books.
    """

    call_id: str
    language: str | None = None
    _report: Callable[[float, str], None] | None = None
    idempotency_key: str = ""
    _say: Callable[[str], None] | None = None
    _answers: int = field(default=0, init=False)
    _reports: int = field(default=0, init=False)
    _cancelled: bool = field(default=False, init=False)

    @property
    def cancelled(self) -> bool:
        """True once nobody waits for the result; a long synchronous function should then return."""
        return self._cancelled

    def cancel(self) -> None:
        self._cancelled = True

    def progress(self, fraction: float, text: str = "") -> None:
        """Say how far the work is, from 0 to 1, with a short text.

        Full: after 200 reports, and once the call has ended, further ones are dropped. Long texts are cut.
        """
        if self._cancelled or self._report is None or self._reports >= MAX_REPORTS:
            return
        self._reports += 1
        bounded = min(1.0, max(0.0, fraction)) if math.isfinite(fraction) else 0.0
        self._report(bounded, text[:MAX_TEXT_CHARS])

    def say(self, text: str) -> None:
        """Let the agent say an interim answer, in the caller's language, as soon as the floor is free.

        Full: after 20 answers, and once the call has ended, further ones are dropped. Long ones are cut.
        """
        if self._cancelled or self._say is None or not text.strip() or self._answers >= MAX_ANSWERS:
            return
        self._answers += 1
        self._say(text.strip()[:MAX_ANSWER_CHARS])
