"""Where a chat model listens and how it wants to be addressed. Knows facts only; opens no connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, urlencode, urlsplit

from kaiwa.errors import ConfigError


@dataclass(frozen=True)
class ChatEndpoint:
    """One model behind one URL. `headers` carry the key and never appear in a repr."""

    url: str = field(repr=False)
    model: str
    headers: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_completion_tokens"


def azure_deployment(endpoint: str, deployment: str, api_key: str, api_version: str) -> ChatEndpoint:
    """Address a deployment of Azure OpenAI by its classic path, with `api-version` in the query."""
    base = checked_address(endpoint, "azure_openai_endpoint")
    query = urlencode({"api-version": api_version})
    url = f"{base}/openai/deployments/{quote(deployment, safe='')}/chat/completions?{query}"
    return ChatEndpoint(url=url, model=deployment, headers={"api-key": api_key})


def azure_v1(endpoint: str, deployment: str, api_key: str) -> ChatEndpoint:
    """Address a deployment of Azure OpenAI by the v1 path, which needs no version."""
    url = f"{checked_address(endpoint, 'azure_openai_endpoint')}/openai/v1/chat/completions"
    return ChatEndpoint(url=url, model=deployment, headers={"api-key": api_key})


def openai_compatible(base_url: str, model: str, api_key: str | None = None) -> ChatEndpoint:
    """Address OpenAI itself, or Ollama, llama.cpp, vLLM: `base_url` ends in /v1 as for the SDKs."""
    base = checked_address(base_url, "chat_base_url")
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    own = urlsplit(base).hostname == "api.openai.com"
    return ChatEndpoint(
        url=f"{base}/chat/completions",
        model=model,
        headers=headers,
        limit_field="max_completion_tokens" if own else "max_tokens",
    )


def checked_address(address: str, setting: str) -> str:
    """Return an address with no slash at its end. Raises ConfigError naming the setting."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(setting, "is not an address.", "Write it as https://host/…")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(
            setting, "carries more than host and path.", "Give keys and versions by their own settings."
        )
    return address.rstrip("/")
