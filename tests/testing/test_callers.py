"""Simulated callers against the stand-in: steps, what is judged, many at once, and the command."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from tests.server.running import at_home, running

from kaiwa.cli.call import CallOptions, Watching, one_call
from kaiwa.errors import ConfigError
from kaiwa.testing.callers import Check, Performance, ScenarioCaller, judge, render, run_load
from kaiwa.testing.callers.dialling import Dialling
from kaiwa.testing.callers.improvising import ModelCaller
from kaiwa.testing.callers.judging import failed
from kaiwa.testing.callers.report import as_junit
from kaiwa.testing.callers.scenario import Line, Scenario, read_scenario
from kaiwa.testing.callers.wire import SimulatedWire
from kaiwa.testing.faults.house import TestHouse
from kaiwa.testing.service import Faults, Rule, Say, Script, Service, running_service
from kaiwa.upstream.chat import ChatCompletions
from kaiwa.upstream.endpoint import openai_compatible

PACE = 4.0

TYPED = """
name = "typed"
agent = "gpt-realtime"

[tools]
find_cars = "two cars are free"

[[step]]
id = "ask"
write = "call find_cars {\\"day\\": \\"2026-11-28\\", \\"size\\": \\"small\\"}"

[[step]]
write = "thank you"

[expect]
says = ["two cars", "thank you"]

[expect.times]
first_text_ms = 5000

[[expect.tool]]
name = "find_cars"
after = "ask"
times = 1

[expect.tool.arguments]
day = { is = "like", pattern = "^2026-" }
size = "small"
"""


class Tone:
    """A voice for the stand-in, which hears by level: 60 ms a character."""

    def speak(self, text: str, **how: Any) -> Iterator[bytes]:
        samples = np.sin(np.arange(24_000 * 60 * len(text) // 1000) / 8) * 9000
        yield samples.astype("<i2").tobytes()


def scenario_of(text: str) -> Scenario:
    return read_scenario(text, Path("test.toml"))


async def perform(
    text: str, service: Service, pace: float = PACE, **options: Any
) -> tuple[Performance, list[Check]]:
    scenario = scenario_of(text)
    headers = {"Authorization": f"Bearer {service.key}"}
    sounds = render(scenario, Tone())
    caller = ScenarioCaller(scenario, service.realtime_url(), sounds, headers=headers, pace=pace, **options)
    async with asyncio.timeout(30):
        done = await caller.run()
    return done, judge(scenario, done, None)


def found(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.found for check in failed(checks)}


async def test_a_typed_scenario_is_done_and_every_expectation_judged(service: Service) -> None:
    done, checks = await perform(TYPED, service)
    assert found(checks) == {}
    assert [check.name for check in checks] == [
        "turns", "tool find_cars", "says", "says", "first text", "errors"
    ]  # fmt: skip
    assert [turn.reply for turn in done.call.turns] == ["The tool said: two cars are free", "thank you"]


@pytest.mark.parametrize(
    ("change", "name", "told"),
    [
        (('size = "small"', 'size = "large"'), "tool find_cars", "size was 'small'"),
        (("times = 1", "times = 2"), "tool find_cars", "called 1 times"),
        (('name = "find_cars"', 'name = "book"'), "tool book", "not called, but find_cars"),
        (('"thank you"]', '"goodbye"]'), "says", "The tool said: two cars are free / thank you"),
        (("first_text_ms = 5000", "first_text_ms = 0"), "first text", "ms at most, of 2"),
        (('write = "thank you"', 'write = "fail server_error"'), "turns", "no answer to 2"),
        (("[expect]", "[expect]\nno_tools = true"), "tools", "find_cars"),
    ],
)
async def test_what_is_not_as_wanted_is_told(
    service: Service, change: tuple[str, str], name: str, told: str
) -> None:
    text = TYPED.replace(*change).replace("[expect]", "[caller]\nreply_timeout_s = 1\n[expect]")
    _, checks = await perform(text, service)
    assert told in found(checks)[name]


async def test_an_error_event_fails_the_call_unless_it_is_allowed(service: Service) -> None:
    text = TYPED + "\n[session]\nnonsense = true\n"
    _, checks = await perform(text, service)
    assert "unknown_parameter" in found(checks)["errors"]
    allowed = text.replace("[expect]", '[expect]\nerrors = ["unknown_parameter"]')
    _, checks = await perform(allowed, service)
    assert "errors" not in found(checks)


SPOKEN = """
name = "spoken"
agent = "gpt-realtime"

[caller]
turn_detection = "server_vad"

[[step]]
say = "tell me a long one"

[[step]]
backchannel = "mmmmmmmm"
after_ms = 300

[[step]]
say = "stop, please"
interrupt_after_ms = 900

[expect]
interrupted = 1
hears = ["long"]

