"""Which MCP servers there are and which a peer may name. Knows addresses and settings; connects to none.

A peer's `server_url` makes this process send requests: only what the operator allows is ever reached.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import SplitResult, urlsplit

from kaiwa.errors import ConfigError, ToolError
from kaiwa.events.config import McpTool

SETTING: Final = "KAIWA_MCP_SERVERS"
_FORM: Final = (
    "Write URLs with commas between them, label=URL for one with a name, or a JSON object "
    '{"label": "URL", "other": {"command": "program", "args": []}}.'
)
_LABEL: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_PORTS: Final = {"http": 80, "https": 443}
# What frames a request is the client library's to say.
_KEPT_HEADERS: Final = frozenset({"host", "connection", "content-length", "transfer-encoding", "upgrade"})


@dataclass(frozen=True)
class McpServer:
    """An MCP server: a URL (streamable HTTP) or a command (stdio).

    `authorization` is a bearer token. `timeout_s` bounds each call. Raises ConfigError.
    """

    label: str
    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    authorization: str | None = field(default=None, repr=False)
    command: str | None = None
    args: tuple[str, ...] = field(default=(), repr=False)
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        setting = f"MCP server {self.label[:64]}"
        object.__setattr__(self, "args", tuple(self.args))
        if not _LABEL.fullmatch(self.label):
            raise ConfigError(
                setting, "the label does not suit.", "Use a letter, then letters, digits, _ and -."
            )
        if (self.url is None) == (self.command is None):
            raise ConfigError(setting, "it needs either a url or a command.", "Give one of them.")
        if self.url is not None and _address(self.url) is None:
            raise ConfigError(setting, "the url is not one.", "Use http:// or https:// and a host.")
        if self.timeout_s <= 0:
            raise ConfigError(setting, "timeout_s must be more than 0.", "Leave it out for 60 seconds.")

    @property
    def request_headers(self) -> dict[str, str]:
        """The headers of every request to it."""
        sent = {name: value for name, value in self.headers.items() if name.lower() not in _KEPT_HEADERS}
        if self.authorization:
            sent["Authorization"] = f"Bearer {self.authorization}"
        return sent


@dataclass(frozen=True)
class AllowedServers:
    """What the operator lets peers use: servers by label, and URLs that a peer may name itself.

    A URL that ends in `/*` allows every path below it, `*` alone any URL at all.
    """

    servers: Mapping[str, McpServer] = field(default_factory=dict[str, McpServer])
    urls: tuple[str, ...] = ()

    def find(self, wanted: McpTool) -> McpServer:
        """Return the server a peer means. Raises ToolError with a sentence for the peer."""
        label, url = wanted.server_label, wanted.server_url
        if url is None:
            if label in self.servers:
                return self.servers[label]
            raise ToolError(
                f"There is no MCP server '{label}' here. Give its server_url, or let the operator name it "
                f"in {SETTING}."
            )
        named = (server.url for server in self.servers.values() if server.url is not None)
        if not any(_covers(pattern, url) for pattern in (*self.urls, *named)):
            raise ToolError(
                f"This server may not connect to the MCP server '{label}': the operator has to allow its URL "
                f"in {SETTING}."
            )
        return McpServer(
            label=label, url=url, headers=wanted.headers or {}, authorization=wanted.authorization
        )


def read_servers(text: str) -> AllowedServers:
    """Return what the setting allows. Raises ConfigError."""
    stripped = text.strip()
    if stripped.startswith(("{", "[")):
        try:
            given: Any = json.loads(stripped)
        except ValueError:
            raise ConfigError(SETTING, "it is not valid JSON.", _FORM) from None
    else:
        given = [part.strip() for part in stripped.split(",") if part.strip()]
    if isinstance(given, dict):
        named = cast("dict[str, Any]", given)
        return AllowedServers({label: _server(label, value) for label, value in named.items()})
    return _from_list([str(part) for part in cast("list[Any]", given)])


def _from_list(parts: list[str]) -> AllowedServers:
    servers: dict[str, McpServer] = {}
    urls: list[str] = []
    for part in parts:
        label, equals, url = part.partition("=")
        if equals and _LABEL.fullmatch(label):
            servers[label] = McpServer(label, url=url)
        elif part == "*" or _address(part) is not None:
            urls.append(part)
        else:
            raise ConfigError(SETTING, f"{part[:40]!r} is no URL.", _FORM)
    return AllowedServers(servers, tuple(urls))


def _server(label: str, value: Any) -> McpServer:
    if isinstance(value, str):
        return McpServer(label, url=value)
    known = {"url", "headers", "authorization", "command", "args", "env", "timeout_s"}
    if not isinstance(value, dict) or not set(cast("dict[str, Any]", value)) <= known:
        raise ConfigError(SETTING, f"the entry {label!r} does not say how to reach it.", _FORM)
    try:
        return McpServer(label, **cast("dict[str, Any]", value))
    except (TypeError, AttributeError):
        raise ConfigError(SETTING, f"the entry {label!r} has a wrong value.", _FORM) from None


def _covers(pattern: str, url: str) -> bool:
    wanted = _address(url)
    if wanted is None:
        return False
    if pattern == "*":
        return True
    allowed = _address(pattern.removesuffix("*"))
    if allowed is None or allowed[0] != wanted[0]:
        return False
    if not pattern.endswith("/*"):
        return allowed == wanted
    below = wanted[1].startswith(f"{allowed[1]}/") or wanted[1] == allowed[1]
    return below and not re.search(r"\.\.|%2e|\\|//", wanted[1], re.IGNORECASE)


def _address(url: str) -> tuple[tuple[str, str, int], str, str] | None:
    """Return what two equal URLs share: origin, path and query; None when it is no URL we would call."""
    try:
        parts: SplitResult = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    plain = not parts.username and not parts.password and not re.search(r"[\s\\]", url)
    if parts.scheme not in _PORTS or not parts.hostname or not plain or parts.fragment:
        return None
    origin = (parts.scheme, parts.hostname.rstrip("."), port or _PORTS[parts.scheme])
    return origin, parts.path.rstrip("/"), parts.query
