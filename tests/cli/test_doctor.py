"""`kaiwa doctor` says of everything a server needs whether it works, and how to mend what does not."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from tests.redis_server import _redis_of_module, redis_url  # noqa: F401 - fixtures
from tests.server.running import at_home, running

from kaiwa.cli.doctor import Check, Finding, examine
from kaiwa.cli.doctor_checks import checks_for
from kaiwa.events.examined import Examined, Words, well
from kaiwa.server.certificates import self_signed
from kaiwa.server.configuration import read_configuration
from kaiwa.server.examining import (
    examine_certificate,
    examine_descriptors,
    examine_disk,
    examine_port,
    examine_secrecy,
)
from kaiwa.testing.service import Faults, Service, running_service
from kaiwa.testing.service.state import DEFAULT_TOKEN
from kaiwa.transports.webrtc.examining import examine_udp
from kaiwa.upstream.credentials import EntraToken
from kaiwa.upstream.examining import Clock, Names, examine_chat, examine_token
from kaiwa.upstream.http1.client import HttpClient
from kaiwa.upstream.pool.deployment import Deployment

NAMES = Names("THE_KEY", "THE_ADDRESS", "THE_DEPLOYMENT")
SERVICE_KEY = "k" * 40


async def doctor(folder: Path, toml: str, *, patience_s: float = 10) -> list[Finding]:
    """Return what the doctor finds in a folder with this `kaiwa.toml`, devices of this machine aside."""
    (folder / "kaiwa.toml").write_text(toml)
    (folder / "kaiwa.toml").chmod(0o600)
    checks = [check for check in checks_for(read_configuration(environ={}, folder=folder)) if usual(check)]
    return await examine(checks, patience_s=patience_s)


def usual(check: Check) -> bool:
    return check.id not in ("audio_devices", "voice")


def of(findings: list[Finding], check: str, subject: str = "") -> Finding:
    (found,) = [one for one in findings if one.check == check and subject in one.subject]
    return found


def setup(service: Service, folder: Path, more: str = "") -> str:
    return f"""
