"""`kaiwa call`: a scripted caller, or many. Knows options, whom to call and where its rows are."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidURI

from kaiwa.cli.local_server import ServerProcess
from kaiwa.cli.serving import read_settings
from kaiwa.errors import ConfigError
from kaiwa.testing.callers import (
    Check,
    LoadReport,
    Performance,
    Scenario,
    ScenarioCaller,
    Sounds,
    judge,
    render,
    run_load,
)
from kaiwa.testing.callers.improvising import ModelCaller
from kaiwa.testing.callers.judging import Row
from kaiwa.testing.callers.performance import Improviser
from kaiwa.testing.callers.reservations import reservations
from kaiwa.testing.callers.scenario import Step
from kaiwa.testing.callers.sounds import Speech
from kaiwa.testing.voice_client import Observer
from kaiwa.upstream.chat import ChatCompletions
from kaiwa.upstream.endpoint import ChatEndpoint, azure_v1, openai_compatible

_NOBODY = (OSError, InvalidHandshake, InvalidMessage)


@dataclass(frozen=True, slots=True)
class CallOptions:
    """`url` None: a server of our own with the scenario's agent and a fresh database."""

    scenario: Scenario
    url: str | None
    key: str | None
    database: str | None
    pace: float
    model: str | None
    model_url: str | None
    wav: Path | None


@dataclass(frozen=True, slots=True)
class Watching:
    """Who is told of one call while it runs."""

    observer: Observer | None = None
    on_step: Callable[[float, Step, str], None] | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What is got ready once for any number of calls."""

    options: CallOptions
    url: str
    database: str | None
    sounds: Sounds
    speech: Speech
    model: ChatCompletions | None

    def caller(self, seed: int, watching: Watching) -> ScenarioCaller:
        options = self.options
        improviser: Improviser | None = None
        if self.model is not None:
            improviser = ModelCaller(self.model, self.speech, options.scenario)
        return ScenarioCaller(
            options.scenario,
            self.url,
            self.sounds,
            headers={"Authorization": f"Bearer {options.key}"} if options.key else None,
            pace=options.pace,
            observer=watching.observer,
            on_step=watching.on_step,
            improviser=improviser,
            seed=seed,
        )

    async def rows(self) -> dict[str, Row] | None:
        return await reservations(self.database) if self.database else None


async def one_call(options: CallOptions, watching: Watching) -> tuple[Performance, list[Check]]:
    """Make the call and judge it. Raises ConfigError when it cannot be tried."""
    async with _rehearsal(options) as rehearsal:
        before = await rehearsal.rows()
        try:
            done = await rehearsal.caller(options.scenario.seed, watching).run()
        except _NOBODY as nobody:
            raise _nobody_answers(rehearsal.url, nobody) from nobody
        after = await rehearsal.rows()
    if options.wav:
        await asyncio.to_thread(done.call.write_wav, options.wav)
    made = None if after is None else [row for number, row in after.items() if number not in (before or {})]
    return done, judge(options.scenario, done, made)


async def many_calls(
    options: CallOptions, callers: int, for_s: float, on_change: Callable[[LoadReport], None]
) -> LoadReport:
    """Let many call at once. Rows are not judged: whose is whose cannot be told. Raises ConfigError."""
    async with _rehearsal(options) as rehearsal:

        async def attempt(number: int) -> tuple[Performance, list[Check]]:
            done = await rehearsal.caller(options.scenario.seed + number, Watching()).run()
            return done, judge(options.scenario, done, None)

        return await run_load(attempt, callers, for_s, on_change)


@asynccontextmanager
async def _rehearsal(options: CallOptions) -> AsyncGenerator[Rehearsal]:
    speech = Speech()
    sounds = await asyncio.to_thread(render, options.scenario, speech)
    model = ChatCompletions(_endpoint(options)) if _improvises(options.scenario) else None
    try:
        async with _server(options) as (url, database):
            yield Rehearsal(options, url, database, sounds, speech, model)
    finally:
        if model is not None:
            await model.close()


@asynccontextmanager
async def _server(options: CallOptions) -> AsyncGenerator[tuple[str, str | None]]:
    if options.url is not None:
        yield options.url, options.database
        return
    with tempfile.TemporaryDirectory(prefix="kaiwa-call-") as folder:
        database = Path(folder) / "call.db"
        async with ServerProcess(options.scenario.agent, database) as server:
            yield server.url, str(database)


def _improvises(scenario: Scenario) -> bool:
    return any(step.improvise is not None for step in scenario.step)


def _endpoint(options: CallOptions) -> ChatEndpoint:
    """Return the caller's own model: that of the options, else one of the settings' Azure or OpenAI."""
    settings = read_settings()
    if options.model is None:
        raise ConfigError("--model", "the scenario improvises and no model is named.", "Name a chat model.")
    azure_key, openai_key = settings.azure_openai_api_key, settings.openai_api_key
    if options.model_url is None and settings.azure_openai_endpoint and azure_key:
        return azure_v1(settings.azure_openai_endpoint, options.model, azure_key.get_secret_value())
    key = openai_key.get_secret_value() if openai_key else None
    return openai_compatible(options.model_url or settings.openai_base_url, options.model, key)


def _nobody_answers(url: str, why: Exception) -> ConfigError:
    address = url.partition("?")[0]
    kind = "that is no address" if isinstance(why, InvalidURI) else type(why).__name__
    remedy = "Start `kaiwa serve`, or leave URL out."
    return ConfigError("URL", f"nobody answers at {address} ({kind}).", remedy)
