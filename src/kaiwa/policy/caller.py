"""Who asks, as a value: what they may use and how much of it. Knows no key, no token and no request."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final, Literal, get_args

import msgspec

from kaiwa.events.value import Value
from kaiwa.policy.amounts import Limit

Scope = Literal["chat", "realtime", "audio", "signalr", "tools", "tokens", "admin"]
"""chat: completions, responses, embeddings, chat streams; realtime: sessions and calls; audio: speech and
transcriptions; signalr: hubs; tools: an agent's functions one by one and its MCP server; tokens: minting
keys for pages; admin: the state of the server, and what others run."""

SCOPES: Final[frozenset[Scope]] = frozenset(get_args(Scope))


class Caller(Value, frozen=True, kw_only=True):
    """`id` names them in logs and metrics; never a secret. `account` is whose limits they spend: their own,
    or for a page's token those of who had it made.

    `models`: names they may ask for, `*` matches any letters; None: every one. `forced` wins over what a
    body says, `defaults` gives way to it. `tools`: names they may offer a model, as `models`. `other_tools`
    says what becomes of a request with tools they may not offer.
    """

    id: str
    label: str = ""
    account: str = ""
    scopes: frozenset[Scope] = SCOPES
    models: tuple[str, ...] | None = None
    forced: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    defaults: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    max_tokens: int | None = None
    max_choices: int | None = None
    tools: tuple[str, ...] | None = None
    other_tools: Literal["refuse", "strip"] = "refuse"
    limits: tuple[Limit, ...] = ()
    session_tokens: int | None = None
    session_money: int | None = None
    """What each of their sessions may use, tokens and money; None: whatever their limits leave."""
    good_until: float | None = None
    """When the token ends that they came with (Unix seconds); what they have made ends then too."""

    @property
    def spends(self) -> str:
        """Return the name of the account that their requests are counted on."""
        return self.account or self.id

    @property
    def bound(self) -> bool:
        """Whether what they ask for is judged or counted."""
        if self.forced or self.limits:
            return True
        return any(rule is not None for rule in (self.models, self.max_tokens, self.max_choices, self.tools))

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes

    def may_use(self, model: str) -> bool:
        return self.models is None or _fits(model, self.models)

    def may_offer(self, tool: str) -> bool:
        return self.tools is None or _fits(tool, self.tools)


@lru_cache(maxsize=1024)  # callers ask for the same few again and again
def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


MASTER: Final = Caller(id="master", label="KAIWA_API_KEY")
"""Who has the house's own key: everything, without limits."""
ANYBODY: Final = Caller(id="anybody", label="no key is asked for")
"""Everyone, where nothing is configured that could tell callers apart."""
