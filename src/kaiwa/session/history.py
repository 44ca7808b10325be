"""What a model reads of a conversation: items as they are, calls of MCP tools as calls with their outputs.

So no engine knows MCP. Does not choose which items may be read; see `Conversation.context`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from kaiwa.events.items import (
    FunctionCall,
    FunctionCallOutput,
    Item,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    Message,
)
from kaiwa.session.conversation import Entry, readable

REFUSED = "The user did not approve this call; it was not made."


def read(entries: Sequence[Entry]) -> tuple[Item, ...]:
    """Return the entries as a model reads them, in their order.

    A call without an output still runs, or waits for approval; a refused one has the refusal as its output.
    """
    items = [entry.item for entry in entries]
    answers = {item.approval_request_id: item for item in items if isinstance(item, McpApprovalResponse)}
    made = {item.approval_request_id for item in items if isinstance(item, McpCall)}
    return tuple(item for entry in entries for item in _read(entry, answers, made))


def _read(entry: Entry, answers: dict[str, McpApprovalResponse], made: set[str | None]) -> Iterator[Item]:
    match entry.item:
        case McpCall() as call:
            yield from _exchange(entry, call, call.error.message if call.error else call.output)
        case McpApprovalRequest() as request:
            if request.id not in made:
                yield from _exchange(entry, request, _refusal(answers.get(str(request.id))))
        case McpListTools() | McpApprovalResponse():
            return
        case _:
            item = readable(entry)
            assert isinstance(item, Message | FunctionCall | FunctionCallOutput), "all others are above"
            yield item


def _exchange(entry: Entry, call: McpCall | McpApprovalRequest, output: str | None) -> Iterator[Item]:
    call_id = str(call.id)
    if not is_json(call.arguments):  # cut off, or still being written
        return
    name = entry.called or call.name
    yield FunctionCall(id=call_id, status="completed", name=name, call_id=call_id, arguments=call.arguments)
    if output is not None:
        yield FunctionCallOutput(id=f"{call_id}_output", call_id=call_id, output=output)


def _refusal(answer: McpApprovalResponse | None) -> str | None:
    if answer is None or answer.approve:
        return None
    return f"{REFUSED} Reason: {answer.reason}" if answer.reason else REFUSED


def is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True
