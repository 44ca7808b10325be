"""The list of faults is one: every name has a scenario that exists, the page shows it, and who asks must be in a test."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest
from tests.faults.house import House
from tests.faults.page import PAGE, with_tables
from typer.testing import CliRunner
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from kaiwa import cli
from kaiwa.cli.disturbing import disturber_for
from kaiwa.errors import ConfigError
from kaiwa.server.app import create_app
from kaiwa.server.settings import Settings
from kaiwa.testing.faults import FAULTS, Strikes, parse_choices
from kaiwa.testing.faults.kinds import PLACES
from kaiwa.testing.service.faults import Faults, parse_faults


def test_every_fault_has_a_scenario_that_exists() -> None:
    assert {fault.place for fault in FAULTS} == set(PLACES)
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    for fault in FAULTS:
        file, _, name = fault.scenario.partition("::")
        text = (Path(__file__).parent / file).read_text(encoding="utf-8")
        assert f"async def {name}(" in text, fault.name
        assert fault.name in text, f"{fault.scenario} does not try {fault.name}"


def test_the_page_shows_the_list() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_tables(page) == page, "write it: python -m tests.faults.page"


def test_the_command_prints_the_list() -> None:
    printed = CliRunner().invoke(cli.app, ["faults", "--lang", "ja"]).stdout
    document = json.loads(CliRunner().invoke(cli.app, ["faults", "--json"]).stdout)
    assert [one["name"] for one in document] == [fault.name for fault in FAULTS]
    assert all(fault.name in printed for fault in FAULTS)


def test_the_stand_in_knows_the_faults_that_it_plays_by_their_names() -> None:
    for fault in FAULTS:
        if fault.player == "service":
            assert parse_faults(fault.name) != Faults(), fault.name
    assert parse_faults("upstream-busy,retry_after_s=7") == Faults(http_status=429, retry_after_s=7)
    with pytest.raises(ValueError, match="not played by a service"):
        parse_faults("tool-crash")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("tool-crush", "there is no fault 'tool-crush'"),
        ("tool-slow;for_m=3", "no parameter 'for_m'; there are: for_s, tool, at, times"),
        ("tool-slow;for_s=long", "for_s of tool-slow is a number"),
        (",".join(["tool-crash"] * 33), "more than 32"),
    ],
)
def test_a_wrong_choice_is_named(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        parse_choices(text)


def test_a_fault_strikes_the_occasions_it_was_told() -> None:
    strikes = Strikes(parse_choices("tool-crash;at=2;times=2;tool=book,peer-garbage;times=0"))
    struck = [
        strikes.due("tool-crash", tool=name) is not None for name in ("book", "look", "book", "book", "book")
    ]
    assert struck == [False, False, True, True, False]
    assert all(strikes.due("peer-garbage") for _ in range(5))
    assert strikes.due("tool-hang", tool="book") is None


def test_faults_need_test_mode_and_test_mode_somebody_who_brings_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="test mode is off"):
        Settings(test_faults="tool-crash", host="0.0.0.0", api_key="key")  # type: ignore[call-arg]
    usual = Settings(database=tmp_path / "desk.db")  # type: ignore[call-arg]
    assert disturber_for(usual) is None
    testing = usual.model_copy(update={"test_mode": True, "host": "0.0.0.0"})
    with pytest.raises(ConfigError, match="brings no faults"):
        create_app(testing)
    assert disturber_for(testing) is not None
    assert "TEST MODE" in (told := capsys.readouterr().err) and "0.0.0.0" in told
    with pytest.raises(ConfigError, match="there is no fault"):
        disturber_for(testing.model_copy(update={"test_faults": "tool-crush"}))


@pytest.mark.asyncio(loop_scope="package")
async def test_who_asks_for_no_fault_of_the_list_is_refused(house: House) -> None:
    headers = {"x-kaiwa-fault": "tool-crush"}
    async with (
        aiohttp.ClientSession(house.address, headers=headers) as web,
        web.get("/healthz") as answer,
    ):
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, "unknown_fault")
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"{house.address.replace('http', 'ws')}/v1/realtime?kaiwa_fault=webrtc-loss"):
            pass
    assert refused.value.response.status_code == 400