port = 0
database = "{folder}/desk.db"
cache = "{folder}"
{more}
[azure_openai]
endpoint = "{service.url}"
api_key = "{service.key}"
chat_deployment = "gpt-4o"
realtime_deployment = "voice"
[relay_session.audio.input.transcription]
model = "gpt-4o-mini-transcribe"
"""


async def test_a_whole_setup_has_no_failure(tmp_path: Path, redis_url: str) -> None:  # noqa: F811
    signalr = at_home(tmp_path, engine="text", signalr_service_key=SERVICE_KEY)
    async with running_service() as service, running(signalr) as hub:
        more = f'redis_url = "{redis_url}"\n'
        more += f'azure_signalr = "Endpoint={hub.addresses[0]};AccessKey={SERVICE_KEY};Version=1.0;"'
        found = await doctor(tmp_path, setup(service, tmp_path, more))
    assert [one for one in found if one.state != "ok"] == []
    assert {one.check for one in found} >= {
        "python",
        "codecs",
        "files",
        "disk",
        "settings",
        "port",
        "database",
        "certificate",
        "upstream.chat",
        "upstream.realtime",
        "upstream.transcription",
        "redis",
        "signalr",
        "clock",
    }
    assert service.chat.requests["gpt-4o"] == 1


async def test_each_part_of_a_broken_setup_is_told_with_its_remedy(tmp_path: Path) -> None:
    signalr = at_home(tmp_path, engine="text", signalr_service_key=SERVICE_KEY)
    async with running_service() as service, running(signalr) as hub:
        more = 'redis_url = "redis://:hush@127.0.0.1:1"\nmax_sessions = "many"\n'
        more += f'azure_signalr = "Endpoint={hub.addresses[0]};AccessKey={"hush" * 10};Version=1.0;"'
        text = setup(service, tmp_path, more).replace(service.key, "hush-key").replace('"gpt-4o"', '"none"')
        found = await doctor(tmp_path, text)
    failed = {one.check: one for one in found if one.state == "failure"}
    assert set(failed) == {
        "settings",
        "upstream.chat",
        "upstream.realtime",
        "upstream.transcription",
        "redis",
        "signalr",
    }
    for check, remedy in (
        ("settings", "Leave it out for 64"),
        ("upstream.chat", "AZURE_OPENAI_API_KEY"),
        ("upstream.realtime", "AZURE_OPENAI_API_KEY"),
        ("redis", "KAIWA_REDIS_URL"),
        ("signalr", "AzureSignalRConnectionString"),
    ):
        assert remedy in failed[check].remedy
        assert failed[check].detail_ja and failed[check].remedy_ja
    assert "hush" not in str(found)


@pytest.mark.parametrize(
    ("change", "check", "detail", "remedy"),
    [
        (('"gpt-4o"', '"none"'), "upstream.chat", "no such deployment", "AZURE_OPENAI_CHAT_DEPLOYMENT"),
        (('"voice"', '"none"'), "upstream.realtime", "no such", "AZURE_OPENAI_REALTIME_DEPLOYMENT"),
        (("127.0.0.1", "nowhere.invalid"), "upstream.chat", "name is not known", "AZURE_OPENAI_ENDPOINT"),
        (("127.0.0.1", "nowhere.invalid"), "upstream.realtime", "name is not known", "AZURE_OPENAI_ENDPOINT"),
        (("[azure_openai]", '[azure_openai]\napi_version = "x"'), "upstream.chat", "404", "AZURE_OPENAI"),
    ],
)
async def test_what_is_wrong_with_a_deployment_is_told_apart(
    tmp_path: Path, change: tuple[str, str], check: str, detail: str, remedy: str
) -> None:
    async with running_service() as service:
        found = of(await doctor(tmp_path, setup(service, tmp_path).replace(*change)), check)
    assert found.state == "failure" and detail in found.detail and remedy in found.remedy


async def test_a_transcription_model_that_the_resource_lacks_is_found(tmp_path: Path) -> None:
    faults = Faults(fail_transcription="DeploymentNotFound")
    async with running_service(faults=faults) as service:
        found = await doctor(tmp_path, setup(service, tmp_path))
    assert of(found, "upstream.realtime").state == "ok"
    missing = of(found, "upstream.transcription", "gpt-4o-mini-transcribe")
    assert missing.state == "failure" and "KAIWA_RELAY_SESSION" in missing.remedy


async def test_every_deployment_of_the_pool_is_asked_under_its_own_name(tmp_path: Path) -> None:
    async with running_service() as service:
        entries = [
            {"name": "east", "endpoint": service.url, "deployment": "gpt-4o", "api_key": service.key},
            {"name": "west", "endpoint": service.url, "deployment": "gone", "api_key": service.key},
            {"name": "away", "base_url": "http://127.0.0.1:1/v1", "models": ["m"]},
            {"name": "open", "base_url": f"{service.url}/v1", "api_key": service.key, "models": ["*"]},
        ]
        found = await doctor(tmp_path, f"port = 0\nengine = 'text'\nupstreams = '''{json.dumps(entries)}'''")
    states = {one.subject: one.state for one in found if one.check == "upstream.chat"}
    assert states == {"east: gpt-4o": "ok", "west: gone": "failure", "away: m": "failure", "open": "ok"}
    assert "KAIWA_UPSTREAMS (away)" in of(found, "upstream.chat", "away").remedy


async def test_a_service_that_does_not_answer_holds_up_nothing_else(tmp_path: Path) -> None:
    async with running_service(faults=Faults(connect_delay_s=60)) as service:
        began = time.monotonic()
        found = await doctor(tmp_path, setup(service, tmp_path), patience_s=1.5)
        assert time.monotonic() - began < 4
    silent = {one.check for one in found if "no answer within 1.5 s" in one.detail}
    assert silent == {"upstream.chat", "upstream.realtime", "upstream.transcription"}
    assert of(found, "database").state == "ok"


async def test_a_check_that_breaks_or_blocks_is_a_finding_and_hides_no_other() -> None:
    def breaks() -> Examined:
        raise KeyError("hush")

    checks = [
        Check("breaks", Words("a"), breaks),
        Check("blocks", Words("b"), lambda: time.sleep(3) or well("late")),
        Check("works", Words("c"), lambda: well("fine")),
    ]
    broken, blocked, fine = await examine(checks, patience_s=0.3)
    assert broken.state == "failure" and "KeyError" in broken.detail and "hush" not in str(broken)
    assert blocked.state == "failure" and "no answer" in blocked.detail
    assert (fine.state, fine.detail) == ("ok", "fine")


# --- Entra ID and the clock --------------------------------------------------------------------


@dataclass
class Issued:
    token: str
    expires_on: int


class Issuer:
    """Gives a token, or refuses."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    async def get_token(self, *scopes: str) -> Issued:
        if self._token is None:
            raise PermissionError("tenant of the house")
        return Issued(self._token, int(time.time()) + 3600)

    async def close(self) -> None:
        """There is nothing to free."""


