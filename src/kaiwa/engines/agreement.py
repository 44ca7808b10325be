"""Which words of drafts may be told, and how a later text goes on from words that were told. Pure text.

Two drafts of a growing recording agree on its beginning and differ where its end was cut. What both say is
told, and told words are never taken back: a text that has others in their place goes on behind them.
"""

from __future__ import annotations

import re
from typing import Final

# A word with the space before it, or one sign; Japanese is written without spaces, so each of its
# characters counts as a word.
_WORD: Final = re.compile(r"\s*(?:[^\W_぀-ヿ㐀-鿿]+(?:['’][^\W_]+)*|\S)|\s+")
_OPEN_ENDED: Final = " \t\n.,!?…、。，．！？"
# Words before the newest ones are told and known to differ; where the text goes on is near its end.
_COMPARED: Final = 100


def agreed(told: str, before: str, now: str) -> str:
    """Return what may be told next: the words after `told` that two drafts have in common.

    Not the punctuation at their end: a recording that is cut off sounds like a sentence that is over.
    """
    common: list[str] = []
    for one, other in zip(_words(going_on(told, before)), _words(going_on(told, now)), strict=False):
        if one != other:
            break
        common.append(one)
    return "".join(common).rstrip(_OPEN_ENDED)


def going_on(told: str, text: str) -> str:
    """Return how `text` goes on after the words of it that `told` stands for; "" when it does not."""
    if text.startswith(told):
        return text[len(told) :]
    old, new = _words(told), _words(text)
    alike = 0
    while alike < min(len(old), len(new)) and _bare(old[alike]) == _bare(new[alike]):
        alike += 1
    skipped = max(alike, len(old) - _COMPARED)
    reach = new[skipped : skipped + 2 * _COMPARED]
    return "".join(new[skipped + _nearest([_bare(word) for word in old[skipped:]], reach) :])


def _nearest(old: list[str], new: list[str]) -> int:
    """Return how many words of `new` are most like all of `old`; of several numbers the largest."""
    costs = list(range(len(new) + 1))
    for row, one in enumerate(old, 1):
        corner, costs[0] = costs[0], row
        for at, other in enumerate(new, 1):
            changed = corner + (one != _bare(other))
            corner, costs[at] = costs[at], min(costs[at] + 1, costs[at - 1] + 1, changed)
    return min(range(len(costs)), key=lambda at: (costs[at], -at))


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


def _bare(word: str) -> str:
    return word.strip().lower()
