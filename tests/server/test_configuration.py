"""Settings come from four places in one order, and everything wrong with them is said at once, where it stands."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.server.running import at_home

from kaiwa.errors import ConfigError
from kaiwa.server.configuration import Configuration, Finding, WrongConfiguration, read_configuration
from kaiwa.server.configuration.checking import checked
from kaiwa.server.configuration.example import example
from kaiwa.server.configuration.names import FILE_SETTING
from kaiwa.server.configuration.page import PAGE, tables, with_tables
from kaiwa.server.configuration.showing import MASK, shown
from kaiwa.server.settings import Settings

ROOT = Path(__file__).parents[2]


class Place:
    """A folder with files in it, read as a server started there would read them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ: dict[str, str] = {}

    def toml(self, text: str) -> None:
        (self.folder / "kaiwa.toml").write_text(text)

    def dotenv(self, text: str) -> None:
        (self.folder / ".env").write_text(text)

    def read(self, **options: Any) -> Configuration:
        return read_configuration(options, environ=self.environ, folder=self.folder)

    def settings(self, **options: Any) -> Settings:
        return self.read(**options).demand()

    def findings(self) -> dict[str, Finding]:
        return {finding.where.replace(f"{self.folder}/", ""): finding for finding in self.read().findings}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_an_option_wins_over_the_environment_that_over_dotenv_and_that_over_the_file(place: Place) -> None:
    place.toml("port = 1\nmax_sessions = 1\nfiller_ms = 1\ntime_zone = 'UTC'\n")
    place.dotenv("KAIWA_PORT=2\nKAIWA_MAX_SESSIONS=2\nKAIWA_FILLER_MS=2\n")
    place.environ = {"KAIWA_PORT": "3", "KAIWA_MAX_SESSIONS": "3"}
    read = place.read(port=4)
    settings = read.demand()
    assert (settings.port, settings.max_sessions, settings.filler_ms, settings.time_zone) == (4, 3, 2, "UTC")
    assert settings.session_minutes == 60
    places = [
        read.origin(name).place
        for name in ("port", "max_sessions", "filler_ms", "time_zone", "session_minutes")
    ]
    assert places == ["option", "environment", ".env", "file", "default"]
    assert [origin.place for origin in read.hidden["port"]] == ["environment", ".env", "file"]
    assert (read.origin("filler_ms").line, read.origin("time_zone").line) == (3, 4)


@pytest.mark.parametrize(
    ("text", "setting", "value"),
    [
        ("azure_openai_endpoint = 'https://me.example'", "azure_openai_endpoint", "https://me.example"),
        ("[azure_openai]\nendpoint = 'https://me.example'", "azure_openai_endpoint", "https://me.example"),
        ("kaiwa_port = 7", "port", 7),
        ("[signalr]\nhub = 'desk'", "signalr_hub", "desk"),
        ("allowed_origins = ['https://a.example']", "allowed_origins", ("https://a.example",)),
        ("rtc_port = '40000-40002'", "rtc_port", (40000, 40001, 40002)),
        ("rtc_port = 40000", "rtc_port", (40000,)),
        ("[relay_session]\nmax_output_tokens = 9", "relay_session", {"max_output_tokens": 9}),
        ("cache = '/var/cache/kaiwa'", "cache_directory", Path("/var/cache/kaiwa")),
        ("agent = ''", "agent", None),
    ],
)
def test_the_file_has_the_same_names_and_tables_where_they_are_natural(
    place: Place, text: str, setting: str, value: object
) -> None:
    place.toml(text)
    assert getattr(place.settings(), setting) == value


def test_deployments_and_prices_may_be_tables_of_the_file(place: Place) -> None:
    place.toml('[[upstreams]]\nname = "a"\nbase_url = "http://x/v1"\n[prices.models."gpt-4o"]\ninput = 2.5\n')
    settings = place.settings()
    assert settings.upstreams and settings.prices
    assert json.loads(settings.upstreams.get_secret_value()) == [{"name": "a", "base_url": "http://x/v1"}]
    assert settings.prices.models["gpt-4o"].text_input == 2.5


@pytest.mark.parametrize("name", ["AZURE_OPENAI_API_KEY", "AZURE_OPENAI_KEY", "KAIWA_AZURE_OPENAI_API_KEY"])
def test_every_name_that_people_know_says_the_same(place: Place, name: str) -> None:
    place.dotenv(f"{name}=k\n")
    assert place.settings().azure_openai_api_key is not None


def test_dotenv_may_quote_comment_export_and_refer(place: Place) -> None:
    place.dotenv('# house\nexport NAME=desk\nKAIWA_SIGNALR_HUB="${NAME}" # the hub\n\nKAIWA_PORT=\n')
    settings = place.settings()
    assert (settings.signalr_hub, settings.port) == ("desk", 8000)


