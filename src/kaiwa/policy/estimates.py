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
    most = _amount(body, prompt, answer, prices)
    if answer <= _LEAST_ANSWER_TOKENS:
        return Want(most=most, least=most)
    return Want(most=most, least=_amount(body, prompt, _LEAST_ANSWER_TOKENS, prices))


def _longest_answer(body: dict[str, Any], operation: Operation) -> int:
    names = LENGTHS[operation]
    if not names:
        return 0
    given = [body[name] for name in names if isinstance(body.get(name), int)]
    choices = body.get("n")
    return min(given, default=USUAL_ANSWER_TOKENS) * (choices if isinstance(choices, int) else 1)


def _amount(body: dict[str, Any], prompt: int, answer: int, prices: Pricing) -> Amount:
    cost = prices.cost(str(body.get("model", "")), TokensUsed(input=prompt, output=answer))
    return Amount(requests=1, tokens=prompt + answer, money=cost)
