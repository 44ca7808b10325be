"""The unit for systemd: what it starts exists, what it sets are settings, it drains in time, and is held tight."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.packaging.building import ROOT

from kaiwa.cli import app
from kaiwa.server.configuration import read_configuration
from kaiwa.server.workers import WRONG_SETTING

UNIT = ROOT / "deploy/systemd/kaiwa.service"
PROGRAM = "/opt/kaiwa/bin/kaiwa"
AT_MOST = 2.0
"""The exposure that `systemd-analyze security` may find; a unit without any care has 9.6."""


class _Unit(configparser.RawConfigParser):
    """Keeps the case of names, and every line of a name that is given more than once."""

    def __init__(self) -> None:
        super().__init__(strict=False, comment_prefixes=("#",), delimiters=("=",))
        self.optionxform = str  # type: ignore[assignment,method-assign]


def unit() -> _Unit:
    parser = _Unit()
    parser.read_string(UNIT.read_text("utf-8"))
    return parser


def environment() -> dict[str, str]:
    lines = re.findall(r"^Environment=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE)
    return dict(pair.split("=", 1) for line in lines for pair in shlex.split(line))


def test_what_the_unit_sets_are_settings_and_its_command_exists(tmp_path: Path) -> None:
    given = {name: value for name, value in environment().items() if name.startswith("KAIWA_")}
    read = read_configuration(environ=given, folder=tmp_path)
    settings = read.demand()
    assert not read.warnings and settings.log_format == "json"
    service = unit()["Service"]
    program, command = shlex.split(service["ExecStart"])
    known = {one.name or one.callback.__name__ for one in app.registered_commands if one.callback}
    assert program == PROGRAM and command in known
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert int(service["RestartPreventExitStatus"]) == WRONG_SETTING
    assert service["WorkingDirectory"] == "/etc/kaiwa", "where kaiwa.toml is looked for"


def test_the_unit_waits_for_the_drain_before_it_kills() -> None:
    drain_s = float(environment()["KAIWA_DRAIN_S"])
    service = unit()["Service"]
    assert float(service["TimeoutStopSec"]) >= drain_s + 15
    assert service["KillMode"] == "mixed", "workers are told by their supervisor"


@pytest.mark.clients
def test_systemd_takes_the_unit_and_finds_little_exposed(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    assert analyze, "systemd-analyze is missing: scripts/setup-clients.sh installs it"
    kaiwa = Path(sys.executable).with_name("kaiwa")
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text("utf-8").replace(PROGRAM, str(kaiwa)), "utf-8")
    verified = subprocess.run([analyze, "verify", copy], capture_output=True, text=True, timeout=60)
    assert (verified.returncode, verified.stderr) == (0, "")
    judged = subprocess.run(
        [analyze, "security", "--offline=yes", "--no-pager", copy],
        capture_output=True,
        text=True,
        timeout=60,
    )
    found = re.search(r"exposure level for kaiwa\.service: ([\d.]+)", judged.stdout)
    assert found and float(found[1]) <= AT_MOST, judged.stdout
