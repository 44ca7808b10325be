"""Read cost and refusals from the figures for Prometheus, so that they are counted once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample

from kaiwa.server.status.answer import Cost, MessagesCost, ModelCost, Refused

MOST_MODELS: Final = 50
_TOKENS: Final = ("kaiwa_session_tokens_total", "kaiwa_stream_tokens_total")
_COSTS: Final = ("kaiwa_session_cost_total", "kaiwa_stream_cost_total")
_MESSAGES: Final = "kaiwa_signalr_messages_total"
_MESSAGES_COST: Final = "kaiwa_signalr_cost_total"
_REFUSED: Final = "kaiwa_limits_refused_total"


def cost_in(registry: CollectorRegistry, currency: str | None) -> Cost:
    """Return what was used so far, the dearest model first; `currency` None: there are no prices."""
    tokens: dict[tuple[str, str], float] = defaultdict(float)
    costs: dict[str, float] = defaultdict(float)
    for sample in _samples(registry, *_TOKENS):
        tokens[sample.labels["model"], sample.labels["kind"]] += sample.value
    for sample in _samples(registry, *_COSTS):
        costs[sample.labels["model"]] += sample.value
    models = [
        ModelCost(
            model=model,
            input_tokens=int(tokens[model, "input"]),
            output_tokens=int(tokens[model, "output"]),
            cost=round(costs[model], 9),
        )
        for model in {model for model, _ in tokens} | set(costs)
    ]
    models.sort(key=lambda one: (-one.cost, -one.input_tokens - one.output_tokens, one.model))
    messages = _messages(registry)
    total = sum(costs.values()) + (messages.cost if messages is not None else 0)
    return Cost(
        currency=currency, total=round(total, 9), models=models[:MOST_MODELS], signalr_messages=messages
    )


def _messages(registry: CollectorRegistry) -> MessagesCost | None:
    count = sum(sample.value for sample in _samples(registry, _MESSAGES))
    cost = sum(sample.value for sample in _samples(registry, _MESSAGES_COST))
    return MessagesCost(count=int(count), cost=round(cost, 9)) if count else None


def refused_in(registry: CollectorRegistry) -> list[Refused]:
    """Return how often which limit was reached."""
    return [
        Refused(kind=sample.labels["kind"], per=sample.labels["per"], count=int(sample.value))
        for sample in _samples(registry, _REFUSED)
    ]


def _samples(registry: CollectorRegistry, *names: str) -> Iterator[Sample]:
    for family in registry.restricted_registry(names).collect():
        yield from (sample for sample in family.samples if sample.name in names)
