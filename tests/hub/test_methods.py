"""What clients may call, and what they are told when it cannot be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.contract.manifest import rule
from tests.hub.bending import Bend, other_options, other_words
from tests.hub.house import House, Room, bent, serving

from kaiwa.hub import DeclarationError, Hub, HubException, HubOptions, hub_name


class Desk(Room):
    async def add(self, a: int, b: int = 1) -> int:
        return a + b

    async def send_message(self, text: str) -> None: ...

    @hub_name("Renamed")
    async def by_another_name(self) -> str:
        return "renamed"

    async def refuse(self) -> None:
        raise HubException("not today")

    async def break_down(self) -> None:
        raise ValueError("a secret")

    async def unspeakable(self) -> object:
        return object()

    async def count(self, most: int) -> AsyncIterator[int]:
        for number in range(most):
            yield number
        if most == 2:
            raise ValueError("a secret")

    async def _hidden(self) -> None: ...


async def _answers(bend: Bend | None, *calls: dict[str, Any], **options: Any) -> list[Any]:
    """Return the last message that each of these calls brought."""
    bend = bend or Bend()
    hub = Desk(bend.options(HubOptions(**options)))
    async with serving(bent(hub, bend)) as port, hub.running(), House(hub, port, bend).socket() as socket:
        await socket.hello()
        answers: list[Any] = []
        for call in calls:
            await socket.send(**call)
            while (message := await socket.record())["type"] == 2:
                pass
            answers.append(message)
        return answers


def _call(target: str, *arguments: Any, kind: int = 1) -> dict[str, Any]:
    return {"type": kind, "invocationId": "7", "target": target, "arguments": list(arguments)}


async def test_names_are_found_whatever_their_case_and_underscores() -> None:
    calls = [_call("ADD", 1, 2), _call("sendMessage", "hi"), _call("renamed"), _call("add", 1)]
    answers = await _answers(None, *calls)

    assert [answer.get("result", "void") for answer in answers] == [3, "void", "renamed", 2]


@rule("S-35", broken_by=other_words(b"Failed to invoke", b"Could not invoke"))
@rule("S-36", broken_by=other_options(detailed_errors=True))
@rule("S-37", broken_by=other_words(b"streaming", b"flowing"))
async def test_a_refused_call_is_answered_in_words_that_clients_know(planted: Bend | None) -> None:
    calls = [
        _call("nope"),
        _call("_hidden"),
        _call("on_connected"),
        _call("add"),
        _call("add", "one", "two"),
        _call("break_down"),
        _call("refuse"),
        _call("unspeakable"),
        _call("count", 1),
        _call("add", 1, 2, kind=4),
    ]
    answers = await _answers(planted, *calls)

    invoking = "An unexpected error occurred invoking '{}' on the server."
    streaming = "The client attempted to invoke the {}streaming '{}' method with a {}streaming invocation."
    assert [answer.get("error") for answer in answers] == [
        "Unknown hub method 'nope'",
        "Unknown hub method '_hidden'",
        "Unknown hub method 'on_connected'",
        "Failed to invoke 'add' due to an error on the server.",
        "Failed to invoke 'add' due to an error on the server.",
        invoking.format("break_down"),
        invoking.format("refuse") + " HubException: not today",
        invoking.format("unspeakable"),
        streaming.format("", "count", "non-"),
        streaming.format("non-", "add", ""),
    ]


async def test_details_are_told_where_the_operator_allows_it() -> None:
    calls = [_call("add"), _call("break_down"), _call("count", 2, kind=4)]
    answers = await _answers(None, *calls, detailed_errors=True)

    failed = "Failed to invoke 'add' due to an error on the server. InvalidDataException: "
    assert [answer["error"] for answer in answers] == [
        failed + "Invocation provides 0 argument(s) but target expects 2.",
        "An unexpected error occurred invoking 'break_down' on the server. ValueError: a secret",
        "An error occurred on the server while streaming results. ValueError: a secret",
    ]


def test_a_method_that_no_client_could_call_is_refused_at_once() -> None:
    class Twins(Hub):
        async def say_it(self) -> None: ...

        async def sayIt(self) -> None: ...

    class Named(Hub):
        async def say(self, *, loudly: bool) -> None: ...

    for hub in (Twins, Named):
        with pytest.raises(DeclarationError):
            hub()
    with pytest.raises(DeclarationError, match="would hide"):
        type("Hides", (Hub,), {"groups": None})


def test_there_is_no_caller_outside_of_a_call() -> None:
    with pytest.raises(LookupError, match="only in a method"):
        _ = Desk(HubOptions()).clients.caller
