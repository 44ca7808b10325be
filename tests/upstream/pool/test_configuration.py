"""What an operator may write, and what is said when it is wrong: the entry, the field, the remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kaiwa.errors import ConfigError
from kaiwa.upstream.credentials import ApiKey, EntraToken
from kaiwa.upstream.pool.configuration import Credentials, read_deployments
from kaiwa.upstream.pool.deployment import Deployment, Prices

SETTING = "KAIWA_UPSTREAMS"
AZURE = {
    "name": "east",
    "endpoint": "https://me.openai.azure.com/",
    "deployment": "my-4o",
    "api_key": "east-secret",
}
OPENAI = {"name": "openai", "base_url": "https://api.openai.com/v1", "api_key": "sk-secret"}


def read(*entries: object, credentials: Credentials | None = None) -> list[Deployment]:
    return read_deployments(json.dumps(entries), "json", SETTING, credentials or Credentials())


def fault(*entries: object) -> str:
    with pytest.raises(ConfigError) as wrong:
        read(*entries)
    return str(wrong.value)


def test_azure_openai_and_a_server_of_ones_own_are_told_apart() -> None:
    here = {"base_url": "http://127.0.0.1:11434/v1", "models": ["qwen3"]}
    azure, classic, openai, own = read(
        AZURE, AZURE | {"name": "old", "api_version": "2024-10-21"}, OPENAI, here
    )
    assert [one.kind for one in (azure, classic, openai, own)] == [
        "azure",
        "azure-classic",
        "openai",
        "compatible",
    ]
    assert (
        azure.models == {"my-4o": "my-4o"}
        and openai.models == {"*": "*"}
        and own.models == {"qwen3": "qwen3"}
    )
    assert own.name == "upstream-4"
    assert azure.target("responses", "my-4o").authority == "me.openai.azure.com"


def test_everything_that_can_be_set_is_taken() -> None:
    [one] = read(
        AZURE
        | {
            "models": ["gpt-4o", "chat"],
            "tier": 2,
            "weight": 0.5,
            "max_concurrent": 40,
            "spill_at": 0.8,
            "prices": {"text_input": 2.5, "text_output": 10},
        }
    )
    assert one.models == {"gpt-4o": "my-4o", "chat": "my-4o"}
    assert (one.tier, one.weight, one.max_concurrent, one.spill_at) == (2, 0.5, 40, 0.8)
    assert one.prices == Prices(text_input=2.5, text_output=10)


def test_toml_says_the_same() -> None:
    text = """
        [[upstreams]]
        name = "ptu"
        endpoint = "https://me.openai.azure.com/openai/v1"
        api_key = "secret"
        [upstreams.models]
        gpt-4o = "my-4o"
        gpt-4o-mini = "my-mini"
    """
    [one] = read_deployments(text, "toml", SETTING, Credentials())
    assert one.known_as("gpt-4o-mini") == "my-mini"
    assert one.target("chat/completions", "my-mini").path == "/openai/v1/chat/completions"


async def test_each_way_in_has_its_header(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-a-file\n")
    from_file = {**AZURE, "name": "file", "api_key_file": str(tmp_path / "key")}
    del from_file["api_key"]
    open_door = {"base_url": "http://localhost:1/v1"}
    deployments = read(AZURE, OPENAI, from_file, open_door)
    assert [await one.credential.headers() for one in deployments] == [
        {"api-key": "east-secret"},
        {"Authorization": "Bearer sk-secret"},
        {"api-key": "from-a-file"},
        {},
    ]


def test_the_example_of_the_page_is_a_configuration(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/pool.md").read_text(encoding="utf-8")
    (tmp_path / "key").write_text("a-key")
    text = (
        page.partition("```toml\n")[2]
        .partition("```")[0]
        .replace("/run/secrets/ptu-key", str(tmp_path / "key"))
    )
    ptu, east, openai = read_deployments(text.replace("sk-…", "sk-1"), "toml", SETTING, Credentials())
    assert (ptu.tier, east.tier, openai.tier) == (0, 1, 2)
    assert openai.known_as("gpt-4o") == "gpt-4o-2024-11-20" and openai.known_as("o9") == "o9"


def test_identities_are_shared_by_who_has_the_same() -> None:
    keyless = {key: value for key, value in AZURE.items() if key != "api_key"}
    credentials = Credentials()
    entries = [
        keyless | {"name": "a"},
        keyless | {"name": "b", "identity": "default"},
        keyless | {"name": "c", "identity": "managed"},
        keyless | {"name": "d", "identity": "managed", "client_id": "one-of-ours"},
    ]
    first = [one.credential for one in read(*entries, credentials=credentials)]
    assert all(isinstance(one, EntraToken) for one in first)
    assert first[0] is first[1] and len({id(one) for one in first}) == 3
    assert [one.credential for one in read(*entries, credentials=credentials)] == first
    assert isinstance(read(AZURE)[0].credential, ApiKey)


@pytest.mark.parametrize(
    ("changed", "where", "remedy"),
    [
        ({"weight": "heavy"}, "entry 2 (west), weight: Expected `float`, got `str`.", "above 0"),
        ({"weight": 0}, "entry 2 (west), weight:", "above 0"),
        ({"tier": -1}, "entry 2 (west), tier:", "0 is asked first"),
        ({"max_concurrent": 0}, "entry 2 (west), max_concurrent:", "leave it out"),
        ({"spill_at": 95}, "entry 2 (west), spill_at:", "0.95"),
        ({"prices": {"text_input": -1}}, "entry 2 (west), prices:", "a million tokens"),
        ({"wieght": 3}, "entry 2 (west), wieght: is unknown.", "weight"),
        ({"priority": 1}, "entry 2 (west), priority: is unknown.", "it is tier; 0"),
        ({"prices": {"weight": 1}}, "entry 2 (west), prices.weight: is unknown.", "There are: text_input,"),
        ({"sessions": 8}, "entry 2 (west), sessions: is unknown.", "it is max_concurrent"),
        ({"models": "gpt-4o"}, "entry 2 (west), models:", '["gpt-4o"]'),
        ({"models": []}, "entry 2 (west), models: is empty.", "name some"),
        ({"endpoint": "me.openai.azure.com"}, "entry 2 (west), endpoint: is not an address.", "https://"),
        ({"endpoint": "https://h/?api-version=1"}, "entry 2 (west), endpoint:", "their own settings"),
        ({"endpoint": None}, "entry 2 (west): has neither endpoint nor base_url.", '"base_url"'),
        ({"base_url": "https://h/v1"}, "entry 2 (west): has endpoint and base_url.", '"endpoint" for Azure'),
        ({"deployment": None}, "entry 2 (west), deployment: is not set.", "Name the deployment"),
        ({"identity": "managed"}, "entry 2 (west): has api_key and identity.", "Keep one"),
        ({"api_key": None, "identity": "root"}, "entry 2 (west), identity: is unknown.", '"managed"'),
        ({"api_key": " "}, "entry 2 (west), api_key: holds no key.", "one word"),
        (
            {"api_key": None, "api_key_file": "/nowhere/key"},
            "entry 2 (west), api_key_file: /nowhere/key is not there.",
            "Name a file",
        ),
        ({"name": "east"}, "2 entries have the name east.", "its own name"),
    ],
)
def test_a_wrong_entry_names_itself_its_field_and_the_remedy(
    changed: dict[str, Any], where: str, remedy: str
) -> None:
    said = fault(
        AZURE,
        {key: value for key, value in (AZURE | {"name": "west"} | changed).items() if value is not None},
    )
    assert said.startswith(SETTING) and where in said and remedy in said
    assert "secret" not in said


def test_openai_without_a_key_is_refused_before_the_first_request() -> None:
    assert "entry 1 (openai), api_key: is not set." in fault({**OPENAI, "api_key": None})


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", "7", '"east"', '{"upstreams": 3}', '[{"api_key": "secret"', "null"]
)
def test_what_is_no_list_of_deployments_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        read_deployments(text, "json", SETTING, Credentials())
    assert "secret" not in str(wrong.value)


@pytest.mark.parametrize("entry", [3, None, "east", [], {"endpoint": 5}])
def test_an_entry_that_is_none_is_named_by_its_number(entry: object) -> None:
    assert f"{SETTING}, entry 2" in fault(AZURE, entry)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = [
    "name",
    "endpoint",
    "base_url",
    "deployment",
    "api_version",
    "models",
    "tier",
    "weight",
    "prices",
    "identity",
]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(FIELDS), VALUES))
def test_no_configuration_whatever_fails_otherwise(changed: dict[str, Any]) -> None:
    try:
        [one] = read(AZURE | {"api_key": "the-one-secret"} | changed)
    except ConfigError as wrong:
        assert "the-one-secret" not in str(wrong) and str(wrong).startswith(SETTING)
    else:
        assert one.target("chat/completions", one.known_as("x") if one.serves("x") else "x").origin.host
