"""An agent's tools as an MCP server: listed with their schemas and hints, called through a toolbox.

Knows the `mcp` package's server side and how one call travels: progress, agreement, cancellation, outcome.
Knows no transport and no key; who opens the connection lets people in (`kaiwa.cli.mcp`). Needs the extra.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, cast
from uuid import uuid4

from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp.types import Tool as ListedTool
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from kaiwa.events.tools import ToolCall, ToolEvent, ToolProgress, ToolSaid, ToolSettled
from kaiwa.interfaces import STOPPED
from kaiwa.tools.agent import Agent
from kaiwa.tools.outcome import AnyTool
from kaiwa.tools.toolbox import AgentToolBox

# In a call's `_meta`: calls with one key are one change, however often they are made.
IDEMPOTENCY_KEY: Final = "kaiwa/idempotencyKey"
MAX_KEY_CHARS: Final = 255
_QUESTION: Final = "agreement"
_SMALLEST_STEP: Final = 1e-4  # MCP wants each progress to be more than the one before
_NO_FIELDS: Final[dict[str, Any]] = {"type": "object", "properties": {}}

Context = ServerRequestContext[Any, Any]


def tool_server(agent: Agent, box: AgentToolBox, *, client_confirms: bool = False) -> Server[Any]:
    """Return the MCP server of the agent's tools, for any number of connections.

    `client_confirms`: whoever calls a tool with `confirm` has asked its user already. Otherwise the user is
    asked by elicitation, and a client that has none is refused those tools.
    """
    desk = _Desk(agent, box, client_confirms)
    server: Server[Any] = Server(
        agent.name, instructions=agent.instructions or None, on_list_tools=desk.list, on_call_tool=desk.call
    )
    boundary = RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience=agent.name)
    server.middleware.append(boundary)
    return server


class _Desk:
    def __init__(self, agent: Agent, box: AgentToolBox, client_confirms: bool) -> None:
        self._tools = {entry.name: entry for entry in agent.tools}
        self._box = box
        self._client_confirms = client_confirms
        self._calls = 0

    async def list(self, context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=[_listed(entry) for entry in self._tools.values()])

    async def call(
        self, context: Context, params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        entry = self._tools.get(params.name)
        if entry is None:
            raise MCPError(code=INVALID_PARAMS, message=f"There is no tool '{params.name[:64]}'.")
        agreed: bool | InputRequiredResult | CallToolResult = True
        if entry.rules.confirm and not self._client_confirms:
            agreed = await _agreement(entry, context, params)
        if not isinstance(agreed, bool):
            return agreed
        settled = await _carried_out(self._box, self._named(context, params), context)
        return _answer(settled.output, failed=settled.failed)

    def _named(self, context: Context, params: CallToolRequestParams) -> ToolCall:
        """Say whose call it is. Without a key every call is meant: it is a turn of its own.

        Calls of unlike clients are never one: with sessions an id tells them apart, else nothing does.
        """
        self._calls += 1
        key = _key_of(context.meta)
        return ToolCall(
            call_id=f"call_{uuid4().hex}",
            name=params.name,
            arguments=json.dumps(params.arguments or {}),
            response_id="",
            conversation_id=f"mcp-key:{key}" if key else f"mcp:{_connection(context) or uuid4().hex}",
            turn=0 if key else self._calls,
            agreed=True,
        )


# --- a call that runs ------------------------------------------------------------------------------


async def _carried_out(box: AgentToolBox, call: ToolCall, context: Context) -> ToolSettled:
    """Run the call and pass on how far it is. Cancelled, the call is stopped as by its user."""
    settled: list[ToolSettled] = []
    # Bounded by what one call may report: 200 times progress, 20 answers.
    told: asyncio.Queue[ToolEvent | None] = asyncio.Queue()

    def report(event: ToolEvent) -> None:
        if isinstance(event, ToolSettled):
            settled.append(event)
        else:
            told.put_nowait(event)

    async with asyncio.TaskGroup() as group:
        passing = group.create_task(_pass_on(told, context))
        running = group.create_task(box.run(call, report))
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError:
            passing.cancel()
            running.cancel(STOPPED)
            raise
        told.put_nowait(None)
    return settled[0]


async def _pass_on(told: asyncio.Queue[ToolEvent | None], context: Context) -> None:
    """Send each report as progress; it does nothing for a client that asked for none."""
    reached = 0.0
    while (event := await told.get()) is not None:
        if isinstance(event, ToolProgress):
            reached, text = max(reached + _SMALLEST_STEP, event.fraction), event.text
        elif isinstance(event, ToolSaid):
            reached, text = reached + _SMALLEST_STEP, event.text
        else:
            continue
        await context.session.report_progress(reached, 1.0, text or None)


# --- agreement -------------------------------------------------------------------------------------


async def _agreement(
    entry: AnyTool, context: Context, params: CallToolRequestParams
) -> bool | InputRequiredResult | CallToolResult:
    """Return True once the client's user has agreed to these arguments; else what the client is told."""
    wanted = ElicitRequestFormParams(message=_read_back(entry, params), requested_schema=_NO_FIELDS)
    able = context.session.client_capabilities
    if able is None or able.elicitation is None:
        return _refusal(
            f"{entry.name} changes something and was not carried out: its user has to agree first, and this "
            "client offers no elicitation. If the client asks its user before each call, the operator may "
            "start the server with --client-confirms."
        )
    if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
        given = (params.input_responses or {}).get(_QUESTION)
        # The sealed state proves that it was this call, with these arguments, that was asked about.
        if given is None or params.request_state is None:
            asked = ElicitRequest(params=wanted)
            return InputRequiredResult(input_requests={_QUESTION: asked}, request_state=entry.name)
        answered = isinstance(given, ElicitResult) and given.action == "accept"
    else:
        told = await context.session.elicit_form(
            wanted.message, wanted.requested_schema, related_request_id=context.request_id
        )
        answered = told.action == "accept"
    return True if answered else _refusal(f"The user did not agree: {entry.name} was not carried out.")


