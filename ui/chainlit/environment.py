"""What the page is told by its environment: where kaiwa is, who may come in, and what a visitor begins with.

Knows names and bounds; opens nothing. A wrong value ends the process with a sentence that names the setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).parent
SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
KINDS_OF_VAD = ("server_vad", "semantic_vad")
LANGUAGES = ("ja", "en")


class SettingError(Exception):
    """A setting is wrong: which one, and how to mend it."""

    def __init__(self, name: str, problem: str, remedy: str) -> None:
        super().__init__(f"{name}: {problem} {remedy}")


@dataclass(frozen=True)
class Choice:
    """What a visitor may choose on the page. An empty `voice` or `instructions` leaves the agent's own.

    An empty `agent`: the one that the server was started with, or else the concierge.
    """

    agent: str = ""
    voice: str = ""
    language: str = "ja"
    vad: str = "server_vad"
    threshold: float = 0.6
    silence_ms: int = 700
    instructions: str = ""
    debug: bool = False


@dataclass(frozen=True)
class Place:
    """Where this process stands. `socket`: a Unix socket instead of a port; `logins`: name to password."""

    kaiwa: str
    key: str | None = field(repr=False)
    host: str
    port: int
    socket: Path | None
    root_path: str
    database: Path
    keyed: bool
    logins: Mapping[str, str] = field(repr=False)
    transcription: str
    choice: Choice

    @property
    def kaiwa_http(self) -> str:
        return self.kaiwa.replace("ws", "http", 1)


def place_from(environment: Mapping[str, str]) -> Place:
    """Read the settings. Raises SettingError."""
    login = environment.get("KAIWA_CHAINLIT_LOGIN", "")
    socket = environment.get("KAIWA_CHAINLIT_SOCKET")
    relayed = bool(environment.get("AZURE_OPENAI_ENDPOINT"))
    database = environment.get("KAIWA_CHAINLIT_DATABASE") or str(HERE / ".state" / "threads.db")
    return Place(
        kaiwa=_address(environment.get("KAIWA_URL") or "ws://127.0.0.1:8000"),
        key=environment.get("KAIWA_API_KEY") or None,
        host=environment.get("KAIWA_CHAINLIT_HOST") or "127.0.0.1",
        port=int(_number(environment, "KAIWA_CHAINLIT_PORT", 8001, 0, 65535)),
        socket=Path(socket) if socket else None,
        root_path=_root_path(environment.get("KAIWA_CHAINLIT_ROOT_PATH", "")),
        database=Path(database),
        keyed=login == "key",
        logins={} if login == "key" else _logins(login),
        transcription=environment.get("KAIWA_CHAINLIT_TRANSCRIPTION")
        or ("whisper-1" if relayed else "gpt-realtime-whisper"),
        choice=_choice(environment),
    )


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise SettingError(
            "KAIWA_URL", "is no address.", "Give one such as wss://kaiwa.example or ws://127.0.0.1:8000."
        )
    path = parts.path.rstrip("/").removesuffix("/realtime").removesuffix("/v1").removesuffix("/openai")
    return f"{SCHEMES[parts.scheme]}://{parts.netloc}{path}"


def _root_path(path: str) -> str:
    if path and not (path.startswith("/") and not path.endswith("/")):
        raise SettingError(
            "KAIWA_CHAINLIT_ROOT_PATH", "is no path.", "Begin with / and end without it: /chat."
        )
    return path


def _logins(text: str) -> Mapping[str, str]:
    pairs = [pair.strip().partition(":") for pair in text.split(",") if pair.strip()]
    if any(not name or not password for name, _, password in pairs):
        raise SettingError(
            "KAIWA_CHAINLIT_LOGIN",
            "cannot be read.",
            "Write name:password, with commas between, or key.",
        )
    return {name: password for name, _, password in pairs}


def _choice(environment: Mapping[str, str]) -> Choice:
    given = Choice()
    return replace(
        given,
        agent=environment.get("KAIWA_CHAINLIT_AGENT") or given.agent,
        voice=environment.get("KAIWA_CHAINLIT_VOICE") or given.voice,
        language=_one_of(environment, "KAIWA_CHAINLIT_LANGUAGE", LANGUAGES),
        vad=_one_of(environment, "KAIWA_CHAINLIT_VAD", KINDS_OF_VAD),
        threshold=_number(environment, "KAIWA_CHAINLIT_VAD_THRESHOLD", given.threshold, 0, 1),
        silence_ms=int(_number(environment, "KAIWA_CHAINLIT_SILENCE_MS", given.silence_ms, 100, 5000)),
        instructions=environment.get("KAIWA_CHAINLIT_INSTRUCTIONS") or given.instructions,
    )


def _one_of(environment: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    value = environment.get(name) or allowed[0]
    if value not in allowed:
        raise SettingError(name, "has no such value.", f"Choose from: {', '.join(allowed)}.")
    return value


def _number(environment: Mapping[str, str], name: str, default: float, least: float, most: float) -> float:
    try:
        value = float(environment.get(name) or default)
    except ValueError:
        raise SettingError(name, "is no number.", f"Give one from {least:g} to {most:g}.") from None
    if not least <= value <= most:
        raise SettingError(name, "is out of bounds.", f"Give a number from {least:g} to {most:g}.")
    return value
