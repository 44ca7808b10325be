"""What kaiwa tells that the Realtime API has no event for. Only peers that ask for it are told.

Names begin with `kaiwa.`, so that none can come to mean something else in the original protocol.
"""

from __future__ import annotations

from kaiwa.events.value import Value


class _OwnEvent(Value, tag_field="type", kw_only=True):
    event_id: str


class ToolProgressed(_OwnEvent, tag="kaiwa.tool.progress", kw_only=True):
    """How far a call is that kaiwa carries out: `fraction` of the whole, and what it does now."""

    call_id: str
    fraction: float
    text: str


class WordsHeard(_OwnEvent, tag="kaiwa.item.heard", kw_only=True):
    """The words that had been heard of an answer that was cut off where the server plays the sound."""

    item_id: str
    transcript: str


class SessionResumable(_OwnEvent, tag="kaiwa.session.resumable", kw_only=True):
    """Whose connection breaks may come back within `grace_s` seconds with this token, a secret."""

    token: str
    grace_s: float

    def __repr__(self) -> str:
        return f"SessionResumable(event_id={self.event_id!r}, grace_s={self.grace_s!r})"


class SessionResumed(_OwnEvent, tag="kaiwa.session.resumed", kw_only=True):
    """The session goes on in this connection.

    `retold` False: the `replayed` events that were missed follow. True: more was missed than is kept, and the
    items of the conversation follow instead. `last_client_event_id`: what was received last of the peer's
    events that had an id.
    """

    retold: bool
    replayed: int = 0
    last_client_event_id: str | None = None


class CostTold(_OwnEvent, tag="kaiwa.cost", kw_only=True):
    """What the session has cost so far. `estimated`: a part is of answers that go on."""

    tokens: int
    money: float
    currency: str
    estimated: bool


class BudgetNearTold(_OwnEvent, tag="kaiwa.budget.near", kw_only=True):
    """So much of a budget is used: the agent says so, and the session goes on."""

    budget: str
    used_share: float


class BudgetSpentTold(_OwnEvent, tag="kaiwa.budget.spent", kw_only=True):
    """A budget is used up: the agent takes its leave, and the session ends."""

    budget: str
    message: str


class ResumeAsked(Value, tag_field="type", tag="kaiwa.session.resume", kw_only=True):
    """A peer's first word in a new connection: it comes back to its session."""

    token: str
    last_event_id: str | None = None

    def __repr__(self) -> str:
        return f"ResumeAsked(last_event_id={self.last_event_id!r})"


OwnEvent = (
    ToolProgressed
    | WordsHeard
    | SessionResumable
    | SessionResumed
    | CostTold
    | BudgetNearTold
    | BudgetSpentTold
)
OWN_EVENTS = (
    ToolProgressed,
    WordsHeard,
    SessionResumable,
    SessionResumed,
    CostTold,
    BudgetNearTold,
    BudgetSpentTold,
)
