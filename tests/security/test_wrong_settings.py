"""What is wrong with a setting is said without saying what stands in it, where that may be a secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr
from tests.security.planted import SECRETS, leaks

from kaiwa import Settings
from kaiwa.errors import ConfigError
from kaiwa.server.app import create_app
from kaiwa.server.configuration import read_configuration

SECRET = SECRETS["key of the house"]
WRONG = [
    ("KAIWA_REALTIME_UPSTREAMS", '[{"name": "a", "api_key": "%s"'),
    ("KAIWA_REALTIME_UPSTREAMS", '[{"nome": "a", "api_key": "%s"}]'),
    ("KAIWA_REALTIME_UPSTREAMS", '{"api_key": "%s"}'),
    ("KAIWA_UPSTREAMS", '[{"name": "a", "api_key": "%s"'),
    ("KAIWA_UPSTREAMS", '[{"nome": "a", "api_key": "%s"}]'),
    ("KAIWA_UPSTREAMS", '[{"endpoint": "https://u:%s@x.example", "deployment": "d", "api_key": "k"}]'),
    ("KAIWA_UPSTREAMS", "%s"),
    ("KAIWA_REDIS_URL", "http://:%s@redis.example"),
    ("AzureSignalRConnectionString", "Endpoint=x;AccessKey=%s;Version=1.0;"),
    ("AzureSignalRConnectionString", "%s"),
    ("KAIWA_SIGNALR_SERVICE_KEY", "%.8s"),
    ("KAIWA_SIGNALR_UPSTREAMS", '[{"UrlTemplate": "x?code=%s"}]'),
    ("KAIWA_DATABASE", "AccountEndpoint=x;AccountKey=%s"),
    ("KAIWA_DATABASE", "mysql://u:%s@host/desk"),
    ("KAIWA_MCP_SERVERS", '{"notes": {"url": "https://notes.example", "authorization": "%s"'),
    ("KAIWA_MCP_SERVERS", '{"notes": {"uri": "https://notes.example", "authorization": "%s"}}'),
    ("KAIWA_RTC_ICE_SERVERS", '[{"urls": "turn:x", "credential": "%s"'),
    ("KAIWA_RTC_ICE_SERVERS", '{"credential": "%s"}'),
    ("KAIWA_CHAT_BASE_URL", "https://u:%s@chat.example/v1"),
    ("KAIWA_PRICES", '{"%s"'),
]
# Looked at when they are first needed; `test_nothing_leaks` has those.
LATE = ("KAIWA_DATABASE", "KAIWA_MCP_SERVERS", "KAIWA_RTC_ICE_SERVERS")


@pytest.mark.parametrize(("name", "form"), WRONG)
def test_a_wrong_value_is_not_repeated(tmp_path: Path, name: str, form: str) -> None:
    written = f"{name}='{form % SECRET}'\nKAIWA_ENGINE=text\nKAIWA_CHAT_MODEL=m\n"
    (tmp_path / ".env").write_text(written, "utf-8")
    read = read_configuration(environ={}, folder=tmp_path)
    told = [str(finding) + finding.japanese for finding in read.findings]
    if read.settings is not None and name not in LATE:  # only the part that needs it can tell
        try:
            create_app(read.settings)
        except ConfigError as wrong:
            told.append(str(wrong))
    assert told or name in LATE
    assert leaks("\n".join(told).encode(), {name: SECRET}) == []


def test_settings_that_hold_secrets_show_none_of_them() -> None:
    held = [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field)]
    assert len(held) >= 10
    shown = repr(Settings.model_construct(**{name: SecretStr(SECRET) for name in held}))
    assert leaks(shown.encode(), SECRETS) == []
