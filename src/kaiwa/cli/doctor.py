"""What works on this machine, what does not, and how to mend it. Looks; changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Literal

import msgspec
from rich.console import Console
from rich.markup import escape

from kaiwa.errors import ConfigError

State = Literal["ok", "warning", "failed"]
MARKS: dict[State, str] = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "failed": "[red]✗[/]"}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`warning`: kaiwa runs without it. `remedy` is empty when nothing has to be done."""

    name: str
    state: State
    detail: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Run every check; none of them raises for what it looks for."""
    checks: tuple[Callable[[], list[Finding]], ...] = (
        check_python,
        check_packages,
        check_models,
        check_voices,
        check_settings,
        check_database,
        check_audio,
        check_key,
    )
    return [finding for check in checks for finding in check()]


def print_findings(findings: list[Finding], *, as_json: bool) -> int:
    """Show the findings; return the exit code: 1 when something failed."""
    failed = any(finding.state == "failed" for finding in findings)
    if as_json:
        document = {"ok": not failed, "findings": msgspec.to_builtins(findings)}
        print(json.dumps(document, ensure_ascii=False, indent=1))
        return int(failed)
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        console.print(f"{MARKS[finding.state]} [bold]{escape(finding.name)}[/]  {escape(finding.detail)}")
        if finding.remedy:
            console.print(f"    → {escape(finding.remedy)}")
    return int(failed)


def check_python() -> list[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return [Finding(name="Python", state="ok", detail=f"{version} at {sys.executable}")]


def check_packages() -> list[Finding]:
    """The packages of kaiwa[local]; without them only remote engines can answer."""
    needed = ("ctranslate2", "onnxruntime", "pyopenjtalk", "tokenizers")
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        detail = f"missing: {', '.join(missing)}"
        return [
            Finding(name="Local speech", state="failed", detail=detail, remedy="pip install 'kaiwa[local]'")
        ]
    return [Finding(name="Local speech", state="ok", detail="all packages of kaiwa[local]")]


def check_models() -> list[Finding]:
    """Every model file is there and is the one that was measured, byte for byte."""
    from kaiwa.engines.speech import catalogue

    def whisper() -> str:
        folder = catalogue.whisper_directory(catalogue.default_cache_directory())
        catalogue.verify_directory(folder)
        return str(folder)

    def carried(file: catalogue.ModelFile) -> str:
        return f"{len(catalogue.carried_model(file)):,} bytes, genuine"

    return [
        _genuine("Voice activity model", lambda: carried(catalogue.SILERO_VAD)),
        _genuine("Turn end model", lambda: carried(catalogue.SMART_TURN)),
        _genuine("Recognition model", whisper),
    ]


def _genuine(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name=name, state="ok", detail=look())
    except ConfigError as error:
        return Finding(name=name, state="failed", detail=error.problem, remedy=error.remedy)


def check_voices() -> list[Finding]:
    """English voices are programs; the Japanese one comes with pyopenjtalk-plus."""
    program = shutil.which("flite") or shutil.which("espeak-ng")
    if program:
        return [Finding(name="English voice", state="ok", detail=program)]
    remedy = "apt-get install flite (or espeak-ng)"
    return [Finding(name="English voice", state="warning", detail="no flite, no espeak-ng", remedy=remedy)]


def check_settings() -> list[Finding]:
    """The settings can be read, and their port is free."""
    from kaiwa.cli.serving import read_settings

    try:
        settings = read_settings()
    except ConfigError as error:
        detail = f"{error.setting}: {error.problem}"
        return [Finding(name="Settings", state="failed", detail=detail, remedy=error.remedy)]
    found = [Finding(name="Settings", state="ok", detail=f"serves on {settings.host}:{settings.port}")]
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            remedy = "End the program that uses it, or choose another: kaiwa serve --port N."
            found.append(Finding(name="Port", state="failed", detail=str(error), remedy=remedy))
        else:
            found.append(Finding(name="Port", state="ok", detail=f"{settings.port} is free"))
    return found


def check_database() -> list[Finding]:
    """The database of reservations answers, and its schema is one that this kaiwa knows."""
    from kaiwa.apps.rentacar.examining import examine_database
    from kaiwa.cli.serving import database_setting

    try:
        found = asyncio.run(examine_database(database_setting()))
    except ConfigError as wrong:
        return [Finding(name="Database", state="failed", detail=wrong.problem, remedy=wrong.remedy)]
    remedy = "Make a copy before the first use." if found.state == "older" else ""
    state: State = "warning" if found.state == "older" else "ok"
    return [Finding(name="Database", state=state, detail=f"{found.kind}: {found.detail}", remedy=remedy)]


def check_audio() -> list[Finding]:
    """Microphone and loudspeaker, for `kaiwa talk` only; browsers bring their own."""
    from kaiwa.cli.audio_devices import problem_with_devices

    problem = problem_with_devices()
    if problem is None:
        return [Finding(name="Audio devices", state="ok", detail="microphone and loudspeaker for kaiwa talk")]
    return [Finding(name="Audio devices", state="warning", detail=problem.detail, remedy=problem.remedy)]


def check_key() -> list[Finding]:
    """Whether an account is configured; none is needed for the local engine."""
    names = ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_KEY", "OPENAI_API_KEY")
    given = [name for name in names if os.environ.get(name)]
    if not given:
        return [Finding(name="Account", state="ok", detail="none set; the local engine needs none")]
    return [Finding(name="Account", state="ok", detail=f"set: {', '.join(given)}")]
