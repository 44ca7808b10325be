"""What a request may use before anybody knows: its tokens by its letters, its length by its bounds. Pure."""

from __future__ import annotations

from typing import Any, Final

from kaiwa.policy.amounts import Amount, Want
from kaiwa.policy.prices import Pricing, TokensUsed
from kaiwa.policy.shaping import LENGTHS, Operation

# Bytes of JSON a token takes: four of English, about three of Japanese in UTF-8.
_BYTES_A_TOKEN: Final = 4
USUAL_ANSWER_TOKENS: Final = 1024
_LEAST_ANSWER_TOKENS: Final = 16


def wanted(body: dict[str, Any], size_bytes: int, operation: Operation, prices: Pricing) -> Want:
    """Return what to reserve for a shaped body of this size: its prompt, and as long an answer as it allows.

    It needs room for the prompt and a few words; with less than all it begins, and ends where the limit is.
    """
    prompt = size_bytes // _BYTES_A_TOKEN + 1
    answer = _longest_answer(body, operation)
    model = str(body.get("model", ""))
    cost = prices.cost(model, TokensUsed(input=prompt, output=answer))
    most = Amount(requests=1, tokens=prompt + answer, money=cost)
    if answer <= _LEAST_ANSWER_TOKENS:
        return Want(most=most, least=most)
    least = _LEAST_ANSWER_TOKENS
    # What costs nothing costs nothing if it is shorter.
    cost = cost and prices.cost(model, TokensUsed(input=prompt, output=least))
    return Want(most=most, least=Amount(requests=1, tokens=prompt + least, money=cost))


def _longest_answer(body: dict[str, Any], operation: Operation) -> int:
    names = LENGTHS[operation]
    if not names:
        return 0
    longest: int | None = None
    for name in names:
        given = body.get(name)
        if isinstance(given, int) and (longest is None or given < longest):
            longest = given
    choices = body.get("n")
    return (USUAL_ANSWER_TOKENS if longest is None else longest) * (
        choices if isinstance(choices, int) else 1
    )
