"""What may be planted between a hub and its client, so that a test must notice that a rule is broken."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from kaiwa.hub import HubOptions

Made = Callable[[], "Bend"]


class Bend:
    """Changes nothing; the makers below say what they change."""

    def options(self, options: HubOptions) -> HubOptions:
        return options

    def asked(self, scope: dict[str, Any]) -> dict[str, Any]:
        return scope

    def status(self, status: int) -> int:
        return status

    def headers(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        return headers

    def said(self, data: bytes) -> bytes:
        """What the client reads, of an answer's body or of a socket."""
        return data


def other_options(**changes: Any) -> Made:
    class Bent(Bend):
        def options(self, options: HubOptions) -> HubOptions:
            return dataclasses.replace(options, **changes)

    return Bent


def other_status(was: int, becomes: int) -> Made:
    class Bent(Bend):
        def status(self, status: int) -> int:
            return becomes if status == was else status

    return Bent


def without_header(name: bytes) -> Made:
    class Bent(Bend):
        def headers(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
            return [pair for pair in headers if pair[0] != name]

    return Bent


def other_words(was: bytes, becomes: bytes) -> Made:
    class Bent(Bend):
        def said(self, data: bytes) -> bytes:
            return data.replace(was, becomes)

    return Bent


def other_query(change: Callable[[bytes], bytes]) -> Made:
    class Bent(Bend):
        def asked(self, scope: dict[str, Any]) -> dict[str, Any]:
            if scope["type"] == "lifespan":
                return scope
            return {**scope, "query_string": change(scope["query_string"])}

    return Bent