def _read_back(entry: AnyTool, params: CallToolRequestParams) -> str:
    values = ", ".join(f"{name}: {value}" for name, value in (params.arguments or {}).items())
    return f"{entry.description} {values[:1000]}\n{entry.name}?".strip()


# --- values ----------------------------------------------------------------------------------------


def _listed(entry: AnyTool) -> ListedTool:
    return ListedTool(
        name=entry.name,
        description=entry.description,
        input_schema=entry.parameters,
        annotations=_hints(entry),
    )


def _hints(entry: AnyTool) -> ToolAnnotations | None:
    """What was declared; nothing is guessed for a tool of which nobody said whether it changes anything."""
    if entry.changes is None:
        return None
    if not entry.changes:
        return ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True)
    return ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False)


def _answer(output: str, *, failed: bool) -> CallToolResult:
    try:
        given: Any = json.loads(output)
    except ValueError:
        given = None
    data = cast("dict[str, Any]", given) if isinstance(given, dict) else None
    text = TextContent(type="text", text=output)
    return CallToolResult(content=[text], structured_content=data, is_error=failed)


def _refusal(sentence: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=sentence)], is_error=True)


def _key_of(meta: Mapping[str, Any] | None) -> str | None:
    given = (meta or {}).get(IDEMPOTENCY_KEY)
    if given is None:
        return None
    if not isinstance(given, str) or not 0 < len(given) <= MAX_KEY_CHARS:
        text = f"_meta.{IDEMPOTENCY_KEY} must be a string of 1 to {MAX_KEY_CHARS} characters."
        raise MCPError(code=INVALID_PARAMS, message=text)
    return given


def _connection(context: Context) -> str | None:
    """The name of a session over HTTP; None where the protocol has no sessions."""
    headers: Callable[[str], str | None] | None = getattr(
        getattr(context.request, "headers", None), "get", None
    )
    return headers("mcp-session-id") if headers is not None else None
