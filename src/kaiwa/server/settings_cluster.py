"""Settings of a house of several processes, and what those must agree on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from kaiwa.server.settings_words import Group, Option

if TYPE_CHECKING:
    from kaiwa.server.settings import UncheckedSettings

Wrong = tuple[str, str, str, tuple[str, str]]
"""A setting, the problem, the remedy, and both in Japanese."""


class ClusterSettings(Group):
    """Several processes"""

    workers: Annotated[int, Field(ge=1, le=64), Option("--workers")] = 1
    """So many processes share the port of this machine (docs/operations.md#several-workers). More than one
    need `KAIWA_REDIS_URL`."""
    peer_host: str | None = None
    """The address of this machine at which processes of other machines reach the ones here, in plain HTTP
    (docs/operations.md#several-machines); None: loopback, for those of this machine."""
    peer_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """The port there, of the first worker; each further worker has the next one. 0: any that is free."""
    drain_notice_s: Annotated[float, Field(ge=0)] = 0
    """So long the server goes on at least, refusing what is new, when it ends: until its balancer has looked
    at `/readyz`."""


def about_processes(settings: UncheckedSettings) -> Iterator[Wrong]:
    """Give every rule that settings of several processes break."""
    if settings.workers == 1:
        return
    if settings.redis_url is None:
        yield (
            "KAIWA_REDIS_URL",
            "is not set, and there is more than one worker (KAIWA_WORKERS).",
            "They share limits, hubs, keys of pages and conversations in Redis: name one, or use one worker.",
            (
                "設定されていないのに、ワーカーが複数あります(KAIWA_WORKERS)。",
                "上限・ハブ・ページの鍵・会話は Redis で共有します。Redis を指定するか、ワーカーを 1 つにしてください。",  # noqa: E501
            ),
        )
    if settings.chainlit:
        yield (
            "KAIWA_CHAINLIT",
            "belongs to one process, and there is more than one worker (KAIWA_WORKERS).",
            "Run the page by itself (docs/chainlit.md), or use one worker.",
            (
                "1 つのプロセスに属するページですが、ワーカーが複数あります(KAIWA_WORKERS)。",
                "ページを単独で起動する(docs/chainlit.md)か、ワーカーを 1 つにしてください。",
            ),
        )
    fixed = [port for port in settings.rtc_port if port]
    if fixed and len(fixed) < settings.workers:
        yield (
            "KAIWA_RTC_PORT",
            f"names fewer ports than there are workers ({settings.workers}).",
            "Give a range, such as 40000-40007, or 0.",
            (
                f"ポートの数がワーカーの数({settings.workers})より少ないです。",
                "40000-40007 のような範囲か、0 を指定してください。",
            ),
        )


def about_peers(settings: UncheckedSettings, keyed: bool, loopback: bool) -> Iterator[Wrong]:
    """Give what is wrong with the address for other processes; `loopback`: only this machine reaches it."""
    if not keyed and not loopback:
        yield (
            "KAIWA_PEER_HOST",
            f"{settings.peer_host} can be reached from other machines, and no key is set.",
            "Set KAIWA_API_KEY or KAIWA_KEYS.",
            (
                f"{settings.peer_host} は他のマシンから接続できますが、鍵が設定されていません。",
                "KAIWA_API_KEY か KAIWA_KEYS を設定してください。",
            ),
        )
    if settings.peer_host in ("0.0.0.0", "::", "[::]"):  # where to listen, and nowhere to ask
        yield (
            "KAIWA_PEER_HOST",
            f"{settings.peer_host} says where to listen, and not where others can ask.",
            "Give the address of this machine in the network of the others.",
            (
                f"{settings.peer_host} は待ち受け用で、他のマシンからの宛先になりません。",
                "他のマシンから見える、このマシンのアドレスを指定してください。",
            ),
        )
    if settings.peer_host is not None and settings.redis_url is None:
        yield (
            "KAIWA_PEER_HOST",
            "needs KAIWA_REDIS_URL, where processes find each other.",
            "Set KAIWA_REDIS_URL, or leave it out.",
            (
                "プロセスが互いを見つけるための KAIWA_REDIS_URL が必要です。",
                "KAIWA_REDIS_URL を設定するか、この設定を外してください。",
            ),
        )
    if settings.peer_port and settings.peer_port + settings.workers > 65536:
        yield (
            "KAIWA_PEER_PORT",
            "leaves no ports for all workers.",
            "Choose a lower one.",
            ("ワーカーの数だけのポートが残りません。", "もっと小さい番号にしてください。"),
        )
