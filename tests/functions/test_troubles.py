"""Each trouble that people ran into with such apps is told by its name, in English and Japanese."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.functions.conftest import DEPLOYED, ROOT, served

from kaiwa.cli.functions_serving import FunctionsOptions, serving_functions
from kaiwa.errors import ConfigError
from kaiwa.functions.manifest import check, read_app, warnings_of
from kaiwa.functions.process import find_libraries

TRIGGER = {"type": "httpTrigger", "direction": "in", "name": "req", "authLevel": "anonymous"}
HTTP = {"type": "http", "direction": "out", "name": "$return"}
SIGNALR = {"type": "signalR", "direction": "out", "name": "signalRMessages", "hubName": "chat"}
CODE = "import azure.functions as func\ndef main(req: func.HttpRequest) -> func.HttpResponse:\n    {}\n"
RETURNS = CODE.format('return func.HttpResponse("ok")')
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write an app with one function `f`; return its folder."""

    def written(
        *bindings: dict[str, Any],
        code: str = RETURNS,
        settings: dict[str, str] | None = None,
        raw: bytes = b"",
    ) -> Path:
        (tmp_path / "f").mkdir()
        (tmp_path / "host.json").write_text('{"version": "2.0"}')
        (tmp_path / "local.settings.json").write_text(json.dumps({"Values": settings or {}}))
        (tmp_path / "f/function.json").write_bytes(raw or json.dumps({"bindings": bindings}).encode())
        (tmp_path / "f/__init__.py").write_text(code)
        return tmp_path

    return written


def refused(folder: Path) -> str:
    app = read_app(folder)
    assert app.functions is not None
    with pytest.raises(ConfigError) as raised:
        for function in app.functions:
            check(function)
    return str(raised.value)


def test_an_empty_binding_name_tells_of_the_shell_that_ate_return(write: Write) -> None:
    said = refused(write(TRIGGER, {**HTTP, "name": ""}))
    assert "binding name is invalid" in said
    assert "<<'EOF'" in said
    assert "シェルが変数として展開しました" in said


def test_what_a_here_string_left_of_return_is_no_name(write: Write) -> None:
    assert "'$' is no binding name" in refused(write(TRIGGER, {**HTTP, "name": "$"}))


def test_a_signalr_output_named_return_is_told_where_to_go(write: Write) -> None:
    said = refused(write(TRIGGER, {**SIGNALR, "name": "$return"}))
    assert "Name it signalRMessages" in said
    assert "$return は http に使ってください" in said


def test_two_bindings_of_one_name_are_told(write: Write) -> None:
    said = refused(write(TRIGGER, HTTP, {**HTTP}))
    assert "two bindings are named '$return'" in said
    assert "重複" in said


def test_a_missing_http_output_and_a_placeholder_are_told_at_the_start(write: Write) -> None:
    app = read_app(write(TRIGGER, settings={"AZURE_OPENAI_KEY": "<key>"}))
    assert app.functions is not None
    output, setting = warnings_of(app.functions, app.local.values)
    assert "unable to encode TypedData" in output.english
    assert '"name": "$return"' in output.japanese
    assert "AZURE_OPENAI_KEY" in setting.japanese


def test_files_that_powershell_wrote_are_read(write: Write) -> None:
    text = json.dumps({"bindings": [TRIGGER, HTTP]})
    app = read_app(write(raw=text.encode("utf-16")))
    assert app.functions is not None
    assert [each.name for each in app.functions[0].bindings] == ["req", "$return"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("host.json", '{"version": "1.0"}', "2.0"),
        ("host.json", '{"version": "2.0", "functionTimeout": "5m"}', "hh:mm:ss"),
        (
            "host.json",
            '{"version": "2.0", "extensions": {"http": {"maxConcurrentRequests": 0}}}',
            "above zero",
        ),
        ("local.settings.json", '{"IsEncrypted": true}', "settings decrypt"),
        ("local.settings.json", "{", "no JSON"),
        ("f/function.json", "{}", "no array `bindings`"),
        ("f/function.json", '{"scriptFile": "x.py", "bindings": []}', "x.py"),
    ],
)
def test_a_file_that_cannot_be_followed_is_named(write: Write, name: str, text: str, words: str) -> None:
    folder = write(TRIGGER, HTTP)
    (folder / name).write_text(text)
    with pytest.raises(ConfigError) as raised:
        read_app(folder)
    assert words in str(raised.value)
    assert name in str(raised.value)


