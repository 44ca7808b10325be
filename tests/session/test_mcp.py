"""MCP servers in a conversation: what is listed, offered, called, approved and forgotten, in virtual time."""

from __future__ import annotations

import msgspec
from tests.session.harness import Talk, configured, said

from kaiwa.events import actions, client, engine, server
from kaiwa.events.config import (
    ForcedFunction,
    ForcedMcp,
    FunctionTool,
    McpApproval,
    McpTool,
    McpToolFilter,
    SessionUpdate,
)
from kaiwa.events.items import (
    FunctionCall,
    FunctionCallOutput,
    ListedTool,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    ProtocolError,
)
from kaiwa.events.tools import ToolSettled, ToolsListed, ToolSpec
from kaiwa.session.history import read
from kaiwa.session.mcp_rules import MAX_SERVERS, needs_approval
from kaiwa.session.policy import HostPolicy

URL = "https://notes.example/mcp"
READ, WRITE = ListedTool(name="read", annotations={"readOnlyHint": True}), ListedTool(name="write")


def entry(label: str = "notes", **fields) -> McpTool:
    return McpTool(server_label=label, **{"server_url": URL, "require_approval": "never", **fields})


def listings(talk: Talk) -> list[str]:
    return [action.listing.listing_id for action in talk.all if isinstance(action, actions.ListTools)]


def forgotten(talk: Talk) -> list[str]:
    return [action.listing_id for action in talk.all if isinstance(action, actions.ForgetTools)]


def runs(talk: Talk) -> list[actions.ToolCall]:
    return [action.call for action in talk.all if isinstance(action, actions.RunTool)]


def update(*tools) -> client.SettingsChanged:
    return client.SettingsChanged(session=SessionUpdate(type="realtime", tools=tools))


def listed(talk: Talk, *tools: ListedTool, nth: int = -1) -> list[str]:
    return talk.do(ToolsListed(listing_id=listings(talk)[nth], tools=tools))


def talking(*entries: McpTool, tools: tuple[ListedTool, ...] = (READ, WRITE), **fields) -> Talk:
    """Return a conversation whose servers are all listed, with a response under way."""
    talk = Talk(configured(modalities=("text",), tools=entries or (entry(),)), **fields)
    for nth in range(len(entries) or 1):
        listed(talk, *tools, nth=nth)
    talk.do(said("go on"), client.ResponseRequested())
    return talk


def called(
    name: str, index: int = 0, response: str = "resp_1", arguments: str = '{"a":1}'
) -> engine.ToolCalled:
    return engine.ToolCalled(response_id=response, index=index, name=name, arguments=arguments)


def ended(response: str = "resp_1", reason="completed") -> engine.GenerationEnded:
    return engine.GenerationEnded(response_id=response, reason=reason)


def offered(talk: Talk) -> list[str]:
    return [tool.name for tool in talk.of(engine.Generate)[-1].tools]


def answer(talk: Talk, approve: bool = True, **fields) -> client.ItemCreated:
    request = talk.of(server.ItemDone)[-1].item
    return client.ItemCreated(
        item=McpApprovalResponse(approval_request_id=request.id, approve=approve), **fields
    )


def test_a_call_in_a_whole_transcript():
    talk = Talk(configured(modalities=("text",)))
    assert talk.do(update(entry())) == [
        "session.updated",
        "conversation.item.added item_1 after None",
        "mcp_list_tools.in_progress",
    ]
    assert listed(talk, READ) == ["mcp_list_tools.completed", "conversation.item.done item_1 after None"]
    talk.do(said("go on"), client.ResponseRequested())
    assert talk.do(
        engine.ArgumentsDelta(response_id="resp_1", index=0, name="read", delta='{"a"'),
        called("read"),
        ended(),
    ) == [
        "response.output_item.added item_3",
        "conversation.item.added item_3 after item_2",
        'response.mcp_call_arguments.delta {"a"',
        "response.mcp_call_arguments.delta :1}",
        "response.mcp_call_arguments.done",
        "response.output_item.done item_3",
        "response.done resp_1 completed",
        "response.mcp_call.in_progress",
        'run item_3 read({"a":1})',
    ]
    assert talk.settle("item_3") == [
        "response.mcp_call.completed",
        "conversation.item.done item_3 after item_2",
    ]
    assert talk.wait(60) == []
    talk.check()


