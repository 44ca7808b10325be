"""API keys: hashed at rest, found in constant time, ended at once; by the store and by the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kaiwa.cli import app
from kaiwa.errors import ConfigError
from kaiwa.policy.keys import KeyStore

NOW = 1_800_000_000.0


def test_a_key_opens_until_it_expires_or_is_revoked(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.json")
    key, record = store.create(NOW, label="desk", scopes=("chat",), lifetime_s=60)
    other, kept = store.create(NOW)
    assert store.find(key, NOW + 59) == record
    assert store.find(key, NOW + 60) is None
    assert store.find(other, NOW + 10**9) == kept
    store.revoke(kept.id, NOW + 1)
    assert store.find(other, NOW + 2) is None
    assert not store.is_good(kept.id, NOW + 2)


@pytest.mark.parametrize("wrong", ["", "kw_", "x", "{key}x", "kw_{id}_guess", "{head}", "ä" * 5000])
def test_nothing_like_a_key_opens(tmp_path: Path, wrong: str) -> None:
    store = KeyStore(tmp_path / "keys.json")
    key, record = store.create(NOW)
    assert store.find(wrong.format(key=key, id=record.id, head=key[:-1]), NOW) is None


def test_the_file_holds_no_key_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key, record = KeyStore(path).create(NOW, label="desk")
    text = path.read_text()
    assert record.id in text
    assert key not in text
    assert key.rpartition("_")[2] not in text
    assert path.stat().st_mode & 0o777 == 0o600
    assert record.digest not in repr(record)


def test_a_running_store_notices_what_another_process_changed(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    running, other = KeyStore(path), KeyStore(path)
    key, record = other.create(NOW)
    assert running.find(key, NOW) is not None
    other.revoke(record.id, NOW)
    assert running.find(key, NOW) is None
    path.write_text("{ half a file")
    assert running.find(key, NOW) is None, "a broken file changes nothing"
    with pytest.raises(ConfigError):
        KeyStore(path)


def test_keys_are_made_listed_and_revoked_at_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAIWA_KEYS", "k.json")
    run = CliRunner()
    made = run.invoke(app, ["keys", "create", "受付", "--scope", "chat", "--expires", "90d"])
    assert made.exit_code == 0, made.output
    key = made.stdout.strip()
    assert KeyStore(tmp_path / "k.json").find(key, NOW) is not None
    told = json.loads(run.invoke(app, ["keys", "list", "--json"]).stdout)
    assert [(entry["label"], entry["scopes"], entry["state"]) for entry in told] == [
        ("受付", ["chat"], "good")
    ]
    listed = run.invoke(app, ["keys", "list"]).stdout
    assert told[0]["id"] in listed
    assert key not in listed
    assert run.invoke(app, ["keys", "revoke", told[0]["id"]]).exit_code == 0
    assert json.loads(run.invoke(app, ["keys", "list", "--json"]).stdout)[0]["state"] == "revoked"
    assert isinstance(run.invoke(app, ["keys", "create", "--scope", "chatt"]).exception, ConfigError)
