"""The examples are loaded as `kaiwa serve` loads them, and their tools run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kaiwa.events.tools import ToolCall, ToolEvent, ToolSettled
from kaiwa.tools.loading import load_agent
from kaiwa.tools.toolbox import AgentToolBox

EXAMPLES = Path(__file__).parents[2] / "examples"


async def test_the_hello_example_is_an_agent_whose_tool_greets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    agent = load_agent("hello_tool:agent", directory=EXAMPLES)
    events: list[ToolEvent] = []
    request = ToolCall(
        call_id="call_1", name="get_greeting", arguments='{"name": "山田"}', response_id="resp_1"
    )

    await AgentToolBox(agent).run(request, events.append)

    assert events == [ToolSettled(call_id="call_1", output="こんにちは、山田さん。")]
    assert agent.specs[0].description == "名前を聞いて、挨拶を返します。"
    assert agent.specs[0].parameters["properties"]["name"] == {
        "description": "お客様のお名前",
        "type": "string",
    }
