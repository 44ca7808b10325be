"""What a request's head says to the relay, and heads that were read before: those need not be read again.

A client sends the same head with each of its requests, but for the length. Heads are known here by their
bytes, once the server's parser has read them and the reception took what they asked for. Knows no caller.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Final, cast

import msgspec
from starlette.types import Scope

from kaiwa.gateway.asking import Operation
from kaiwa.gateway.headers import upwards
from kaiwa.policy.caller import Caller
from kaiwa.server.ephemeral import PREFIX
from kaiwa.server.routes import BASES, CHAT, under

# Of longer bodies reading the head is the smaller part.
MOST_BYTES: Final = 64 * 1024
MOST_HEADS: Final = 256
MOST_HEAD_BYTES: Final = 4096
_ASKED: Final[dict[str, Operation]] = {
    **dict.fromkeys(under(CHAT[:-1], "chat/completions"), "chat/completions"),
    **dict.fromkeys(under(CHAT[:-1], "embeddings"), "embeddings"),
    **dict.fromkeys(under(BASES, "responses"), "responses"),
}
_OF_DEPLOYMENT: Final = re.compile(r"/openai/deployments/([^/]+)/(chat/completions|embeddings)")
_PLAIN_QUERY: Final = re.compile(rb"(?:api-version=[A-Za-z0-9.-]{1,40})?")
# Who sends one of these wants more than an answer.
_NOT_PLAIN: Final = frozenset(
    {b"origin", b"last-event-id", b"x-kaiwa-resumable", b"x-ms-client-request-id", b"expect"}
)
_READ: Final = frozenset({b"api-key", b"authorization", b"te", b"x-kaiwa-conversation"})
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,8})\r\n", re.IGNORECASE)
_HEAD_END: Final = b"\r\n\r\n"
_MOST_DIGITS: Final = 8


class Plain(msgspec.Struct, frozen=True):
    """A head that asks for nothing but an answer. `keys`: the credentials in it; `headers`: what goes on."""

    operation: Operation
    deployment: str | None
    keys: tuple[str, ...]
    headers: tuple[tuple[str, str], ...]
    conversation: str | None
    said_trailers: bool

    def __repr__(self) -> str:
        return f"Plain({self.operation})"


def plain_of(scope: Scope) -> Plain | None:
    """Read a head; None: it is for somebody else, or needs a second look."""
    asked = _asked(scope)
    if asked is None:
        return None
    given: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name in _NOT_PLAIN:
            return None
        if name in _READ:
            given[name] = value.decode("latin-1")
    scheme, _, rest = given.get(b"authorization", "").partition(" ")
    keys = [given.get(b"api-key", ""), rest.strip() if scheme.lower() == "bearer" else ""]
    if any(key.startswith(PREFIX) for key in keys):
        return None  # a page's key: the gate knows what it opens
    return Plain(
        *asked,
        tuple(key for key in keys if key),
        upwards(scope["headers"]),
        given.get(b"x-kaiwa-conversation"),
        "trailers" in given.get(b"te", "").lower(),
    )


def _asked(scope: Scope) -> tuple[Operation, str | None] | None:
    if scope["method"] != "POST" or _PLAIN_QUERY.fullmatch(scope["query_string"]) is None:
        return None
    operation = _ASKED.get(scope["path"])
    if operation is not None:
        return operation, None
    found = _OF_DEPLOYMENT.fullmatch(scope["path"])
    return None if found is None else (cast(Operation, found[2]), found[1])


class KnownHead:
    """A head's bytes before and behind the digits of its length, and what it says.

    `caller`: whom its key named when that was last looked up; believed until `good_until`.
    """

    __slots__ = ("before", "behind", "caller", "good_until", "plain")

    def __init__(self, before: bytes, behind: bytes, plain: Plain) -> None:
        self.before = before
        self.behind = behind
        self.plain = plain
        self.caller: Caller | None = None
        self.good_until = 0.0

    def __repr__(self) -> str:
        return f"KnownHead({self.plain!r})"

    def body_of(self, data: bytes) -> tuple[int, int] | None:
        """Return where the body begins and how many bytes it has; None: these begin otherwise."""
        before, behind = self.before, self.behind
        if not data.startswith(before):
            return None
        start = len(before)
        end = data.find(b"\r", start, start + _MOST_DIGITS + 1)
        size = data[start:end]
        if not size.isdigit() or not data.startswith(behind, end):
            return None
        return end + len(behind), int(size)


class KnownHeads:
    """The heads that came last, of callers whose keys are good. They hold those keys, as their clients do."""

    def __init__(self) -> None:
        self._heads: OrderedDict[bytes, KnownHead] = OrderedDict()

    def learn(self, data: bytes, plain: Plain) -> KnownHead | None:
        """Know the head of this request, which the parser took for one and the only one in these bytes."""
        cut = _cut(data)
        if cut is None:
            return None
        name, fresh = b"".join(cut), KnownHead(*cut, plain)
        place = fresh.body_of(data)
        if place is None or sum(place) != len(data):
            return None
        known = self._heads.setdefault(name, fresh)
        self._heads.move_to_end(name)
        if len(self._heads) > MOST_HEADS:
            self._heads.popitem(last=False)
        return known

    def find(self, data: bytes) -> KnownHead | None:
        """Return the head that these bytes begin with, if it is known."""
        cut = _cut(data) if self._heads else None
        return None if cut is None else self._heads.get(b"".join(cut))


def _cut(data: bytes) -> tuple[bytes, bytes] | None:
    """Cut the head of a request at its length; None: it is not whole, too long, or tells none."""
    end = data.find(_HEAD_END, 0, MOST_HEAD_BYTES)
    found = _LENGTH.search(data, 0, end + 2) if end >= 0 else None
    return None if found is None else (data[: found.start(1)], data[found.end(1) : end + len(_HEAD_END)])
