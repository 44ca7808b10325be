"""Questions in text over a real conversation: every answer whole, its pieces in order, each to who asked."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from kaiwa import Agent, ToolContext, tool
from kaiwa.events.config import SessionConfig
from kaiwa.events.engine import EngineCommand, EngineEvent, Generate, GenerationEnded, TextDelta
from kaiwa.events.items import ClientItem, FunctionCallOutput, InputText, Message
from kaiwa.events.pieces import (
    CallPiece,
    ErrorPiece,
    FinishPiece,
    Piece,
    ProgressPiece,
    ResultPiece,
    TextPiece,
    UsagePiece,
)
from kaiwa.events.response import FailureDetail
from kaiwa.runner import converse
from kaiwa.session.host import HostSession
from kaiwa.testing.scripted import ScriptedEngine, answering, calling, echo, last_text
from kaiwa.tools.toolbox import AgentToolBox
from kaiwa.transports.chat import MOST_UNANSWERED, Busy, ChatTransport, Turn

Ids = Callable[[str], str]


def question(text: str) -> list[ClientItem]:
    return [Message(role="user", content=(InputText(text=text),))]


def counted() -> Ids:
    numbers = itertools.count(1)
    return lambda kind: f"{kind}_{next(numbers)}"


@asynccontextmanager
async def talk(engine: ScriptedEngine, agent: Agent | None = None) -> AsyncIterator[ChatTransport]:
    agent = agent or Agent(name="test", instructions="")
    box, ids = AgentToolBox(agent), counted()
    config = SessionConfig(output_modalities=("text",))
    session = HostSession(config, ids=ids, tools=box.specs, now=asyncio.get_running_loop().time())
    transport = ChatTransport(ids)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(converse(session, transport, engine, box))
        try:
            yield transport
        finally:
            transport.leave()
            async with asyncio.timeout(20):
                await running


async def pieces(turn: Turn, after: int = 0) -> list[Piece]:
    async with asyncio.timeout(20):
        return [piece async for _, piece in turn.read(after)]


def text_of(heard: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in heard if isinstance(piece, TextPiece))


def in_pieces(command: EngineCommand) -> Sequence[EngineEvent]:
    if not isinstance(command, Generate):
        return ()
    rid = command.response_id
    return *(TextDelta(response_id=rid, text=word) for word in ("東", "京", "です")), GenerationEnded(
        response_id=rid
    )


async def test_an_answer_comes_in_pieces_and_ends_with_its_cost_and_reason() -> None:
    async with talk(ScriptedEngine(in_pieces)) as transport:
        heard = await pieces(transport.ask(question("どこですか")))
    assert heard[:3] == [TextPiece(text="東"), TextPiece(text="京"), TextPiece(text="です")]
    assert isinstance(heard[3], UsagePiece)
    assert heard[4:] == [FinishPiece(reason="stop")]


async def test_the_conversation_remembers_earlier_questions() -> None:
    engine = ScriptedEngine(echo)
    async with talk(engine) as transport:
        await pieces(transport.ask(question("一")))
        await pieces(transport.ask(question("二")))
    last = [command for command in engine.asked if isinstance(command, Generate)][-1]
    assert [item.role for item in last.history if isinstance(item, Message)] == ["user", "assistant", "user"]


@tool(changes=False)
def weather(city: str) -> str:
    """Say the weather.

    Args:
        city: where
    """
    return f"{city}は晴れ"


def asks_the_weather(command: EngineCommand) -> Sequence[EngineEvent]:
    if not isinstance(command, Generate):
        return ()
    if any(isinstance(item, FunctionCallOutput) for item in command.history):
        return answering(command, f"答え: {last_text(command)}")
    rid = command.response_id
    return TextDelta(response_id=rid, text="お待ちください。"), *calling(
        command, "weather", '{"city":"東京"}'
    )


async def test_an_answer_that_takes_a_tool_is_whole_only_after_the_words_about_its_output() -> None:
    agent = Agent(name="test", instructions="", tools=[weather])
    async with talk(ScriptedEngine(asks_the_weather), agent) as transport:
        heard = await pieces(transport.ask(question("東京の天気は？")))
    kinds = [type(piece) for piece in heard]
    assert kinds == [TextPiece, CallPiece, ResultPiece, TextPiece, UsagePiece, FinishPiece]
    assert text_of(heard) == "お待ちください。\n答え: 東京は晴れ"
    usage = heard[-2]
    assert isinstance(usage, UsagePiece)
    assert usage.responses == 2


async def test_another_question_is_answered_while_a_slow_tool_runs_and_each_answer_goes_to_its_asker() -> (
    None
):
    release = asyncio.Event()

    @tool(changes=False, background=True)
    async def search(context: ToolContext) -> str:
        """Search slowly."""
        context.progress(0.5, "半分")
        await release.wait()
        return "三冊"

    def reply(command: EngineCommand) -> Sequence[EngineEvent]:
        if not isinstance(command, Generate):
            return ()
        said = last_text(command)
        return calling(command, "search") if said == "探して" else answering(command, f"「{said}」")

    agent = Agent(name="test", instructions="", tools=[search])
    async with talk(ScriptedEngine(reply), agent) as transport:
        slow = transport.ask(question("探して"))
        quick = await pieces(transport.ask(question("元気？")))
        assert text_of(quick) == "「元気？」"
        assert slow.finished is None
        release.set()
        heard = await pieces(slow)
    called, progressed = heard[0], heard[1]
    assert isinstance(called, CallPiece)
    assert progressed == ProgressPiece(call_id=called.call_id, fraction=0.5, text="半分")
    assert text_of(heard) == "「三冊」"
    assert heard[-1] == FinishPiece(reason="stop")


def never_ends(command: EngineCommand) -> Sequence[EngineEvent]:
    return (TextDelta(response_id=command.response_id, text="長"),) if isinstance(command, Generate) else ()


async def test_a_cancelled_answer_ends_and_the_next_question_is_answered() -> None:
    engine = ScriptedEngine(never_ends)
    async with talk(engine) as transport:
        first = transport.ask(question("話して"))
        async with asyncio.timeout(20):
            assert (await anext(first.read()))[1] == TextPiece(text="長")
        second = transport.ask(question("次"))
        transport.cancel(first)
        assert (await pieces(first))[-1] == FinishPiece(reason="cancelled")
        async with asyncio.timeout(20):
            assert (await anext(second.read()))[1] == TextPiece(text="長")


async def test_a_question_that_still_waits_can_be_cancelled() -> None:
    async with talk(ScriptedEngine(never_ends)) as transport:
        transport.ask(question("話して"))
        waiting = transport.ask(question("次"))
        transport.cancel(waiting)
        assert await pieces(waiting) == [FinishPiece(reason="cancelled")]


async def test_a_model_that_fails_is_told_to_who_asked_and_the_conversation_goes_on() -> None:
    detail = FailureDetail(type="server_error", code="upstream_timeout", message="The model did not answer.")

    def reply(command: EngineCommand) -> Sequence[EngineEvent]:
        if not isinstance(command, Generate):
            return ()
        if last_text(command) == "壊れる":
            return (GenerationEnded(response_id=command.response_id, reason="failed", error=detail),)
        return answering(command, "はい")

    async with talk(ScriptedEngine(reply)) as transport:
        failed = await pieces(transport.ask(question("壊れる")))
        assert ErrorPiece(code="upstream_timeout", message="The model did not answer.") in failed
        assert failed[-1] == FinishPiece(reason="error")
        assert text_of(await pieces(transport.ask(question("元気？")))) == "はい"


async def test_an_item_that_the_session_refuses_fails_its_question_and_no_other() -> None:
    bad: list[ClientItem] = [FunctionCallOutput(call_id="call_nobody_made", output="x")]
    async with talk(ScriptedEngine(echo)) as transport:
        refused = await pieces(transport.ask(bad))
        assert isinstance(refused[0], ErrorPiece)
        assert refused[-1] == FinishPiece(reason="error")
        assert text_of(await pieces(transport.ask(question("次")))) == "次"


async def test_more_questions_than_may_wait_are_refused() -> None:
    async with talk(ScriptedEngine(never_ends)) as transport:
        for number in range(MOST_UNANSWERED):
            transport.ask(question(str(number)))
        with pytest.raises(Busy):
            transport.ask(question("もう一つ"))


async def test_leaving_ends_every_open_answer() -> None:
    async with talk(ScriptedEngine(never_ends)) as transport:
        open_one, waiting = transport.ask(question("一")), transport.ask(question("二"))
        transport.leave()
        assert (await pieces(open_one))[-1] == FinishPiece(reason="error")
        assert (await pieces(waiting))[-1] == FinishPiece(reason="error")
        with pytest.raises(ConnectionError):
            transport.ask(question("三"))


async def test_a_late_reader_gets_what_it_missed_once_and_then_goes_on_live() -> None:
    asked = asyncio.get_running_loop().create_future()

    def reply(command: EngineCommand) -> Sequence[EngineEvent]:
        if isinstance(command, Generate):
            asked.set_result(command.response_id)
        return ()

    engine = ScriptedEngine(reply)
    async with talk(engine) as transport:
        turn = transport.ask(question("数えて"))
        async with asyncio.timeout(20):
            rid = await asked
            early = turn.read()
            engine.say(TextDelta(response_id=rid, text="一"), TextDelta(response_id=rid, text="二"))
            assert [await anext(early), await anext(early)] == [
                (1, TextPiece(text="一")),
                (2, TextPiece(text="二")),
            ]
            late = turn.read(after=1)
            assert await anext(late) == (2, TextPiece(text="二"))
            engine.say(TextDelta(response_id=rid, text="三"))
            assert await anext(late) == await anext(early) == (3, TextPiece(text="三"))
