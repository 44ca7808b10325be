"""Whether an Azure SignalR Service can be reached and takes our messages: asks for a user nobody is."""

from __future__ import annotations

from typing import Final

from kaiwa.errors import UpstreamError
from kaiwa.events.examined import Examined, failure, well
from kaiwa.hub.azure.connection_string import SETTING, Endpoint
from kaiwa.hub.azure.requests import ServiceRequests
from kaiwa.hub.azure.tokens import hub_named

_NOBODY: Final = "kaiwa-doctor"


async def examine_service(endpoint: Endpoint, hub: str) -> Examined:
    requests = ServiceRequests(endpoint)
    try:
        answered = await requests.make("HEAD", f"/api/hubs/{hub_named(hub)}/users/{_NOBODY}")
    except UpstreamError as error:
        return _refused() if error.code == "signalr_unauthorized" else _away()
    finally:
        await requests.close()
    if answered.status in (200, 202, 204, 404) and answered.code not in ("Error.Hub.NotFound",):
        return well("answers, and takes our messages", "応答があり、メッセージを送れます")
    return failure(
        (f"answers with status {answered.status}", f"ステータス {answered.status} が返りました"),
        (
            "Set its service mode to Serverless, and check KAIWA_SIGNALR_HUB.",
            "サービス モードを Serverless にし、KAIWA_SIGNALR_HUB を確認してください。",
        ),
    )


def _refused() -> Examined:
    return failure(
        ("refuses the key or the identity", "鍵または ID が拒否されました"),
        (
            f"Copy the connection string anew into {SETTING}; an identity needs 'SignalR REST API Owner'.",
            f"{SETTING} に接続文字列を設定し直してください。ID には「SignalR REST API 所有者」が必要です。",
        ),
    )


def _away() -> Examined:
    return failure(
        ("does not answer", "応答がありません"),
        (
            f"Check the Endpoint in {SETTING} and the resource's network rules.",
            f"{SETTING} の Endpoint と、リソースのネットワーク規則を確認してください。",
        ),
    )
