"""Counts what conversations use, as their sessions charge it: relayed and local ones alike.

Adds up tokens and tells who else counts: the caller's account, the figures of the house. Logs nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from kaiwa.events.budget import BudgetEvent, Charge
from kaiwa.events.client import ClientEvent
from kaiwa.events.relay import PassedFrame
from kaiwa.events.server import ResponseDone, ServerEvent
from kaiwa.events.usage import TranscriptionUsage, Usage
from kaiwa.policy.spending import Spending
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

    def used(self, usage: Usage, model: str | None) -> None:
        """`model`: under which name it is paid; None: the session's own."""
        ...

    def transcribed(self, usage: TranscriptionUsage, model: str | None) -> None: ...


class Meter:
    """What one conversation uses, and what the process does in `house`. Fits `kaiwa.interfaces.Spending`."""

    def __init__(
        self, house: Totals, spending: Spending | None = None, watcher: Watcher | None = None
    ) -> None:
        self.totals = Totals()
        self.tell: Callable[[BudgetEvent], None] = _nobody_hears
        self._house = house
        self._spending = spending
        self._watcher = watcher
        if spending is not None:
            spending.tell = lambda event: self.tell(event)

    def note(self, event: ServerEvent) -> None:
        """Look at what the peer is told."""
        if self._watcher is not None:
            self._watcher.note(event)

    def charge(self, charge: Charge) -> None:
        """Count what a session has used, or uses now."""
        if self._spending is not None:
            self._spending.charge(charge)
        if not charge.over:
            return
        usage, model = charge.usage, charge.model
        if self._spending is not None:
            model = self._spending.paid_as(charge)
        if not isinstance(usage, Usage):
            if self._watcher is not None:
                self._watcher.transcribed(usage, model)
        elif usage.total_tokens:
            self.totals.add(usage)
            self._house.add(usage)
            if self._watcher is not None:
                self._watcher.used(usage, model)

    def close(self) -> None:
        """The conversation is over, and all of it was charged."""
        self.tell = _nobody_hears
        if self._spending is not None:
            self._spending.close()

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


def _nobody_hears(event: BudgetEvent) -> None:
    """What `tell` is before a conversation runs, and after."""


def usage_of(event: ServerEvent) -> Usage | None:
    """Return what a response used, by its `response.done`."""
    if isinstance(event, PassedFrame):
        return usage_in(event)
    return event.response.usage if type(event) is ResponseDone else None