[expect.times]
first_audio_ms = 60000
silence_after_interruption_ms = 60000
"""
LONG = Script(
    hears=("long", "stop", "and more"),
    rules=(
        Rule(pattern="long", answers=(Say(text="word " * 60),)),
        Rule(pattern=".*", answers=(Say(text="Yes."),)),
    ),
)


async def test_a_caller_whose_connection_breaks_comes_back_to_its_conversation(tmp_path: Path) -> None:
    text = TYPED.replace("[tools]", "[caller]\ncomes_back = true\n[tools]")
    scenario = scenario_of(text)
    settings = at_home(tmp_path, test_mode=True)
    async with running(settings, disturber=TestHouse()) as server:
        address = server.addresses[0].replace("http", "ws")
        url = f"{address}/v1/realtime?model=gpt-realtime&kaiwa_fault=network-cut;after=response.done"
        async with asyncio.timeout(30):
            done = await ScenarioCaller(scenario, url, {}).run()
    assert found(judge(scenario, done, None)) == {}
    assert done.connections == 2 and len(done.returns_ms) == 1


async def test_who_has_hung_up_does_not_come_back(tmp_path: Path) -> None:
    async with running(at_home(tmp_path)) as server:
        url = f"{server.addresses[0].replace('http', 'ws')}/v1/realtime?model=gpt-realtime"
        dialling = Dialling(url, {}, resumes=True)
        async with dialling.dialled():
            come_back = dialling.come_back
        assert come_back is not None
        assert await come_back("event_1") is None


async def test_a_spoken_scenario_cuts_in_and_the_silence_after_it_is_measured() -> None:
    text = SPOKEN.replace('[[step]]\nbackchannel = "mmmmmmmm"\nafter_ms = 300\n\n', "")
    async with running_service(LONG) as service:
        done, checks = await perform(text, service)
    assert found(checks) == {}
    assert [turn.reply for turn in done.call.turns][1] == "Yes."
    assert done.interruptions == 1
    assert done.silences_ms[0] > 0


async def test_a_small_word_into_the_agents_speech_is_no_turn_of_the_caller() -> None:
    """The stand-in, as the service does, takes it for an interruption: the check says so."""
    text = SPOKEN.replace('[[step]]\nsay = "stop, please"\ninterrupt_after_ms = 900\n\n', "")
    async with running_service(LONG) as service:
        done, checks = await perform(text.replace("interrupted = 1", "interrupted = 0"), service)
    assert [turn.text for turn in done.call.turns] == ["tell me a long one"]
    assert found(checks)["interrupted"] == "1"


async def test_a_caller_may_hang_up_in_mid_answer_and_may_dial_again(service: Service) -> None:
    text = """
name = "again"
[[step]]
write = "one"
[[step]]
reconnect = true
[[step]]
write = "two"
[[step]]
write = "long one"
[[step]]
hang_up = true
[expect]
answers_every_turn = false
says = ["two"]
"""
    done, checks = await perform(text, service)
    assert found(checks) == {}
    assert done.connections == 2
    assert len(service.sessions) == 2
    assert done.call.turns[-1].problem is None


async def test_a_server_that_goes_silent_ends_the_call_with_a_named_problem() -> None:
    text = TYPED.replace("[expect]", "[caller]\nreply_timeout_s = 1\n[expect]")
    async with running_service(faults=Faults(freeze_after="response.created")) as service:
        done, checks = await perform(text, service)
    assert "no answer to ask" in found(checks)["turns"]
    assert done.call.turns[0].problem


async def test_a_caller_whose_words_a_model_makes_up_talks_until_the_model_says_end() -> None:
    text = """
