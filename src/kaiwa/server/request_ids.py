"""The names of one request: the house's own, which its answer bears, and the client's, which the log shows.

Source: Azure's `x-ms-client-request-id` (a header, or in the query of a browser), answered with
`apim-request-id` and `x-ms-request-id`. Knows nothing of what is asked for.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from kaiwa.server.ids import new_id

log = logging.getLogger("kaiwa.server")
_GIVEN = "x-ms-client-request-id"
_MOST_LETTERS = 64
# What else a client writes could draw lines of its own into the log.
_STRANGE = re.compile(r"[^A-Za-z0-9._:-]")


def bearing(own: str) -> tuple[tuple[str, str], ...]:
    """Return the fields by which an answer bears the house's own name of its request."""
    return ("x-request-id", own), ("apim-request-id", own), ("x-ms-request-id", own)


@dataclass(frozen=True, slots=True)
class RequestIds:
    """`client` is "" when the client gave its request no name."""

    own: str
    client: str

    @property
    def headers(self) -> dict[str, str]:
        """What the answer bears."""
        return dict(bearing(self.own))

    def log(self, **facts: object) -> None:
        """Let the log tell what became of a request that its client named."""
        if self.client:
            named = {"request_id": self.own, "client_request_id": self.client}
            log.info("request answered", extra=named | facts)


def ids_of(connection: HTTPConnection) -> RequestIds:
    """Name a request that has come in."""
    given = connection.headers.get(_GIVEN) or connection.query_params.get(_GIVEN) or ""
    return RequestIds(new_id("req"), _STRANGE.sub("", given[: 4 * _MOST_LETTERS])[:_MOST_LETTERS])
