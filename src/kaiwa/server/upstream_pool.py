"""The deployments of this process: from settings to a pool, and read anew without dropping a stream.

Knows settings and one file; who is asked and what is relayed is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from kaiwa.errors import ConfigError
from kaiwa.server.settings import Settings
from kaiwa.upstream.endpoint import checked_address
from kaiwa.upstream.pool.configuration import Credentials, Form, key_files, read_deployments
from kaiwa.upstream.pool.deployment import ANY, Deployment
from kaiwa.upstream.pool.hedging import HedgeRules
from kaiwa.upstream.pool.pool import DeploymentPool

log = logging.getLogger(__name__)

SETTING: Final = "KAIWA_UPSTREAMS"
# What deployments are made of, as far as it may change while the server runs.
_OF_DEPLOYMENTS: Final = (
    "upstreams",
    "chat_base_url",
    "chat_api_key",
    "azure_openai_endpoint",
    "azure_openai_api_key",
    "openai_api_key",
    "openai_base_url",
)
LOOK_EVERY_S: Final = 1.0
_MOST_BYTES: Final = 1024 * 1024

_Stamp = tuple[tuple[str, int, int, int], ...]


class _Read(NamedTuple):
    deployments: list[Deployment]
    files: list[Path]
    """Whose change means that all is read anew."""


class UpstreamPool:
    """Holds the one pool. Raises ConfigError when the settings name a deployment wrongly.

    A configuration that is wrong later on changes nothing: the log and `trouble` say what is wrong with it.
    """

    def __init__(self, settings: Settings, *, look_every_s: float = LOOK_EVERY_S) -> None:
        self._settings = settings
        self._look_every_s = look_every_s
        self._credentials = Credentials()
        self.trouble: str | None = None
        read = self._read(settings)
        self._files, self._seen = read.files, _stamp(read.files)
        self.pool = DeploymentPool(
            read.deployments, chance=random.random, wall=time.time, hedging=_hedging(settings)
        )

    def reload(self) -> None:
        """Read the configuration anew. Streams that run go on where they are."""
        try:
            read = self._read(self._settings)
        except ConfigError as wrong:
            self.trouble = str(wrong)
            log.warning("the new upstreams are not used", extra={"cause": self.trouble})
            return
        self.trouble, self._files = None, read.files
        self._seen = _stamp(read.files)
        self.pool.reload(read.deployments, time.monotonic())
        names = ", ".join(one.name for one in read.deployments)
        log.info("the upstreams were read anew", extra={"upstream": names})

    def check(self, settings: Settings) -> None:
        """See that other settings could be used. Raises ConfigError."""
        self._read(settings)

    def adjust(self, settings: Settings) -> None:
        """Use the deployments of other settings. Streams that run go on where they are."""
        changed = any(getattr(settings, name) != getattr(self._settings, name) for name in _OF_DEPLOYMENTS)
        self._settings = settings
        if changed:
            self.reload()

    @asynccontextmanager
    async def watched(self) -> AsyncGenerator[None]:
        """Read anew when a file changes; at the end, give the credentials back."""
        watch = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch
            await self._credentials.close()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._look_every_s)
            seen = await asyncio.to_thread(_stamp, self._files)
            if seen != self._seen:
                self._seen = seen
                self.reload()

    # --- reading -------------------------------------------------------------------------------

    def _read(self, settings: Settings) -> _Read:
        written = settings.upstreams
        if written is None:
            return _Read(_known_names(settings, self._credentials), [])
        text, form, files = _written(written.get_secret_value().strip())
        deployments = read_deployments(text, form, SETTING, self._credentials)
        return _Read(deployments, [*files, *key_files(text, form, SETTING)])


def _written(value: str) -> tuple[str, Form, list[Path]]:
    """Return the text of a configuration, and the file it stands in if it is not the value itself."""
    if value.startswith(("[", "{")):
        return value, "json", []
    path = Path(value)
    form: Form = "toml" if path.suffix.lower() == ".toml" else "json"
    remedy = "Write JSON itself, or the path of a JSON or TOML file."
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigError(SETTING, f"{path} has more than 1 MiB.", remedy)
        return path.read_text(encoding="utf-8"), form, [path]
    except (OSError, ValueError) as error:
        # No word of the value: it may be a key in the wrong place.
        why = (
            "names no file." if isinstance(error, FileNotFoundError) else "names a file that cannot be read."
        )
        raise ConfigError(SETTING, why, remedy) from None


def _known_names(settings: Settings, credentials: Credentials) -> list[Deployment]:
    """Return the one chat model of the names that people know, or none."""
    if settings.chat_base_url is not None and settings.chat_model is not None:
        base = checked_address(settings.chat_base_url, "KAIWA_CHAT_BASE_URL")
        key = settings.chat_api_key
        credential = (
            credentials.none() if key is None else credentials.key(key.get_secret_value(), bearer=True)
        )
        model = settings.chat_model
        return [Deployment("chat", "compatible", base, credential, {model: model})]
    if settings.azure_openai_endpoint is not None and settings.azure_openai_chat_deployment is not None:
        return [_known_azure(settings, settings.azure_openai_endpoint, credentials)]
    if settings.openai_api_key is not None and settings.engine == "relay":
        # As for conversations: the key alone, which many environments hold, is no wish to spend money.
        base = checked_address(settings.openai_base_url, "OPENAI_BASE_URL")
        credential = credentials.key(settings.openai_api_key.get_secret_value(), bearer=True)
        return [Deployment("openai", "openai", base, credential, {ANY: ANY})]
    return []


def _known_azure(settings: Settings, endpoint: str, credentials: Credentials) -> Deployment:
    name, version = settings.azure_openai_chat_deployment or "", settings.azure_openai_api_version
    base = checked_address(endpoint, "AZURE_OPENAI_ENDPOINT")
    key = settings.azure_openai_api_key
    credential = (
        credentials.token("AZURE_OPENAI_API_KEY", "default", None)
        if key is None
        else credentials.key(key.get_secret_value(), bearer=False)
    )
    return Deployment(
        "azure",
        "azure" if version is None else "azure-classic",
        base.removesuffix("/openai/v1").removesuffix("/openai"),
        credential,
        {name: name},
        api_version=version,
    )


def _hedging(settings: Settings) -> HedgeRules | None:
    after = settings.hedge_after_ms
    if after is None:
        return None
    return HedgeRules(after_s=None if after == "auto" else after / 1000, share=settings.hedge_share)


def _stamp(files: Sequence[Path]) -> _Stamp:
    """Return what changes when a file does; a mounted secret that is swapped by its link does too."""
    stamps: list[tuple[str, int, int, int]] = []
    for file in files:
        try:
            facts = file.stat()
        except OSError:
            stamps.append((str(file), 0, 0, 0))
        else:
            stamps.append((str(file), facts.st_mtime_ns, facts.st_size, facts.st_ino))
    return tuple(stamps)
