"""The template for Azure holds together: modules, parameters, names of settings, and the command of the container."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.packaging.bicep import (
    AZD,
    FILES,
    INFRA,
    container,
    declared,
    names_of,
    outputs_used,
    params_of,
    value_of,
)
from tests.packaging.building import ROOT

from kaiwa.apps.rentacar.cosmos.account import DEFAULT_DATABASE
from kaiwa.apps.rentacar.cosmos.containers import NAMES
from kaiwa.cli.local_server import free_port
from kaiwa.hub.azure.connection_string import read_connection_string
from kaiwa.server.configuration import read_configuration
from kaiwa.upstream.pool.configuration import Credentials, read_deployments

MAIN = INFRA / "main.bicep"
KAIWA = INFRA / "modules/kaiwa.bicep"
OF_OTHERS = {"AZURE_CLIENT_ID"}  # of azure-identity, in the same container
OF_AZD = {"AZURE_CONTAINER_REGISTRY_ENDPOINT", "SERVICE_KAIWA_ENDPOINT_URL"}
OF_THE_PLATFORM = re.compile(r"AzureWebJobsStorage__|APPLICATIONINSIGHTS_|PYTHON_ENABLE_INIT_INDEXING$")
GIVEN: dict[str, Any] = {
    "clientId": "11111111-2222-3333-4444-555555555555",
    "openaiEndpoint": "https://oai-x.openai.azure.com",
    "chatDeployment": "chat",
    "provisionedDeployment": "chat-provisioned",
    "realtimeDeployment": "realtime",
    "database": f"cosmos://cosmos-x.documents.azure.com/{DEFAULT_DATABASE}",
    "signalrConnectionString": "Endpoint=https://x.service.signalr.net;AuthType=azure.msi;ClientId=1;Version=1.0;",
    "allowedOrigins": "https://desk.example",
    "connectionsEach": 40,
}
SECRETS = {"kaiwa-api-key": "k" * 32, "kaiwa-redis-url": "rediss://:p@redis-x.redis.azure.net:10000"}


def branches(name: str) -> list[Any]:
    """Return the values that a conditional variable may have."""
    operands = declared(KAIWA, "variables")[name]["value"]["operator"]["operands"]
    return [operands["true_value"], operands["false_value"]]


def variables() -> dict[str, Any]:
    known = dict(GIVEN)
    for name in ("standard", "provisioned"):
        known[name] = value_of(declared(KAIWA, "variables")[name]["value"], known)
    return known


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_everything_that_is_declared_is_used(path: Path) -> None:
    text = re.sub(r"(?m)^\s*//.*$", "", path.read_text("utf-8"))
    made_for_themselves = {name for kind in ("resources", "modules") for name in declared(path, kind)}
    for name in names_of(path) - made_for_themselves:
        assert len(re.findall(rf"\b{name}\b", text)) > 1, name


def test_modules_are_given_all_that_they_ask_for_and_nothing_else() -> None:
    modules = declared(MAIN, "modules")
    assert {INFRA / module["detail"]["path"] for module in modules.values()} == {*FILES} - {MAIN}
    for name, module in modules.items():
        asked = declared(INFRA / module["detail"]["path"], "parameters")
        given = set(params_of(module))
        needed = {one for one, told in asked.items() if told["default"] is None}
        assert needed <= given <= set(asked), name


def test_every_output_that_is_read_is_told() -> None:
    modules = declared(MAIN, "modules")
    for name, output in outputs_used(MAIN):
        assert output in declared(INFRA / modules[name]["detail"]["path"], "outputs"), (
            f"{name}.outputs.{output}"
        )


def test_what_azd_gives_are_parameters_and_what_has_no_default_is_given() -> None:
    asked = declared(MAIN, "parameters")
    given = json.loads((INFRA / "main.parameters.json").read_text("utf-8"))["parameters"]
    needed = {name for name, told in asked.items() if told["default"] is None}
    assert needed <= set(given) <= set(asked)


@pytest.mark.parametrize("first", [True, False])
def test_the_container_is_configured_as_the_server_reads_it(first: bool, tmp_path: Path) -> None:
    known = variables()
    known["upstreams"] = [*known["provisioned"], *known["standard"]]
    written = container("kaiwa")["env"]
    parts = [*written["function"]["parameters"].values()]
    entries = value_of(parts[0], known)
    for name in ("voice", "shared", "origins"):
        entries += value_of(branches(name)[0 if first else 1], known)
    environment = {each["name"]: each.get("value") or SECRETS[each["secretRef"]] for each in entries}
    assert set(environment) >= OF_OTHERS

    read = read_configuration(environ={**environment}, folder=tmp_path)
    read.demand()

    settings = set(environment) - OF_OTHERS
    assert not read.warnings, [str(warning) for warning in read.warnings]
    assert settings <= _settings(), settings - _settings()
    assert ("AZURE_OPENAI_REALTIME_DEPLOYMENT" in environment) != bool(first)
    entry = read_deployments(environment["KAIWA_UPSTREAMS"], "json", "KAIWA_UPSTREAMS", Credentials())
    assert entry, "the pool reads them"
    assert read_connection_string(environment["AzureSignalRConnectionString"]).entra is not None


def _settings() -> set[str]:
    page = (ROOT / "docs/configuration.md").read_text("utf-8")
    return set(re.findall(r"`((?:KAIWA|AZURE_OPENAI|OTEL)_[A-Z_]+|AzureSignalR\w+)`", page))


def test_outputs_have_the_names_that_the_server_reads() -> None:
    outputs = set(declared(MAIN, "outputs"))
    assert outputs - OF_AZD <= _settings() | {"KAIWA_SIGNALR"}
    assert outputs >= {"AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_REALTIME_DEPLOYMENT", "KAIWA_DATABASE"}


def test_probes_and_traffic_go_where_the_server_listens() -> None:
    one = container("kaiwa")
    asked = {(probe["httpGet"]["path"], probe["httpGet"]["port"]) for probe in one["probes"]}
    assert asked == {("/healthz", 8000), ("/readyz", 8000)}
    ingress = declared(KAIWA, "resources")["app"]["config"]["properties"]["configuration"]["ingress"]
    assert (ingress["targetPort"], ingress["transport"]) == (8000, "auto")
    assert ingress["stickySessions"] == {"affinity": "sticky"}


def test_the_functions_app_has_the_settings_that_it_asks_for() -> None:
    app = ROOT / "deploy/azure-functions/v2"
    example = json.loads((app / "local.settings.json.example").read_text("utf-8"))["Values"]
    given = set(declared(INFRA / "modules/functions.bicep", "resources")["settings"]["config"]["properties"])
    own = {name.partition("__")[0] for name in given if not OF_THE_PLATFORM.match(name)}
    assert own <= set(example)
    [asked] = re.findall(r"^SETTINGS = \((.*)\)$", (app / "completions.py").read_text("utf-8"), re.M)
    assert set(re.findall(r'"(\w+)"', asked)) | {"AzureSignalRConnectionString"} <= own


def test_the_database_is_the_one_that_the_desk_uses() -> None:
    known = declared(INFRA / "modules/cosmos.bicep", "variables")
    assert known["databaseName"]["value"] == DEFAULT_DATABASE
    assert tuple(known["containers"]["value"]) == NAMES


def test_no_service_takes_keys_and_every_image_has_a_version() -> None:
    texts = {path.stem: path.read_text("utf-8") for path in FILES}
    assert all("disableLocalAuth: true" in texts[name] for name in ("openai", "signalr", "cosmos"))
    assert not re.search(r":latest\b", "".join(texts.values()))
    assert {name for name, text in texts.items() if "listKeys()" in text} == {"redis", "kaiwa"}


def test_the_services_of_azd_are_in_this_repository() -> None:
    services = YAML(typ="safe").load((AZD / "azure.yaml").read_text("utf-8"))["services"]
    for service in services.values():
        assert (AZD / service["project"]).is_dir()
    assert (AZD / services["kaiwa"]["project"] / services["kaiwa"]["docker"]["path"]).is_file()
    assert (AZD / services["functions"]["project"] / "host.json").is_file()


def start_script(port: int) -> list[str]:
    known = {name: told["value"] for name, told in declared(KAIWA, "variables").items()}
    one = container("kaiwa")
    script = value_of(one["args"][0], {"start": known["start"], "placeholder": known["placeholder"]})
    script = value_of(script, {"placeholder": known["placeholder"]}).replace("\\n", "\n")
    return [*one["command"], script.replace("8000", str(port)), "rentacar"]


def test_before_there_is_an_image_something_answers_the_probes(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "python3").symlink_to(sys.executable)
    process = subprocess.Popen(
        start_script(port), env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, stderr=subprocess.DEVNULL
    )
    try:
        assert _answer(f"http://127.0.0.1:{port}/readyz", process) == 200
    finally:
        process.terminate()
        process.wait(10)


def test_with_an_image_of_kaiwa_the_same_command_serves_the_agent(tmp_path: Path) -> None:
    kaiwa = tmp_path / "kaiwa"
    kaiwa.write_text('#!/bin/sh\necho "$@"\n')
    kaiwa.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(start_script(8000), env=environment, capture_output=True, text=True, timeout=10)
    assert done.stdout.splitlines()[-1] == "serve rentacar"


def _answer(url: str, process: subprocess.Popen[bytes]) -> int:
    give_up = time.monotonic() + 15
    while process.poll() is None and time.monotonic() < give_up:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return answer.status
        except urllib.error.URLError:
            time.sleep(0.05)
    raise AssertionError("nobody answers")
