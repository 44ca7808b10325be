"""From settings to who answers: what is chosen, and what is told when it cannot be."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kaiwa.cli.serving import read_settings
from kaiwa.errors import ConfigError
from kaiwa.events.config import AudioInput, FunctionTool, SessionAudio, SessionConfig
from kaiwa.server.relay import RelayAnswerer, _wishes, check_relay, merged, relay_from
from kaiwa.server.settings import Settings

AZURE = {"azure_openai_endpoint": "https://me.openai.azure.com", "azure_openai_api_key": "k"}
DEPLOYED = AZURE | {"azure_openai_realtime_deployment": "voice"}


def answerer(**settings: Any) -> RelayAnswerer | None:
    return relay_from(Settings(_env_file=None, **settings))  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        AZURE,
        AZURE | {"azure_openai_chat_deployment": "chat"},
        {"openai_api_key": "sk"},
        DEPLOYED | {"engine": "local"},
    ],
)
def test_this_machine_answers(settings: dict[str, Any]) -> None:
    assert answerer(**settings) is None


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        (DEPLOYED, "wss://me.openai.azure.com/openai/v1/realtime?model=voice"),
        (
            AZURE | {"azure_openai_chat_deployment": "voice", "engine": "relay"},
            "wss://me.openai.azure.com/openai/v1/realtime?model=voice",
        ),
        (
            DEPLOYED | {"realtime_api_version": "2025-04-01-preview"},
            "wss://me.openai.azure.com/openai/realtime?api-version=2025-04-01-preview&deployment=voice",
        ),
        # The version of the chat path never forces the retired preview protocol.
        (
            DEPLOYED | {"azure_openai_api_version": "2025-04-01-preview"},
            "wss://me.openai.azure.com/openai/v1/realtime?model=voice",
        ),
        ({"openai_api_key": "sk", "engine": "relay"}, "wss://api.openai.com/v1/realtime?model=gpt-realtime"),
        (
            {"openai_api_key": "sk", "openai_base_url": "http://me:1/v1", "engine": "relay"},
            "ws://me:1/v1/realtime?model=gpt-realtime",
        ),
    ],
)
def test_a_service_answers(settings: dict[str, Any], url: str) -> None:
    chosen = answerer(**settings)
    assert chosen is not None
    assert [target.url("gpt-realtime") for target in chosen._upstreams.pool.targets] == [url]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"engine": "relay"}, "KAIWA_ENGINE"),
        (DEPLOYED | {"pinned": "instructions,taste"}, "KAIWA_PINNED"),
        (DEPLOYED | {"azure_openai_endpoint": "nowhere"}, "AZURE_OPENAI_ENDPOINT"),
        ({"realtime_upstreams": [{"endpoint": "https://a"}]}, "KAIWA_REALTIME_UPSTREAMS"),
        ({"realtime_upstreams": [{"base_url": "https://a/v1"}]}, "KAIWA_REALTIME_UPSTREAMS"),
        (
            {"realtime_upstreams": [{"name": "a", "base_url": "https://a/v1", "api_key": "k"}] * 2},
            "KAIWA_REALTIME_UPSTREAMS",
        ),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        answerer(**settings)
    assert wrong.value.setting == named


def test_upstreams_come_from_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "KAIWA_REALTIME_UPSTREAMS",
        '[{"name":"a","endpoint":"https://a","deployment":"v","api_key":"secret"}]',
    )
    monkeypatch.setenv("KAIWA_PINNED", "voice, tools")
    monkeypatch.setenv("KAIWA_RELAY_SESSION", '{"max_output_tokens":9}')
    settings = read_settings()
    assert settings.pinned == ("voice", "tools") and settings.relay_session == {"max_output_tokens": 9}
    assert settings.relayed_names == ("v",) and "secret" not in repr(settings)
    assert relay_from(settings) is not None


def test_objects_of_settings_are_merged_and_the_operators_win() -> None:
    assert merged(
        {"audio": {"output": {"voice": "a"}}, "x": 1}, {"audio": {"output": {"speed": 2}}, "x": 3}
    ) == {
        "audio": {"output": {"voice": "a", "speed": 2}},
        "x": 3,
    }


def test_a_first_session_tells_only_what_differs_from_the_services_own() -> None:
    tool = FunctionTool(name="dance")
    config = SessionConfig(id="sess_1", model="x", instructions="Hi", tools=(tool,), expires_at=9)
    quiet = msgspec.structs.replace(config, audio=SessionAudio(input=AudioInput(turn_detection=None)))
    assert _wishes(SessionConfig(id="sess_1", model="x", expires_at=9)) == {}
    assert _wishes(config) == {"instructions": "Hi", "tools": [{"type": "function", "name": "dance"}]}
    assert _wishes(quiet)["audio"] == {"input": {"turn_detection": None}}


async def test_another_key_or_service_is_used_from_the_next_conversation_on() -> None:
    relay = answerer(**DEPLOYED)
    assert relay is not None
    pool = relay._upstreams.pool
    (first,) = pool.candidates("voice")
    pool.take(first)
    relay.adjust(Settings(**DEPLOYED | {"azure_openai_api_key": "another"}))  # type: ignore[arg-type]
    (second,) = pool.candidates("voice")
    assert await first.credential.headers() == {"api-key": "k"}
    assert await second.credential.headers() == {"api-key": "another"}
    assert pool.live == {"azure": 1}
    entries = [{"name": "west", "endpoint": "https://west", "deployment": "voice", "api_key": "w"}]
    relay.adjust(Settings(realtime_upstreams=entries))  # type: ignore[arg-type]
    assert [target.name for target in pool.candidates("voice")] == ["west"]
    pool.give_back(first)
    assert pool.live == {"azure": 0, "west": 0}
    await relay.close()


def test_services_that_cannot_be_used_are_told_before_they_are_taken_up() -> None:
    with pytest.raises(ConfigError, match="KAIWA_REALTIME_UPSTREAMS"):
        check_relay(Settings(realtime_upstreams=[{"name": "half"}]))  # type: ignore[arg-type]