name = "improvised"
language = "en"
[caller]
turn_detection = "server_vad"
[[step]]
id = "talk"
improvise = { goal = "book a car", turns = 5 }
[expect]
says = ["Yes"]
"""
    lines = Script(
        rules=(
            Rule(pattern=".*Yes\\..*", answers=(Say(text="END"),)),
            Rule(pattern=".*", answers=(Say(text="A car, please."),)),
        )
    )
    answers = Script(rules=(Rule(pattern=".*", answers=(Say(text="Yes."),)),))
    async with running_service(lines) as model, running_service(answers) as service:
        client = ChatCompletions(openai_compatible(f"{model.url}/v1", "gpt-4o", model.key))
        improviser = ModelCaller(client, Tone(), scenario_of(text))
        done, checks = await perform(text, service, improviser=improviser)
        await client.close()
        async with running_service(faults=Faults(http_status=500)) as broken:
            client = ChatCompletions(openai_compatible(f"{broken.url}/v1", "gpt-4o", broken.key))
            improviser = ModelCaller(client, Tone(), scenario_of(text))
            _, without = await perform(text, service, improviser=improviser)
            await client.close()
    assert found(checks) == {}
    assert [(turn.line_id, turn.text) for turn in done.call.turns] == [("talk.1", "A car, please.")]
    assert "caller" in found(without)


# --- the line --------------------------------------------------------------------------------------


def test_a_line_is_the_same_for_the_same_seed_and_loses_and_delays_in_order() -> None:
    frames = [bytes([n % 256, 1]) * 480 for n in range(1, 200)]

    def through(line: Line, seed: int) -> list[bytes]:
        wire = SimulatedWire(line, seed=seed)
        leaving = [frame for n, frame in enumerate(frames) for frame in wire(frame, n * 0.02)]
        return leaving + wire(bytes(960), 100.0)

    lossy = Line(loss=0.2, late_ms=100)
    assert through(lossy, 1) == through(lossy, 1) != through(lossy, 2)
    came = through(lossy, 1)
    lost = [n for n, frame in enumerate(came[:-1]) if not any(frame)]
    assert 20 < len(lost) < 60
    assert [frame for frame in came if any(frame)] == [f for n, f in enumerate(frames) if n not in lost]
    assert through(Line(), 1) == [*frames, bytes(960)]


@pytest.mark.parametrize("kind", ["white", "babble"])
def test_noise_has_the_level_that_was_asked_for(kind: str) -> None:
    wire = SimulatedWire(Line(noise=kind, noise_snr_db=20))
    sound = b"".join(frame for n in range(250) for frame in wire(bytes(960), n * 0.02))
    level = float(np.sqrt(np.mean(np.frombuffer(sound, "<i2").astype(float) ** 2)))
    assert level == pytest.approx(250, rel=0.05)  # 20 dB under a voice of 2500


# --- many ------------------------------------------------------------------------------------------


async def test_many_callers_are_counted_and_the_refused_ones_apart(service: Service) -> None:
    seen: list[int] = []

    async def attempt(number: int) -> tuple[Performance, list[Check]]:
        if number == 3:
            raise ConnectionRefusedError
        return await perform(TYPED if number else TYPED.replace('"two cars"', '"no cars"'), service)

    report = await run_load(attempt, 8, 0.0, lambda now: seen.append(now.talking))
    assert (report.calls, report.passed, report.refused) == (7, 6, 1)
    assert report.failures == {"says": 1}
    assert (report.turns, report.unanswered) == (14, 0)
    known = report.as_json()["percentiles"]["first_text_ms"]
    assert 0 < known["p50"] <= known["p95"] <= known["p99"] <= known["max"]
    assert max(seen) > 1
    assert seen[-1] == 0
    assert not report.ok


# --- the command -----------------------------------------------------------------------------------


async def kaiwa_call(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kaiwa", "call", *arguments]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)

    return await asyncio.to_thread(run)


async def test_the_command_judges_tells_and_ends_with_the_code_of_the_outcome(
    service: Service, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(TYPED.replace("times = 1", "times = 2"), encoding="utf-8")
    usual = (service.realtime_url(), "--key", service.key)
    junit = tmp_path / "out.xml"
    wrong = await kaiwa_call(*usual, "--scenario", str(bad), "--lang", "ja", "--junit", str(junit))
    assert wrong.returncode == 1, wrong
    assert "6件中1件が期待と異なります" in wrong.stdout
    suite = ElementTree.fromstring(junit.read_text(encoding="utf-8"))
    assert (suite.get("tests"), suite.get("failures")) == ("6", "1")


@pytest.mark.clients
async def test_the_command_lets_many_call_and_gives_percentiles(service: Service, tmp_path: Path) -> None:
    good = tmp_path / "good.toml"
    good.write_text(TYPED, encoding="utf-8")
    usual = (service.realtime_url(), "--key", service.key, "--scenario", str(good))
    whole = await kaiwa_call(*usual, "--json")
    assert whole.returncode == 0, whole
    document = json.loads(whole.stdout)
    assert document["ok"] and [tool["name"] for tool in document["tools"]] == ["find_cars"]
    load = await kaiwa_call(*usual, "--callers", "10", "--for", "3", "--json")
    assert load.returncode == 0, load
    document = json.loads(load.stdout)
    assert document["calls"] == document["passed"] >= 10
    assert document["percentiles"]["first_text_ms"]["p99"] > 0


async def test_that_nobody_answers_is_told_in_a_sentence() -> None:
    address = "ws://127.0.0.1:9/v1/realtime?model=x&api-key=secret"
    options = CallOptions(scenario_of(TYPED), address, None, None, 1.0, None, None, None)
    with pytest.raises(ConfigError, match=r"nobody answers at ws://127.0.0.1:9/v1/realtime \(") as told:
        await one_call(options, Watching())
    assert "secret" not in str(told.value)


@pytest.mark.clients
async def test_the_command_says_what_is_wrong_in_a_scenario(tmp_path: Path) -> None:
    typo = tmp_path / "typo.toml"
    typo.write_text(TYPED.replace("write", "wrote", 1), encoding="utf-8")
    wrong = await kaiwa_call("--scenario", str(typo))
    assert wrong.returncode == 2
    assert "typo.toml" in wrong.stderr and "line 10: Object contains unknown field `wrote`" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_a_check_that_could_not_be_seen_is_skipped_in_the_xml_and_fails_nothing() -> None:
    scenario = scenario_of(TYPED.replace("[expect]", "[expect]\nrows = 1\nanswers_every_turn = false"))
    checks = judge(scenario, Performance(), None)
    (rows,) = [check for check in checks if check.name == "rows"]
    assert rows.ok is None
    suite = ElementTree.fromstring(as_junit(scenario, Performance(), checks))
    assert suite.get("skipped") == "1"
