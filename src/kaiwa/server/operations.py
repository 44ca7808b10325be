"""What may be told of one kind of request: values for the column `told` of the table of routes.

Knows the words of OpenAPI 3.1 and which types may stand for a JSON schema; knows no route.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"

# A msgspec struct, or a JSON schema as it is.
Shape = type[Any] | Mapping[str, Any]
Content = Mapping[str, Shape]

ANYTHING: Final[Mapping[str, Any]] = {}
BYTES: Final[Mapping[str, Any]] = {}
TEXT: Final[Mapping[str, Any]] = {"type": "string"}
# One server-sent event; its data is JSON text.
EVENT: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["data"],
    "properties": {"data": {"type": "string"}},
}


@dataclass(frozen=True)
class Query:
    """A query parameter that may be left out."""

    name: str
    about: str
    schema: Mapping[str, Any] = field(default_factory=lambda: dict(TEXT))
    place: str = "query"


@dataclass(frozen=True)
class Operation:
    """One kind of request. `answers` are those of success by status; `errors` are in the service's form.

    A gate's own refusals (401 with a key, 403) are added to them. `keyed`: the house's key is asked for.
    `body_needed`: False where a request without a body means the usual.
    """

    summary: str
    group: str
    answers: Mapping[int, Content]
    errors: tuple[int, ...] = ()
    takes: Content | None = None
    body_needed: bool = True
    query: tuple[Query, ...] = ()
    keyed: bool = True
    gated: bool = True
    about: str = ""
