"""Who stands at the door: from the credentials of a request to a caller. Puts the policy room together.

The master key, API keys, keys of pages and users' tokens are told apart by their form; each is looked up in
one place. Where nothing of it is configured, everybody is `ANYBODY`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec import structs
from starlette.requests import HTTPConnection

from kaiwa.errors import ConfigError
from kaiwa.policy.amounts import NANO, NOTHING, Amount, Want
from kaiwa.policy.caller import ANYBODY, MASTER, Caller
from kaiwa.policy.document import (
    NO_DOCUMENT,
    SETTING,
    Document,
    policy_of_key,
    policy_of_user,
    read_document,
)
from kaiwa.policy.holds import Hold, Ledger, LimitReached
from kaiwa.policy.jwt import Issuers
from kaiwa.policy.keys import KeyRecord, KeyStore
from kaiwa.policy.memory import MemoryLedger
from kaiwa.policy.postage import Postage
from kaiwa.policy.prices import PriceTable, table_of
from kaiwa.policy.redis import RedisLedger
from kaiwa.policy.spending import Allowance, Spending
from kaiwa.policy.watched import Watched
from kaiwa.server.access import key_fits, offered_keys
from kaiwa.server.ephemeral import EphemeralKeys, Minted, SharedKeys
from kaiwa.server.settings import Settings, is_loopback

_KEY_ID: Final = "key:"
ONE_REQUEST: Final = Want(most=Amount(requests=1, tokens=1, money=1), ahead=False)
"""And the least of the rest: who has no token or no money left is let in nowhere."""
_NOTHING_YET: Final = Want(most=NOTHING, ahead=False)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks. `minted`: the ephemeral key they came with, if they did."""

    caller: Caller
    minted: Minted | None = None

    @property
    def opens_one_session(self) -> bool:
        """Whether their key is for the session that was baked into it, and nothing else."""
        return self.minted is not None and self.minted.config is not None