def test_secrets_are_never_shown_and_come_back_as_they_were():
    secret = entry(authorization="hush", headers={"X-Key": "hush"})
    talk = Talk(configured(tools=(secret,)))
    shown = talk.of(server.SessionCreated)[0].session.tools[0]
    assert (shown.authorization, shown.headers) == ("<redacted>", {"X-Key": "<redacted>"})
    asked = next(action.listing.server for action in talk.all if isinstance(action, actions.ListTools))
    assert asked.authorization == "hush"
    talk.do(update(shown))
    assert len(listings(talk)) == 1
    assert "hush" not in str([msgspec.to_builtins(event) for event in talk.events])
    assert "hush" not in repr(talk.all) + repr(talk.session.config)
    talk.do(update(msgspec.structs.replace(shown, server_url="https://elsewhere.example")))
    asked = [action.listing.server for action in talk.all if isinstance(action, actions.ListTools)][-1]
    assert asked.authorization == "<redacted>"


def test_entries_that_reach_no_server_are_refused_whole():
    talk = Talk(configured(tools=(entry(),)))
    for tools, param in (
        ((McpTool(server_label="mail", connector_id="connector_gmail"),), "session.tools[0].connector_id"),
        ((entry(), entry()), "session.tools[1].server_label"),
        ((entry("no good"),), "session.tools[0].server_label"),
        (tuple(entry(f"n{n}") for n in range(MAX_SERVERS + 1)), "session.tools"),
    ):
        lines = talk.do(update(*tools))
        assert len(lines) == 1 and lines[0].split()[2] == param, lines
    assert len(listings(talk)) == 1 and not forgotten(talk)


def test_only_what_changed_is_listed_again_and_what_is_gone_is_forgotten():
    talk = talking(entry("one"), entry("two"))
    assert offered(talk) == ["one__read", "one__write", "two__read", "two__write"]
    talk.do(ended(), update(entry("one"), entry("two", allowed_tools=("read",))))
    assert len(listings(talk)) == 3 and forgotten(talk) == [listings(talk)[1]]
    talk.do(client.ResponseRequested())
    assert offered(talk) == ["read", "write"]
    talk.do(ended("resp_2"))
    listed(talk, READ, WRITE)
    talk.do(update(), client.ResponseRequested())
    assert offered(talk) == [] and len(forgotten(talk)) == 3
    talk.do(ended("resp_3"))
    talk.check()


def test_a_failed_listing_is_tried_again_when_it_is_asked_for_again():
    talk = Talk(configured(tools=(entry(),)))
    talk.do(ToolsListed(listing_id=listings(talk)[0], error="away"))
    talk.do(client.SettingsChanged(session=SessionUpdate(type="realtime", instructions="x")))
    assert len(listings(talk)) == 1
    talk.do(update(entry()))
    assert len(listings(talk)) == 2
    listed(talk, READ)
    talk.check()


def test_a_server_that_was_let_go_before_it_answered_has_its_listing_failed():
    talk = Talk(configured(tools=(entry(),)))
    assert talk.do(update())[1:] == ["mcp_list_tools.failed", "conversation.item.done item_1 after None"]
    assert listed(talk, READ) == []
    talk.check()


def test_a_list_that_changes_is_shown_by_a_new_item():
    talk = Talk(configured(tools=(entry(),)))
    listed(talk, READ)
    listed(talk, READ, WRITE)
    items = [event.item for event in talk.of(server.ItemDone)]
    assert [[tool.name for tool in item.tools] for item in items] == [["read"], ["read", "write"]]
    talk.check()


def test_a_name_that_a_function_has_is_qualified():
    talk = Talk(configured(tools=(FunctionTool(name="read"), entry())), tools=(ToolSpec(name="write"),))
    listed(talk, READ, WRITE, ListedTool(name="a.b c"))
    talk.do(client.ResponseRequested())
    assert offered(talk) == ["read", "write", "notes__read", "notes__write", "a_b_c"]
    talk.do(called("notes__read"), ended())
    assert runs(talk)[0].name == "read"
    talk.settle(runs(talk)[0].call_id)
    assert read([talk.session.conversation.entry(runs(talk)[0].call_id)])[0].name == "notes__read"
    talk.check()


