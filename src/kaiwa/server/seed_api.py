"""Two addresses for pages that hold their call themselves: a key for the call, and the agent's functions.

A page asks `/api/realtime/session` for a key, posts its SDP to `realtimeUrl`, and is asked by the model to
call functions, which it has carried out at `/api/functions/{name}`. So the key's session offers the agent's
functions as the page's own. Knows agents and keys; the calls are others' affair.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from msgspec import structs
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from kaiwa.errors import PeerError
from kaiwa.events.config import FunctionTool, SessionConfig
from kaiwa.events.tools import ToolCall, ToolEvent, ToolSettled
from kaiwa.policy.shaping import check_model
from kaiwa.server.admission import Admission
from kaiwa.server.bodies import read_body
from kaiwa.server.failures import failure_of
from kaiwa.server.ids import new_id
from kaiwa.server.minting import too_many_keys
from kaiwa.server.repeated import HEADER, IdempotencyKeys, KeyReused
from kaiwa.tools.agent import Agent
from kaiwa.tools.jobs import Jobs
from kaiwa.tools.signature import ArgumentsError
from kaiwa.tools.toolbox import AgentToolBox

KEY_S: Final = 60
MAX_ARGUMENT_BYTES: Final = 64 * 1024
_USUAL_AGENT: Final = "rentacar"


@dataclass(frozen=True)
class SeedApi:
    """`?agent=` names another agent than the one that is served, or the rental desk when none is."""

    admission: Admission
    jobs: Jobs
    keys: IdempotencyKeys = field(default_factory=IdempotencyKeys)

    @property
    def served(self) -> Agent:
        """The agent whose functions may be called without naming any."""
        return self._named(None)

    async def close(self) -> None:
        """Let changes whose page is gone come to their end."""
        await self.jobs.finish()

    async def session(self, request: Request) -> Response:
        """`GET` and `POST /api/realtime/session`."""
        agent = self._agent(request)
        minted = self.admission.keys.mint(self._config(agent), KEY_S, request.state.caller)
        if minted is None:
            return too_many_keys()
        await self.admission.doors.shared.share(*minted)
        key, what = minted
        body = {
            "client_secret": key,
            "expires_at": what.expires_at,
            "realtimeUrl": f"{request.base_url}v1/realtimertc?model={agent.name}",
            "callsUrl": f"{request.base_url}v1/realtime/calls",
            "model": agent.name,
            "iceServers": list(self.admission.settings.rtc_ice_servers),
        }
        return JSONResponse(body, headers={"cache-control": "no-store"})

    async def function(self, request: Request) -> Response:
        """`POST /api/functions/{name}`: the arguments are the body; a refusal is an answer, not a failure.

        With an `Idempotency-Key` equal requests are one change; without one each is meant. Who posts has
        asked the person: the rule of `confirm` is for models that call out of a conversation.
        """
        agent, name = self._agent(request), request.path_params["name"]
        found = next((entry for entry in agent.tools if entry.name == name), None)
        if found is None or not request.state.caller.may_offer(name):
            return JSONResponse({"error": f"There is no function '{name[:64]}'."}, 404)
        written = (await read_body(request, MAX_ARGUMENT_BYTES)).decode("utf-8", "replace") or "{}"
        try:
            found.signature.read(written)
        except ArgumentsError as wrong:
            return JSONResponse({"error": str(wrong)}, 400)
        try:
            key = self.keys.name(request.headers.get(HEADER), agent.name, name, _canonical(written))
        except KeyReused as reused:
            return failure_of(reused, 422)
        return _answer(await self._run(agent, name, written, key))

    async def _run(self, agent: Agent, name: str, arguments: str, key: str | None) -> ToolSettled:
        settled: list[ToolSettled] = []

        def report(event: ToolEvent) -> None:
            if isinstance(event, ToolSettled):
                settled.append(event)

        call_id = new_id("call")
        call = ToolCall(
            call_id=call_id,
            name=name,
            arguments=arguments,
            response_id="",
            conversation_id=f"http-key:{key}" if key else f"http:{call_id}",
            agreed=True,
        )
        await AgentToolBox(agent, language=agent.language, jobs=self.jobs).run(call, report)
        return settled[0]

    def _agent(self, request: Request) -> Agent:
        agent = self._named(request.query_params.get("agent"))
        check_model(request.state.caller, agent.name)
        return agent

    def _named(self, name: str | None) -> Agent:
        directory = self.admission.directory
        served = directory.default.name if directory.default is not directory.plain else _USUAL_AGENT
        name = served if name is None else name
        agent = directory.find(name)
        if agent is None:
            raise PeerError("model_not_found", f"There is no agent '{name[:64]}'.", param="agent")
        return agent

    def _config(self, agent: Agent) -> SessionConfig:
        tools = tuple(
            FunctionTool(name=spec.name, description=spec.description, parameters=spec.parameters)
            for spec in agent.specs
        )
        config = self.admission.first_session(agent, agent.name)
        return structs.replace(config, tools=tools, expires_at=0)


def _canonical(arguments: str) -> str:
    """Return arguments that were read before as text in which order and spaces say nothing."""
    return json.dumps(json.loads(arguments) if arguments.strip() else {}, sort_keys=True)


def _answer(settled: ToolSettled) -> Response:
    told: Any
    try:
        told = msgspec.json.decode(settled.output)
    except msgspec.DecodeError:
        told = {"success": True, "result": settled.output}
    if not settled.failed:
        return Response(json.dumps(told, ensure_ascii=False), media_type="application/json")
    # A tool that refuses says why, in one sentence; one that broke has a heading and a sentence beside it.
    broke = "message" in told
    return JSONResponse(told if broke else {"success": False, **told}, 500 if broke else 200)
