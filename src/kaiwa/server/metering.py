"""Counts what conversations cost, from what their peers are told: relayed and local ones alike.

Reads the usage of `response.done` on its way out. Knows tokens; knows no prices and logs nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from kaiwa.events.client import ClientEvent
from kaiwa.events.relay import PassedFrame
from kaiwa.events.server import ResponseDone, ServerEvent
from kaiwa.events.usage import Usage
from kaiwa.policy.prices import TokensUsed
from kaiwa.protocol.realtime.passing import usage_in
from kaiwa.transports.websocket import Codec


@dataclass(slots=True)
class Totals:
    """Tokens of any number of responses."""

    responses: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0

    def add(self, usage: Usage) -> None:
        self.responses += 1
        self.input_tokens += usage.input_tokens
        self.output_tokens += usage.output_tokens
        self.cached_tokens += usage.input_token_details.cached_tokens
        self.audio_input_tokens += usage.input_token_details.audio_tokens
        self.audio_output_tokens += usage.output_token_details.audio_tokens

    def as_facts(self) -> dict[str, int]:
        """Return the fields of a log line."""
        return {name: getattr(self, name) for name in self.__slots__}


class Watcher(Protocol):
    """Who counts besides: sees every event that the peer is told, and what each response used."""

    def note(self, event: ServerEvent) -> None: ...

    def used(self, usage: Usage) -> None: ...


class Meter:
    """The tokens of one conversation, and of the process in `house`."""

    def __init__(
        self,
        house: Totals,
        charge: Callable[[Usage], None] | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        self.totals = Totals()
        self._house = house
        self._charge = charge
        self._watcher = watcher

    def note(self, event: ServerEvent) -> None:
        """Look at what the peer is told."""
        if self._watcher is not None:
            self._watcher.note(event)
        usage = usage_of(event)
        if usage is not None:
            self.totals.add(usage)
            self._house.add(usage)
            if self._watcher is not None:
                self._watcher.used(usage)
            if self._charge is not None:
                self._charge(usage)

    def over(self, codec: Codec) -> Codec:
        """Return the codec with this meter on what it writes."""
        return _MeteredCodec(codec, self)


class _MeteredCodec:
    def __init__(self, codec: Codec, meter: Meter) -> None:
        self._codec = codec
        self._meter = meter

    def decode_client(self, frame: str | bytes, binary: bool = False) -> ClientEvent:
        return self._codec.decode_client(frame, binary)

    def encode_server(self, event: ServerEvent) -> str:
        self._meter.note(event)
        return self._codec.encode_server(event)


def tokens_used(usage: Usage) -> TokensUsed:
    """Return a response's tokens as a price table counts them."""
    into, out = usage.input_token_details, usage.output_token_details
    return TokensUsed(
        input=usage.input_tokens,
        cached=into.cached_tokens,
        output=usage.output_tokens,
        audio_input=into.audio_tokens,
        audio_cached=into.cached_tokens_details.audio_tokens,
        audio_output=out.audio_tokens,
    )


def usage_of(event: ServerEvent) -> Usage | None:
    """Return what a response used, by its `response.done`."""
    if isinstance(event, PassedFrame):
        return usage_in(event)
    return event.response.usage if type(event) is ResponseDone else None