def test_everything_that_is_wrong_is_said_at_once_with_its_line(place: Place) -> None:
    place.toml(
        'port = "eighty"\nprot = 3\n\n[tls]\ncret = "x"\n\n[[realtime_upstreams]]\nname = "a"\nendpont = "x"\n'
    )
    place.dotenv("KAIWA_MAX_SESSIONS=0\n\n# x\nnonsense here\nKAIWA_RTC_PORT=abc\n")
    place.environ = {"KAIWA_LOG_LEVEL": "loud", "KAIWA_RELAY_SESSION": "{"}
    found = place.findings()
    assert set(found) == {
        "KAIWA_PORT (kaiwa.toml:1 port)",
        "kaiwa.toml:2 prot",
        "kaiwa.toml:5 tls.cret",
        "KAIWA_REALTIME_UPSTREAMS (kaiwa.toml:9 realtime_upstreams)",
        ".env:1 KAIWA_MAX_SESSIONS",
        ".env:4",
        ".env:5 KAIWA_RTC_PORT",
        "KAIWA_LOG_LEVEL (environment)",
        "KAIWA_RELAY_SESSION (environment)",
    }
    assert all(one.weight == "failure" and one.japanese for one in found.values())
    port = found["KAIWA_PORT (kaiwa.toml:1 port)"]
    assert "a whole number from 0 up to 65535" in str(port) and "0 以上、65535 以下の整数" in port.japanese
    assert "debug, info, warning or error" in str(found["KAIWA_LOG_LEVEL (environment)"])
    likely = [found["kaiwa.toml:2 prot"], found["kaiwa.toml:5 tls.cret"]]
    assert [one.remedy.english for one in likely] == ["Did you mean port?", "Did you mean cert?"]
    assert "Did you mean endpoint?" in str(
        found["KAIWA_REALTIME_UPSTREAMS (kaiwa.toml:9 realtime_upstreams)"]
    )
    with pytest.raises(WrongConfiguration, match="9 settings are wrong"):
        place.settings()


def test_a_strange_variable_is_a_warning_since_others_share_the_environment(place: Place) -> None:
    place.environ = {
        "KAIWA_PROT": "1",
        "AZURE_OPENAI_ENPOINT": "x",
        "AZURE_OPENAI_AD_TOKEN": "x",
        "KAIWA_CHAINLIT_VOICE": "x",
        "KAIWA_SERVICE_HOST": "10.0.0.1",
    }
    found = place.findings()
    assert set(found) == {"KAIWA_PROT (environment)", "AZURE_OPENAI_ENPOINT (environment)"}
    assert {one.remedy.english for one in found.values()} == {
        "Did you mean KAIWA_PORT?",
        "Did you mean AZURE_OPENAI_ENDPOINT?",
    }
    assert place.settings().port == 8000


def test_what_other_commands_read_is_no_strange_variable(place: Place) -> None:
    sources = [*(ROOT / "src/kaiwa").rglob("*.py"), *(ROOT / "ui").rglob("*.py"), ROOT / "Makefile"]
    read = {
        name
        for file in sources
        for name in re.findall(r"\bKAIWA_[A-Z]+(?:_[A-Z]+)*\b", file.read_text("utf-8"))
    }
    place.environ = dict.fromkeys(read - {"KAIWA_PORT", FILE_SETTING}, "")
    assert place.read().warnings == ()


def test_the_port_that_kubernetes_writes_is_told_apart_from_a_slip(place: Place) -> None:
    place.environ = {"KAIWA_PORT": "tcp://10.0.0.1:8000"}
    (found,) = place.findings().values()
    assert "Kubernetes" in str(found) and "enableServiceLinks" in str(found)


def test_a_named_file_must_be_there_and_the_usual_one_need_not(place: Place) -> None:
    assert place.settings().port == 8000
    place.environ = {"KAIWA_CONFIG": str(place.folder / "other.toml")}
    (found,) = place.findings().values()
    assert "there is no such file" in str(found)
    (place.folder / "other.toml").write_text("port = 9")
    assert place.settings().port == 9
    place.environ = {}
    place.dotenv(f"KAIWA_CONFIG={place.folder / 'other.toml'}\n")
    assert place.settings().port == 9
    (place.folder / "option.toml").write_text("port = 10")
    read = read_configuration(file=place.folder / "option.toml", environ=place.environ, folder=place.folder)
    assert read.demand().port == 10


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("port = 1\nhost = 127.0.0.1\n", "kaiwa.toml:2", "is no TOML"),
        ("port = 1\nport = 2\n", "kaiwa.toml:2", "is no TOML"),
        ("tls_port = 1\n[tls]\nport = 2\n", "kaiwa.toml:3 tls.port", "says the same as tls_port"),
        ("[nonsense]\na = 1\n", "kaiwa.toml:1 nonsense", "is no setting"),
        ('relay_session = """\nport = 3\n"""\nprot = 1\n', "kaiwa.toml:4 prot", "Did you mean port?"),
    ],
)
def test_a_broken_file_is_told_with_its_line(place: Place, text: str, where: str, said: str) -> None:
    place.toml(text)
    assert said in str(place.findings()[where])


