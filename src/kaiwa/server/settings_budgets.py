"""Settings of budgets: what one session may cost, and what the agent says of it."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from kaiwa.server.settings_words import LIVE, Group
from kaiwa.session.budgeted import Wording

_NEAR: Final = {
    "ja": "恐れ入ります、こちらでご利用いただける枠が残りわずかとなりました。",
    "en": "Just so you know, the budget of this conversation is almost used up.",
}
_SPENT: Final = {
    "ja": "恐れ入りますが、ご利用枠の上限に達しましたので、ここで終了いたします。ありがとうございました。",
    "en": "I am sorry, the budget of this conversation is used up, so we have to end here. Goodbye.",
}


class BudgetSettings(Group):
    """Budgets"""

    session_budget: Annotated[float | None, Field(gt=0), LIVE] = None
    """What one session may cost, in the currency of `KAIWA_PRICES`, where its caller's policy
    (`money_per_session`) says nothing else; docs/budgets.md. None: whatever the caller's limits leave."""
    budget_near: Annotated[float, Field(gt=0, le=1), LIVE] = 0.8
    """At which share of a budget the agent warns; 1: never."""
    budget_near_words: Annotated[str | None, LIVE] = None
    """What it says then; empty: nothing. None: a sentence in the agent's language."""
    budget_spent_words: Annotated[str | None, LIVE] = None
    """Its last words when a budget is spent; empty: none. None: a sentence in the agent's language."""


def wording_of(settings: BudgetSettings, language: str | None) -> Wording:
    """Return what an agent of this language says of its budget; English where the language is not known."""
    near, spent = settings.budget_near_words, settings.budget_spent_words
    return Wording(
        near=_NEAR.get(language or "", _NEAR["en"]) if near is None else near,
        spent=_SPENT.get(language or "", _SPENT["en"]) if spent is None else spent,
    )
