"""All settings of a server, read once from arguments, environment and `.env`. Knows names, checks values."""

from __future__ import annotations

import json
import tomllib
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from kaiwa.errors import ConfigError


def _names(own: str, *known: str) -> AliasChoices:
    return AliasChoices(own, f"KAIWA_{own.upper()}", *known)


class UpstreamEntry(BaseModel):
    """One deployment of Azure OpenAI (`endpoint`), or OpenAI and what is compatible (`base_url`).

    Without `api_key` an endpoint is entered with a token of Microsoft Entra ID. `models` are the names
    clients may ask it for; empty: any.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    endpoint: str | None = None
    base_url: str | None = None
    deployment: str | None = None
    api_key: SecretStr | None = None
    api_version: str | None = None
    models: tuple[str, ...] = ()


class ModelPrices(BaseModel):
    """What a million tokens of one model cost; cached ones as others where it is not said."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    text_input: Annotated[NonNegativeFloat, Field(alias="input")] = 0
    text_input_cached: Annotated[NonNegativeFloat | None, Field(alias="cached")] = None
    audio_input: NonNegativeFloat = 0
    audio_input_cached: NonNegativeFloat | None = None
    text_output: Annotated[NonNegativeFloat, Field(alias="output")] = 0
    audio_output: NonNegativeFloat = 0


