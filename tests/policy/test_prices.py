"""What an answer costs by the operator's table, and how limits are told to clients."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest

from kaiwa.cli.serving import read_settings
from kaiwa.errors import ConfigError
from kaiwa.policy.amounts import NANO, Limit, Standing
from kaiwa.policy.estimates import wanted
from kaiwa.policy.headers import duration, limit_headers, refusal_headers
from kaiwa.policy.holds import LimitReached
from kaiwa.policy.prices import FREE, PriceTable, TokensUsed, table_of
from kaiwa.server.settings import Prices

TABLE = """
currency = "JPY"
text_output = 1.0
[models."gpt-4o*"]
input = 2.5
output = 10
[models."gpt-4o-mini*"]
input = 0.15
cached = 0.075
output = 0.6
audio_input = 32
audio_output = 64
"""


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PriceTable:
    for name in [name for name in os.environ if name.startswith("KAIWA_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prices.toml").write_text(TABLE)
    monkeypatch.setenv("KAIWA_PRICES", "prices.toml")
    prices = read_settings().prices
    assert prices is not None
    return table_of(prices.model_dump())


@pytest.mark.parametrize(
    ("model", "used", "cost"),
    [
        (
            "gpt-4o-mini-2024",
            TokensUsed(input=1000, cached=400, output=100),
            (600 * 150 + 400 * 75 + 100 * 600),
        ),
        ("gpt-4o", TokensUsed(input=1000, cached=400, output=100), (1000 * 2500 + 100 * 10_000)),
        ("another", TokensUsed(input=1000, output=100), 100 * 1000),
        (
            "gpt-4o-mini",
            TokensUsed(input=10, audio_input=10, output=30, audio_output=20),
            320_000 + 6_000 + 1_280_000,
        ),
    ],
)
def test_the_longest_name_that_fits_gives_the_price(
    table: PriceTable, model: str, used: TokensUsed, cost: int
) -> None:
    assert (table.currency, table.cost(model, used)) == ("JPY", cost)


def test_the_older_form_of_prices_goes_on_working(table: PriceTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAIWA_PRICES", '{"text_input": 4, "text_input_cached": 0.4, "audio_output": 64}')
    prices = read_settings().prices
    assert prices is not None
    used = TokensUsed(input=10, cached=5, output=2, audio_output=2)
    assert table_of(prices.model_dump()).cost("any", used) == 5 * 4000 + 5 * 400 + 2 * 64_000
    monkeypatch.setenv("KAIWA_PRICES", "no/such/file")
    with pytest.raises(ConfigError, match="KAIWA_PRICES"):
        read_settings()


def test_messages_cost_by_the_million_and_as_the_table_says_now() -> None:
    held = table_of({"signalr_messages": 1.5})
    assert (held.messages_cost(1), held.messages_cost(2_000_000)) == (1500, 3 * NANO)
    held.become(table_of({"currency": "EUR", "signalr_messages": 2}))
    assert (held.messages_cost(1), held.currency) == (2000, "EUR")
    held.become(table_of({"text_input": 1}))
    assert held.messages_cost(5) == 0


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("signalr_messages = -1", "signalr_messages: input should be greater than or equal to 0."),
        ("signalr_messages = inf", "signalr_messages: input should be a finite number."),
        ('signalr_messages = "dear"', "signalr_messages: input should be a valid number"),
        ("signalr_message = 1", "signalr_message is unknown. Did you mean signalr_messages?"),
        ('[models."gpt-4o"]\nsignalr_messages = 1', "models.gpt-4o.signalr_messages is unknown."),
    ],
)
def test_a_wrong_price_of_messages_is_named_with_how_to_mend_it(
    table: PriceTable, tmp_path: Path, written: str, said: str
) -> None:
    (tmp_path / "prices.toml").write_text(written)
    with pytest.raises(ConfigError, match=re.escape(said)) as wrong:
        read_settings()
    assert "KAIWA_PRICES" in str(wrong.value)
    assert "See docs/configuration.md" in str(wrong.value)


def test_the_example_of_the_page_about_budgets_is_right() -> None:
    page = (Path(__file__).parents[2] / "docs/budgets.md").read_text("utf-8")
    _, _, section = page.partition("## Messages through Azure SignalR Service")
    written = re.search(r"```toml\n(.*?)```", section, re.S)
    sentence = re.search(
        r"of (\d+) tokens that comes in (\d+) messages costs ([\d.]+) USD and ([\d.]+) USD", section
    )
    assert written is not None and sentence is not None
    table = table_of(Prices(**tomllib.loads(written[1])).model_dump())
    cost = table.cost("gpt-4o-mini", TokensUsed(output=int(sentence[1])))
    assert (cost / NANO, table.messages_cost(int(sentence[2])) / NANO) == (
        float(sentence[3]),
        float(sentence[4]),
    )


def test_a_request_reserves_its_prompt_and_the_longest_answer_it_allows() -> None:
    want = wanted({"max_tokens": 50, "n": 3}, 400, "chat/completions", FREE)
    assert (want.most.requests, want.most.tokens, want.needed.tokens) == (1, 101 + 150, 101 + 16)
    assert wanted({}, 400, "embeddings", FREE).most.tokens == 101


def test_of_two_limits_clients_are_told_the_tighter_one() -> None:
    minute, day = Limit(kind="tokens", per="minute", most=100), Limit(kind="tokens", per="day", most=1000)
    money = Limit(kind="money", per="day", most=5 * NANO)
    standing = (
        Standing(limit=minute, remaining=50, reset_s=12.5),
        Standing(limit=day, remaining=100, reset_s=3661),
        Standing(limit=money, remaining=NANO // 4, reset_s=0.12),
    )
    headers = limit_headers(standing)
    assert headers["x-ratelimit-limit-tokens"] == "1000"
    assert headers["x-ratelimit-remaining-tokens"] == "100"
    assert headers["x-ratelimit-reset-tokens"] == "1h1m1s"
    assert headers["x-ratelimit-remaining-money"] == "0.25"
    refused = refusal_headers(LimitReached(limit=minute, retry_after_s=12.1, standing=standing))
    assert (refused["retry-after"], refused["retry-after-ms"]) == ("13", "12100")


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.12, "120ms"), (0, "0ms"), (59.5, "59.5s"), (360, "6m0s"), (86_399.2, "24h0m0s")]
)
def test_times_are_written_as_openai_writes_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said