def test_rules_between_settings_are_told_with_the_wrong_values_beside_them(place: Place) -> None:
    place.toml('host = "0.0.0.0"\nmax_sessions = 0\n[tls]\nport = 8443\n')
    found = place.findings()
    assert "no key is set" in str(found["KAIWA_HOST (kaiwa.toml:1 host)"])
    assert "no certificate" in str(found["KAIWA_TLS_PORT (kaiwa.toml:4 tls.port)"])
    assert "KAIWA_MAX_SESSIONS (kaiwa.toml:2 max_sessions)" in found


def test_no_value_that_may_be_secret_is_shown_in_a_finding(place: Place) -> None:
    place.toml("api_key = ['hush-1']\nkeys = ['hush-2']\nprices = 'hush-3'\n")
    place.environ = {
        "KAIWA_REALTIME_UPSTREAMS": '[{"api_key": ["hush-4"]}]',
        "KAIWA_RTC_ICE_SERVERS": "hush-5",
    }
    read = place.read()
    assert len(read.failures) == 5
    assert "hush" not in str(read.failures) + "".join(str(one) + one.japanese for one in read.failures)


def test_the_parts_of_the_house_are_asked_too_and_all_of_them(place: Place, tmp_path: Path) -> None:
    place.environ = {
        "KAIWA_POLICY": str(tmp_path / "none.toml"),
        "KAIWA_UPSTREAMS": "[{}]",
        "AzureSignalRConnectionString": "nonsense",
        "KAIWA_AGENT": "nobody",
        "KAIWA_ENGINE": "relay",
    }
    found = checked(place.read()).failures
    assert [one.setting.partition(",")[0] for one in found] == [
        "KAIWA_POLICY",
        "agent",
        "KAIWA_ENGINE",
        "KAIWA_UPSTREAMS",
        "AzureSignalRConnectionString",
    ]


def test_what_is_shown_holds_every_setting_and_no_secret(place: Place) -> None:
    place.toml(
        'api_key = "hush"\nredis_url = "redis://:hush@host"\nchat_base_url = "http://me:hush@x/v1"\n'
        '[[realtime_upstreams]]\nname = "a"\nendpoint = "https://a"\ndeployment = "v"\napi_key = "hush"\n'
        '[[rtc_ice_servers]]\nurls = "turn:x"\ncredential = "hush"\n'
        '[relay_session.tools]\nauthorization = "hush"\n'
    )
    read = place.read()
    everything = shown(read, defaults=True)
    assert {one.setting for one in everything} == set(Settings.model_fields)
    assert "hush" not in str(everything)
    effective = {one.setting: one for one in shown(read, defaults=False)}
    assert set(effective) == set(read.origins) and effective["api_key"].value == MASK
    (upstream,) = effective["realtime_upstreams"].value
    assert (upstream["name"], upstream["api_key"]) == ("a", MASK)
    assert effective["chat_base_url"].value == f"http://{MASK}@x/v1"


def test_the_file_that_is_written_says_the_defaults_and_can_be_read(place: Place) -> None:
    lines = example().splitlines()
    place.toml(example())
    assert place.settings() == Settings()
    uncommented = [line[1:] for line in lines if line.startswith("#") and not line.startswith("# ")]
    assert len(tomllib.loads("\n".join(uncommented))) == len(Settings.model_fields)
    place.toml("\n".join(uncommented))
    assert place.settings() == Settings()


def test_the_example_of_the_page_can_be_used(place: Place) -> None:
    (written,) = re.findall(r"```toml\n(.*?)```", (ROOT / PAGE).read_text("utf-8"), re.S)
    place.toml(written)
    settings = place.settings()
    assert (settings.tls_cert, settings.port) == (Path("server.pem"), 8443)
    assert settings.prices is not None and settings.upstreams is not None


def test_the_page_has_the_tables_of_the_settings() -> None:
    page = (ROOT / PAGE).read_text("utf-8")
    assert with_tables(page) == page, "run: python -m kaiwa.server.configuration.page"
    assert tables() in page


def test_settings_from_code_keep_the_same_rules(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="KAIWA_HOST"):
        at_home(tmp_path, host="0.0.0.0")
