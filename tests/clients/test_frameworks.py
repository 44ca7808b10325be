"""The frameworks that bring a Realtime client of their own, each in its environment, unmodified."""

from __future__ import annotations

import pytest
from tests.clients.complete import BETA, GA, PREVIEW, completes_every_turn, in_python
from tests.clients.place import Place
from tests.clients.turns import TURNS
from tests.contract.breakages import Breakage, drop, put
from tests.contract.manifest import rule

pytestmark = pytest.mark.clients
failed_answers = put("response.done", "response.status", "failed")


@rule("K-309", broken_by=failed_answers)
async def test_openai_agents_with_handoff_guardrail_and_approval(
    place: Place, planted: Breakage | None
) -> None:
    turns = (*TURNS, "handoff", "guardrail", "approval")
    client = in_python(
        "openai-agents", "openai-agents", "openai_agents.py", {"RealtimeRunner": GA}, turns=turns
    )
    await completes_every_turn(client, place, planted)


@rule("K-310", broken_by=failed_answers)
async def test_livekit_in_its_flavours(place: Place, planted: Breakage | None) -> None:
    surfaces = {
        "OpenAI": GA,
        "Azure v1": GA,
        "Azure v1, Entra": GA,
        "Azure with api-version": PREVIEW,
    }
    client = in_python("livekit", "livekit-plugins-openai", "livekit_plugin.py", surfaces)
    await completes_every_turn(client, place, planted)


@rule("K-311", broken_by=drop("response.done"))  # pipecat looks at no status
async def test_pipecat_with_openai_and_azure(place: Place, planted: Breakage | None) -> None:
    client = in_python(
        "pipecat", "pipecat-ai", "pipecat_services.py", {"OpenAI": GA, "Azure": GA, "Azure, Entra": GA}
    )
    await completes_every_turn(client, place, planted)


@rule("K-312", broken_by=failed_answers)
async def test_litellm_in_front_of_openai_and_azure(place: Place, planted: Breakage | None) -> None:
    surfaces = {
        "OpenAI": GA,
        "OpenAI, TLS": GA,
        "OpenAI, beta": BETA,
        "Azure": GA,
        "Azure, Entra": GA,
        "Azure, beta": PREVIEW,
    }
    await completes_every_turn(
        in_python("litellm", "litellm", "litellm_gateway.py", surfaces), place, planted
    )
