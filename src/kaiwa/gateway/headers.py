"""Which header fields pass, either way. Names only; what is not named here stays on its side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

# Neither keys nor cookies, nor where a client is: a service hears what it needs.
UPWARDS: Final = frozenset(
    {"accept", "openai-beta", "x-ms-client-request-id", "idempotency-key", "traceparent", "tracestate"}
)
_DOWNWARDS: Final = ("x-ratelimit-", "openai-", "azureml-", "retry-after", "x-ms-region", "x-ms-deployment")
_OWN: Final = {"content-type": "application/json"}


def upwards(fields: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """Return what of a client's request goes on to the service."""
    passed = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields if _passes(name)]
    return *passed, *_OWN.items()


def downwards(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what of a service's answer goes on to the client."""
    return [(name, value) for name, value in headers.items() if name.startswith(_DOWNWARDS)]


def _passes(name: bytes) -> bool:
    return name.lower().decode("latin-1") in UPWARDS
