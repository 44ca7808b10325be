"""Settings are read once, and a wrong one is named in a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kaiwa.cli.serving import read_settings
from kaiwa.errors import ConfigError
from kaiwa.server.models import chat_model_name
from kaiwa.server.settings import Settings
from kaiwa.server.upstream_pool import UpstreamPool
from kaiwa.upstream.pool.deployment import CHAT, Deployment

AZURE = {
    "AZURE_OPENAI_ENDPOINT": "https://house.openai.azure.com",
    "AZURE_OPENAI_API_KEY": "key-of-azure",
    "AZURE_OPENAI_CHAT_DEPLOYMENT": "my-chat",
}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("KAIWA_", "AZURE_OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def given(monkeypatch: pytest.MonkeyPatch, names: dict[str, str]) -> None:
    for name, value in names.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "desk.example"])
def test_listening_beyond_this_machine_needs_a_key(host: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_settings(host=host)
    assert error.value.setting == "KAIWA_HOST"
    assert "KAIWA_API_KEY" in str(error.value)
    assert read_settings(host=host, api_key="k").host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_this_machine_alone_needs_no_key(host: str) -> None:
    assert read_settings(host=host).api_key is None


@pytest.mark.parametrize(
    ("name", "value"), [("KAIWA_PORT", "eighty"), ("KAIWA_PORT", "70000"), ("KAIWA_MAX_SESSIONS", "0")]
)
def test_a_wrong_value_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    given(monkeypatch, {name: value})
    with pytest.raises(ConfigError) as error:
        read_settings()
    assert name.removeprefix("KAIWA_").lower() in str(error.value).lower()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "https://a.example,https://b.example",
        "https://a.example, https://b.example",
        '["https://a.example","https://b.example"]',
    ],
)
def test_allowed_origins_are_a_list_with_commas_or_json(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    given(monkeypatch, {"KAIWA_ALLOWED_ORIGINS": text})
    assert read_settings().allowed_origins == ("https://a.example", "https://b.example")


def test_an_option_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, {"KAIWA_PORT": "1111"})
    assert read_settings().port == 1111
    assert read_settings(port=2222).port == 2222


def speaking(settings: Settings) -> tuple[str | None, list[Deployment]]:
    """Return the model that agents speak with, and the deployments that serve it."""
    pool = UpstreamPool(settings).pool
    return chat_model_name(settings, pool), [member.deployment for member in pool.members]


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, AZURE | {"KAIWA_API_KEY": "key-of-house", "KAIWA_CHAT_API_KEY": "key-of-chat"})
    settings = read_settings()
    shown = repr(settings) + str(settings) + settings.model_dump_json() + repr(speaking(settings))
    assert "key-of" not in shown


def test_without_a_chat_endpoint_the_embedded_engine_answers() -> None:
    assert speaking(read_settings()) == (None, [])


def test_the_known_azure_names_choose_the_azure_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, AZURE)
    model, (deployment,) = speaking(read_settings())
    assert model == "my-chat"
    target = deployment.target(CHAT, "my-chat")
    assert (target.origin.host, target.path) == ("house.openai.azure.com", "/openai/v1/chat/completions")


def test_an_api_version_chooses_the_deployment_address(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, AZURE | {"AZURE_OPENAI_API_VERSION": "2024-10-21"})
    _, (deployment,) = speaking(read_settings())
    path = deployment.target(CHAT, "my-chat").path
    assert path == "/openai/deployments/my-chat/chat/completions?api-version=2024-10-21"


def test_an_azure_endpoint_is_told_that_it_lacks_a_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = "AZURE_OPENAI_CHAT_DEPLOYMENT"
    given(monkeypatch, {name: value for name, value in AZURE.items() if name != missing})
    with pytest.raises(ConfigError) as error:
        speaking(read_settings())
    assert error.value.setting == missing


def test_any_compatible_endpoint_is_taken_before_azure(monkeypatch: pytest.MonkeyPatch) -> None:
    given(
        monkeypatch, AZURE | {"KAIWA_CHAT_BASE_URL": "http://127.0.0.1:11434/v1", "KAIWA_CHAT_MODEL": "qwen"}
    )
    model, (deployment,) = speaking(read_settings())
    assert model == "qwen"
    assert deployment.target(CHAT, "qwen").origin.host == "127.0.0.1"


def test_of_several_models_agents_speak_with_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = '[{"name": "a", "base_url": "http://127.0.0.1:1/v1", "models": ["small", "large"]}]'
    given(monkeypatch, {"KAIWA_UPSTREAMS": pool})
    assert speaking(read_settings())[0] == "small"
    given(monkeypatch, {"KAIWA_CHAT_MODEL": "large"})
    assert speaking(read_settings())[0] == "large"
    given(monkeypatch, {"KAIWA_CHAT_MODEL": "huge"})
    with pytest.raises(ConfigError, match="KAIWA_CHAT_MODEL"):
        speaking(read_settings())
