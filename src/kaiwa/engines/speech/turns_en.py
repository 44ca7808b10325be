"""How finished an English utterance sounds by its last words. Knows grammar; knows no audio."""

from __future__ import annotations

import re
from typing import Final

from kaiwa.engines.speech.wordlists import word_set

_OPEN_WORDS: Final = word_set(
    # prepositions
    "about above across after against along among around as at before behind below between by during "
    "except for from in inside into near of off on onto over per since than through to toward under "
    "until upon with without "
    # conjunctions
    "and but or nor so because although though if unless when whenever where while whether that which who "
    "whose "
    # articles and determiners
    "a an the my your our their his her its this these those some any every each no another "
    # verbs that want more
    "is are was were am be been being have has had do does did can could will would shall should may "
    "might must want need like prefer let gonna wanna i'm we're they're it's that's there's i'd i'll we'd "
    "we'll i've i we they he she very really quite just also maybe perhaps"
)
_FILLERS: Final = word_set("um uh er erm hmm well like so ah mm y'know know")
_ANSWERS: Final = word_set(
    "yes yeah yep no nope ok okay sure thanks please right correct exactly fine great perfect hello hi bye "
    "goodbye sorry absolutely definitely"
)
_FITS: Final = {
    "date": re.compile(
        r"day|week|month|tomorrow|january|february|march|april|may|june|july|august|september|october|november"
        r"|december|\d|first|second|third|th$"
    ),
    "time": re.compile(r"\d|o'clock|noon|midnight|morning|evening|afternoon|am$|pm$|[ap]\.m|one|two|three"
                       r"|four|five|six|seven|eight|nine|ten|eleven|twelve|thirty"),
    "number": re.compile(r"\d|one|two|three|four|five|six|seven|eight|nine|ten"),
    "id": re.compile(r"\d|zero|one|two|three|four|five|six|seven|eight|nine"),
    "name": re.compile(r"."),
    "choice": re.compile(r"."),
}  # fmt: skip


def completeness(text: str, kind: str) -> float:
    """Return 0 (surely goes on) to 1 (surely done). `kind` is the slot just asked for; see Expectation."""
    said = text.strip()
    words = re.findall(r"[\w'’.-]+", said.lower().replace("’", "'"))
    words = [word.strip(".-'") for word in words if word.strip(".-'")]
    if not words:
        return 0.5
    last = words[-1]
    if said.endswith(("...", "…", "-", "–", "—")):
        return 0.1
    if last in ("um", "uh", "er", "erm", "hmm", "mm"):
        return 0.05
    if said.endswith("?"):
        return 0.95
    if words[-2:] in (["thank", "you"], ["of", "course"]) or last in _ANSWERS:
        return 0.93
    if len(words) > 2 and last in ("do", "did", "would", "can", "is", "will") and words[0] in ("yes", "no"):
        return 0.9
    if last in _FILLERS or last in _OPEN_WORDS:
        return 0.08
    if said.endswith(","):
        return 0.3
    return _by_length(words, kind)


def _by_length(words: list[str], kind: str) -> float:
    fits = _FITS.get(kind)
    if fits is not None and fits.search(words[-1]):
        return 0.87
    if len(words) >= 4:
        return 0.85
    return 0.7 if len(words) == 3 else 0.4
