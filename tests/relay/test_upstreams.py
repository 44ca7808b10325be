"""Who is asked, in which order, and with which credential."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from kaiwa.errors import ConfigError, UpstreamError
from kaiwa.upstream.credentials import SCOPE, ApiKey, EntraToken
from kaiwa.upstream.realtime import RealtimeTarget, azure_realtime, openai_realtime
from kaiwa.upstream.realtime_pool import RealtimePool

KEY = ApiKey("secret-key", bearer=False)


def test_azure_is_dialled_on_its_ga_path() -> None:
    target = azure_realtime("a", "https://me.openai.azure.com/", "my voice", KEY)
    assert target.url("gpt-realtime") == "wss://me.openai.azure.com/openai/v1/realtime?model=my+voice"
    assert target.dialect == "ga"
    assert azure_realtime("a", "https://me.openai.azure.com/openai/v1", "v", KEY).url("x") == (
        "wss://me.openai.azure.com/openai/v1/realtime?model=v"
    )


def test_the_preview_path_is_dialled_when_a_version_is_named() -> None:
    target = azure_realtime("a", "https://me.openai.azure.com", "v", KEY, api_version="2024-10-01-preview")
    assert target.url("gpt-realtime") == (
        "wss://me.openai.azure.com/openai/realtime?api-version=2024-10-01-preview&deployment=v"
    )
    assert target.dialect == "preview-2024-10-01"
    late = azure_realtime("a", "https://me.openai.azure.com", "v", KEY, api_version="2025-04-01-preview")
    assert late.dialect == "preview"


def test_openai_gets_the_model_the_peer_named() -> None:
    target = openai_realtime("o", "https://api.openai.com/v1/", KEY)
    assert target.url("gpt-realtime-mini") == "wss://api.openai.com/v1/realtime?model=gpt-realtime-mini"
    assert target.url(None) == "wss://api.openai.com/v1/realtime?intent=transcription"


@pytest.mark.parametrize("address", ["me.openai.azure.com", "https://", "https://k:s@h", "https://h/?key=1"])
def test_an_address_that_is_none_names_the_setting(address: str) -> None:
    with pytest.raises(ConfigError, match="AZURE_OPENAI_ENDPOINT"):
        azure_realtime("a", address, "v", KEY)


def test_nothing_shows_a_secret() -> None:
    target = azure_realtime("a", "https://me.openai.azure.com", "v", KEY)
    assert "secret-key" not in repr(target) and "azure.com" not in repr(target)


# --- the pool ----------------------------------------------------------------------------------


def names(targets: list[RealtimeTarget]) -> list[str]:
    return [target.name for target in targets]


def of_three(**models: tuple[str, ...]) -> list[RealtimeTarget]:
    return [RealtimeTarget(name, f"ws://{name}", KEY, models=models.get(name, ())) for name in "abc"]


def test_the_target_with_the_fewest_sessions_is_first_and_equals_take_turns() -> None:
    pool, order = RealtimePool(of_three()), []
    for _ in range(6):
        target = pool.candidates("gpt-realtime")[0]
        pool.take(target)
        order.append(target.name)
    assert order == ["a", "b", "c", "a", "b", "c"]
    b = next(target for target in pool.targets if target.name == "b")
    pool.give_back(b)
    assert pool.candidates("gpt-realtime")[0].name == "b"
    assert pool.live == {"a": 2, "b": 1, "c": 2}


def test_sessions_go_by_priority_weight_and_room() -> None:
    first, big, later = (
        RealtimeTarget("first", "ws://first", KEY, most_sessions=6),
        RealtimeTarget("big", "ws://big", KEY, weight=2.0, most_sessions=4),
        RealtimeTarget("later", "ws://later", KEY, priority=2),
    )
    pool, order = RealtimePool([first, big, later]), list[str]()
    for _ in range(12):
        target = pool.candidates("x")[0]
        pool.take(target)
        order.append(target.name)
    assert pool.live == {"first": 6, "big": 4, "later": 2}
    assert order[:6].count("big") == 4 and order[10:] == ["later", "later"]


def test_a_target_that_failed_rests_and_comes_back() -> None:
    now = [100.0]
    pool = RealtimePool(of_three(), clock=lambda: now[0])
    first = pool.candidates("x")[0]
    pool.take(first)
    pool.give_back(first, failed=True)
    assert names(pool.candidates("x")) == ["b", "c", "a"]
    now[0] += 31
    assert names(pool.candidates("x")) == ["b", "c", "a"] and pool.live["a"] == 0
    for name in "bc":
        pool.take(next(target for target in pool.targets if target.name == name))
    assert names(pool.candidates("x"))[0] == "a"


def test_a_target_that_keeps_failing_rests_longer_each_time_until_it_goes_well() -> None:
    now = [100.0]
    pool = RealtimePool(of_three(), clock=lambda: now[0])
    a, rests = pool.targets[0], []
    for _ in range(4):
        pool.take(a)
        pool.give_back(a, failed=True)
        for name in (1, 2):
            pool.take(pool.targets[name])
        begun = now[0]
        while names(pool.candidates("x"))[-1] == "a":
            now[0] += 1
        rests.append(now[0] - begun)
    assert rests == [30, 60, 120, 120]
    pool.take(a)
    pool.give_back(a)
    pool.rest(a)
    now[0] += 30
    assert names(pool.candidates("x"))[0] == "a"


def test_only_who_serves_the_model_is_asked() -> None:
    pool = RealtimePool(of_three(a=("mini",), b=("big",)))
    assert names(pool.candidates("mini")) == ["a", "c"]
    assert names(pool.candidates("big")) == ["b", "c"]


# --- tokens ------------------------------------------------------------------------------------


@dataclass
class Token:
    token: str
    expires_on: int


@dataclass
class Source:
    """Gives tokens that are valid for an hour; `broken` refuses."""

    now: list[float]
    broken: bool = False
    asked: list[tuple[str, ...]] = field(default_factory=list)
    closed: int = 0

    async def get_token(self, *scopes: str) -> Token:
        self.asked.append(scopes)
        if self.broken:
            raise RuntimeError("tenant 1234 says no")
        return Token(f"token-{len(self.asked)}", int(self.now[0]) + 3600)

    async def close(self) -> None:
        self.closed += 1


async def test_a_token_is_kept_and_renewed_before_it_expires() -> None:
    now = [0.0]
    source = Source(now)
    credential = EntraToken(lambda: source, clock=lambda: now[0])
    assert await credential.headers() == {"Authorization": "Bearer token-1"}
    now[0] = 3000
    assert await credential.headers() == {"Authorization": "Bearer token-1"}
    now[0] = 3400
    assert await credential.headers() == {"Authorization": "Bearer token-2"}
    assert source.asked == [(SCOPE,), (SCOPE,)]
    await credential.close()
    assert source.closed == 1


async def test_an_old_token_serves_while_no_new_one_can_be_had() -> None:
    now = [0.0]
    source = Source(now)
    credential = EntraToken(lambda: source, clock=lambda: now[0])
    await credential.headers()
    source.broken, now[0] = True, 3400
    assert await credential.headers() == {"Authorization": "Bearer token-1"}
    now[0] = 3590
    with pytest.raises(UpstreamError) as refused:
        await credential.headers()
    assert "1234" not in str(refused.value)


async def test_nothing_is_asked_before_it_is_needed() -> None:
    source = Source([0.0])
    await EntraToken(lambda: source).close()
    assert source.asked == [] and source.closed == 0


async def test_azure_identity_fits() -> None:
    """The real library is there and has what is called; no token can be had here."""
    from kaiwa.upstream.credentials import default_source

    source = default_source()
    assert callable(source.get_token)
    await source.close()
