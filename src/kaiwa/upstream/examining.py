"""Whether a service can be reached and lets us in, and whether our clock agrees with its own.

Asks for nothing that costs tokens: a chat request without messages is refused by whoever would answer it.
Knows statuses and headers; bodies, addresses and keys are never repeated.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from kaiwa.errors import UpstreamError
from kaiwa.events.examined import Examined, failure, warning, well
from kaiwa.events.value import Value
from kaiwa.upstream.credentials import Credential, EntraToken
from kaiwa.upstream.http1.client import HttpClient
from kaiwa.upstream.http1.heads import Request
from kaiwa.upstream.pool.deployment import ANY, CHAT, Deployment, Target

SKEW_WARNING_S: Final = 30.0
SKEW_FAILURE_S: Final = 300.0
"""So much the clocks of Microsoft Entra ID and Azure SignalR Service allow a token."""
_MOST_BYTES: Final = 1024 * 1024
# What says that the question was understood and lacks its messages.
_UNDERSTOOD: Final = (200, 400, 422)


class Names(Value, frozen=True):
    """What the operator calls the parts of an address, for remedies."""

    key: str
    address: str
    deployment: str


class Clock:
    """Notes how far the clocks of services are from ours."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.skews_s: list[float] = []

    def note(self, date: str | None) -> None:
        """Take the Date header of an answer that came just now."""
        try:
            theirs = parsedate_to_datetime(date or "").timestamp()
        except ValueError:
            return
        self.skews_s.append(self._now() - theirs)

    def examined(self) -> Examined:
        """Say whether ours is right: a single service may err itself, so the nearest one counts."""
        if not self.skews_s:
            return well("no service to compare with", "比較できるサービスがありません")
        skew_s = min(self.skews_s, key=abs)
        told = f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} the services"
        if abs(skew_s) < SKEW_WARNING_S:
            return well("agrees with the services", "サービスの時刻と一致しています")
        japanese = f"サービスの時刻より {abs(skew_s):.0f} 秒{'進んで' if skew_s > 0 else '遅れて'}います"
        remedy = (
            "Set the clock by NTP (timedatectl set-ntp true): tokens are refused when it is wrong.",
            "NTP で時刻を合わせてください (timedatectl set-ntp true)。ずれているとトークンが拒否されます。",
        )
        judge = failure if abs(skew_s) >= SKEW_FAILURE_S else warning
        return judge((told, japanese), remedy)


async def examine_chat(
    http: HttpClient, deployment: Deployment, model: str, names: Names, clock: Clock
) -> Examined:
    """See that a deployment is there and that we may use it. `model`: as it calls it itself; `*`: any."""
    if model == ANY:
        target, body, method = deployment.target("models", model), b"", "GET"
    else:
        target, method = deployment.target(CHAT, model), "POST"
        body = msgspec.json.encode({"model": target.model, "messages": [], "max_completion_tokens": 1})
    return await _asked(http, deployment, target, method, body, names, clock)


async def _asked(
    http: HttpClient,
    deployment: Deployment,
    target: Target,
    method: str,
    body: bytes,
    names: Names,
    clock: Clock,
) -> Examined:
    origin = target.origin
    try:
        headers = [*(await deployment.credential.headers()).items(), ("content-type", "application/json")]
        request = Request(origin, target.path, target.authority, headers, body, method)
        exchange = await http.send(request)
        clock.note(exchange.head.headers.get("date"))
        said = await exchange.read(_MOST_BYTES)
    except UpstreamError as error:
        if error.code == "upstream_unauthorized":
            return no_token()
        return await unreachable(origin.host, origin.port, names, tls=origin.scheme == "https")
    status = exchange.head.status
    if status in _UNDERSTOOD and b"api version" in said.lower():
        return failure(
            ("does not know this api-version", "この api-version には対応していません"),
            (
                "Name another version, or none for /openai/v1.",
                "別のバージョンを指定するか、省略してください。",
            ),
        )
    if status in _UNDERSTOOD:
        return well("answers, and lets us in", "応答があり、利用できます")
    return refused(status, names, tokens=isinstance(deployment.credential, EntraToken))


def refused(status: int, names: Names, *, tokens: bool = False) -> Examined:
    """Say what a refusal means. `tokens`: we come with a token of Entra ID instead of a key."""
    if status in (401, 403) and tokens:
        return failure(
            (f"refuses our identity ({status})", f"この ID は拒否されました ({status})"),
            (
                "Give it the role 'Cognitive Services OpenAI User' on the resource; that takes some minutes.",
                "ロール「Cognitive Services OpenAI User」を割り当ててください (反映に数分かかります)。",
            ),
        )
    if status == 401:
        return failure(
            ("refuses the key (401)", "鍵が拒否されました (401)"),
            (
                f"Copy the key of this very resource into {names.key}.",
                f"このリソースの鍵を {names.key} に設定してください。",
            ),
        )
    if status == 403:
        return failure(
            ("does not let us in (403)", "アクセスが許可されていません (403)"),
            (
                "Check the rights of the key, and the resource's network rules.",
                "鍵の権限と、リソースのネットワーク規則を確認してください。",
            ),
        )
    if status == 404:
        return failure(
            ("has no such deployment or model (404)", "そのデプロイまたはモデルはありません (404)"),
            (
                f"Name one that the resource has in {names.deployment}; check {names.address} too.",
                f"{names.deployment} に実在する名前を指定し、{names.address} も確認してください。",
            ),
        )
    if status == 429:
        return warning(
            ("is there, and out of quota just now (429)", "利用できますが、現在クォータを超えています (429)"),
            ("Wait, or raise its quota.", "しばらく待つか、クォータを増やしてください。"),
        )
    return failure(
        (f"answers with status {status}", f"ステータス {status} が返りました"),
        (
            f"See the status of the service, and check {names.address}.",
            f"サービスの状態と {names.address} を確認してください。",
        ),
    )


def no_token() -> Examined:
    return failure(
        ("no token of Microsoft Entra ID could be had", "Microsoft Entra ID のトークンを取得できません"),
        (
            "Sign in (az login), give this machine a managed identity, or set a key.",
            "az login でサインインするか、マネージド ID を割り当てるか、鍵を設定してください。",
        ),
    )


async def examine_token(credential: Credential) -> Examined:
    """See that a token can be had."""
    try:
        await credential.headers()
    except UpstreamError:
        return no_token()
    return well("a token was issued", "トークンを取得できました")


async def unreachable(host: str, port: int, names: Names, *, tls: bool) -> Examined:
    """Say why a connection does not come about. Neither host nor port is told."""
    check = (f"Check {names.address}.", f"{names.address} を確認してください。")
    try:
        context = ssl.create_default_context() if tls else None
        _, writer = await asyncio.open_connection(host, port, ssl=context)
        writer.close()
    except socket.gaierror:
        return failure(("its name is not known", "ホスト名を解決できません"), check)
    except ConnectionRefusedError:
        return failure(("nobody listens there", "接続が拒否されました"), check)
    except ssl.SSLCertVerificationError:
        return failure(
            ("shows a certificate that is not trusted here", "信頼されていない証明書です"),
            (
                "Name its authority in SSL_CERT_FILE, or check the address.",
                "SSL_CERT_FILE に認証局を指定するか、アドレスを確認してください。",
            ),
        )
    except (ssl.SSLError, OSError):
        return failure(("cannot be reached", "接続できません"), check)
    return failure(("takes the connection and gives no answer", "接続できますが応答がありません"), check)
