"""The houses that scenarios are played in: answers by script here, or by relay to a stand-in with the same script."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from tests.server.running import at_home, running

from kaiwa.server.conversations import HostAnswerer
from kaiwa.testing.service import running_service
from kaiwa.testing.service.engine import ServiceEngine
from kaiwa.testing.service.script import Call, Fail, Rule, Say, Script

LONG = " ".join(f"Sentence {number} of a long answer." for number in range(1, 41))
SCRIPT = Script(
    hears=("long", "never mind"),
    rules=(
        Rule(pattern=r"call (\w+) (\{.*\})", answers=(Call(name=r"\1", arguments=r"\2"),)),
        Rule(pattern=r"fail", answers=(Fail(code="server_error", message="The model is ill."),)),
        Rule(pattern=r"long", answers=(Say(text=LONG, pace_ms=30),)),
        # What a chat model is told of an output that came late.
        Rule(pattern=r"The result of survey \(\S+\) has arrived: (.*)", answers=(Say(text=r"I found \1."),)),
        Rule(pattern=r".*", answers=(Say(text=r"You said: \g<0>"),)),
    ),
    on_result=(Say(text=r"I found \g<0>."),),
)
_AGENT = "tests.interaction.agent:agent"
House = Callable[[Path], AbstractAsyncContextManager[str]]
"""Given a directory, serve and say at which address."""


@asynccontextmanager
async def scripted(directory: Path) -> AsyncIterator[str]:
    settings = at_home(directory, agent=_AGENT, filler_ms=0)
    answers = HostAnswerer(settings, lambda agent: ServiceEngine(SCRIPT))
    async with running(settings, answers) as server:
        yield server.addresses[0]


@asynccontextmanager
async def relayed(directory: Path) -> AsyncIterator[str]:
    """Realtime sessions go to the stand-in's, questions in text to its chat completions."""
    async with running_service(SCRIPT) as service:
        settings = at_home(
            directory,
            agent=_AGENT,
            filler_ms=0,
            azure_openai_endpoint=service.url,
            azure_openai_api_key=service.key,
            azure_openai_realtime_deployment="gpt-realtime",
            azure_openai_chat_deployment="chat",
        )
        async with running(settings, as_configured=True) as server:
            yield server.addresses[0]


HOUSES: dict[str, House] = {"scripted": scripted, "relayed": relayed}
