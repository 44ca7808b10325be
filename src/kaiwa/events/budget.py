"""What a conversation hears of its costs: they changed, a budget comes to its end, a budget is used up.

Told by who counts, into the conversation's inbox; `Charge` is what it counts by.
"""

from __future__ import annotations

from kaiwa.events.usage import TranscriptionUsage, Usage
from kaiwa.events.value import Value


class Charge(Value, kw_only=True):
    """Count what the response or the transcription `of` has used so far.

    `over`: that is all it will be; before that each charge takes the place of the one before. `model`: who
    did it, as is told; None: nobody tells.
    """

    of: str
    usage: Usage | TranscriptionUsage
    over: bool = True
    model: str | None = None


class CostChanged(Value, kw_only=True):
    """What the session has cost so far. `estimated`: a part of it is of answers that are not over."""

    tokens: int
    money: float
    currency: str
    estimated: bool


class BudgetNear(Value, kw_only=True):
    """So much of a budget is used that somebody should say so. `budget` as the policy writes it."""

    budget: str
    used_share: float


class BudgetSpent(Value, kw_only=True):
    """A budget is used up. `message` says which, and how to get on."""

    budget: str
    message: str


class RemarkWanted(Value, kw_only=True):
    """The agent is to say this on its own account, when the floor is free. `about`: what it is about."""

    text: str
    about: str


BudgetEvent = CostChanged | BudgetNear | BudgetSpent | RemarkWanted
