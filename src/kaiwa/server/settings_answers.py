"""Settings of who answers: chat models and deployments, the relay of chat requests, and realtime services."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from kaiwa.server.settings_values import FROM_JSON, Listed, TextOfTables
from kaiwa.server.settings_words import LIVE, LIVE_WHILE_SET, Group, Names


class UpstreamEntry(BaseModel):
    """One deployment of Azure OpenAI (`endpoint`), or OpenAI and what is compatible (`base_url`).

    Without `api_key` an endpoint is entered with a token of Microsoft Entra ID. `models` are the names
    clients may ask it for; empty: any. Those of the lowest `priority` are asked first and share the sessions
    by `weight`; one with so many `sessions` is asked last.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    endpoint: str | None = None
    base_url: str | None = None
    deployment: str | None = None
    api_key: SecretStr | None = None
    api_version: str | None = None
    models: tuple[str, ...] = ()
    priority: Annotated[int, Field(ge=1)] = 1
    weight: Annotated[float, Field(gt=0)] = 1
    sessions: Annotated[int | None, Field(ge=1)] = None


class AnswerSettings(Group):
    """Who answers

    Without any of these the embedded dialogue engine answers. `KAIWA_CHAT_BASE_URL` wins over the Azure
    names. Speech stays on this machine either way, unless a realtime deployment is named: see the section
    on relaying to a service.
    """

    chat_base_url: Annotated[str | None, LIVE_WHILE_SET] = None
    """An OpenAI-compatible endpoint up to `/v1`: OpenAI, Ollama, llama.cpp, vLLM."""
    chat_model: str | None = None
    """Its model; required with the above. With `KAIWA_UPSTREAMS` (docs/pool.md): which of their models
    agents speak with, the first one unless told otherwise."""
    chat_api_key: Annotated[SecretStr | None, LIVE_WHILE_SET] = None
    """Its key, where it wants one."""
    azure_openai_endpoint: Annotated[str | None, Names("AZURE_OPENAI_ENDPOINT"), LIVE_WHILE_SET] = None
    """`https://NAME.openai.azure.com`."""
    azure_openai_api_key: Annotated[
        SecretStr | None,
        Names("AZURE_OPENAI_API_KEY", "KAIWA_AZURE_OPENAI_API_KEY", "AZURE_OPENAI_KEY"),
        LIVE_WHILE_SET,
    ] = None
    """Its key; without one, a token of Microsoft Entra ID."""
    azure_openai_chat_deployment: Annotated[
        str | None,
        Names(
            "AZURE_OPENAI_CHAT_DEPLOYMENT", "KAIWA_AZURE_OPENAI_CHAT_DEPLOYMENT", "AZURE_OPENAI_DEPLOYMENT"
        ),
    ] = None
    """A deployment of a chat model; required with the endpoint."""
    azure_openai_api_version: Annotated[str | None, Names("AZURE_OPENAI_API_VERSION")] = None
    """With it, the dated path (`/openai/deployments/…?api-version=`); without it, `/openai/v1`."""


class ChatSettings(Group):
    """Relaying chat requests

    What they do is told in [the pool](pool.md). Without `KAIWA_UPSTREAMS` the chat model of the section
    before is a pool of one.
    """

    upstreams: Annotated[TextOfTables | None, LIVE] = None
    """Deployments that stand in for each other: JSON, or the path of a JSON or TOML file, which is read
    anew when it changes."""
    hedge_after_ms: Annotated[int, Field(ge=1)] | Literal["auto"] | None = None
    """After so long without a first token the pool wants another deployment asked too
    (docs/pool.md#a-second-attempt-for-a-slow-first-token); `auto`: after the time that covers 95% of the
    recent requests. None: never."""
    hedge_share: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Of so large a share of the requests at most."""
    chat_heartbeat_s: Annotated[float, Field(gt=0)] = 10
    """After so long without a piece a relayed stream shows its client that it lives, by a comment."""
    chat_first_token_s: Annotated[float, Field(gt=0)] = 120
    """So long a deployment may take to begin an answer; then another is asked."""
    chat_silence_s: Annotated[float, Field(gt=0)] = 60
    """So long it may fall silent within an answer; then the answer ends with an error."""
    chat_resume_s: Annotated[float, Field(ge=0)] = 30
    """So long a client that left may come back to a stream it asked to be resumable."""
    chat_request_mb: Annotated[int, Field(ge=1, le=1024)] = 32
    """How large a relayed request may be."""
    chat_answer_mb: Annotated[int, Field(ge=1, le=1024)] = 64
    """How large a relayed answer in one piece may be."""


class RelaySettings(Group):
    """Relaying to a service

    What they do is told in [the relay](relay.md).
    """

    engine: Literal["local", "text", "relay"] | None = None
    """`text` is this machine without speech: nothing is loaded for it, conversations are text only, which
    is all that a relay of chat needs. Without a value, conversations are relayed when a realtime
    deployment or an upstream is named."""
    azure_openai_realtime_deployment: Annotated[str | None, Names("AZURE_OPENAI_REALTIME_DEPLOYMENT")] = None
    """A deployment of a realtime model at `AZURE_OPENAI_ENDPOINT`. Without `AZURE_OPENAI_API_KEY`:
    Microsoft Entra ID."""
    realtime_api_version: str | None = None
    """Speak the preview protocol of this version to it; None: GA."""
    realtime_upstreams: Annotated[tuple[UpstreamEntry, ...], FROM_JSON, LIVE_WHILE_SET] = ()
    """Several deployments that stand in for each other, as JSON; wins over the single ones."""
    realtime_reopen_s: Annotated[float, Field(ge=0)] = 15
    """So long another session at the service is tried for when the one of a conversation breaks; it is told
    what was said, and the client notices nothing. 0: the conversation ends with it."""
    openai_api_key: Annotated[SecretStr | None, Names("OPENAI_API_KEY"), LIVE_WHILE_SET] = None
    """OpenAI or a compatible service; only with `KAIWA_ENGINE=relay`."""
    openai_base_url: Annotated[str, Names("OPENAI_BASE_URL"), LIVE] = "https://api.openai.com/v1"
    """Its address up to `/v1`."""
    openai_realtime_model: str = "gpt-realtime"
    """What OpenAI is asked for when a client names an agent."""
    pinned: Annotated[Listed | None, LIVE] = None
    """Settings that no client may change, with commas between them; None: the instructions of an agent
    that has some."""
    relay_session: Annotated[dict[str, Any], FROM_JSON, LIVE] = Field(default_factory=dict[str, Any])
    """What every relayed session begins with: a `session` of session.update, with GA names; JSON."""
    show_tool_calls: Annotated[bool, LIVE] = False
    """Show clients of a relayed agent the calls that kaiwa carries out itself."""
