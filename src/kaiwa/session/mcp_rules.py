"""What a peer may ask of MCP servers, and what it is shown of them: rules over settings and listed tools.

Source: Realtime reference B3, K-281 to K-287. Knows no connection, no item, no call.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from kaiwa.errors import PeerError
from kaiwa.events.config import McpTool, McpToolFilter, SessionConfig, Tool
from kaiwa.events.items import ListedTool
from kaiwa.session import errors

MAX_SERVERS: Final = 8
REDACTED: Final = "<redacted>"
_LABEL: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


def checked_servers(tools: Sequence[Tool], known: Sequence[Tool], param: str) -> tuple[Tool, ...]:
    """Return the tools, with a secret that a peer sent back as it was shown filled in again from `known`.

    Raises PeerError for an entry that no server can be reached by.
    """
    before = {tool.server_label: tool for tool in known if isinstance(tool, McpTool)}
    labels: set[str] = set()
    for index, tool in enumerate(tools):
        if isinstance(tool, McpTool):
            _check_server(tool, labels, f"{param}[{index}]")
            labels.add(tool.server_label)
    if len(labels) > MAX_SERVERS:
        raise errors.out_of_range(param, len(labels), f"at most {MAX_SERVERS} MCP servers")
    return tuple(
        _with_secrets(tool, before.get(tool.server_label)) if isinstance(tool, McpTool) else tool
        for tool in tools
    )


def _check_server(tool: McpTool, labels: set[str], param: str) -> None:
    label = tool.server_label
    if not _LABEL.fullmatch(label):
        rule = "a letter, then at most 63 letters, digits, '-' or '_'"
        raise errors.out_of_range(f"{param}.server_label", f"'{label[:64]}'", rule)
    if label in labels:
        message = f"Two MCP servers have the label '{label}'."
        raise PeerError("invalid_value", message, param=f"{param}.server_label")
    if tool.connector_id is not None:
        message = "Connectors are not supported here: give the 'server_url' of an MCP server."
        raise PeerError("unsupported_parameter", message, param=f"{param}.connector_id")


def _with_secrets(tool: McpTool, before: McpTool | None) -> McpTool:
    if before is None or before.server_url != tool.server_url:
        return tool
    headers = tool.headers
    if headers is not None:
        kept = before.headers or {}
        headers = {
            name: kept.get(name, value) if value == REDACTED else value for name, value in headers.items()
        }
    authorization = before.authorization if tool.authorization == REDACTED else tool.authorization
    return msgspec.structs.replace(tool, headers=headers, authorization=authorization)


def shown(config: SessionConfig) -> SessionConfig:
    """Return the settings as a peer sees them: what opens a server's door stays secret."""
    if not any(isinstance(tool, McpTool) for tool in config.tools):
        return config
    tools = tuple(_masked(tool) if isinstance(tool, McpTool) else tool for tool in config.tools)
    return msgspec.structs.replace(config, tools=tools)


def _masked(tool: McpTool) -> McpTool:
    return msgspec.structs.replace(
        tool,
        authorization=None if tool.authorization is None else REDACTED,
        headers=None if tool.headers is None else dict.fromkeys(tool.headers, REDACTED),
    )


def allowed(server: McpTool, tool: ListedTool) -> bool:
    """True when the peer wants this tool of the server (K-285)."""
    wanted = server.allowed_tools
    if isinstance(wanted, tuple):
        return tool.name in wanted
    return wanted is None or wanted == McpToolFilter() or _named(wanted, tool)


def needs_approval(server: McpTool, tool: ListedTool) -> bool:
    """True when a call waits for the client's word, which it does unless the peer says otherwise."""
    rule = server.require_approval
    if rule is None or isinstance(rule, str):
        return rule != "never"
    if _named(rule.always, tool):
        return True
    if _named(rule.never, tool):
        return False
    return rule.always is None or rule.never is not None


def only_reads(tool: ListedTool) -> bool | None:
    """Return what the server says of its tool; None when it says nothing."""
    hint = (tool.annotations or {}).get("readOnlyHint")
    return hint if isinstance(hint, bool) else None


def _named(given: McpToolFilter | None, tool: ListedTool) -> bool:
    if given is None or given == McpToolFilter():
        return False
    by_name = given.tool_names is None or tool.name in given.tool_names
    return by_name and (given.read_only is None or given.read_only == (only_reads(tool) is True))
