"""Which checks `kaiwa doctor` makes: of the machine, of the configuration and of the services."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from kaiwa.cli.doctor import Check, Look
from kaiwa.errors import ConfigError, MissingPackage
from kaiwa.events.examined import Examined, State, Words, failure, warning, well
from kaiwa.server.configuration import Configuration, Finding
from kaiwa.server.configuration.checking import checked
from kaiwa.server.settings import Settings

_FOR_SPEECH: Final = ("ctranslate2", "onnxruntime", "pyopenjtalk", "tokenizers")


def checks_for(read: Configuration) -> list[Check]:
    """Return every check. A wrong setting is a finding, and what is right of the rest is looked at still."""
    from kaiwa.cli.doctor_services import service_checks

    settings = read.usable
    return [
        *_of_the_machine(settings),
        *_of_the_configuration(checked(read)),
        *_of_the_house(read),
        *service_checks(settings),
    ]


# --- the machine -------------------------------------------------------------------------------


def _of_the_machine(settings: Settings) -> Iterator[Check]:
    from kaiwa.cli.doctor_services import realtime_of
    from kaiwa.server.examining import examine_descriptors, examine_disk, open_files_limit
    from kaiwa.transports.webrtc.examining import examine_codecs

    yield Check("python", Words("Python"), check_python)
    if settings.engine in (None, "local") and not realtime_of(settings)[0]:
        yield Check("speech", Words("Local speech", "音声パッケージ"), check_packages)
        yield from _of_the_models(settings)
        yield Check("voice", Words("English voice", "英語の音声合成"), check_voices)
    yield Check("codecs", Words("Audio codecs", "音声コーデック"), examine_codecs)
    yield Check("audio_devices", Words("Audio devices", "マイクとスピーカー"), check_audio)
    most = settings.max_sessions
    yield Check(
        "files",
        Words("Open files", "ファイル数の上限"),
        lambda: examine_descriptors(most, open_files_limit()),
    )
    yield Check("disk", Words("Disk", "ディスク"), partial(examine_disk, _written_folders(settings)))


def _written_folders(settings: Settings) -> list[Path]:
    from kaiwa.apps.rentacar.stores import sqlite_file

    file = _or_none(lambda: sqlite_file(settings.database.get_secret_value()))
    cache = settings.cache_directory or Path.home() / ".cache"
    return [cache, *([file.parent] if file else [])]


def _or_none(look: Callable[[], Path | None]) -> Path | None:
    try:
        return look()
    except ConfigError:
        return None


def check_python() -> Examined:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return well(f"{version} at {sys.executable}")


def check_packages() -> Examined:
    """The packages of kaiwa[local]; without them only remote engines can answer."""
    missing = [name for name in _FOR_SPEECH if find_spec(name) is None]
    if not missing:
        return well("all packages of kaiwa[local]", "kaiwa[local] のパッケージが揃っています")
    return failure(
        (f"missing: {', '.join(missing)}", f"不足: {', '.join(missing)}"),
        (
            "pip install 'kaiwa[local]', or let a service answer (KAIWA_ENGINE=relay or text).",
            "pip install 'kaiwa[local]' を実行するか、KAIWA_ENGINE=relay または text にしてください。",
        ),
    )


def _of_the_models(settings: Settings) -> Iterator[Check]:
    """Every model file is there and is the one that was measured, byte for byte."""
    from kaiwa.engines.speech import catalogue

    def carried(file: catalogue.ModelFile) -> Examined:
        return well(f"{len(catalogue.carried_model(file)):,} bytes, genuine")

    def whisper() -> Examined:
        cache = settings.cache_directory or catalogue.default_cache_directory()
        folder = catalogue.whisper_directory(cache)
        catalogue.verify_directory(folder)
        return well(f"genuine, in {folder}")

    vad, turn = Words("Voice activity model", "発話検出モデル"), Words("Turn end model", "発話終端モデル")
    yield Check("model.voice_activity", vad, partial(carried, catalogue.SILERO_VAD))
    yield Check("model.turn_end", turn, partial(carried, catalogue.SMART_TURN))
    if settings.speech_model_path is None:
        yield Check("model.recognition", Words("Recognition model", "音声認識モデル"), whisper)


def check_voices() -> Examined:
    """English voices are programs; the Japanese one comes with pyopenjtalk-plus."""
    program = shutil.which("flite") or shutil.which("espeak-ng")
    if program:
        return well(program)
    return warning(
        ("no flite, no espeak-ng", "flite も espeak-ng もありません"),
        ("apt-get install flite (or espeak-ng)", ""),
    )


def check_audio() -> Examined:
    """Microphone and loudspeaker, for `kaiwa talk` only; browsers bring their own."""
    from kaiwa.cli.audio_devices import problem_with_devices

    problem = problem_with_devices()
    if problem is None:
        return well("microphone and loudspeaker for kaiwa talk")
    return warning(
        (f"{problem.detail} (for kaiwa talk only)", "kaiwa talk にだけ必要です"), (problem.remedy, "")
    )


# --- the configuration -------------------------------------------------------------------------


def _of_the_configuration(read: Configuration) -> Iterator[Check]:
    name = Words("Settings", "設定")
    for finding in read.findings:
        yield Check("settings", name, partial(_as_examined, finding), subject=finding.where)
    if not read.failures:
        where = f"{len(read.origins)} set" + (f", with {read.file}" if read.file else "")
        yield Check("settings", name, partial(well, where))


def _as_examined(finding: Finding) -> Examined:
    state: State = finding.weight
    return Examined(state, finding.problem, finding.remedy)


# --- the house ---------------------------------------------------------------------------------


def _of_the_house(read: Configuration) -> Iterator[Check]:
    from kaiwa.server import examining
    from kaiwa.transports.webrtc.examining import examine_udp

    settings = read.usable
    host, port = settings.host, Words("Port", "ポート")
    yield Check("port", port, partial(examining.examine_port, host, settings.port, "KAIWA_PORT"))
    if settings.tls_port is not None:
        look = partial(examining.examine_port, host, settings.tls_port, "KAIWA_TLS_PORT")
        yield Check("port", port, look, subject="TLS")
    if settings.peer_host is not None:
        look = partial(
            examining.examine_port,
            settings.peer_host,
            settings.peer_port,
            "KAIWA_PEER_PORT",
            host_setting="KAIWA_PEER_HOST",
        )
        yield Check("port", port, look, subject="peers")
    calls = partial(examine_udp, settings.rtc_host or host, settings.rtc_port)
    yield Check("port", port, calls, subject="WebRTC")
    certificate = partial(examining.examine_certificate, settings)
    yield Check("certificate", Words("Certificate", "証明書"), certificate)
    secrecy = partial(examining.examine_secrecy, _files_with_secrets(read))
    yield Check("secrets", Words("Files with secrets", "秘密を含むファイル"), secrecy)
    chainlit = partial(examining.examine_chainlit, settings)
    yield Check("chainlit", Words("Chainlit page", "Chainlit の画面"), chainlit)
    yield Check("database", Words("Database", "データベース"), _database(settings))


def _files_with_secrets(read: Configuration) -> list[Path]:
    """Return the files in which secret settings stand, and those that are secrets themselves."""
    secret = [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]
    named = [read.origin(name).path for name in (*secret, "realtime_upstreams")]
    files = [Path(path) for path in named if path]
    files += [path for path in (read.usable.keys, read.usable.tls_key) if path is not None]
    return list(dict.fromkeys(files))


def _database(settings: Settings) -> Look:
    async def look() -> Examined:
        from kaiwa.apps.rentacar.examining import examine_database

        try:
            found = await examine_database(settings.database.get_secret_value())
        except MissingPackage:
            raise
        except ConfigError as wrong:
            return failure(
                (wrong.problem, "データベースに届かないか、使えません。"),
                (
                    f"{wrong.remedy} ({wrong.setting})",
                    f"{wrong.setting} の宛先・権限・起動を確認してください。",
                ),
            )
        detail = f"{found.kind}: {found.detail}"
        if found.state != "older":
            return well(detail)
        return warning(
            (detail, "最初の使用時に新しいスキーマへ移行されます"),
            ("Make a copy before the first use.", "最初に使う前に控えを取ってください。"),
        )

    return look
