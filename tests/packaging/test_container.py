"""The container: what its files say, and its build steps carried out in a folder instead of an image."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from tests.packaging.building import ROOT
from tests.packaging.dockerfile import copied, copy_into, instructions, seen

from kaiwa.server.configuration import read_configuration

SMALL = "azure,redis"
COMPOSE = YAML(typ="safe").load((ROOT / "compose.yaml").read_text("utf-8"))


def of(name: str, stage: int | None = None) -> list[str]:
    return [one.text for one in instructions() if one.name == name and stage in (None, one.stage)]


def final_environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for text in of("ENV", 1) for pair in shlex.split(text))


def test_a_build_sees_what_it_copies_and_no_secret_or_test() -> None:
    files = seen()
    for one in instructions():
        if one.name == "COPY" and "--from" not in one.text:
            sources, _ = copied(one)
            for source in sources:
                assert any(name == source or name.startswith(f"{source}/") for name in files), source
    assert not [name for name in files if name.startswith(("tests/", "bench/", ".git")) or ".env" in name]


def test_the_image_runs_without_root_and_knows_whether_it_lives() -> None:
    user = of("USER", 1)[-1]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user), user
    assert "/healthz" in of("HEALTHCHECK", 1)[0]
    assert of("VOLUME", 1) == ["/data"]


def test_the_settings_of_the_image_are_settings_and_ask_for_a_key(tmp_path: Path) -> None:
    environment = {name: value for name, value in final_environment().items() if name.startswith("KAIWA_")}
    assert environment["KAIWA_HOST"] == "0.0.0.0"
    read = read_configuration(environ={**environment, "KAIWA_API_KEY": "k" * 32}, folder=tmp_path)
    read.demand()
    assert not read.warnings
    with pytest.raises(Exception, match="KAIWA_API_KEY"):
        read_configuration(environ=environment, folder=tmp_path).demand()


def test_the_extras_of_the_image_exist_and_carry_no_gpl() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    [chosen] = [text.partition("=")[2].split(",") for text in of("ARG") if text.startswith("EXTRAS=")]
    assert set(chosen) <= set(extras) - {"all", "webrtc"}
    assert set(extras) - set(chosen) == {"all", "talk", "webrtc"}, (
        "a new extra belongs into the image or here"
    )


def test_every_image_that_is_named_has_a_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    bases = [text.partition("=")[2] for text in of("ARG") if text.startswith("DEBIAN=")]
    images = bases + [service["image"] for service in COMPOSE["services"].values()]
    assert all(re.search(r":\d+\.\d+", image) for image in images), images
    places = ("compose.yaml", "Dockerfile", "deploy/azd/azure.yaml", "docs/deployment.md")
    for place in places:
        named = re.findall(r"kaiwa[:@](\d+\.\d+\.\d+)", (ROOT / place).read_text("utf-8"))
        assert set(named) == {version}, place


def test_compose_gives_kaiwa_what_it_shares_and_publishes_nothing_else(tmp_path: Path) -> None:
    services = COMPOSE["services"]
    filled = {"KAIWA_API_KEY": "k" * 32, "POSTGRES_PASSWORD": "desk"}
    environment = {
        name: re.sub(r"\$\{(\w+):\?[^}]*\}", lambda match: filled[match[1]], value)
        for name, value in services["kaiwa"]["environment"].items()
    }
    read = read_configuration(environ=environment, folder=tmp_path)
    read.demand()
    assert not read.warnings
    assert "@postgres/kaiwa" in environment["KAIWA_DATABASE"]
    assert [name for name, service in services.items() if "ports" in service] == ["kaiwa"]
    assert all(port.startswith("127.0.0.1:") for port in services["kaiwa"]["ports"])
    assert all(service.get("healthcheck") for name, service in services.items() if name != "kaiwa")
    assert services["kaiwa"]["read_only"] is True


@pytest.mark.clients
def test_the_steps_of_the_build_make_a_kaiwa_that_starts(tmp_path: Path) -> None:
    """Every RUN of the first stage but Debian's, in the order and with the files that a build has."""
    build, target, files = tmp_path / "build", tmp_path / "opt/kaiwa", seen()
    build.mkdir()
    target.parent.mkdir()
    for one in instructions():
        if one.stage == 0 and one.name == "COPY":
            copy_into(build, one, files)
        elif one.stage == 0 and one.name == "RUN" and "apt-get" not in one.text:
            step = one.text.replace("/build", str(build)).replace("/opt/kaiwa", str(target))
            environment = {**os.environ, "EXTRAS": SMALL}
            done = subprocess.run(
                ["sh", "-ec", step], cwd=build, env=environment, capture_output=True, text=True, timeout=600
            )
            assert done.returncode == 0, f"{step}\n{done.stdout}{done.stderr}"
    shown = subprocess.run(
        [target / "bin/kaiwa", "doctor", "--json"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert {finding["name"] for finding in json.loads(shown.stdout)["findings"]} >= {"Python", "Settings"}
    assert not list(target.glob("lib/*/site-packages/ctranslate2")), "the small one has no models"
