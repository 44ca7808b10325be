"""Settings of the house: where it listens, who may come in, what it remembers and what it tells."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AllowInfNan,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    SecretStr,
    field_validator,
)

from kaiwa.server.settings_values import Listed, TextOfTables
from kaiwa.server.settings_words import LIVE, LIVE_WHILE_SET, Group, Names, Option

Price = Annotated[NonNegativeFloat, AllowInfNan(False)]


class ModelPrices(BaseModel):
    """What a million tokens of one model cost; cached ones as others where it is not said."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    text_input: Annotated[Price, Field(alias="input")] = 0
    text_input_cached: Annotated[Price | None, Field(alias="cached")] = None
    audio_input: Price = 0
    audio_input_cached: Price | None = None
    text_output: Annotated[Price, Field(alias="output")] = 0
    audio_output: Price = 0
    audio_minute: Price = 0
    """What a minute of sound costs, where a model is paid by time."""


class Prices(BaseModel):
    """What a million tokens cost, by kind, and a million messages; `currency` is an ISO 4217 code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"
    text_input: Price = 0
    text_input_cached: Price = 0
    audio_input: Price = 0
    audio_input_cached: Price = 0
    text_output: Price = 0
    audio_output: Price = 0
    audio_minute: Price = 0
    signalr_messages: Price = 0
    """What a million messages cost that Azure SignalR Service takes."""
    models: dict[str, ModelPrices] = {}
    """Those of single models and deployments; `*` in a name matches any letters."""


class ServerSettings(Group):
    """The server"""

    agent: Annotated[str | None, Option("first argument")] = None
    """The default agent: the name of a bundled one, or `module:attribute` found from the current folder.
    Without it the default is `kaiwa-local`, which has no instructions and no tools of its own."""
    host: Annotated[str, Option("--host")] = "127.0.0.1"
    """Address to listen on. Anything but loopback needs `KAIWA_API_KEY`, `KAIWA_KEYS` or `KAIWA_POLICY`,
    or the server does not start."""
    port: Annotated[int, Field(ge=0, le=65535), Option("--port")] = 8000
    """Port to listen on; 0 for any that is free."""
    tls_self_signed: Annotated[bool, Option("--tls-self-signed")] = False
    """Speak TLS with a certificate made for this machine: docs/endpoints.md#tls."""
    tls_cert: Path | None = None
    """PEM file of your own certificate instead; with `KAIWA_TLS_KEY`."""
    tls_key: Path | None = None
    """PEM file of its key."""
    tls_port: Annotated[int | None, Field(ge=0, le=65535), Option("--tls-port")] = None
    """A second port for TLS; the first stays plain. Without it the one port speaks TLS when there is a
    certificate."""
    tls_minimum: Literal["1.2", "1.3"] = "1.2"
    """The oldest TLS that is spoken."""
    max_connections: Annotated[int | None, Field(ge=1)] = None
    """Open connections; one more is answered 503 and closed. None: as many as this process may have files
    open, less 200."""
    max_sessions: Annotated[int, Field(ge=1), LIVE] = 64
    """Live sessions; one more is refused with `server_busy`. Calls by WebRTC keep the number of the
    start."""
    session_minutes: Annotated[float, Field(gt=0), LIVE] = 60
    """How long one session may last; sessions that began keep their time."""
    resume_s: Annotated[float, Field(ge=0)] = 30
    """So long a peer that asked for it may come back to its session after its connection broke; 0: never."""
    resume_log_mb: Annotated[float, Field(gt=0, le=64)] = 4
    """How much of what such a peer was told is kept for it."""
    drain_s: Annotated[float, Field(ge=0)] = 30
    """So long running streams may go on when the server ends; new ones are refused meanwhile."""
    test_mode: Annotated[bool, Option("--test-mode")] = False
    """Requests may choose what goes wrong with them (docs/faults.md). For tests only: whoever may come in may
    break what they use."""
    test_faults: Annotated[str, Option("--test-faults")] = ""
    """Faults for every request that chooses none: `tool-slow;for_s=2,upstream-busy`. Needs
    `KAIWA_TEST_MODE`."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Option("--log-level"), LIVE] = "info"
    """How much the log tells."""
    log_format: Annotated[Literal["text", "json"], LIVE] = "text"
    """`json`: one object a line, with the facts as fields: docs/metrics.md#logs."""
    chainlit: bool = False
    """Start the page of docs/chainlit.md beside the server, under `/chat`; `make run` sets it. The page's
    own settings stand there."""
    time_zone: str = "Asia/Tokyo"
    """What "tomorrow" and "ten o'clock" mean where the agent names no time zone of its own."""
    database: Annotated[SecretStr, Option("--database")] = SecretStr("rentacar.db")
    """Where reservations go (docs/rentacar.md#where-reservations-live): a file, `postgresql://…`,
    `cosmos://…` or a connection string of Cosmos DB. Made when a tool first needs it."""
    library_seconds: NonNegativeFloat = 20
    """How long a search of the bundled library (docs/library.md) pretends to take."""
    mcp_servers: TextOfTables | None = None
    """MCP servers that clients may use (docs/mcp.md#what-clients-may-reach): URLs, `label=URL`, or JSON
    with commands."""
    backchannels: Annotated[bool, LIVE] = True
    """Small words (はい, ええ, うん, "uh-huh") while the agent speaks are no interruption."""
    filler_ms: Annotated[int, Field(ge=0), LIVE] = 1500
    """After so long a silence while a tool runs that nobody spoke of, the agent asks to wait; 0: never."""
    chat_pace_ms: Annotated[int, Field(ge=0, le=1000)] = 10
    """Between two events of a plain text stream (docs/chat-stream.md#plain): the simplest pages lose what
    arrives in one read."""
    speech_model_path: Path | None = None
    """A folder with another recognition model (CTranslate2); None: the bundled one."""
    cache_directory: Annotated[Path | None, Names("KAIWA_CACHE")] = None
    """The folder in whose `kaiwa/models` the recognition model is put together once; None: `~/.cache`."""

    @field_validator("database", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        return str(value) if isinstance(value, Path) else value


class CallerSettings(Group):
    """Callers"""

    api_key: Annotated[SecretStr | None, LIVE_WHILE_SET] = None
    """When set, every WebSocket and every request must offer it or, for a session, an ephemeral key
    (docs/endpoints.md#keys). `/`, `/healthz` and `/v1/models` need no key."""
    keys: Path | None = None
    """The file of API keys that `kaiwa keys` writes (docs/policy.md#api-keys); with it everybody needs a
    key. The file itself is read anew when it changes."""
    policy: Path | None = None
    """Who may do what and how much of it, in a file of TOML or JSON: docs/policy.md#the-policy-file. The
    file itself is read anew when it changes."""
    redis_url: SecretStr | None = None
    """`redis://…`: where several processes share limits (docs/policy.md#limits) and the hub
    (docs/signalr.md#several-processes); None: each is by itself."""
    limits_without_redis: Literal["open", "closed"] = "open"
    """While Redis is away: `open`, each process counts by itself; `closed`, callers with limits are
    refused."""
    allowed_origins: Annotated[Listed, LIVE] = ()
    """Web origins that may connect, with commas between them (a JSON list works too), as
    `https://desk.example`; `*` for all. Pages of this machine always may; programs send no origin."""
    page_sessions: bool = False
    """Pages of this server's own address get a key and their functions
    (docs/webrtc.md#pages-that-hold-their-own-call) without a key of their own. Any program that reaches
    the server can claim to be such a page: only where nobody else reaches it."""
    model_names: Listed = ()
    """More names, with commas between them, that `?model=` and `?deployment=` may ask for, as those of
    deployments: the default agent answers. `*` for every name."""
    prices: Annotated[Prices | None, LIVE] = None
    """What a million tokens cost, as JSON or a file (docs/policy.md#prices), by model too, and a million
    messages of Azure SignalR Service; with it the console (docs/console.md) shows money. None: nothing is
    counted in money."""

    @field_validator("prices", mode="before")
    @classmethod
    def _as_table(cls, value: object) -> object:
        """Read what is written here, or the file that is named here."""
        if not isinstance(value, str | Path):
            return value
        text = str(value)
        if text.lstrip().startswith("{"):
            return json.loads(text)
        try:
            content = Path(text).read_text("utf-8")
            return json.loads(content) if content.lstrip().startswith("{") else tomllib.loads(content)
        except OSError as error:
            raise ValueError(f"is neither JSON nor a file that can be read ({error.strerror})") from None
