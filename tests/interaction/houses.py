"""The houses that scenarios are played in, and the words that each of them understands.

Two answer by the same script: one here, one by relay to a stand-in. The third has kaiwa's own models: it hears real
speech, decides by the embedded dialogue engine and speaks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from tests.server.running import at_home, running
from tests.transports.webrtc.aiortc_peer import sine

from kaiwa.engines.cascade import CascadeEngine, Shared
from kaiwa.engines.dialogue import DialogueModel
from kaiwa.engines.lanes import Lanes
from kaiwa.engines.speech.models import SpeechSettings, load_speech_models
from kaiwa.server.conversations import Answerer, HostAnswerer
from kaiwa.server.relay import relay_from
from kaiwa.server.settings import Settings
from kaiwa.testing.service import running_service
from kaiwa.testing.service.engine import ServiceEngine
from kaiwa.testing.service.script import Call, Fail, Rule, Say, Script

LONG = " ".join(f"Sentence {number} of a long answer." for number in range(1, 41))
SCRIPT = Script(
    hears=("good morning", "long", "never mind"),
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


@dataclass(frozen=True)
class Line:
    """What somebody says, and the whole answer to it."""

    said: str
    answer: str


@dataclass(frozen=True)
class Lines:
    """The words of one house. `spoken` are said aloud, one after another: the second has a long answer.

    `silence` is what is said to who says nothing; `costs` are the tokens in and out of `hello`, then of `tool`.
    """

    hello: Line
    again: Line
    tool: Line
    slow: Line
    meanwhile: Line
    refused: Line
    spoken: tuple[Line, Line, Line]
    silence: str
    costs: tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class House:
    """A kaiwa that answers at `address`; `answerer` opens conversations that no address is needed for.

    `voice` says words aloud: mono PCM16 at 24 kHz.
    """

    address: str
    lines: Lines
    settings: Settings
    answerer: Answerer
    voice: Callable[[str], bytes]


BY_SCRIPT = Lines(
    hello=Line("hello", "You said: hello"),
    again=Line("and again", "You said: and again"),
    tool=Line('call measure {"room": "kitchen"}', "I found 21 degrees in the kitchen."),
    slow=Line('call survey {"house": "villa"}', "I found 3 rooms in the villa."),
    meanwhile=Line("are you there", "You said: are you there"),
    refused=Line('call open_window {"room": "attic"}', 'I found {"error": "The window is stuck."}.'),
    spoken=(
        Line("good morning", "You said: good morning"),
        Line("long", LONG),
        Line("never mind", "You said: never mind"),
    ),
    silence="You said: good morning",
    costs=((240, 4), (518, 14)),
)
# A relay offers the service one tool more all the time, which stops calls; here it is offered while one runs.
RELAYED = replace(BY_SCRIPT, costs=((322, 4), (682, 14)))
_MORE = "Is there anything else I can help you with?"
_UNKNOWN = (
    "I'm sorry, I'm kaiwa's offline demo model, so I can't answer open questions. I can help you with these: "
    "measure the temperature of a room, measure a whole house, which takes long and open a window."
)
IN_ENGLISH = Lines(
    hello=Line("hello", "Hello! How can I help you?"),
    again=Line("and again", _UNKNOWN),
    tool=Line("Measure the temperature of the kitchen.", f"Let me check. 21 degrees in the kitchen. {_MORE}"),
    slow=Line(
        "Measure a whole house, the villa.", f"I've started the search. {_MORE} 3 rooms in the villa. {_MORE}"
    ),
    meanwhile=Line("thank you", "You're welcome. Is there anything else?"),
    refused=Line(
        "Please open the window in the attic.",
        "Let me check. I'm sorry. The window is stuck. You can try again or tell me something else.",
    ),
    spoken=(
        Line("Measure the temperature of the kitchen.", f"Let me check. 21 degrees in the kitchen. {_MORE}"),
        Line("What is the capital of France?", _UNKNOWN),
        Line("Thank you.", "You're welcome. Is there anything else?"),
    ),
    silence="I'm sorry, could you say that again?",
    costs=((8, 7), (66, 31)),
)


def tone(words: str) -> bytes:
    """Make a sound; the script says what it means."""
    del words
    return sine(300.0, 21_600, rate_hz=24_000).tobytes()


@asynccontextmanager
async def scripted(directory: Path, **given: Any) -> AsyncIterator[House]:
    settings = at_home(directory, agent=_AGENT, filler_ms=0, **given)
    answers = HostAnswerer(settings, lambda _: ServiceEngine(SCRIPT))
    async with running(settings, answers) as server:
        yield House(server.addresses[0], BY_SCRIPT, settings, answers, tone)


@asynccontextmanager
async def relayed(directory: Path, **given: Any) -> AsyncIterator[House]:
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
            **given,
        )
        async with running(settings, as_configured=True) as server:
            answers = relay_from(settings)
            assert answers is not None, "the settings name a service"
            yield House(server.addresses[0], RELAYED, settings, answers, tone)
            await answers.close()


@cache
def models() -> Shared:
    """Load the models of this machine, once for the whole run."""
    dialogue = DialogueModel()
    dialogue.warm_up()
    return Shared(speech=load_speech_models(SpeechSettings()), chat=dialogue, lanes=Lanes(), ahead=True)


@asynccontextmanager
async def local(directory: Path, **given: Any) -> AsyncIterator[House]:
    shared = models()
    settings = at_home(directory, agent=_AGENT, filler_ms=0, **given)
    answers = HostAnswerer(settings, lambda _: CascadeEngine(shared, language="en"))
    async with running(settings, answers) as server:

        def voice(words: str) -> bytes:
            return b"".join(shared.speech.synthesizer.speak(words, language="en"))

        yield House(server.addresses[0], IN_ENGLISH, settings, answers, voice)


HOUSES: dict[str, Callable[..., AbstractAsyncContextManager[House]]] = {
    "scripted": scripted,
    "relayed": relayed,
    "local": local,
}
EVERY_DAY = ("scripted", "relayed")
"""Those of `make test`; the local one loads its models."""
