"""What the stand-in hears and how it answers: readable values, and the choice of the rule that fits.

Knows words only; time, sound and responses are the engine's.
"""

from __future__ import annotations

import re
from re import Match
from typing import Final

from kaiwa.events.value import Value


class Say(Value, tag="say", tag_field="do", kw_only=True):
    """Say `text`, which may name groups of the rule's pattern (`\\1`).

    `delay_ms` passes before the first word, `pace_ms` between words.
    """

    text: str
    delay_ms: int = 0
    pace_ms: int = 0


class Call(Value, tag="call", tag_field="do", kw_only=True):
    """Call the session's tool `name`. Both fields may name groups; empty arguments are `{}`."""

    name: str
    arguments: str = "{}"
    delay_ms: int = 0


class Fail(Value, tag="fail", tag_field="do", kw_only=True):
    """End the response as failed, with this error."""

    code: str = "server_error"
    type: str = "server_error"
    message: str = "The stand-in was told to fail."


Answer = Say | Call | Fail


class Rule(Value, kw_only=True):
    """When `pattern` matches the whole of what was said (case does not matter), give these answers."""

    pattern: str
    answers: tuple[Answer, ...]

    def fits(self, words: str) -> Match[str] | None:
        return re.fullmatch(self.pattern, words.strip(), re.IGNORECASE | re.DOTALL)


_LONG: Final = " ".join(f"This is sentence number {number} of a long answer." for number in range(1, 41))
DEFAULT_RULES: Final = (
    Rule(pattern=r"call (\w+)\s*(\{.*\})?", answers=(Call(name=r"\1", arguments=r"\2"),)),
    Rule(pattern=r"fail(?: (\w+))?", answers=(Fail(code=r"\1"),)),
    Rule(pattern=r"long\b.*", answers=(Say(text=_LONG, pace_ms=50),)),
    Rule(pattern=r"slow\b.*", answers=(Say(text=r"\g<0>", delay_ms=2000),)),
    Rule(pattern=r".*", answers=(Say(text=r"\g<0>"),)),
)


class Script(Value, kw_only=True):
    """`hears`: the words of the first, second, … spoken turn of a session; after them, and when there are
    none, a sentence that tells how long the turn was. The first rule that fits what was said answers;
    `on_result` answers the output of a tool. `opening` answers an empty conversation.
    """

    hears: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = DEFAULT_RULES
    on_result: tuple[Answer, ...] = (Say(text=r"The tool said: \g<0>"),)
    opening: str = "Hello, this is the stand-in."

    def heard(self, turn: int, length_ms: int) -> str:
        """Return the words of a session's n-th spoken turn, counted from zero."""
        return self.hears[turn] if turn < len(self.hears) else f"I spoke for {length_ms / 1000:.1f} seconds."

    def answers(self, words: str) -> tuple[Answer, ...]:
        """Return what to do about these words, with the pattern's groups filled in."""
        if not words.strip():
            return (Say(text=self.opening),)
        for rule in self.rules:
            if match := rule.fits(words):
                return _filled(rule.answers, match)
        return ()

    def answers_to_result(self, output: str) -> tuple[Answer, ...]:
        match = re.fullmatch(".*", output, re.DOTALL)
        assert match is not None, "the pattern matches everything"
        return _filled(self.on_result, match)


def _filled(answers: tuple[Answer, ...], match: Match[str]) -> tuple[Answer, ...]:
    return tuple(_fill(answer, match) for answer in answers)


def _fill(answer: Answer, match: Match[str]) -> Answer:
    match answer:
        case Say():
            return Say(text=match.expand(answer.text), delay_ms=answer.delay_ms, pace_ms=answer.pace_ms)
        case Call():
            arguments = match.expand(answer.arguments) or "{}"
            return Call(name=match.expand(answer.name), arguments=arguments, delay_ms=answer.delay_ms)
        case Fail():
            return Fail(
                code=match.expand(answer.code) or "server_error", type=answer.type, message=answer.message
            )


def rest_of(answers: tuple[Answer, ...], said: str) -> tuple[Answer, ...]:
    """Return what is left of answers that were cut off after these words; nothing when they were not."""
    first = answers[0] if answers else None
    words = said.strip()
    if not isinstance(first, Say) or not words or not first.text.strip().startswith(words):
        return ()
    rest = first.text.strip()[len(words) :].strip()
    return (Say(text=rest, pace_ms=first.pace_ms), *answers[1:]) if rest else answers[1:]
