"""Whether this machine can take calls: the packages, Opus there and back, and the UDP ports."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

from kaiwa.events.examined import Examined, failure, warning, well

_NEEDED: Final = ("aiortc", "ifaddr", "pylibsrtp")
_BITRATE, _COMPLEXITY = 32_000, 5


def examine_codecs() -> Examined:
    """Encode and decode 20 ms of silence. Raises ConfigError without libopus."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        return warning(
            (f"no calls by WebRTC: missing {', '.join(missing)}", "WebRTC のパッケージがありません"),
            ("pip install 'kaiwa[webrtc]'", "pip install 'kaiwa[webrtc]'"),
        )
    from kaiwa.transports.webrtc.opus import FRAME_BYTES, OpusDecoder, OpusEncoder

    packet = OpusEncoder(_BITRATE, _COMPLEXITY).encode(bytes(FRAME_BYTES))
    heard = OpusDecoder().decode(packet)
    if len(heard) != FRAME_BYTES:
        return failure(
            ("Opus gives other sound than it took", "Opus の符号化が正しく動きません"),
            ("Install kaiwa[webrtc] anew.", "kaiwa[webrtc] を入れ直してください。"),
        )
    return well("PCM16, G.711 and Opus, there and back", "PCM16、G.711、Opus を変換できます")


def examine_udp(host: str, ports: Sequence[int]) -> Examined:
    """See that the ports of calls are free; 0 always is."""
    for port in ports:
        trouble = _trouble(host, port)
        if trouble is not None:
            return failure(
                (
                    f"UDP port {port} cannot be used ({trouble})",
                    f"UDP ポート {port} は使えません ({trouble})",
                ),
                (
                    "End the program that uses it, or set KAIWA_RTC_PORT.",
                    "使用中のプログラムを終了するか、KAIWA_RTC_PORT を変更してください。",
                ),
            )
    told = "any that is free" if set(ports) == {0} else ", ".join(str(port) for port in ports)
    return well(f"UDP: {told}", f"UDP: {'空いているポート' if set(ports) == {0} else told}")


def _trouble(host: str, port: int) -> str | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host.strip("[]"), port))
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, "error") if error.errno else "address"
    return None
