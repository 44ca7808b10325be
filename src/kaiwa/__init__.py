"""kaiwa (会話): a self-hosted, real-time conversation server for Azure OpenAI and OpenAI.

The public names. Each is imported when first used, so that `import kaiwa` costs nothing and a program that
only writes tools loads no server. Rooms of the package never import this module.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kaiwa.errors import (
        AudioFormatError,
        ConfigError,
        KaiwaError,
        PeerError,
        ToolError,
        UpstreamError,
    )
    from kaiwa.server.app import create_app, serve
    from kaiwa.server.settings import Settings
    from kaiwa.session.host import HostSession
    from kaiwa.tools.agent import Agent
    from kaiwa.tools.context import ToolContext
    from kaiwa.tools.function import Tool, tool
    from kaiwa.tools.loading import load_agent
    from kaiwa.tools.mcp_servers import McpServer
    from kaiwa.tools.outcome import LateResult
    from kaiwa.tools.toolbox import AgentToolBox

__all__ = [
    "Agent",
    "AgentToolBox",
    "AudioFormatError",
    "ConfigError",
    "HostSession",
    "KaiwaError",
    "LateResult",
    "McpServer",
    "PeerError",
    "Settings",
    "Tool",
    "ToolContext",
    "ToolError",
    "UpstreamError",
    "create_app",
    "load_agent",
    "serve",
    "tool",
]

_HOMES: Final = {
    "kaiwa.errors": (
        "AudioFormatError",
        "ConfigError",
        "KaiwaError",
        "PeerError",
        "ToolError",
        "UpstreamError",
    ),
    "kaiwa.server.app": ("create_app", "serve"),
    "kaiwa.server.settings": ("Settings",),
    "kaiwa.session.host": ("HostSession",),
    "kaiwa.tools.agent": ("Agent",),
    "kaiwa.tools.context": ("ToolContext",),
    "kaiwa.tools.function": ("Tool", "tool"),
    "kaiwa.tools.loading": ("load_agent",),
    "kaiwa.tools.mcp_servers": ("McpServer",),
    "kaiwa.tools.outcome": ("LateResult",),
    "kaiwa.tools.toolbox": ("AgentToolBox",),
}
_HOME_OF: Final = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name at its first use (PEP 562)."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'kaiwa' has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