def test_without_the_workers_code_the_way_to_get_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        find_libraries(tmp_path)
    assert "scripts/setup-functions.sh" in str(raised.value)
    assert "--ignore-requires-python" in str(raised.value)


async def error_of(app: Path) -> tuple[int, dict[str, str]]:
    async with (
        served(app) as running,
        aiohttp.ClientSession() as client,
        client.get(f"{running.url}/api/f") as answer,
    ):
        return answer.status, (await answer.json())["error"]


async def test_what_does_not_exist_in_the_library_is_told_at_the_start(write: Write) -> None:
    code = (
        "import azure.functions as func\ndef main(req, signalRMessages: func.Out[func.SignalRMessage]): ...\n"
    )
    with pytest.raises(ConfigError) as raised:
        async with served(write(TRIGGER, SIGNALR, HTTP, code=code)):
            pytest.fail("it was served")
    assert "func.Out[str]" in str(raised.value)
    assert "SignalRMessage はありません" in str(raised.value)


QUEUE = {"type": "queue", "direction": "out", "name": "$return"}


@pytest.mark.parametrize("bindings", [(TRIGGER,), (TRIGGER, QUEUE)], ids=["none", "another"])
async def test_a_response_without_an_http_output_is_told_to_the_caller(
    write: Write, bindings: tuple[dict[str, Any], ...]
) -> None:
    code = 'import azure.functions as func\ndef main(req):\n    return func.HttpResponse("ok")\n'
    status, error = await error_of(write(*bindings, code=code))
    assert (status, error["code"]) == (500, "no_http_output")
    assert '"type": "http"' in error["message_ja"]


async def test_a_function_that_cannot_be_loaded_leaves_the_others_alone(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write(TRIGGER, HTTP, code="import nothing_of_the_kind\ndef main(req): ...\n")
    (folder / "good").mkdir()
    (folder / "good/function.json").write_text(json.dumps({"bindings": [TRIGGER, HTTP]}))
    (folder / "good/__init__.py").write_text(RETURNS)
    with caplog.at_level(logging.WARNING, "kaiwa.functions"):
        async with served(folder) as running, aiohttp.ClientSession() as client:
            async with client.get(f"{running.url}/api/f") as answer:
                assert (await answer.json())["error"]["code"] == "module_missing"
            async with client.get(f"{running.url}/api/good") as answer:
                assert await answer.text() == "ok"
    assert "nothing_of_the_kind" in caplog.text


async def test_storage_is_missed_only_by_what_needs_it(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    timer = {"type": "timerTrigger", "direction": "in", "name": "req", "schedule": "0 * * * * *"}
    folder = write(
        timer,
        code="def main(req) -> None: ...\n",
        settings={"AzureWebJobsStorage": "UseDevelopmentStorage=true"},
    )
    async with served(folder):
        assert "npx azurite" in caplog.text
        assert "'timerTrigger' is not run here" in caplog.text
    caplog.clear()
    (folder / "f/function.json").write_text(json.dumps({"bindings": [TRIGGER, HTTP]}))
    (folder / "f/__init__.py").write_text(RETURNS)
    async with served(folder):
        assert "azurite" not in caplog.text


@pytest.mark.clients
async def test_a_base_url_of_another_port_is_told(caplog: pytest.LogCaptureFixture) -> None:
    options = FunctionsOptions(DEPLOYED / "v1", port=0, libraries=ROOT / ".funcs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FUNCTIONS_BASE_URL", "http://localhost:7082")
        async with serving_functions(options):
            assert "FUNCTIONS_BASE_URL names another port" in caplog.text


async def test_another_language_is_refused(write: Write) -> None:
    folder = write(TRIGGER, HTTP, settings={"FUNCTIONS_WORKER_RUNTIME": "node"})
    with pytest.raises(ConfigError, match="runs Python only"):
        async with served(folder):
            pytest.fail("it was served")
