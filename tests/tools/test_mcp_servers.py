"""Which MCP servers a peer may name, and what the setting says."""

from __future__ import annotations

import sys

import pytest

from kaiwa.errors import ConfigError, ToolError
from kaiwa.events.config import McpTool
from kaiwa.tools.agent import Agent
from kaiwa.tools.mcp_client import reason, require_mcp
from kaiwa.tools.mcp_servers import McpServer, read_servers


def wanted(url: str | None, label: str = "notes", **fields) -> McpTool:
    return McpTool(server_label=label, server_url=url, **fields)


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        ("https://a.example/mcp", "https://a.example/mcp"),
        ("https://a.example/mcp", "HTTPS://A.example:443/mcp/"),
        ("https://a.example/*", "https://a.example/any/path"),
        ("https://a.example/mcp/*", "https://a.example/mcp"),
        ("x=https://a.example/mcp", "https://a.example/mcp"),
        ('["https://a.example/mcp?key=1"]', "https://a.example/mcp?key=1"),
        ("*", "http://anything.example/"),
    ],
)
def test_an_allowed_url_is_found_with_what_the_peer_sends(allowed, url):
    server = read_servers(allowed).find(
        wanted(url, headers={"X-Key": "1", "Host": "evil"}, authorization="t")
    )
    assert server.url == url
    assert server.request_headers == {"X-Key": "1", "Authorization": "Bearer t"}


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        ("", "https://a.example/mcp"),
        ("https://a.example/mcp", "http://a.example/mcp"),
        ("https://a.example/mcp", "https://a.example:8443/mcp"),
        ("https://a.example/mcp", "https://a.example/mcp/admin"),
        ("https://a.example/mcp", "https://a.example/mcp?x=1"),
        ("https://a.example/mcp", "https://a.example.evil.example/mcp"),
        ("https://a.example/mcp", "https://a.example@evil.example/mcp"),
        ("https://a.example/*", "https://evil.example/a.example/"),
        ("https://a.example/mcp/*", "https://a.example/mcp/../admin"),
        ("https://a.example/mcp/*", "https://a.example/mcp/%2e%2e/admin"),
        ("https://a.example/mcp/*", "https://a.example/mcpadmin"),
        ("https://a.example/*", "https://a.example\\@evil.example/"),
        ("*", "file:///etc/passwd"),
        ("*", "https://user:pass@a.example/"),
        ("*", "https://a.example:port/"),
    ],
)
def test_any_other_url_is_refused_with_the_name_of_the_setting(allowed, url):
    with pytest.raises(ToolError, match="KAIWA_MCP_SERVERS"):
        read_servers(allowed).find(wanted(url))


def test_a_label_alone_means_the_operator_s_server_and_its_secrets_stay_there():
    allowed = read_servers(
        '{"notes": {"url": "https://a.example/mcp", "authorization": "hush"}, "files": {"command": "files", "args": ["-v"]}}'
    )
    assert allowed.find(wanted(None)).authorization == "hush"
    assert allowed.find(wanted(None, "files")).args == ("-v",)
    assert allowed.find(wanted("https://a.example/mcp")).authorization is None
    with pytest.raises(ToolError, match="KAIWA_MCP_SERVERS"):
        allowed.find(wanted(None, "other"))
    assert "hush" not in repr(allowed)


def test_a_server_has_one_way_to_be_reached():
    for fields in (
        {},
        {"url": "https://a.example", "command": "a"},
        {"url": "a.example"},
        {"command": "a", "timeout_s": 0},
    ):
        with pytest.raises(ConfigError):
            McpServer("notes", **fields)
    with pytest.raises(ConfigError, match="one label"):
        Agent("desk", "", mcp=[McpServer("notes", command="a"), McpServer("notes", command="b")])


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(ConfigError, match=r"kaiwa\[mcp\]"):
        require_mcp()
    with pytest.raises(ConfigError, match=r"agent desk.*kaiwa\[mcp\]"):
        Agent("desk", "", mcp=[McpServer("notes", command="a")])


def test_a_reason_tells_no_address():
    lost = ExceptionGroup("x", [ExceptionGroup("y", [ConnectionRefusedError("10.0.0.1:80")])])
    assert reason(lost) == "The MCP server cannot be reached."
    assert reason(TimeoutError()) == "The MCP server gave no answer in time."
