"""Whatever frames arrive, in whatever order: no crash, no silence, and only what the protocol allows."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.fuzz.budget import hold
from tests.fuzz.exchange import LOST, Binary, Frame, check, exchange
from tests.fuzz.frames import bodies, known_types, sequences
from tests.fuzz.house import House, open_house

from kaiwa.protocol.realtime.dialects import Dialect

# A failure with a huge frame shall be shown, not the warning about showing it.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
TOO_BIG = 1009
# Examples and, on a slow machine, seconds.
BUDGETS: dict[Dialect, tuple[int, float]] = {
    "ga": (700, 8),
    "preview": (400, 5),
    "preview-2024-10-01": (150, 3),
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("fuzz")) as house:
        yield house


@pytest.mark.parametrize("dialect", BUDGETS)
def test_every_correct_event_is_taken(house: House, dialect: Dialect) -> None:
    """Otherwise the mutations would start from garbage and find nothing."""
    frames = [json.dumps(body) for body in bodies(dialect)]
    outcome = check(house, dialect, frames, known_types(dialect))
    unread = [
        event["error"]
        for event in outcome.events
        if event["type"] == "error"
        and event["error"]["code"] in ("invalid_json", "invalid_event", "invalid_type", "unknown_parameter")
    ]
    assert unread == []


@pytest.mark.parametrize("dialect", BUDGETS)
def test_any_frames_in_any_order_are_answered_as_the_protocol_says(house: House, dialect: Dialect) -> None:
    known, (count, seconds) = known_types(dialect), BUDGETS[dialect]
    hold(
        lambda frames: check(house, dialect, frames, known),
        sequences(dialect),
        count=count,
        seconds=seconds,
    )


@pytest.mark.parametrize("frame", ["x" * 26_000_000, Binary(bytes(26_000_000))])
def test_a_frame_beyond_every_measure_is_a_close_and_not_a_silence(house: House, frame: Frame) -> None:
    outcome = house.run(exchange(house.port, "ga", [frame]))
    assert (outcome.ended, house.complained()) == ("closed", [])
    assert outcome.close_code in (TOO_BIG, LOST)