@pytest.mark.parametrize(
    ("token", "had", "let_in", "remedy"),
    [
        (DEFAULT_TOKEN, "ok", "ok", ""),
        ("of-somebody-without-the-role", "ok", "failure", "Cognitive Services OpenAI User"),
        (None, "failure", "failure", "az login"),
    ],
)
async def test_a_token_that_cannot_be_had_is_told_apart_from_a_role_that_is_missing(
    token: str | None, had: str, let_in: str, remedy: str
) -> None:
    credential, http = EntraToken(lambda: Issuer(token)), HttpClient()
    async with running_service() as service:
        deployment = Deployment("east", "azure", service.url, credential, {"gpt-4o": "gpt-4o"})
        found = await examine_chat(http, deployment, "gpt-4o", NAMES, Clock(time.time))
    await http.close()
    assert ((await examine_token(credential)).state, found.state) == (had, let_in)
    assert remedy in found.remedy.english and "tenant" not in str(found)


@pytest.mark.parametrize(
    ("skews_s", "state", "said"),
    [
        ([], "ok", "no service"),
        ([0.5], "ok", "agrees"),
        ([40], "warning", "40 s ahead"),
        ([-40, -45], "warning", "40 s behind"),
        ([4000], "failure", "ahead"),
        ([4000, 1], "ok", "agrees"),
    ],
)
def test_the_clock_is_compared_with_the_nearest_service(skews_s: list[float], state: str, said: str) -> None:
    now = 1_800_000_000.0
    clock = Clock(lambda: now)
    for skew_s in skews_s:
        clock.note(formatdate(now - skew_s, usegmt=True))
    clock.note("no date")
    clock.note(None)
    found = clock.examined()
    assert found.state == state and said in found.detail.english


# --- the machine -------------------------------------------------------------------------------


def test_a_port_that_somebody_uses_is_a_failure() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = examine_port("127.0.0.1", port, "KAIWA_PORT")
        assert found.state == "failure" and "in use" in found.detail.english
        assert "KAIWA_PORT" in found.remedy.english
    assert examine_port("127.0.0.1", port, "KAIWA_PORT").state == "ok"
    assert "address" in examine_port("203.0.113.7", port, "KAIWA_PORT").detail.english


async def test_a_port_at_which_a_kaiwa_runs_is_no_failure(tmp_path: Path) -> None:
    async with running(at_home(tmp_path)) as server:
        port = int(server.addresses[0].rpartition(":")[2])
        found = await asyncio.to_thread(examine_port, "127.0.0.1", port, "KAIWA_PORT")
    assert found.state == "warning" and "a kaiwa answers" in found.detail.english
    assert "KAIWA_PORT" in found.remedy.english


async def test_the_door_for_other_processes_is_at_an_address_of_this_machine(tmp_path: Path) -> None:
    toml = 'port = 0\nengine = "text"\napi_key = "k"\nredis_url = "redis://127.0.0.1:1"\npeer_host = "{}"\n'
    found = await doctor(tmp_path, toml.format("203.0.113.7"))
    assert of(found, "port", "peers").state == "failure"
    assert "KAIWA_PEER_HOST" in of(found, "port", "peers").remedy
    assert of(await doctor(tmp_path, toml.format("127.0.0.1")), "port", "peers").state == "ok"


