"""Who answers: instructions, voice, language and tools in one value. Knows no engine and no transport."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kaiwa.errors import ConfigError
from kaiwa.events.tools import ToolSpec
from kaiwa.tools.function import Tool
from kaiwa.tools.mcp_client import require_mcp
from kaiwa.tools.mcp_servers import McpServer
from kaiwa.tools.outcome import LateResult


@dataclass(frozen=True)
class Agent:
    """An assistant to serve.

    `mcp` are servers whose tools the agent may use as its own, for every client.
    `voice`, `language` ("ja", "en") and `time_zone` (IANA name) None: the server's default.
    `filler` bridges a silence while a tool runs; None: the language's usual words, "": none.
    `on_late_result` is given what a call gave whose conversation was over.
    Raises ConfigError for a tool that is none, or two tools of one name or MCP servers of one label.
    """

    name: str
    instructions: str
    tools: Sequence[Tool[..., Any]] = ()
    voice: str | None = None
    language: str | None = None
    time_zone: str | None = None
    mcp: Sequence[McpServer] = ()
    on_late_result: Callable[[LateResult], None] | None = None
    filler: str | None = None

    def __post_init__(self) -> None:
        setting = f"agent {self.name}"
        object.__setattr__(self, "tools", tuple(self.tools))
        seen: set[str] = set()
        for entry in self.tools:
            if not isinstance(entry, Tool):  # pyright: ignore[reportUnnecessaryIsInstance]
                called = getattr(entry, "__name__", type(entry).__name__)
                raise ConfigError(setting, f"{called} is not a tool.", "Decorate the function with @tool.")
            if entry.name in seen:
                raise ConfigError(setting, f"two tools are named {entry.name}.", "Give one another name.")
            seen.add(entry.name)
        object.__setattr__(self, "mcp", tuple(self.mcp))
        if self.mcp:
            require_mcp(setting)
        if len({server.label for server in self.mcp}) < len(self.mcp):
            raise ConfigError(setting, "two MCP servers have one label.", "Give one another label.")
        if self.time_zone is not None:
            _check_time_zone(setting, self.time_zone)

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        return tuple(entry.spec for entry in self.tools)


def _check_time_zone(setting: str, key: str) -> None:
    try:
        ZoneInfo(key)
    except (ZoneInfoNotFoundError, ValueError, OSError) as unknown:
        raise ConfigError(
            setting, f"the time zone {key!r} is unknown.", "Use an IANA name such as Asia/Tokyo."
        ) from unknown
