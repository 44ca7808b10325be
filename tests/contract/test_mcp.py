"""C17: MCP servers of the session: listing, calling, approving."""

from __future__ import annotations

from typing import Any

from tests.contract.breakages import Frame, delay, drop, insert, put, said, told_with
from tests.contract.desk import Desk
from tests.contract.manifest import rule

from kaiwa.events import actions, engine
from kaiwa.events.items import FunctionCall, FunctionCallOutput, HttpError, ListedTool
from kaiwa.events.tools import ToolCall, ToolSettled, ToolsListed

NOTES: Frame = {"type": "mcp", "server_label": "notes", "server_url": "https://notes.example/mcp"}
ADD = ListedTool(name="add", input_schema={"type": "object"}, annotations={"readOnlyHint": True})
FIND = ListedTool(name="find", description="Find a note.", input_schema={"type": "object"})
ARGUMENTS = '{"word":"milk"}'
LIST, CALL = "mcp_list_tools", "response.mcp_call"


def listings(desk: Desk) -> list[str]:
    asked = [action for action in desk.tool_actions if isinstance(action, actions.ListTools)]
    return [action.listing.listing_id for action in asked]


def runs(desk: Desk) -> list[ToolCall]:
    return [action.call for action in desk.tool_actions if isinstance(action, actions.RunTool)]


def connect(desk: Desk, **entry: Any) -> list[Frame]:
    """Give the session the server and let it list its two tools."""
    mark = len(desk.frames)
    desk.update(output_modalities=["text"], tools=[{**NOTES, **entry}])
    desk.engine_says(ToolsListed(listing_id=listings(desk)[-1], tools=(ADD, FIND)))
    return desk.frames[mark:]


def ask(desk: Desk) -> list[Frame]:
    """Let the model call `find`, and end its response."""
    mark = len(desk.frames)
    desk.say("Do I have milk?")
    desk.respond()
    desk.call("find", ARGUMENTS, pieces=2)
    desk.end()
    return desk.frames[mark:]


def types(frames: list[Frame]) -> list[str]:
    return [frame["type"] for frame in frames]


def item_done(desk: Desk, kind: str) -> Frame:
    done = [one["item"] for one in desk.of("conversation.item.done") if one["item"]["type"] == kind]
    assert len(done) == 1, f"{len(done)} × {kind} done"
    return done[0]


