"""The policy file: who may do what and how much, as TOML or JSON. Errors name the entry and the field."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from kaiwa.errors import ConfigError
from kaiwa.events.value import Value
from kaiwa.policy.amounts import KINDS, NANO, Limit, Per
from kaiwa.policy.caller import SCOPES, Caller, Scope

SETTING: Final = "KAIWA_POLICY"

Count = Annotated[int, Meta(ge=1, le=1_000_000_000_000)]
Money = Annotated[float, Meta(gt=0, le=1_000_000)]
Signature = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


class Policy(Value, frozen=True, kw_only=True):
    """One `[policies.NAME]`. What is left out is not bounded."""

    scopes: tuple[Scope, ...] | None = None
    models: tuple[str, ...] | None = None
    forced: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    defaults: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    max_tokens: Count | None = None
    max_choices: Annotated[int, Meta(ge=1, le=128)] | None = None
    tools: tuple[str, ...] | None = None
    other_tools: Literal["refuse", "strip"] = "refuse"
    shared: bool = False
    """Everybody under this policy spends from one account."""
    requests_per_minute: Count | None = None
    requests_per_day: Count | None = None
    tokens_per_minute: Count | None = None
    tokens_per_day: Count | None = None
    money_per_minute: Money | None = None
    money_per_day: Money | None = None
    tokens_per_session: Count | None = None
    money_per_session: Money | None = None

    @property
    def session_money(self) -> int | None:
        return None if self.money_per_session is None else round(self.money_per_session * NANO)

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Return the limits that are set, in whole units."""
        found: list[Limit] = []
        pers: tuple[Per, ...] = ("minute", "day")
        for kind in KINDS:
            for per in pers:
                most = getattr(self, f"{kind}_per_{per}")
                if most is not None:
                    whole = round(most * NANO) if kind == "money" else int(most)
                    found.append(Limit(kind=kind, per=per, most=whole))
        return tuple(found)


class IssuerEntry(Value, frozen=True, kw_only=True):
    """One `[[issuers]]`: whose tokens are believed, and what their claims mean.

    `entra_tenant` stands for `issuer`, `jwks` and the claims of Microsoft Entra ID. `jwks`: an https address
    or a file. `policies` gives a policy by role, `default` that of users with none of the roles.
    """

    audience: str | tuple[str, ...]
    issuer: str | None = None
    jwks: str | None = None
    entra_tenant: str | None = None
    entra_authority: str = "https://login.microsoftonline.com"
    algorithms: tuple[Signature, ...] = ("RS256", "ES256", "PS256")
    user_claim: str | None = None
    label_claim: str | None = None
    roles_claim: str = "roles"
    policies: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    default: str | None = None


class Document(Value, frozen=True, kw_only=True):
    """The whole file. `keys` and `users` give single ones a policy; `default` is that of keys with none."""

    default: str | None = None
    policies: dict[str, Policy] = msgspec.field(default_factory=dict[str, Policy])
    keys: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    users: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    issuers: tuple[IssuerEntry, ...] = ()

    def caller(
        self, policy_name: str | None, *, id: str, label: str, scopes: tuple[Scope, ...] | None = None
    ) -> Caller:
        """Return who somebody is under a policy; without one, only their own scopes bound them."""
        policy = Policy() if policy_name is None else self.policies[policy_name]
        allowed = SCOPES if policy.scopes is None else frozenset(policy.scopes)
        return Caller(
            id=id,
            label=label,
            account=f"policy:{policy_name}" if policy.shared else id,
            scopes=allowed if scopes is None else allowed & frozenset(scopes),
            models=policy.models,
            forced=policy.forced,
            defaults=policy.defaults,
            max_tokens=policy.max_tokens,
            max_choices=policy.max_choices,
            tools=policy.tools,
            other_tools=policy.other_tools,
            limits=policy.limits,
            session_tokens=policy.tokens_per_session,
            session_money=policy.session_money,
        )


NO_DOCUMENT: Final = Document()
_TABLES: Final[dict[str, Any]] = {"policies": dict, "keys": dict, "users": dict, "issuers": list}


def read_document(content: bytes) -> Document:
    """Return what a policy file says. Raises ConfigError that names the entry and the field."""
    raw = _parsed(content)
    unknown = sorted(set(raw) - {"default", *_TABLES})
    if unknown:
        raise _wrong(unknown[0], "is unknown.", f"Known: default, {', '.join(_TABLES)}.")
    for name, kind in _TABLES.items():
        if not isinstance(raw.get(name, kind()), kind):
            raise _wrong(name, f"must be {'an array of tables' if kind is list else 'a table'}.", "")
    document = Document(
        default=_fit(raw.get("default"), str | None, "default"),
        policies={n: _fit(entry, Policy, f"policies.{n}") for n, entry in raw.get("policies", {}).items()},
        keys=_fit(raw.get("keys", {}), dict[str, str], "keys"),
        users=_fit(raw.get("users", {}), dict[str, str], "users"),
        issuers=tuple(
            _fit(entry, IssuerEntry, f"issuers[{at}]") for at, entry in enumerate(raw.get("issuers", []))
        ),
    )
    _check(document)
    return document


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        text = content.decode()
        if text.lstrip().startswith("{"):
            return json.loads(text)
        return tomllib.loads(text)
    except (UnicodeDecodeError, json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        where = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise ConfigError(SETTING, f"is neither TOML nor JSON: {where}.", "Mend the file.") from None


def _fit(raw: Any, kind: Any, where: str) -> Any:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        said, _, path = str(error).partition(" - at `$")
        field = where + path.rstrip("`").replace("[...]", "")
        raise _wrong(
            field, f"{said[:1].lower()}{said[1:]}.", "docs/policy.md lists what may stand there."
        ) from None


def _check(document: Document) -> None:
    """Names must be those of policies, and an issuer must be whole."""
    named = [("default", document.default)]
    named += [(f"keys.{name}", policy) for name, policy in document.keys.items()]
    named += [(f"users.{name}", policy) for name, policy in document.users.items()]
    for at, issuer in enumerate(document.issuers):
        _check_issuer(issuer, f"issuers[{at}]")
        named.append((f"issuers[{at}].default", issuer.default))
        named += [(f"issuers[{at}].policies.{role}", policy) for role, policy in issuer.policies.items()]
    for where, policy in named:
        if policy is not None and policy not in document.policies:
            known = ", ".join(document.policies) or "none yet"
            raise _wrong(where, f"names the policy '{policy}', which is not there.", f"Policies: {known}.")


def _check_issuer(issuer: IssuerEntry, where: str) -> None:
    if issuer.entra_tenant is not None:
        if issuer.issuer is not None:
            raise _wrong(f"{where}.issuer", "follows from entra_tenant.", "Leave one of them out.")
        return
    for name in ("issuer", "jwks"):
        if not getattr(issuer, name):
            raise _wrong(f"{where}.{name}", "is missing.", "Write it, or entra_tenant instead of both.")


def _wrong(where: str, problem: str, remedy: str) -> ConfigError:
    return ConfigError(SETTING, f"{where} {problem}", remedy)


def policy_of_key(document: Document, key_id: str, own: str | None) -> str | None:
    """Return the policy of an API key: the file's word, the key's own, or what is usual."""
    return document.keys.get(key_id) or own or document.default


def policy_of_user(document: Document, issuer: IssuerEntry, user: str, roles: Collection[str]) -> str | None:
    """Return the policy of a user; None: nobody gave them one, and they may not come in."""
    if user in document.users:
        return document.users[user]
    for role, policy in issuer.policies.items():
        if role in roles:
            return policy
    return issuer.default
