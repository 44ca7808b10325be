"""Whether the Redis that several processes share answers, lets us in and can do what limits and hubs need."""

from __future__ import annotations

from typing import Any, Final, cast

from kaiwa.errors import MissingPackage
from kaiwa.events.examined import Examined, failure, warning, well

SETTING: Final = "KAIWA_REDIS_URL"
ANSWER_S: Final = 5.0
_OLDEST: Final = (6, 2)
"""RESP3 and the commands of the backplane."""
_EVICTS: Final = ("allkeys", "volatile")


async def examine_redis(url: str) -> Examined:
    """Say hello to Redis. Raises MissingPackage without its client, ValueError for what is no address."""
    try:
        from redis.asyncio import Redis
        from redis.exceptions import AuthenticationError, AuthorizationError, RedisError
    except ImportError as missing:
        raise MissingPackage(SETTING, "redis", "redis") from missing
    client = cast(Any, Redis).from_url(url, socket_connect_timeout=ANSWER_S, socket_timeout=ANSWER_S)
    try:
        facts = await client.info()
        scripted = await client.eval("return 1", 0)
    except (AuthenticationError, AuthorizationError):
        return _refused()
    except (TimeoutError, RedisError, OSError) as error:
        return _refused() if "NOPERM" in str(error) or "NOAUTH" in str(error) else _away()
    finally:
        await client.aclose()
    assert scripted == 1, "Redis runs scripts"
    return _judged(cast(dict[str, Any], facts))


def _judged(facts: dict[str, Any]) -> Examined:
    version = str(facts.get("redis_version", ""))
    if _numbers(version) < _OLDEST:
        return failure(
            (f"is version {version}", f"バージョンは {version} です"),
            ("Use Redis 6.2 or newer.", "Redis 6.2 以降を使ってください。"),
        )
    if str(facts.get("maxmemory_policy", "")).startswith(_EVICTS):
        return warning(
            ("may drop keys when its memory is full", "メモリが一杯になるとキーが削除される設定です"),
            (
                "Set maxmemory-policy noeviction: limits would be forgotten.",
                "maxmemory-policy noeviction にしてください。上限の記録が失われます。",
            ),
        )
    return well(f"version {version} answers", f"バージョン {version} が応答しています")


def _refused() -> Examined:
    return failure(
        ("refuses the password, or the rights of the user", "パスワードまたは権限が拒否されました"),
        (
            f"Write user and password into {SETTING}, with leave to run scripts.",
            f"{SETTING} にユーザーとパスワードを書き、スクリプト実行の権限を与えてください。",
        ),
    )


def _away() -> Examined:
    return failure(
        ("no Redis answers there", "Redis が応答しません"),
        (
            f"Start it, or check the address in {SETTING} (rediss:// for TLS).",
            f"起動するか、{SETTING} のアドレスを確認してください (TLS は rediss://)。",
        ),
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
