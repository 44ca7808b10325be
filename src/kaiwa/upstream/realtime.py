"""Where the Realtime API of a service listens. Knows addresses and names; opens no connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from kaiwa.errors import ConfigError
from kaiwa.protocol.realtime.dialects import Dialect, dialect_of
from kaiwa.upstream.credentials import Credential


@dataclass(frozen=True)
class RealtimeTarget:
    """One deployment, or one service with many models (`deployment` None: the model the peer named).

    `name` is for logs and the pool. `models` are the names peers may use; empty: any. `call_id` set: not the
    deployment itself but one call of it, which is under way. Those of the lowest `priority` come first, and
    have sessions by `weight`; `most_sessions`: with so many it is asked last.
    """

    name: str
    address: str = field(repr=False)
    credential: Credential = field(repr=False)
    deployment: str | None = None
    deployment_key: str = "model"
    query: tuple[tuple[str, str], ...] = ()
    dialect: Dialect = "ga"
    models: tuple[str, ...] = ()
    call_id: str | None = None
    priority: int = 1
    weight: float = 1.0
    most_sessions: int | None = None

    @property
    def provider(self) -> str:
        """Whose service it is, in the words of OpenTelemetry's conventions."""
        return "azure.ai.openai" if "/openai/" in self.address else "openai"

    def serves(self, model: str | None) -> bool:
        return not self.models or model in self.models

    def url(self, model: str | None) -> str:
        """Return the address of a conversation; None: of a transcription, which names no model."""
        if self.call_id is not None:
            named = [("call_id", self.call_id)]
        elif model is None:
            named = [("intent", "transcription")]
            if self.deployment is not None and self.deployment_key == "deployment":
                named.append((self.deployment_key, self.deployment))
        else:
            named = [(self.deployment_key, self.deployment or model)]
        return f"{self.address}?{urlencode([*self.query, *named])}"


def azure_realtime(
    name: str,
    endpoint: str,
    deployment: str,
    credential: Credential,
    *,
    api_version: str | None = None,
    models: tuple[str, ...] = (),
    setting: str = "AZURE_OPENAI_ENDPOINT",
) -> RealtimeTarget:
    """Address a deployment of Azure OpenAI: GA, or with `api_version` the retired preview protocol."""
    base = websocket_address(endpoint, setting).removesuffix("/openai/v1").removesuffix("/openai")
    if api_version is None:
        return RealtimeTarget(
            name, f"{base}/openai/v1/realtime", credential, deployment=deployment, models=models
        )
    query = {"api-version": api_version}
    return RealtimeTarget(
        name,
        f"{base}/openai/realtime",
        credential,
        deployment=deployment,
        deployment_key="deployment",
        query=tuple(query.items()),
        dialect=dialect_of("/openai/realtime", query, {}, ()),
        models=models,
    )


def openai_realtime(
    name: str,
    base_url: str,
    credential: Credential,
    *,
    model: str | None = None,
    models: tuple[str, ...] = (),
    setting: str = "OPENAI_BASE_URL",
) -> RealtimeTarget:
    """Address OpenAI or a compatible service; `base_url` ends in /v1 as for the SDKs."""
    base = websocket_address(base_url, setting)
    return RealtimeTarget(name, f"{base}/realtime", credential, deployment=model, models=models)


def websocket_address(address: str, setting: str) -> str:
    """Return the address with a WebSocket's scheme. Raises ConfigError naming the setting."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname:
        raise ConfigError(setting, "is not an address.", "Write it as https://host/…")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(
            setting, "carries more than host and path.", "Give keys and versions by their own settings."
        )
    scheme = "wss" if parts.scheme in ("https", "wss") else "ws"
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}"