class Prices(BaseModel):
    """What a million tokens cost, by kind; `currency` is an ISO 4217 code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"
    text_input: NonNegativeFloat = 0
    text_input_cached: NonNegativeFloat = 0
    audio_input: NonNegativeFloat = 0
    audio_input_cached: NonNegativeFloat = 0
    text_output: NonNegativeFloat = 0
    audio_output: NonNegativeFloat = 0
    models: dict[str, ModelPrices] = {}
    """Those of single models and deployments; `*` in a name matches any letters."""


class Settings(BaseSettings):
    """Environment names are `KAIWA_` and the field's name; the AZURE_OPENAI_* names people know work too."""

    model_config = SettingsConfigDict(
        env_prefix="KAIWA_", env_file=".env", extra="ignore", frozen=True, populate_by_name=True
    )

    agent: str | None = None
    """`module:attribute` or the name of a bundled agent; None: the plain engine."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    api_key: SecretStr | None = None
    """Required of every peer when set; must be set to listen beyond loopback."""
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Web origins that may connect besides pages of this machine; with commas between them, or JSON."""
    page_sessions: bool = False
    """Pages of this server's own address talk without a key; only where nobody else reaches it."""
    chainlit: bool = False
    """Start the Chainlit page beside the server, under /chat."""
    model_names: Annotated[tuple[str, ...], NoDecode] = ()
    """More names that the default agent answers to, as those of deployments; `*` for every name."""
    mcp_servers: SecretStr | None = None
    """MCP servers that clients may name in their session: URLs, label=URL, or JSON with commands."""
    database: SecretStr = SecretStr("rentacar.db")
    """Reservations of the bundled desk: a path, postgresql://…, cosmos://…; may hold a password."""
    library_seconds: NonNegativeFloat = 20
    """How long a search of the bundled library pretends to take."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    time_zone: str = "Asia/Tokyo"
    max_sessions: Annotated[int, Field(ge=1)] = 64
    session_minutes: Annotated[float, Field(gt=0)] = 60
    backchannels: bool = True
    """Words such as はい and うん while the agent speaks are no interruption."""
    filler_ms: Annotated[int, Field(ge=0)] = 1500
    """After so long a silence while a tool runs that nobody spoke of, the agent asks to wait; 0: never."""

    chat_pace_ms: Annotated[int, Field(ge=0, le=1000)] = 10
    """Between two events of a plain text stream: the simplest pages lose what arrives in one read."""

    prices: Annotated[Prices | None, NoDecode] = None
    """What tokens cost: JSON, or a file of JSON or TOML. None: nothing is counted in money."""

    keys: Path | None = None
    """The file of API keys that `kaiwa keys` writes; with it, everybody needs a key."""
    policy: Path | None = None
    """Who may do what and how much of it: TOML or JSON; see docs/policy.md."""
    redis_url: SecretStr | None = None
    """Where several processes share limits and the hub; None: each is by itself."""
    limits_without_redis: Literal["open", "closed"] = "open"
    """While Redis is away: each process counts by itself, or requests with limits are refused."""

    tls_self_signed: bool = False
    """Make a certificate for this machine, and speak TLS with it."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_port: Annotated[int | None, Field(ge=0, le=65535)] = None
    """A second port, for TLS; None: the one port speaks TLS when there is a certificate."""

    rtc_port: Annotated[tuple[int, ...], NoDecode] = (0,)
    """UDP port of calls; `40000-40003`: one media process for each; 0: any that is free."""
    rtc_host: str | None = None
    """Address that calls come to; None: that of the server."""
    rtc_public_ip: Annotated[tuple[str, ...], NoDecode] = ()
    """Where peers reach this server, if not at its own addresses: `203.0.113.7` or `203.0.113.7:40000`."""
    rtc_bitrate: Annotated[int, Field(ge=6_000, le=128_000)] = 32_000
    rtc_lossy: bool = False
    """Send sound that survives lost packets, for three times the work."""
    rtc_ice_servers: tuple[dict[str, Any], ...] = ()
    """STUN and TURN servers handed to pages, as RTCIceServer objects; JSON."""
    rtc_media: Literal["kaiwa", "direct"] = "kaiwa"
    """The way of a call's sound: through kaiwa, or between browser and service; `direct` needs a relay."""

    speech_model_path: Path | None = None
    cache_directory: Annotated[
        Path | None, Field(validation_alias=_names("cache_directory", "KAIWA_CACHE"))
    ] = None

    chat_base_url: str | None = None
    """Any OpenAI-compatible endpoint (…/v1) answers instead of the embedded dialogue engine."""
    chat_model: str | None = None
    chat_api_key: SecretStr | None = None
    azure_openai_endpoint: Annotated[
        str | None, Field(validation_alias=_names("azure_openai_endpoint", "AZURE_OPENAI_ENDPOINT"))
    ] = None
    azure_openai_api_key: Annotated[
        SecretStr | None,
        Field(validation_alias=_names("azure_openai_api_key", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_KEY")),
    ] = None
    azure_openai_chat_deployment: Annotated[
        str | None,
        Field(
            validation_alias=_names(
                "azure_openai_chat_deployment", "AZURE_OPENAI_CHAT_DEPLOYMENT", "AZURE_OPENAI_DEPLOYMENT"
            )
        ),
    ] = None
    azure_openai_api_version: Annotated[
        str | None, Field(validation_alias=_names("azure_openai_api_version", "AZURE_OPENAI_API_VERSION"))
    ] = None

    upstreams: SecretStr | None = None
    """Deployments that chat requests are relayed to: JSON, or the path of a JSON or TOML file."""
    hedge_after_ms: Annotated[int, Field(ge=1)] | Literal["auto"] | None = None
    """After so long without a first token another deployment is asked too; None: never."""
    hedge_share: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Of so large a share of the requests at most."""
    chat_heartbeat_s: Annotated[float, Field(gt=0)] = 10
    """After so long without a piece a relayed stream shows its client that it lives."""
    chat_first_token_s: Annotated[float, Field(gt=0)] = 120
    """So long a deployment may take to begin an answer; then another is asked."""
    chat_silence_s: Annotated[float, Field(gt=0)] = 60
    """So long it may fall silent within an answer; then the answer ends with an error."""
    chat_resume_s: Annotated[float, Field(ge=0)] = 30
    """So long a client that left may come back to a stream it asked to be resumable."""
    chat_request_mb: Annotated[int, Field(ge=1, le=1024)] = 32
    chat_answer_mb: Annotated[int, Field(ge=1, le=1024)] = 64
    """How large a relayed request, and an answer in one piece, may be."""
    drain_s: Annotated[float, Field(ge=0)] = 30
    """So long running streams may go on when the server ends; new ones are refused meanwhile."""

    azure_signalr: Annotated[
        SecretStr | None,
        Field(validation_alias=_names("azure_signalr", "AzureSignalRConnectionString", "KAIWA_SIGNALR")),
    ] = None
    """The connection string of Azure SignalR Service; None: this server is the service."""
    signalr_hub: Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9_]{0,127}$")] = "chat"
    signalr_token_minutes: Annotated[int, Field(ge=1, le=1440)] = 60
    """How long the token of a page is good; a stock client reconnects with its first one."""
    signalr_anonymous_to_all: bool = False
    """Tokens of a request that names nobody go to everybody, as in the tutorial."""
    signalr_service_key: SecretStr | None = None
    """Serve the REST API of Azure SignalR Service to who has this key; two with a comma to change keys."""
    signalr_upstreams: SecretStr | None = None
    """Where clients' calls and comings go: upstream templates as in Azure; JSON."""

    engine: Literal["local", "text", "relay"] | None = None
    """Who answers; None: the service when a realtime deployment is named, else this machine. `text`: this
    machine without speech, which loads no model for it."""
    azure_openai_realtime_deployment: Annotated[
        str | None,
        Field(
            validation_alias=_names("azure_openai_realtime_deployment", "AZURE_OPENAI_REALTIME_DEPLOYMENT")
        ),
    ] = None
    realtime_api_version: str | None = None
    """Speak the preview protocol to the service, of this version; None: GA."""
    realtime_upstreams: tuple[UpstreamEntry, ...] = ()
    """Several deployments that stand in for each other; JSON. Wins over the single ones."""
    openai_api_key: Annotated[
        SecretStr | None, Field(validation_alias=_names("openai_api_key", "OPENAI_API_KEY"))
    ] = None
    openai_base_url: Annotated[str, Field(validation_alias=_names("openai_base_url", "OPENAI_BASE_URL"))] = (
        "https://api.openai.com/v1"
    )
    openai_realtime_model: str = "gpt-realtime"
    """What OpenAI is asked for when a peer names an agent."""
    pinned: Annotated[tuple[str, ...] | None, NoDecode] = None
    """Settings no client may change; None: the instructions of an agent that has some."""
    relay_session: dict[str, Any] = {}
    """What every relayed session begins with: a `session` of session.update, GA names; JSON."""
    show_tool_calls: bool = False
    """Show clients of a relayed agent the calls that kaiwa carries out itself."""

    @property
    def relayed_names(self) -> tuple[str, ...]:
        """The deployments and models that clients may name because a service behind kaiwa has them."""
        if self.engine in ("local", "text"):
            return ()
        named = [self.azure_openai_realtime_deployment]
        for entry in self.realtime_upstreams:
            named += [entry.deployment, *entry.models]
        return tuple(name for name in named if name)

    @field_validator("database", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        return str(value) if isinstance(value, Path) else value

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

    @field_validator("rtc_port", mode="before")
    @classmethod
    def _as_ports(cls, value: object) -> object:
        if isinstance(value, int):
            return (value,)
        if not isinstance(value, str):
            return value
        first, _, last = value.partition("-")
        ports = range(int(first), int(last or first) + 1)
        if not 0 <= ports.start < ports.stop <= 65536 or len(ports) > 64:
            raise ValueError("ports are 0 to 65535, at most 64 of them, the lower one first")
        return tuple(ports)

    @field_validator("allowed_origins", "model_names", "pinned", "rtc_public_ip", mode="before")
    @classmethod
    def _as_list(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            return json.loads(value)
        return tuple(name.strip() for name in value.split(",") if name.strip())

    @model_validator(mode="after")
    def _listen_wide_only_with_a_key(self) -> Self:
        keyed = any((self.api_key, self.keys, self.policy))
        if not keyed and not is_loopback(self.host):
            raise ConfigError(
                "KAIWA_HOST",
                f"{self.host} can be reached from other machines, and no key is set.",
                "Set KAIWA_API_KEY or KAIWA_KEYS, or listen on 127.0.0.1.",
            )
        return self

    @model_validator(mode="after")
    def _one_certificate_for_tls(self) -> Self:
        given = self.tls_cert is not None, self.tls_key is not None
        if given[0] != given[1]:
            missing = "KAIWA_TLS_CERT" if given[1] else "KAIWA_TLS_KEY"
            raise ConfigError(missing, "is not set.", "A certificate and its key belong together.")
        if all(given) and self.tls_self_signed:
            raise ConfigError(
                "KAIWA_TLS_SELF_SIGNED", "a certificate is named too.", "Set one of the two, not both."
            )
        if self.tls_port is not None and not any((*given, self.tls_self_signed)):
            raise ConfigError(
                "KAIWA_TLS_PORT",
                "there is no certificate for it.",
                "Add --tls-self-signed, or set KAIWA_TLS_CERT and KAIWA_TLS_KEY.",
            )
        if self.tls_port and self.tls_port == self.port:
            raise ConfigError("KAIWA_TLS_PORT", "is the plain port too.", "Choose two ports.")
        return self


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
