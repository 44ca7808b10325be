"""C13, what only a live connection can show: that errors do not end it, and what does."""

from __future__ import annotations

import json
from typing import Any

from tests.contract.breakages import closing, drop, put
from tests.contract.house import House, Opener
from tests.contract.manifest import rule

from kaiwa.events import engine
from kaiwa.testing.scripted import ScriptedEngine, echo

BROKEN_FRAMES: tuple[Any, ...] = (
    {"type": 7},
    {"type": None},
    {"type": ["session.update"]},
    {"type": "session.update", "session": {"type": "realtime"}, "event_id": "x" * 513},
    {"type": "session.update", "session": [], "event_id": 7},
    "[]", "null", "7", '"session.update"', "true", "", "{", "\x00", '{"type":"a","type":', "[" * 10_000,
)  # fmt: skip


@rule("K-230", broken_by=drop("error", nth=4))
@rule("K-230", broken_by=put("error", "error.message", "", nth=7))
@rule("K-231", broken_by=drop("input_audio_buffer.cleared", nth=3))
async def test_a_frame_that_makes_no_sense_is_an_error_and_no_end(house: House) -> None:
    async with house.call() as caller:
        await caller.hear()
        for frame in BROKEN_FRAMES:
            await caller.send(frame)
            assert (await caller.error())["message"]
            await caller.send({"type": "input_audio_buffer.clear"})
            assert (await caller.hear())["type"] == "input_audio_buffer.cleared"


@rule("K-231", broken_by=drop("input_audio_buffer.cleared"))
async def test_what_a_session_refuses_does_not_end_it(house: House) -> None:
    refused = (
        {"type": "response.cancel"},
        {"type": "input_audio_buffer.commit"},
        {"type": "conversation.item.delete", "item_id": "item_x"},
        {"type": "session.update", "session": {"type": "transcription"}},
        {"type": "nothing.known"},
        {"type": "input_audio_buffer.append", "audio": "%"},
    )
    async with house.call() as caller:
        await caller.hear()
        for frame in refused:
            await caller.send(frame)
            await caller.error()
        await caller.send({"type": "input_audio_buffer.clear"})
        assert (await caller.hear())["type"] == "input_audio_buffer.cleared"


@rule("K-234", broken_by=put("response.done", "response.status_details.error.type", "x"))
@rule("K-234", broken_by=drop("response.done", nth=2))
async def test_a_model_that_fails_costs_its_response_and_not_the_session(house: House) -> None:
    async with house.call() as caller:
        await caller.hear()
        await caller.say("fail")
        await caller.send({"type": "response.create"})
        failed = (await caller.until("response.done"))["response"]
        assert failed["status"] == "failed"
        assert failed["status_details"]["error"]["type"] == "server_error"
        await caller.say("Hello.")
        await caller.send({"type": "response.create"})
        assert (await caller.until("response.done"))["response"]["status"] == "completed"


class Crashing(ScriptedEngine):
    """An engine with a bug: asked for an answer, its events raise."""

    def __init__(self) -> None:
        super().__init__(lambda command: () if isinstance(command, engine.Generate) else echo(command))

    def ask(self, command: engine.EngineCommand) -> None:
        super().ask(command)
        if isinstance(command, engine.Generate):
            self.crash(ValueError("a secret of the engine"))


@rule("K-234", broken_by=drop("error"))
@rule("K-234", broken_by=put("error", "error.type", "invalid_request_error"))
async def test_a_bug_is_told_as_the_servers_and_says_nothing_of_itself(opening: Opener) -> None:
    async with opening(engine=Crashing) as house:
        async with house.call() as caller:
            await caller.hear()
            await caller.send({"type": "response.create"})
            told = (await caller.until("error"))["error"]
            assert told["type"] == "server_error"
            assert "secret" not in json.dumps(caller.frames)
            assert (await caller.closed())[0] == 1011
        async with house.call() as caller:
            assert (await caller.hear())["type"] == "session.created"


@rule("K-235", broken_by=closing(1000, "Your session hit the maximum duration of 0 minutes."))
@rule("K-235", broken_by=put("error", "error.code", "server_error"))
@rule("K-235", broken_by=drop("error"))
async def test_a_session_that_is_too_old_is_told_so_and_closed(opening: Opener) -> None:
    async with opening(session_minutes=0.005) as house, house.call() as caller:
        await caller.hear()
        told = await caller.error()
        assert told["code"] == "session_expired"
        assert await caller.closed() == (1001, told["message"])


@rule("K-236", broken_by=closing(1000))
@rule("K-236", broken_by=closing(1006))
async def test_a_server_that_ends_says_that_it_goes(opening: Opener) -> None:
    async with opening() as house, house.call() as caller, house.call() as busy:
        await caller.hear()
        await busy.say("long")
        await busy.send({"type": "response.create"})
        await busy.until("response.created")
        house.server.leave.set()
        assert {await caller.gone(), await busy.gone()} <= {1001, 1012}
