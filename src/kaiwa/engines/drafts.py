"""The user's words while they are still spoken: drafts of the recording as far as it has come.

Of two drafts what they agree on is told (agreement.py). A draft is worth less than anything else that a
recogniser can do: one is in the making at most, none begins while others want the recogniser, and each
hears a few seconds, however long somebody speaks. Knows no session and no turns.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import numpy as np

from kaiwa.engines.agreement import agreed, going_on
from kaiwa.engines.lanes import Lane
from kaiwa.engines.recall import BYTES_PER_MS, Recall
from kaiwa.engines.speech.recognition import Recognition
from kaiwa.errors import KaiwaError
from kaiwa.events.engine import Follow, Transcribe, TranscriptDelta

FRESH_MS: Final = 800
"""As much must be new for another draft."""
WINDOW_MS: Final = 10_000
_CUT_FROM_MS: Final = 5_000
_LULL_MS: Final = 200
_KEPT: Final = 16
_UNSPACED: Final = ("ja", "zh")

Recognise = Callable[[bytes, Transcribe], Awaitable[Recognition]]


class Draft:
    """What is known of one item's words before it is complete."""

    def __init__(self, command: Follow) -> None:
        self.command = command
        self.told = ""
        self.language: str | None = None
        self.start_ms = command.start_ms
        self.heard_ms = command.start_ms
        self._told_here = ""
        self._before = ""
        self._space = ""

    def compare(self, words: Recognition) -> str:
        """Take a draft of the recording from `start_ms` on; return what is to be told."""
        news = agreed(self._told_here, self._before, words.text)
        self._before = words.text
        return self._tell(news, words.language)

    def close(self, words: Recognition, end_ms: int) -> str:
        """Take the last word on the recording up to `end_ms`, where the next drafts begin.

        What was told may reach beyond it: the next drafts will begin with these words.
        """
        beyond = going_on(words.text, self._told_here)
        news = "" if beyond else self._tell(going_on(self._told_here, words.text), words.language)
        self.start_ms = self.heard_ms = end_ms
        self._told_here, self._before = beyond.lstrip(), ""
        spaced = self.told and not beyond and words.language not in _UNSPACED
        self._space = " " if spaced else ""
        return news

    def _tell(self, news: str, language: str) -> str:
        if not news:
            return ""
        self.language = self.language or language
        self._told_here += news
        news, self._space = self._space + news, ""
        self.told += news
        return news


class Drafts:
    """The drafts of one conversation. `lane` is where its recogniser runs, for others too."""

    def __init__(
        self,
        recall: Recall,
        recognise: Recognise,
        lane: Lane,
        tell: Callable[[TranscriptDelta], None],
    ) -> None:
        self._recall = recall
        self._recognise = recognise
        self._lane = lane
        self._tell = tell
        self._draft: Draft | None = None
        self._kept: dict[str, Draft] = {}

    def follow(self, command: Follow) -> None:
        self._draft = Draft(command)

    def end(self, item_id: str, *, keep: bool) -> None:
        """Make no more drafts of this item; `keep` what was told of it for `rest`."""
        draft = self._draft
        if draft is None or draft.command.transcribe.item_id != item_id:
            return
        self._draft = None
        if keep:
            self._kept[item_id] = draft
            while len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]

    def language(self, item_id: str) -> str | None:
        """Return the language in which words of an item were told: the rest cannot be in another."""
        draft = self._draft
        if draft is None or draft.command.transcribe.item_id != item_id:
            draft = self._kept.get(item_id)
        return None if draft is None else draft.language

    def whole(self, item_id: str, text: str) -> tuple[str, str]:
        """Return an item's final words and what of them is not told yet; that is all for others' items."""
        draft = self._kept.pop(item_id, None)
        if draft is None:
            return text, ""
        rest = going_on(draft.told, text)
        return draft.told + rest, rest

    @property
    def due(self) -> bool:
        """Say whether a draft would hear enough new, and nobody else wants the recogniser."""
        draft = self._draft
        return (
            draft is not None and self._recall.heard_ms - draft.heard_ms >= FRESH_MS and not self._lane.busy
        )

    async def make(self) -> None:
        """Make drafts until none is due. A recogniser that breaks ends the drafts of this item."""
        while self.due and (draft := self._draft) is not None:
            try:
                news = await self._next(draft)
            except KaiwaError:  # what ails the recogniser is told when the item is complete
                if draft is self._draft:
                    self.end(draft.command.transcribe.item_id, keep=True)
                return
            if news and draft is self._draft:
                item_id = draft.command.transcribe.item_id
                self._tell(TranscriptDelta(item_id=item_id, text=news))

    async def _next(self, draft: Draft) -> str:
        end_ms = min(self._recall.heard_ms, draft.start_ms + WINDOW_MS)
        pcm = self._recall.stretch(draft.start_ms, end_ms)
        if end_ms - draft.start_ms < WINDOW_MS:
            draft.heard_ms = end_ms
            words = await self._recognise(pcm, draft.command.transcribe)
            return draft.compare(words) if draft is self._draft else ""
        cut_ms = _lull_ms(pcm)
        words = await self._recognise(pcm[: cut_ms * BYTES_PER_MS], draft.command.transcribe)
        return draft.close(words, draft.start_ms + cut_ms) if draft is self._draft else ""


def _lull_ms(pcm: bytes) -> int:
    """Return the middle of the quietest fifth of a second in the later half."""
    step = BYTES_PER_MS // 2 * _LULL_MS // 2
    late = np.frombuffer(pcm[_CUT_FROM_MS * BYTES_PER_MS :], "<i2").astype(np.float64)
    energy = np.square(late[: len(late) // step * step].reshape(-1, step)).mean(axis=1)
    return _CUT_FROM_MS + (int((energy[:-1] + energy[1:]).argmin()) + 1) * _LULL_MS // 2
