"""A change that the service calls for waits for the caller's agreement in a relayed conversation too."""

from __future__ import annotations

from tests.relay.relay_desk import RelayDesk

from kaiwa.events.tools import ToolCall, ToolSpec
from kaiwa.session.relay.profile import RelayProfile

BOOK = ToolSpec(
    name="book",
    description="Book it.",
    parameters={"type": "object"},
    server=True,
    changes=True,
    confirm=True,
)


def desk_with_book() -> RelayDesk:
    return RelayDesk(profile=RelayProfile(session={"output_modalities": ["text"]}), tools=(BOOK,))


def called(desk: RelayDesk, arguments: str = '{"car":"A"}') -> ToolCall:
    """The service calls in its next response; the call settles."""
    desk.respond()
    desk.service.call("book", arguments)
    desk.service.end()
    desk.hear()
    call = desk.runs[-1].call
    desk.settle(call.call_id)
    return call


def read_back(desk: RelayDesk) -> None:
    """The service answers what it was told to read back; kaiwa has asked for that response."""
    desk.service.answer("Car A. Shall I book it?")
    desk.hear()


def test_the_same_call_after_the_read_back_and_a_turn_is_agreed_to_once() -> None:
    desk = desk_with_book()
    desk.say("Book car A")
    first = called(desk)
    read_back(desk)
    desk.say("Yes, please.")
    second = called(desk)
    read_back(desk)
    third = called(desk)

    assert [call.agreed for call in (first, second, third)] == [False, True, False]
    assert first.conversation_id == second.conversation_id != ""
    assert (first.turn, second.turn) == (1, 2)


def test_no_agreement_without_a_turn_or_for_other_arguments() -> None:
    silent = desk_with_book()
    silent.say("Book car A")
    called(silent)
    read_back(silent)
    assert not called(silent).agreed

    other = desk_with_book()
    other.say("Book car A")
    called(other)
    read_back(other)
    other.say("Yes")
    assert not called(other, '{"car":"B"}').agreed
