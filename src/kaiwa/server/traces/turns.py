"""One turn of a conversation and its answers, as far as they have come: moments, and which spans they make.

The steps are those of the console's waterfall: silence, decision, first words, first sound, playout;
recognition runs beside them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kaiwa.events.usage import Usage
from kaiwa.server.traces import names
from kaiwa.server.traces.spans import Moment, Place, SpanContext, Value
from kaiwa.server.traces.tracing import Trace


@dataclass(slots=True, eq=False)
class Turn:
    """`spoken`: the caller's voice began it; else something typed, or the agent itself."""

    number: int
    context: SpanContext
    began: float
    spoken: bool
    item_id: str = ""
    voice_ended: float | None = None
    stopped: float | None = None
    recognised: float | None = None
    committed: bool = False
    decided: float | None = None
    first_words: float | None = None
    first_sound: float | None = None
    heard: float | None = None
    last: float = 0.0
    answers: int = 0
    due: bool = False
    """A tool was called, whose result another answer will tell."""
    over: bool = False
    """Another turn has begun."""
    words: str = ""

    @property
    def steps_ms(self) -> dict[str, Value]:
        """How long each step took, as the console tells it."""
        begins = [self.voice_ended, self.stopped, self.decided, self.first_words, self.first_sound]
        ends = [self.stopped, self.decided, self.first_words, self.first_sound, self.heard]
        steps: dict[str, Value] = {}
        from_at: float | None = None
        for name, begin, end in zip(STEPS, begins, ends, strict=True):
            from_at = begin if begin is not None else from_at
            if end is not None and from_at is not None:
                steps[f"kaiwa.turn.{name}_ms"] = round(max(0.0, end - from_at) * 1000, 1)
        if self.recognised is not None and self.stopped is not None:
            steps["kaiwa.turn.recognition_ms"] = round((self.recognised - self.stopped) * 1000, 1)
        return steps

    def write(self, trace: Trace, agent: str, conversation_id: str, captured: dict[str, Value]) -> None:
        """Write the turn and the steps before its answers."""
        silent_from = self.voice_ended
        if self.spoken and self.stopped is not None:
            speech_ended = self.stopped if silent_from is None else silent_from
            trace.write("speech", trace.below(), self.context, self.began, speech_ended, {})
            if silent_from is not None:
                trace.write("silence", trace.below(), self.context, silent_from, self.stopped, {})
            if self.decided is not None:
                trace.write("turn decision", trace.below(), self.context, self.stopped, self.decided, {})
            if self.recognised is not None:
                trace.write("recognition", trace.below(), self.context, self.stopped, self.recognised, {})
        attributes: dict[str, Value] = {
            names.OPERATION: names.INVOKE_AGENT,
            names.AGENT: agent,
            names.CONVERSATION: conversation_id,
            "kaiwa.turn.number": self.number,
            "kaiwa.turn.spoken": self.spoken,
            "kaiwa.turn.answers": self.answers,
        }
        trace.write(
            f"{names.INVOKE_AGENT} {agent}",
            self.context,
            trace.root,
            self.began,
            max(self.last, self.began),
            {**attributes, **self.steps_ms, **captured},
        )


STEPS = ("silence", "decision", "words", "voice", "playout")


@dataclass(slots=True, eq=False)
class Answer:
    """One response. `place` is where its model runs; it is known before the peer hears of the response."""

    id: str
    place: Place
    turn: Turn | None = None
    created: float | None = None
    first_words: float | None = None
    first_sound: float | None = None
    sounded: float | None = None
    playing: float | None = None
    done: float | None = None
    usage: Usage | None = None
    written: bool = False
    captured: dict[str, Value] = field(default_factory=dict[str, Value])

    @property
    def open(self) -> bool:
        """Whether something of it is still to come."""
        return self.created is not None and (self.done is None or self.playing is not None)

    def write(self, trace: Trace, model: str, provider: str, conversation_id: str, status: str) -> None:
        """Write the answer, and the making of its voice."""
        if self.written or self.created is None or self.turn is None:
            return
        self.written = True
        began, ended = self.created, self.done if self.done is not None else self.turn.last
        if self.first_sound is not None:
            self._write_voice(trace, ended)
        # Where the relay asked a model for it, that request bears the tokens, lest they count twice.
        named = {} if self.place.asked else self._as_model(model, provider)
        name = "response" if self.place.asked else f"{names.CHAT} {model}"
        attributes: dict[str, Value] = {
            names.CONVERSATION: conversation_id,
            names.RESPONSE_ID: self.id,
            names.FINISH_REASONS: (status,),
            names.OUTPUT_TYPE: "text" if self.first_sound is None else "speech",
            **named,
            **self.captured,
        }
        first = min((at for at in (self.first_words, self.first_sound) if at is not None), default=None)
        if first is not None:
            attributes[names.FIRST_CHUNK] = round(first - began, 6)
        trace.write(
            name,
            self.place.context,
            self.turn.context,
            began,
            ended,
            attributes,
            kind="internal" if self.place.asked or provider == names.OWN else "client",
            moments=self._moments,
            error=status if status in ("failed", "cut") else None,
        )

    @property
    def _moments(self) -> tuple[Moment, ...]:
        told = (("first token", self.first_words), ("first audio", self.first_sound))
        return tuple(Moment(name, at) for name, at in told if at is not None)

    def _write_voice(self, trace: Trace, ended: float) -> None:
        assert self.first_sound is not None, "it has a voice"
        began = self.first_words if self.first_words is not None else self.first_sound
        trace.write(
            "synthesis",
            trace.below(),
            self.place.context,
            min(began, self.first_sound),
            self.sounded if self.sounded is not None else ended,
            {"kaiwa.synthesis.first_audio_ms": round(max(0.0, self.first_sound - began) * 1000, 1)},
            moments=(Moment("first audio", self.first_sound),),
        )

    def _as_model(self, model: str, provider: str) -> dict[str, Value]:
        told: dict[str, Value] = {
            names.OPERATION: names.CHAT,
            names.PROVIDER: provider,
            names.REQUEST_MODEL: model,
        }
        if self.usage is not None:
            into, out = self.usage.input_token_details, self.usage.output_token_details
            told[names.INPUT_TOKENS] = self.usage.input_tokens
            told[names.OUTPUT_TOKENS] = self.usage.output_tokens
            rest = {
                names.CACHED_TOKENS: into.cached_tokens,
                names.AUDIO_INPUT_TOKENS: into.audio_tokens,
                names.AUDIO_OUTPUT_TOKENS: out.audio_tokens,
            }
            told |= {name: number for name, number in rest.items() if number}
        return told
