"""What a server needs of its machine: free ports, room for its sessions, files only their owner reads, disk.

Looks; changes nothing. Binds a port for a moment to see whether it could.
"""

from __future__ import annotations

import errno
import shutil
import socket
import stat
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509

from kaiwa.events.examined import Examined, failure, warning, well
from kaiwa.server.certificates import tls_context
from kaiwa.server.chainlit import ChatPage
from kaiwa.server.listening import certificate_of
from kaiwa.server.readiness import Ready
from kaiwa.server.settings import Settings

FILES_A_SESSION: Final = 4
"""A client's socket, a service's, and what tools and the media process open meanwhile."""
FILES_BESIDES: Final = 256
SCARCE_BYTES: Final = 1024**3
FULL_BYTES: Final = 100 * 1024**2
_EXPIRES_SOON: Final = timedelta(days=14)
_PRIVILEGED: Final = 1024
_ANSWERS_WITHIN_S: Final = 2.0
_MOST_SAID_BYTES: Final = 4096


def examine_port(host: str, port: int, setting: str, *, host_setting: str = "KAIWA_HOST") -> Examined:
    """See that a TCP port can be listened on; `setting` names the port, 0: any."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and _is_kaiwa(host, port):
                return _running_already(port, setting)
            return _unusable(port, setting, host_setting, error)
    if port == 0:
        return well("any that is free", "空いているポートを使います")
    return well(f"{port} is free", f"{port} は空いています")


def _is_kaiwa(host: str, port: int) -> bool:
    """Say whether a kaiwa is what listens there; over TLS that is not found out."""
    there = HTTPConnection(host.strip("[]"), port, timeout=_ANSWERS_WITHIN_S)
    try:
        there.request("GET", "/readyz")
        msgspec.json.decode(there.getresponse().read(_MOST_SAID_BYTES), type=Ready)
    except (OSError, HTTPException, msgspec.DecodeError, UnicodeError):
        return False
    finally:
        there.close()
    return True


def _running_already(port: int, setting: str) -> Examined:
    return warning(
        (f"{port} is in use: a kaiwa answers there", f"{port} では kaiwa がすでに動いています"),
        (
            f"Nothing, if it is the one you mean; for another one choose another port ({setting}).",
            f"そのままで構いません。もう一つ動かすには別のポートにしてください ({setting})。",
        ),
    )


def _unusable(port: int, setting: str, host_setting: str, error: OSError) -> Examined:
    if error.errno in (errno.EACCES, errno.EPERM) and port < _PRIVILEGED:
        return failure(
            (f"{port} is privileged", f"{port} は特権ポートです"),
            (
                f"Take a port from 1024 on ({setting}), or grant CAP_NET_BIND_SERVICE.",
                f"1024 以上のポートにするか ({setting})、CAP_NET_BIND_SERVICE を与えてください。",
            ),
        )
    if error.errno == errno.EADDRINUSE:
        return failure(
            (f"{port} is in use", f"{port} は使用中です"),
            (
                f"End the program that uses it, or choose another ({setting}).",
                f"使用中のプログラムを終了するか、別のポートにしてください ({setting})。",
            ),
        )
    return failure(
        (f"the address cannot be used ({error.strerror or 'unknown'})", "このアドレスでは待ち受けできません"),
        (
            f"Name an address of this machine in {host_setting}.",
            f"{host_setting} にこのマシンのアドレスを指定してください。",
        ),
    )


def examine_certificate(settings: Settings, now: datetime | None = None) -> Examined:
    """See that certificate and key fit, and that it is good for some time. Raises ConfigError."""
    if settings.tls_self_signed:
        return well("made by kaiwa when it starts", "起動時に kaiwa が作成します")
    found = certificate_of(settings)
    if found is None:
        return well("none; plain HTTP", "なし (平文の HTTP)")
    tls_context(found)
    end = x509.load_pem_x509_certificates(found.chain.read_bytes())[0].not_valid_after_utc
    left = end - (now or datetime.now(UTC))
    remedy = ("Renew it (KAIWA_TLS_CERT).", "証明書を更新してください (KAIWA_TLS_CERT)。")
    if left <= timedelta():
        return failure((f"expired on {end:%Y-%m-%d}", f"{end:%Y-%m-%d} に期限が切れました"), remedy)
    if left < _EXPIRES_SOON:
        return warning((f"expires on {end:%Y-%m-%d}", f"{end:%Y-%m-%d} に期限が切れます"), remedy)
    return well(f"good until {end:%Y-%m-%d}", f"{end:%Y-%m-%d} まで有効です")


def examine_descriptors(most_sessions: int, limit: int | None) -> Examined:
    """See that so many sessions may open their files. `limit`: of this process, None: there is none."""
    wanted = most_sessions * FILES_A_SESSION + FILES_BESIDES
    if limit is None or limit >= wanted:
        told = "no limit" if limit is None else f"{limit:,}"
        return well(f"{told}; {most_sessions} sessions need {wanted:,}", f"上限 {told} (必要数 {wanted:,})")
    detail = f"{limit:,} open files, and {most_sessions} sessions need {wanted:,}"
    return warning(
        (
            detail,
            f"開けるファイルは {limit:,} 個ですが、{most_sessions} セッションには {wanted:,} 個必要です",
        ),
        (
            f"ulimit -n {wanted} (LimitNOFILE= of systemd), or lower KAIWA_MAX_SESSIONS.",
            f"ulimit -n {wanted} (systemd は LimitNOFILE=) とするか、KAIWA_MAX_SESSIONS を下げてください。",
        ),
    )


def open_files_limit() -> int | None:
    """Return how many files this process may open; None: there is no such limit here."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def examine_disk(folders: Sequence[Path]) -> Examined:
    """See that there is room where the server writes."""
    free = [(shutil.disk_usage(_there(folder)).free, folder) for folder in folders]
    least, where = min(free)
    told = f"{least / 1024**3:.1f} GiB free at {where}"
    if least >= SCARCE_BYTES:
        return well(told, f"{where} の空き容量は {least / 1024**3:.1f} GiB です")
    judge = failure if least < FULL_BYTES else warning
    return judge(
        (told, f"{where} の空き容量は {least / 1024**3:.1f} GiB しかありません"),
        ("Make room, or name another disk.", "空き容量を増やすか、別のディスクを指定してください。"),
    )


def _there(folder: Path) -> Path:
    folder = folder.absolute()
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def examine_secrecy(files: Sequence[Path]) -> Examined:
    """See that files with secrets are for their owner alone."""
    there = [file for file in files if file.is_file()]
    loose = [file for file in there if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    if not loose:
        return well(f"{len(there)} files, for their owner alone", f"{len(there)} 個、所有者だけが読めます")
    names = ", ".join(str(file) for file in loose)
    remedy = f"chmod 600 {' '.join(str(file) for file in loose)}"
    return warning((f"others may read {names}", f"他のユーザーが読めます: {names}"), (remedy, remedy))


def examine_chainlit(settings: Settings) -> Examined:
    """See that the Chainlit page could start, where the settings ask for it."""
    if not settings.chainlit:
        return well("not asked for", "使いません")
    if ChatPage(settings, keyed=False).set_up:
        return well("is set up", "準備できています")
    return failure(
        ("is not set up here", "準備できていません"),
        (
            "Run `kaiwa chainlit install`, or make run.",
            "`kaiwa chainlit install` か make run を実行してください。",
        ),
    )
