"""Functions apps in this process's tests: where they are, and serving them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kaiwa.cli.functions_serving import FunctionsOptions, Served, serving_functions
from kaiwa.testing.service import Service

ROOT = Path(__file__).parents[2]
APPS = Path(__file__).parent / "apps"
DEPLOYED = ROOT / "deploy/azure-functions"


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AzureSignalRConnectionString", "AzureWebJobsStorage", "FUNCTIONS_BASE_URL", "HUB"):
        monkeypatch.delenv(name, raising=False)


def settings_at(service: Service) -> dict[str, str]:
    """The settings of the tutorial, for the stand-in."""
    return {
        "AZURE_OPENAI_ENDPOINT": service.url,
        "AZURE_OPENAI_KEY": service.key,
        "AZURE_OPENAI_DEPLOYMENT": "chat",
        "AZURE_OPENAI_API_VERSION": "2024-02-15-preview",
    }


@asynccontextmanager
async def served(
    directory: Path, settings: Mapping[str, str] | None = None, host: str = "127.0.0.1"
) -> AsyncGenerator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (settings or {}).items():
            patch.setenv(name, value)
        options = FunctionsOptions(directory, host, port=0, libraries=ROOT / ".funcs")
        async with serving_functions(options) as running:
            yield running