class Doors:
    """Callers, prices and limits of a house. Raises ConfigError for files that are wrong."""

    def __init__(self, settings: Settings, tokens: EphemeralKeys | None = None) -> None:
        self._settings = settings
        self._master = settings.api_key
        self.tokens = tokens or EphemeralKeys()
        self.shared = SharedKeys(self.tokens)
        self._store = None if settings.keys is None else KeyStore(settings.keys)
        self._policy = _Policies(settings.policy)
        self.prices = _price_table(settings)
        self.ledger: Ledger = _ledger(settings)
        self.text_model: str | None = None
        """The model of the pool that answers for agents in text; None: none that is paid."""
        if not self.closed and not is_loopback(settings.host):
            problem = "has no [[issuers]], and no key is set."
            raise ConfigError(SETTING, problem, "Set KAIWA_API_KEY or KAIWA_KEYS too, or name an issuer.")

    def adjust(self, settings: Settings) -> None:
        """Go by other prices, another key of the house and other budgets from now on."""
        self._settings = settings
        self._master = settings.api_key
        self.prices.become(_price_table(settings))

    @property
    def closed(self) -> bool:
        """Whether everybody must say who they are."""
        return self._master is not None or self._store is not None or self._policy.has_issuers

    async def visitor(self, connection: HTTPConnection) -> Visitor | None:
        """Return who asks; None: none of what they offer is good."""
        keys = offered_keys(connection)
        minted = await self.shared.find(keys)
        if minted is not None:
            return Visitor(minted.caller, minted) if self._is_known(minted.parent) else None
        caller = await self.caller(keys)
        return None if caller is None else Visitor(caller)

    async def caller(self, keys: Sequence[str]) -> Caller | None:
        """Return whom the first good credential names, ephemeral keys aside."""
        if not self.closed:
            return self._policy.anybody if key_fits(None, keys) else None
        if self._master is not None and key_fits(self._master, keys):
            return MASTER
        now = time.time()
        for key in keys:
            record = None if self._store is None else self._store.find(key, now)
            caller = await self._policy.user(key) if record is None else self._policy.of_key(record)
            if caller is not None:
                return caller
        return None

    def caller_now(self, keys: Sequence[str]) -> Caller | None:
        """As `caller` for those who need not be waited for: whose sole credential is a key of this house."""
        if not self.closed:
            return self._policy.anybody if key_fits(None, keys) else None
        if self._master is not None and key_fits(self._master, keys):
            return MASTER
        record = self._store.find(keys[0], time.time()) if self._store is not None and keys else None
        return None if record is None else self._policy.of_key(record)

    async def enter(self, caller: Caller) -> Hold | LimitReached:
        """Reserve one request. What else it uses is spent as it goes."""
        return await self.ledger.reserve(caller, ONE_REQUEST)

    async def postage(self, caller: Caller) -> Postage:
        """Return what charges a caller for messages, until its block is left."""
        hold = await self.ledger.reserve(caller, _NOTHING_YET)
        assert not isinstance(hold, LimitReached), "who wants nothing is never refused"
        return Postage(hold, self.prices)

    def paid_in_text(self, agent: str) -> str:
        """Return under which name an agent's answers in text are paid."""
        return self.text_model or agent

    def charge(self, hold: Hold, model: str, caller: Caller) -> Spending:
        """Return what counts all that a conversation uses on its caller's account."""
        usual = self._settings.session_budget
        money, remedy = caller.session_money, f"money_per_session in {SETTING}"
        if money is None and usual is not None:
            money, remedy = round(usual * NANO), "KAIWA_SESSION_BUDGET"
        allowance = Allowance(
            tokens=caller.session_tokens, money=money, near=self._settings.budget_near, remedy=remedy
        )
        return Spending(hold, self.prices, model, allowance)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Keep the books open while the block lasts."""
        async with self.ledger.running():
            yield

    def _is_known(self, parent: str) -> bool:
        """A key that was revoked or has expired takes those along that were made with it."""
        if self._store is None or not parent.startswith(_KEY_ID):
            return True
        return self._store.is_good(parent.removeprefix(_KEY_ID), time.time())


class _Policies:
    """The policy file as it is now. `anybody`: the usual policy binds those too who need no key."""

    def __init__(self, path: Path | None) -> None:
        self._folder = Path() if path is None else path.parent
        self._file = None if path is None else Watched(path, read_document, setting=SETTING)
        self._document = NO_DOCUMENT
        self._issuers = Issuers((), self._folder)
        self._anybody = ANYBODY
        # Whom each key stands for: a caller is the same value until the key or the file changes.
        self._callers: dict[str, tuple[KeyRecord, Caller]] = {}
        self._refresh()

    @property
    def has_issuers(self) -> bool:
        return bool(self._refresh().issuers)

    @property
    def anybody(self) -> Caller:
        self._refresh()
        return self._anybody

    def of_key(self, record: KeyRecord) -> Caller | None:
        """Return who an API key stands for; None when its policy is gone."""
        document = self._refresh()
        known = self._callers.get(record.id)
        if known is not None and known[0] is record:
            return known[1]
        policy = policy_of_key(document, record.id, record.policy)
        if policy is not None and policy not in document.policies:
            return None
        caller = document.caller(policy, id=_KEY_ID + record.id, label=record.label, scopes=record.scopes)
        self._callers[record.id] = record, caller
        return caller

    async def user(self, token: str) -> Caller | None:
        """Return the user that a token is about; None: it is not good, or nobody gave them a policy."""
        document = self._refresh()
        user = await self._issuers.user(token)
        if user is None:
            return None
        policy = policy_of_user(document, user.issuer.entry, user.id, user.roles)
        if policy is None:
            return None
        caller = document.caller(policy, id=f"user:{user.id}", label=user.label)
        return structs.replace(caller, good_until=user.expires_at)

    def _refresh(self) -> Document:
        document = NO_DOCUMENT if self._file is None else self._file.value
        if document is not self._document:
            self._issuers = Issuers(document.issuers, self._folder)
            self._document = document
            self._callers.clear()
            self._anybody = document.caller(document.default, id=ANYBODY.id, label=ANYBODY.label)
        return document


def _price_table(settings: Settings) -> PriceTable:
    """Return a table of this house's own: it may become another one."""
    if settings.prices is None:
        return PriceTable(None, {})
    return table_of(settings.prices.model_dump())


def _ledger(settings: Settings) -> Ledger:
    if settings.redis_url is None:
        return MemoryLedger()
    return RedisLedger(settings.redis_url.get_secret_value(), away=settings.limits_without_redis)