def test_a_privileged_port_is_told_as_such() -> None:
    script = (
        "import os\n"
        "from kaiwa.server.examining import examine_port\n"
        "os.setuid(65534) if os.getuid() == 0 else None\n"
        "print(examine_port('127.0.0.1', 81, 'KAIWA_PORT').detail.english)"
    )
    lowest = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    expected = "81 is privileged" if lowest > 81 else "81 is free"
    assert said.stdout.strip() == expected, said.stderr


def test_the_udp_ports_of_calls_are_tried() -> None:
    assert examine_udp("127.0.0.1", (0,)).state == "ok"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        found = examine_udp("127.0.0.1", (0, port))
    assert found.state == "failure" and errno.errorcode[errno.EADDRINUSE] in found.detail.english


@pytest.mark.parametrize(("limit", "state"), [(None, "ok"), (512, "ok"), (511, "warning")])
def test_open_files_are_counted_against_the_sessions(limit: int | None, state: str) -> None:
    assert examine_descriptors(64, limit).state == state


def test_files_with_secrets_are_for_their_owner(tmp_path: Path) -> None:
    (tmp_path / "keys.json").touch(0o600)
    (tmp_path / ".env").touch(0o644)
    assert examine_secrecy([tmp_path / "keys.json", tmp_path / "none"]).state == "ok"
    found = examine_secrecy([tmp_path / "keys.json", tmp_path / ".env"])
    assert found.state == "warning" and found.remedy.english == f"chmod 600 {tmp_path}/.env"


def test_a_certificate_is_good_for_some_time(tmp_path: Path) -> None:
    made = self_signed(tmp_path, "localhost")
    settings = at_home(tmp_path, tls_cert=made.chain, tls_key=made.key)
    now = datetime.now(UTC)
    states = [examine_certificate(settings, now + timedelta(days)).state for days in (0, 390, 398)]
    assert states == ["ok", "warning", "failure"]


def test_the_disk_is_looked_at_where_folders_will_be(tmp_path: Path) -> None:
    found = examine_disk([tmp_path / "not" / "yet", tmp_path])
    assert "GiB free" in found.detail.english


# --- the command -------------------------------------------------------------------------------


def test_the_command_gives_one_document_whose_shape_stays(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("KAIWA_", "AZURE_"))}
    environ |= {"KAIWA_ENGINE": "text", "KAIWA_PORT": "0", "KAIWA_MAX_SESSIONS": "none"}
    command = [sys.executable, "-m", "kaiwa", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environ, timeout=60)
    document: dict[str, Any] = json.loads(done.stdout)
    assert (document["version"], document["ok"], done.returncode) == (1, False, 1)
    assert sum(document["counts"].values()) == len(document["findings"])
    assert {tuple(finding) for finding in document["findings"]} == {
        (
            "check",
            "subject",
            "name",
            "name_ja",
            "state",
            "detail",
            "detail_ja",
            "remedy",
            "remedy_ja",
            "elapsed_ms",
        )
    }
    wrong = [finding for finding in document["findings"] if finding["state"] == "failure"]
    assert [(one["check"], one["subject"]) for one in wrong] == [
        ("settings", "KAIWA_MAX_SESSIONS (environment)")
    ]


def test_every_check_is_told_on_its_page() -> None:
    root = Path(__file__).parents[2]
    sources = [root / "src/kaiwa/cli" / name for name in ("doctor_checks.py", "doctor_services.py")]
    made = {
        name
        for source in sources
        for name in re.findall(r'Check\(\s*"([a-z._]+)"', source.read_text("utf-8"))
    }
    told = set(re.findall(r"^\| `([a-z._]+)` \|", (root / "docs/doctor.md").read_text("utf-8"), re.M))
    assert made == told