def test_a_forced_server_leaves_its_tools_and_a_forced_tool_is_forced():
    for choice, expected, names in (
        (ForcedMcp(server_label="notes"), "required", ["read", "write"]),
        (ForcedMcp(server_label="notes", name="read"), ForcedFunction(name="read"), ["f", "read", "write"]),
        (ForcedMcp(server_label="other"), "auto", ["f", "read", "write"]),
    ):
        talk = Talk(configured(tools=(FunctionTool(name="f"), entry()), tool_choice=choice))
        listed(talk, READ, WRITE)
        talk.do(client.ResponseRequested())
        assert talk.of(engine.Generate)[-1].tool_choice == expected
        assert offered(talk) == names


def test_parallel_calls_run_at_once_and_settle_in_either_order():
    talk = talking()
    talk.do(called("read", 0), called("write", 1), ended())
    first, second = runs(talk)
    talk.settle(second.call_id, "two")
    talk.settle(first.call_id, "one")
    assert [event.output_index for event in talk.of(server.McpCallCompleted)] == [1, 0]
    talk.do(client.ResponseRequested())
    history = talk.of(engine.Generate)[-1].history
    assert [type(item) for item in history[-4:]] == [FunctionCall, FunctionCallOutput] * 2
    talk.do(ended("resp_2"))
    talk.check()


def test_while_a_call_runs_the_model_reads_a_call_without_output_and_a_cancel_leaves_it_running():
    talk = talking()
    talk.do(called("read"), ended(), client.ResponseRequested())
    assert isinstance(talk.of(engine.Generate)[-1].history[-1], FunctionCall)
    talk.do(client.ResponseCancelled())
    assert not [action for action in talk.all if isinstance(action, actions.StopTool)]
    assert talk.settle(runs(talk)[0].call_id)[0] == "response.mcp_call.completed"
    talk.check()


def test_a_complete_call_of_a_cancelled_response_is_made_and_a_cut_off_one_is_not():
    talk = talking()
    talk.do(called("read"), engine.ArgumentsDelta(response_id="resp_1", index=1, name="write", delta='{"a'))
    talk.do(client.ResponseCancelled())
    assert [call.name for call in runs(talk)] == ["read"]
    cut = talk.of(server.ResponseDone)[0].response.output[1]
    assert isinstance(cut, McpCall) and cut.error is not None
    talk.settle(runs(talk)[0].call_id)
    talk.do(client.ResponseRequested())
    assert [item.name for item in talk.of(engine.Generate)[-1].history if isinstance(item, FunctionCall)] == [
        "read"
    ]
    talk.do(ended("resp_2"))
    talk.check()


def test_a_failed_call_carries_its_error():
    talk = talking()
    talk.do(called("read"), ended())
    error = ProtocolError(code=-32602, message="no such note")
    lines = talk.do(
        ToolSettled(call_id=runs(talk)[0].call_id, output="no such note", failed=True, error=error)
    )
    assert lines[0] == "response.mcp_call.failed"
    assert talk.of(server.ItemDone)[-1].item.error == error
    talk.check()


def test_a_server_stays_connected_until_its_last_call_ended():
    talk = talking()
    talk.do(called("read"), ended(), update())
    assert not forgotten(talk)
    talk.settle(runs(talk)[0].call_id)
    assert forgotten(talk) == listings(talk)
    talk.check()


def test_a_deleted_item_stops_its_call():
    talk = talking()
    talk.do(called("read"), ended())
    call_id = runs(talk)[0].call_id
    assert f"stop {call_id}" in talk.do(client.ItemDeleteRequested(item_id=call_id))
    assert talk.settle(call_id) == []


def test_leaving_stops_every_call():
    talk = talking()
    talk.do(called("read"), called("write", 1), ended())
    assert len([line for line in talk.do(client.PeerGone()) if line.startswith("stop")]) == 2


