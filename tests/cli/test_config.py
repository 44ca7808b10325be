"""`kaiwa config` shows what is in effect and what is wrong; a server that cannot start says the same."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kaiwa import cli
from kaiwa.server.settings import Settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.upper().startswith(("KAIWA_", "AZURE", "OPENAI")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str, **environment: str) -> Result:
    return CliRunner().invoke(cli.app, list(words), env=environment)


def test_what_is_set_is_shown_with_its_place_and_secrets_are_masked(folder: Path) -> None:
    (folder / "kaiwa.toml").write_text('api_key = "hush"\nmax_sessions = 3\n')
    done = run("config", "show", KAIWA_MAX_SESSIONS="5")
    assert done.exit_code == 0 and "hush" not in done.stdout
    lines = {line.split()[0]: line for line in done.stdout.splitlines()[1:]}
    assert set(lines) == {"KAIWA_API_KEY", "KAIWA_MAX_SESSIONS"}
    assert "••••••••" in lines["KAIWA_API_KEY"] and "kaiwa.toml:1 api_key" in lines["KAIWA_API_KEY"]
    assert "5" in lines["KAIWA_MAX_SESSIONS"] and "over kaiwa.toml:2" in lines["KAIWA_MAX_SESSIONS"]


def test_every_setting_is_shown_to_programs(folder: Path) -> None:
    (folder / "other.toml").write_text("port = 9\n")
    done = run("config", "show", "--all", "--json", "--config", str(folder / "other.toml"))
    document = json.loads(done.stdout)
    settings = {one["setting"]: one for one in document["settings"]}
    assert document["version"] == 1 and set(settings) == set(Settings.model_fields)
    assert settings["port"]["value"] == 9 and settings["port"]["place"] == "file"
    assert settings["host"] == {
        "name": "KAIWA_HOST",
        "setting": "host",
        "value": "127.0.0.1",
        "place": "default",
        "origin": "default",
        "live": False,
        "hidden": [],
    }


def test_a_good_configuration_is_said_to_be_good() -> None:
    done = run("config", "check", KAIWA_PORT="0")
    assert done.exit_code == 0 and "設定に問題はありません" in done.stdout


def test_everything_that_is_wrong_is_said_in_both_languages(folder: Path) -> None:
    (folder / "kaiwa.toml").write_text('host = "0.0.0.0"\nprot = 1\n')
    done = run("config", "check", KAIWA_LOG_LEVEL="loud")
    assert done.exit_code == 1
    for part in (
        "kaiwa.toml:2 prot",
        "Did you mean port?",
        "port のことですか",
        "KAIWA_LOG_LEVEL (environment)",
        "debug、info、warning、error のいずれか",
        "no key is set",
        "鍵が設定されていません",
    ):
        assert part in done.stderr


def test_findings_are_given_to_programs_with_path_and_line(folder: Path) -> None:
    (folder / "kaiwa.toml").write_text("\nmax_sessions = 0\n")
    done = run("config", "check", "--json", KAIWA_PROT="x")
    document = json.loads(done.stdout)
    assert (done.exit_code, document["ok"]) == (1, False)
    found = {one["setting"]: (one["weight"], one["path"], one["line"]) for one in document["findings"]}
    assert found == {
        "KAIWA_PROT": ("warning", None, None),
        "KAIWA_MAX_SESSIONS": ("failure", "kaiwa.toml", 2),
    }


def test_parts_of_the_house_are_checked_too(folder: Path) -> None:
    done = run("config", "check", KAIWA_POLICY="none.toml", KAIWA_AGENT="nobody")
    assert done.exit_code == 1
    assert "none.toml cannot be read" in done.stderr and "names no agent" in done.stderr


def test_a_file_is_begun_and_never_written_over_unasked(folder: Path) -> None:
    assert run("config", "init").exit_code == 0
    written = (folder / "kaiwa.toml").read_text()
    assert tomllib.loads(written) == {} and "#max_sessions = 64" in written
    (folder / "kaiwa.toml").write_text("port = 1\n")
    refused = run("config", "init")
    assert refused.exit_code != 0 and "is there already" in str(refused.exception)
    assert (folder / "kaiwa.toml").read_text() == "port = 1\n"
    assert run("config", "init", "--force").exit_code == 0
    assert (folder / "kaiwa.toml").read_text() == written


def test_a_server_does_not_start_and_says_everything_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "kaiwa.toml").write_text('port = "eighty"\nprot = 1\n')
    monkeypatch.setattr("sys.argv", ["kaiwa", "serve"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert "2 settings are wrong" in said and "kaiwa.toml:1" in said and "kaiwa.toml:2" in said
    assert "0 以上、65535 以下の整数" in said and "port のことですか" in said