def approve(desk: Desk, yes: bool, **fields: Any) -> list[Frame]:
    request = item_done(desk, "mcp_approval_request")
    answer = {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": yes}
    return desk.item({**answer, **fields})


@rule("K-281", broken_by=delay("mcp_list_tools.in_progress", until="mcp_list_tools.completed"))
@rule("K-281", broken_by=put("conversation.item.done", "item.tools", []))
def test_a_server_of_the_session_is_listed_as_an_item(desk: Desk):
    frames = connect(desk)
    assert types(frames) == [
        "session.updated",
        "conversation.item.added",
        "mcp_list_tools.in_progress",
        "mcp_list_tools.completed",
        "conversation.item.done",
    ]
    item_id = frames[1]["item"]["id"]
    assert frames[1]["item"] == {"type": LIST, "id": item_id, "server_label": "notes", "tools": []}
    assert frames[2]["item_id"] == frames[3]["item_id"] == item_id
    assert frames[4]["item"] == {
        "type": LIST,
        "id": item_id,
        "server_label": "notes",
        "tools": [
            {
                "name": "add",
                "description": None,
                "input_schema": {"type": "object"},
                "annotations": {"readOnlyHint": True},
            },
            {
                "name": "find",
                "description": "Find a note.",
                "input_schema": {"type": "object"},
                "annotations": None,
            },
        ],
    }
    desk.respond()
    assert [tool.name for tool in desk.asked_for(engine.Generate)[-1].tools] == ["add", "find"]


@rule("K-282", broken_by=put("mcp_list_tools.failed", "type", "mcp_list_tools.completed"))
@rule("K-282", broken_by=drop("response.done"))
def test_a_server_that_cannot_be_reached_fails_its_listing_and_nothing_else(desk: Desk):
    desk.update(output_modalities=["text"], tools=[NOTES])
    frames = desk.engine_says(ToolsListed(listing_id=listings(desk)[0], error="It cannot be reached."))
    assert types(frames) == ["mcp_list_tools.failed", "conversation.item.done"]
    assert frames[1]["item"]["tools"] == [] and frames[1]["item"]["error"] == "It cannot be reached."
    desk.say("Hello")
    desk.respond()
    assert desk.asked_for(engine.Generate)[-1].tools == ()
    desk.answer("Hello.")
    assert desk.one("response.done")["response"]["status"] == "completed"
    assert desk.hung is None and not desk.of("error")


@rule(
    "K-283",
    broken_by=insert(
        "response.output_item.added",
        {"type": "conversation.item.done", "item": {"type": "mcp_approval_request"}},
    ),
)
@rule("K-283", broken_by=put("conversation.item.done", "item.output", None))
def test_a_call_that_needs_no_approval_is_made_and_its_item_gets_the_output(desk: Desk):
    connect(desk, require_approval="never")
    ask(desk)
    assert [(run.name, run.arguments) for run in runs(desk)] == [("find", ARGUMENTS)]
    desk.settle(runs(desk)[0].call_id, "2 litres")
    assert not [
        frame
        for frame in desk.of("conversation.item.done")
        if frame["item"]["type"] == "mcp_approval_request"
    ]
    assert item_done(desk, "mcp_call") == {
        "type": "mcp_call",
        "id": runs(desk)[0].call_id,
        "server_label": "notes",
        "name": "find",
        "arguments": ARGUMENTS,
        "approval_request_id": None,
        "output": "2 litres",
        "error": None,
    }


@rule("K-284", broken_by=drop("conversation.item.done", nth=3))
@rule("K-284", broken_by=told_with("conversation.item.create", "item.approve", False))
def test_an_approved_call_is_made(desk: Desk):
    connect(desk, require_approval="always")
    frames = ask(desk)
    request = item_done(desk, "mcp_approval_request")
    assert not runs(desk)
    assert {key: request[key] for key in ("server_label", "name", "arguments")} == {
        "server_label": "notes", "name": "find", "arguments": ARGUMENTS,
    }  # fmt: skip
    assert types(frames)[3:] == [
        "response.output_item.added",
        "conversation.item.added",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    approve(desk, True)
    asked = len(desk.asked_for(engine.Generate))
    made = desk.respond()
    assert types(made) == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.output_item.done",
        "response.done",
        "response.mcp_call.in_progress",
    ]
    assert made[1]["item"]["approval_request_id"] == request["id"]
    assert len(desk.asked_for(engine.Generate)) == asked
    desk.settle(runs(desk)[0].call_id, "2 litres")
    assert item_done(desk, "mcp_call")["output"] == "2 litres"


@rule("K-284", broken_by=told_with("conversation.item.create", "item.approve", True))
def test_a_refused_call_is_not_made_and_the_model_knows(desk: Desk):
    connect(desk, require_approval="always")
    ask(desk)
    approve(desk, False, reason="private")
    desk.wait(5)
    desk.respond()
    assert not runs(desk) and not desk.of("response.mcp_call.in_progress")
    call, output = desk.asked_for(engine.Generate)[-1].history[-2:]
    assert isinstance(call, FunctionCall) and call.name == "find"
    assert isinstance(output, FunctionCallOutput) and output.call_id == call.call_id
    assert "not approve" in output.output and "private" in output.output


@rule("K-285", broken_by=said(lambda frame: [_with_tool(frame)], "conversation.item.done"))
def test_only_the_allowed_tools_are_listed_and_offered(desk: Desk):
    for allowed in (["find"], {"tool_names": ["find"]}, {"read_only": False}):
        frames = connect(desk, allowed_tools=allowed)
        assert [tool["name"] for tool in frames[-1]["item"]["tools"]] == ["find"], allowed
        desk.respond()
        assert [tool.name for tool in desk.asked_for(engine.Generate)[-1].tools] == ["find"]
        desk.end()
    frames = connect(desk, allowed_tools={"read_only": True})
    assert [tool["name"] for tool in frames[-1]["item"]["tools"]] == ["add"]


def _with_tool(frame: Frame) -> Frame:
    frame["item"].get("tools", []).append({"name": "other", "input_schema": {}})
    return frame


@rule("K-286", broken_by=delay("response.done", until="response.mcp_call.completed"))
@rule("K-286", broken_by=insert("conversation.item.done", {"type": "response.created"}, nth=3))
def test_a_call_completes_after_its_response_and_no_response_follows_by_itself(desk: Desk):
    connect(desk, require_approval="never")
    frames = ask(desk)
    assert types(frames)[2:] == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.output_item.done",
        "response.done",
        "response.mcp_call.in_progress",
    ]
    call = desk.one("response.done")["response"]["output"][0]
    assert call["arguments"] == ARGUMENTS and call["output"] is None and call["error"] is None
    mark = len(desk.frames)
    desk.settle(call["id"], "2 litres")
    desk.wait(60)
    assert types(desk.frames[mark:]) == ["response.mcp_call.completed", "conversation.item.done"]
    desk.respond()
    request, output = desk.asked_for(engine.Generate)[-1].history[-2:]
    assert isinstance(request, FunctionCall) and isinstance(output, FunctionCallOutput)
    assert (request.name, request.arguments, output.output) == ("find", ARGUMENTS, "2 litres")


def test_a_failed_call_says_how_in_its_item(desk: Desk):
    connect(desk, require_approval="never")
    ask(desk)
    gone = HttpError(code=503, message="It is away.")
    settled = ToolSettled(call_id=runs(desk)[0].call_id, output="It is away.", failed=True, error=gone)
    assert types(desk.engine_says(settled)) == ["response.mcp_call.failed", "conversation.item.done"]
    item = item_done(desk, "mcp_call")
    assert item["output"] is None
    assert item["error"] == {"type": "http_error", "code": 503, "message": "It is away."}


@rule("K-287", broken_by=insert("response.done", {"type": "mcp_list_tools.in_progress", "item_id": "x"}))
def test_a_session_without_servers_hears_nothing_of_mcp(desk: Desk):
    desk.update(output_modalities=["text"], tools=[{"type": "function", "name": "find"}])
    ask(desk)
    desk.item(
        {
            "type": "function_call_output",
            "call_id": desk.one("response.function_call_arguments.done")["call_id"],
            "output": "1",
        }
    )
    desk.respond()
    desk.answer("Yes.")
    desk.update(tools=[])
    desk.wait(60)
    assert not [frame for frame in desk.frames if "mcp" in str(frame)]
    assert not listings(desk)