def test_an_approved_call_is_made_after_a_moment_when_no_response_is_asked_for():
    talk = talking(entry(require_approval="always"))
    talk.do(called("read"), ended())
    talk.do(answer(talk))
    assert talk.wait(0.2) == [] and not runs(talk)
    lines = talk.wait(0.2)
    assert lines[0] == "response.created resp_2" and lines[-1].startswith("run ")
    talk.settle(runs(talk)[0].call_id)
    talk.check()


def test_approved_calls_wait_for_the_response_under_way():
    talk = talking(entry(require_approval="always"))
    talk.do(called("read"))
    talk.do(answer(talk))
    talk.wait(5)
    assert not runs(talk)
    talk.do(ended())
    assert talk.wait(0) and len(runs(talk)) == 1
    talk.settle(runs(talk)[0].call_id)
    talk.check()


def test_several_approvals_are_made_in_one_response_and_the_model_reads_each_call_once():
    talk = talking(entry(require_approval="always"))
    talk.do(called("read"))
    first = answer(talk)
    talk.do(called("write", 1))
    talk.do(ended())
    talk.do(answer(talk), first, client.ResponseRequested())
    assert len(talk.of(server.ResponseDone)[-1].response.output) == 2
    for call in runs(talk):
        talk.settle(call.call_id)
    talk.do(client.ResponseRequested())
    history = talk.of(engine.Generate)[-1].history
    assert len([item for item in history if isinstance(item, FunctionCall)]) == 2
    assert len([item for item in history if isinstance(item, FunctionCallOutput)]) == 2
    talk.do(ended("resp_3"))
    talk.check()


def test_an_approval_answers_one_request_once():
    talk = talking(entry(require_approval="always"))
    nobody = McpApprovalResponse(approval_request_id="item_99", approve=True)
    assert talk.do(client.ItemCreated(item=nobody))[0].startswith("error invalid_value")
    talk.do(called("read"), ended())
    word = answer(talk)
    talk.do(word)
    assert talk.do(word)[0].startswith("error invalid_value")


def test_who_needs_approval():
    tools = {"only read": McpToolFilter(read_only=True), "write": McpToolFilter(tool_names=("write",))}
    for rule, reads, writes in (
        (None, True, True),
        ("always", True, True),
        ("never", False, False),
        (McpApproval(never=tools["only read"]), False, True),
        (McpApproval(always=tools["write"]), False, True),
        (McpApproval(always=tools["write"], never=McpToolFilter()), True, True),
        (McpApproval(), True, True),
    ):
        server_ = entry(require_approval=rule)
        assert (needs_approval(server_, READ), needs_approval(server_, WRITE)) == (reads, writes), rule


def test_a_response_beside_the_conversation_is_offered_no_server():
    talk = talking()
    talk.do(ended(), client.ResponseRequested(response=client.ResponseParams(conversation="none")))
    assert offered(talk) == []


def test_a_response_may_narrow_a_server_that_is_listed():
    talk = talking()
    narrow = client.ResponseParams(tools=(entry(allowed_tools=("read",)),))
    talk.do(ended(), client.ResponseRequested(response=narrow))
    assert offered(talk) == ["read"]


def test_servers_of_the_agent_are_unseen_and_their_tools_run_like_its_functions():
    talk = Talk(configured(modalities=("text",)), servers=("stock",), policy=HostPolicy(join_ms=400))
    assert listings(talk) == ["own_stock"] and listed(talk, READ) == []
    talk.do(said("go on"), client.ResponseRequested(), called("read"), ended())
    assert "mcp" not in str([msgspec.to_builtins(event) for event in talk.events])
    call = runs(talk)[0]
    assert (call.name, call.listing_id) == ("read", "own_stock")
    lines = talk.settle(call.call_id)
    assert lines[-2:][0].startswith("response.created")
    listed(talk, READ, WRITE)
    talk.do(ended("resp_2"), client.ResponseRequested())
    assert offered(talk) == ["read", "write"]


def test_a_listing_is_no_part_of_what_a_model_reads():
    talk = talking()
    assert not [item for item in talk.of(engine.Generate)[-1].history if isinstance(item, McpListTools)]
    assert len(talk.of(engine.Generate)[-1].history) == 1
