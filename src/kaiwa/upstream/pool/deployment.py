"""A deployment as a value: where it is, what it serves, when it is asked. Knows no health and no time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal
from urllib.parse import quote, urlencode, urlsplit

from kaiwa.upstream.credentials import Credential
from kaiwa.upstream.http1.heads import Origin

Kind = Literal["azure", "azure-classic", "openai", "compatible"]
ANY: Final = "*"
CHAT: Final = "chat/completions"

# Azure's dated paths name the deployment, except for what came after them.
_WITHOUT_DEPLOYMENT: Final = ("responses", "files", "batches", "models")


@dataclass(frozen=True)
class Prices:
    """What a million tokens cost at one deployment, where that differs from the operator's table."""

    text_input: float = 0.0
    text_input_cached: float = 0.0
    text_output: float = 0.0


@dataclass(frozen=True)
class Target:
    """Where one request goes. `path` holds the query; `model` is what its body must name there.

    `authority` is what the Host header says. Never shown: an address is the operator's affair.
    """

    origin: Origin = field(repr=False)
    path: str = field(repr=False)
    authority: str = field(repr=False)
    model: str


@dataclass(frozen=True, eq=False)
class Deployment:
    """One deployment of Azure OpenAI, or one account at OpenAI or a compatible server.

    `base` is its address up to where paths begin, with no slash at the end. `models` maps the names clients
    may use to the names it knows; `*` stands for every name, kept or mapped. `tier` 0 is asked first.
    `weight` is its share inside a tier. `max_concurrent` bounds running streams, None: no bound.
    """

    name: str
    kind: Kind
    base: str = field(repr=False)
    credential: Credential = field(repr=False)
    models: Mapping[str, str]
    api_version: str | None = None
    tier: int = 0
    weight: float = 1.0
    max_concurrent: int | None = None
    spill_at: float = 0.95
    """With so much of it in use (Azure's utilisation, 0 to 1) the next tier is asked."""
    prices: Prices | None = None

    def serves(self, model: str) -> bool:
        return model in self.models or ANY in self.models

    @property
    def open_ended(self) -> bool:
        """Whether names are handed on unchecked: then an unknown one is the client's mistake."""
        return self.models.get(ANY) == ANY

    def known_as(self, model: str) -> str:
        """Return the name that the deployment itself has for a model it serves."""
        known = self.known(model)
        assert known is not None, "it serves this model"
        return known

    def known(self, model: str) -> str | None:
        """As `known_as`, None for a model it does not serve."""
        known = self.models.get(model) or self.models.get(ANY)
        return model if known == ANY else known

    def target(self, operation: str, model: str) -> Target:
        """Address an operation (`chat/completions`, `responses`, …); `model`: its own name of it."""
        return _target(self.kind, self.base, self.api_version or "", operation, model)


@lru_cache(maxsize=1024)  # taking an address apart costs more than the rest of a lease
def _target(kind: Kind, base: str, api_version: str, operation: str, model: str) -> Target:
    parts = urlsplit(base)
    scheme: Literal["http", "https"] = "http" if parts.scheme == "http" else "https"
    return Target(
        origin=Origin(scheme, parts.hostname or "", parts.port or (80 if scheme == "http" else 443)),
        path=parts.path + _path(kind, api_version, operation, model),
        authority=parts.netloc,
        model=model,
    )


def _path(kind: Kind, api_version: str, operation: str, model: str) -> str:
    if kind == "azure":
        return f"/openai/v1/{operation}"
    if kind != "azure-classic":
        return f"/{operation}"
    query = urlencode({"api-version": api_version})
    if operation.partition("/")[0] in _WITHOUT_DEPLOYMENT:
        return f"/openai/{operation}?{query}"
    return f"/openai/deployments/{quote(model, safe='')}/{operation}?{query}"
