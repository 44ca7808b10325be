"""All settings of a server: one frozen value. Knows what they must agree on; `configuration` reads them.

The groups stand in `settings_*.py`; a setting is a field there, with its type, its default and its meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final, Self

from pydantic import model_validator

from kaiwa.errors import ConfigError
from kaiwa.server.settings_answers import AnswerSettings, ChatSettings, RelaySettings, UpstreamEntry
from kaiwa.server.settings_budgets import BudgetSettings
from kaiwa.server.settings_cluster import ClusterSettings, about_peers, about_processes
from kaiwa.server.settings_doors import CallSettings, HubSettings
from kaiwa.server.settings_house import CallerSettings, ModelPrices, Prices, ServerSettings
from kaiwa.server.settings_recording import RecordingSettings
from kaiwa.server.settings_traces import TraceSettings, about_traces
from kaiwa.server.settings_words import Group

__all__ = ["GROUPS", "ModelPrices", "Prices", "Settings", "UncheckedSettings", "UpstreamEntry", "is_loopback"]

GROUPS: Final[tuple[type[Group], ...]] = (
    ServerSettings,
    ClusterSettings,
    CallerSettings,
    BudgetSettings,
    CallSettings,
    AnswerSettings,
    ChatSettings,
    RelaySettings,
    HubSettings,
    TraceSettings,
    RecordingSettings,
)


class UncheckedSettings(
    ServerSettings,
    ClusterSettings,
    CallerSettings,
    BudgetSettings,
    CallSettings,
    AnswerSettings,
    ChatSettings,
    RelaySettings,
    HubSettings,
    TraceSettings,
    RecordingSettings,
):
    """Every setting by itself is right; whether they agree is not looked at."""

    @property
    def relayed_names(self) -> tuple[str, ...]:
        """The deployments and models that clients may name because a service behind kaiwa has them."""
        if self.engine in ("local", "text"):
            return ()
        named = [self.azure_openai_realtime_deployment]
        for entry in self.realtime_upstreams:
            named += [entry.deployment, *entry.models]
        return tuple(name for name in named if name)


class Settings(UncheckedSettings):
    """What a server is told. Raises ConfigError for settings that do not agree.

    Nothing is read here: `kaiwa.server.configuration` reads environment, `.env` and `kaiwa.toml`.
    """

    @model_validator(mode="after")
    def _agree(self) -> Self:
        for wrong in disagreements(self):
            raise wrong
        return self


class Disagreement(ConfigError):
    """Settings that are right by themselves and wrong together; `japanese`: problem and remedy."""

    def __init__(self, setting: str, problem: str, remedy: str, japanese: tuple[str, str]) -> None:
        super().__init__(setting, problem, remedy)
        self.japanese = japanese


def disagreements(settings: UncheckedSettings) -> Iterator[Disagreement]:
    """Give every rule that the settings break together."""
    keyed = any((settings.api_key, settings.keys, settings.policy))
    if not keyed and not is_loopback(settings.host):
        yield Disagreement(
            "KAIWA_HOST",
            f"{settings.host} can be reached from other machines, and no key is set.",
            "Set KAIWA_API_KEY or KAIWA_KEYS, or listen on 127.0.0.1.",
            (
                f"{settings.host} は他のマシンから接続できますが、鍵が設定されていません。",
                "KAIWA_API_KEY か KAIWA_KEYS を設定するか、127.0.0.1 で待ち受けてください。",
            ),
        )
    loopback = settings.peer_host is None or is_loopback(settings.peer_host)
    peers = about_peers(settings, keyed, loopback)
    for wrong in (*about_processes(settings), *peers, *about_traces(settings)):
        yield Disagreement(*wrong)
    yield from _about_tls(settings)
    if settings.test_faults and not settings.test_mode:
        yield Disagreement(
            "KAIWA_TEST_FAULTS",
            "names faults, and test mode is off.",
            "Add --test-mode (KAIWA_TEST_MODE=1) where nobody depends on this server, or leave them out.",
            (
                "障害が指定されていますが、テストモードではありません。",
                "誰も頼っていないサーバーなら --test-mode（KAIWA_TEST_MODE=1）を付け、"
                "そうでなければ外してください。",
            ),
        )


def _about_tls(settings: UncheckedSettings) -> Iterator[Disagreement]:
    given = settings.tls_cert is not None, settings.tls_key is not None
    if given[0] != given[1]:
        missing = "KAIWA_TLS_CERT" if given[1] else "KAIWA_TLS_KEY"
        japanese = "設定されていません。", "証明書と鍵は両方必要です。"
        yield Disagreement(missing, "is not set.", "A certificate and its key belong together.", japanese)
    if all(given) and settings.tls_self_signed:
        yield Disagreement(
            "KAIWA_TLS_SELF_SIGNED",
            "a certificate is named too.",
            "Set one of the two, not both.",
            ("証明書も指定されています。", "どちらか一方だけにしてください。"),
        )
    if settings.tls_port is not None and not any((*given, settings.tls_self_signed)):
        yield Disagreement(
            "KAIWA_TLS_PORT",
            "there is no certificate for it.",
            "Add --tls-self-signed, or set KAIWA_TLS_CERT and KAIWA_TLS_KEY.",
            (
                "証明書がありません。",
                "--tls-self-signed を付けるか、KAIWA_TLS_CERT と KAIWA_TLS_KEY を設定してください。",
            ),
        )
    if settings.tls_port and settings.tls_port == settings.port:
        japanese = "通常のポートと同じです。", "別々のポートにしてください。"
        yield Disagreement("KAIWA_TLS_PORT", "is the plain port too.", "Choose two ports.", japanese)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
