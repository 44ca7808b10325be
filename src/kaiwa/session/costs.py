"""What the answers of a conversation use, from what is told of them: while they run, in the end, and when the
end is never told.

Reads events in GA form, typed ones of a host session and frames of a service alike. Knows tokens; no prices.

An answer whose end is not told is charged by rule: what the answer before it had read and written, what was
said since, and of its own what was heard. Source of the rule: Realtime reference B9, as in `usage`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

import msgspec

from kaiwa.events.budget import Charge
from kaiwa.events.relay import PassedFrame
from kaiwa.events.server import AudioDelta, ServerEvent
from kaiwa.events.usage import (
    CachedTokens,
    DurationUsage,
    InputTokens,
    OutputTokens,
    TokenTranscriptionUsage,
    TranscriptionTokenDetails,
    Usage,
)
from kaiwa.session.relay.aliases import part_of
from kaiwa.session.relay.session_facts import letters_per_ms, sound_letters
from kaiwa.session.remarks import is_remark
from kaiwa.session.usage import AGENT_MS_PER_TOKEN, USER_MS_PER_TOKEN, completed_usage, text_tokens

Body = Mapping[str, Any]
SOUND: Final = "response.output_audio.delta"
_WORDS: Final = frozenset(
    {
        "response.output_text.delta",
        "response.output_audio_transcript.delta",
        "response.function_call_arguments.delta",
    }
)
TRANSCRIBED: Final = "conversation.item.input_audio_transcription.completed"
_LOOKED_AT: Final = frozenset(
    {
        "session.created",
        "session.updated",
        "response.created",
        "response.done",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "conversation.item.added",
        TRANSCRIBED,
    }
)
_EVERY_TOKENS: Final = 64
"""So many tokens of a running answer are charged at once: three seconds of speech."""
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(slots=True)
class _Answer:
    """One that is not over, and how much of it was charged for last."""

    given: InputTokens
    aside: bool = False
    words: list[str] = field(default_factory=list[str])
    word_tokens: int = 0
    sound_ms: float = 0.0
    charged_tokens: int = 0

    @property
    def tokens(self) -> int:
        return self.word_tokens + int(self.sound_ms / AGENT_MS_PER_TOKEN)


class Costs:
    """Feed it all that is told, in order; what is to be charged follows."""

    def __init__(self) -> None:
        self.audible_until = 0.0
        """When all sound that was told so far will have been played, if it is played at once."""
        self.speaks = True
        """Whether the session answers, and does not only write down."""
        self._open: dict[str, _Answer] = {}
        self._before = InputTokens()
        self._context = InputTokens()
        self._began_with = 0
        self._speech_ms: int | None = None
        self._format: str | None = None
        self._model: str | None = None
        self._transcribes: str | None = None

    @property
    def caller_speaks(self) -> bool:
        return self._speech_ms is not None

    def hear(self, frame: PassedFrame, now: float) -> list[Charge]:
        """Take what a service said."""
        kind = frame.type
        if kind == SOUND:
            return self._sound(sound_letters(frame) / letters_per_ms(self._format), now)
        if kind in _WORDS:
            return self._word(str(_body(frame).get("delta", "")))
        return self._take(kind, _body(frame), now) if kind in _LOOKED_AT else []

    def note(self, event: ServerEvent, now: float) -> list[Charge]:
        """Take what a host session tells its peer."""
        if type(event) is AudioDelta:
            return self._sound(len(event.delta) * 4 / 3 / letters_per_ms(self._format), now)
        kind = str(event.__struct_config__.tag)
        if kind in _WORDS:
            return self._word(str(getattr(event, "delta", "")))
        return self._take(kind, msgspec.to_builtins(event), now) if kind in _LOOKED_AT else []

    def abandon(self) -> list[Charge]:
        """Nobody will tell how the answers end that are under way: charge them by rule."""
        charges = [
            Charge(of=of, usage=self._estimate(answer), model=self._model)
            for of, answer in self._open.items()
        ]
        self._open.clear()
        return charges

    def _take(self, kind: str, body: Body, now: float) -> list[Charge]:
        match kind:
            case "response.created":
                return self._began(part_of(body, "response"))
            case "response.done":
                return self._ended(part_of(body, "response"))
            case "input_audio_buffer.speech_started":
                self._speech_ms = _number(body, "audio_start_ms")
            case "input_audio_buffer.speech_stopped" if self._speech_ms is not None:
                spoken_ms = max(0, _number(body, "audio_end_ms") - self._speech_ms)
                self._add(0, spoken_ms // USER_MS_PER_TOKEN)
                self._speech_ms = None
            case "conversation.item.added":
                item = part_of(body, "item")
                if item.get("role") != "assistant" and item.get("type") != "function_call":
                    self._add(_tokens_of(item), 0)
            case _ if kind == TRANSCRIBED:
                return self._transcribed(body)
            case _ if kind.startswith("session."):
                self._configure(part_of(body, "session"))
            case _:
                pass
        return []

    def _configure(self, session: Body) -> None:
        self.speaks = session.get("type") != "transcription"
        self._model = _name(session) or self._model
        audio = part_of(session, "audio")
        self._format = part_of(part_of(audio, "output"), "format").get("type")
        self._transcribes = _name(part_of(part_of(audio, "input"), "transcription"))
        tools = session.get("tools")
        tokens = text_tokens(str(session.get("instructions") or ""))
        tokens += text_tokens(msgspec.json.encode(tools).decode()) if tools else 0
        self._add(tokens - self._began_with, 0)
        self._began_with = tokens

    def _add(self, text: int, audio: int) -> None:
        """More is in the conversation for the next answer to read."""
        context = self._context
        self._context = msgspec.structs.replace(
            context, text_tokens=max(0, context.text_tokens + text), audio_tokens=context.audio_tokens + audio
        )

    def _began(self, response: Body) -> list[Charge]:
        # A remark reads nothing of the conversation.
        aside = is_remark(response.get("metadata"))
        given = InputTokens() if aside else self._context
        answer = self._open[str(response.get("id"))] = _Answer(given, aside)
        return [
            Charge(of=str(response.get("id")), usage=self._estimate(answer), over=False, model=self._model)
        ]

    def _word(self, text: str) -> list[Charge]:
        answer = self._newest()
        if answer is None:
            return []
        answer.words.append(text)
        answer.word_tokens += text_tokens(text)
        return self._charged(answer)

    def _sound(self, sound_ms: float, now: float) -> list[Charge]:
        self.audible_until = max(self.audible_until, now) + sound_ms / 1000
        answer = self._newest()
        if answer is None:
            return []
        answer.sound_ms += sound_ms
        return self._charged(answer)

    def _newest(self) -> _Answer | None:
        return next(reversed(self._open.values()), None)

    def _charged(self, answer: _Answer) -> list[Charge]:
        if answer.tokens - answer.charged_tokens < _EVERY_TOKENS:
            return []
        answer.charged_tokens = answer.tokens
        of = next(of for of, one in self._open.items() if one is answer)
        return [Charge(of=of, usage=self._estimate(answer), over=False, model=self._model)]

    def _ended(self, response: Body) -> list[Charge]:
        of = str(response.get("id"))
        answer = self._open.pop(of, None)
        told = response.get("usage")
        if isinstance(told, dict):
            usage = _usage(cast(Body, told))
        elif answer is not None and (answer.tokens or response.get("status") != "failed"):
            usage = self._estimate(answer)
        else:
            usage = Usage()
        into, out = usage.input_token_details, usage.output_token_details
        if answer is not None and answer.aside:
            self._add(out.text_tokens, out.audio_tokens)
        elif usage.input_tokens:
            since = self._since(answer)
            self._before = into
            self._context = InputTokens(
                text_tokens=into.text_tokens + out.text_tokens + since.text_tokens,
                audio_tokens=into.audio_tokens + out.audio_tokens + since.audio_tokens,
                image_tokens=into.image_tokens,
            )
        return (
            [Charge(of=of, usage=usage, model=self._model)]
            if usage.total_tokens or answer is not None
            else []
        )

    def _since(self, answer: _Answer | None) -> InputTokens:
        """Return what came into the conversation since the answer began."""
        if answer is None:
            return InputTokens()
        return InputTokens(
            text_tokens=max(0, self._context.text_tokens - answer.given.text_tokens),
            audio_tokens=max(0, self._context.audio_tokens - answer.given.audio_tokens),
        )

    def _estimate(self, answer: _Answer) -> Usage:
        return completed_usage(answer.given, self._before, "".join(answer.words), answer.sound_ms)

    def _transcribed(self, body: Body) -> list[Charge]:
        usage = _transcription(part_of(body, "usage"))
        if usage is None:
            return []
        of = f"{body.get('item_id')}/{body.get('content_index')}"
        return [Charge(of=of, usage=usage, model=self._transcribes)]


def _body(frame: PassedFrame) -> Body:
    if frame.body is not None:
        return frame.body
    try:
        return _decode(frame.frame or "{}")
    except msgspec.DecodeError:
        return {}


def _tokens_of(item: Body) -> int:
    """Return how many tokens the text of an item has."""
    parts: Iterable[Any] = item.get("content") or ()
    texts = [cast(Body, part).get("text") for part in parts if isinstance(part, dict)]
    texts += [item.get(name) for name in ("arguments", "output", "name")]
    return sum(text_tokens(text) for text in texts if isinstance(text, str))


def _name(settings: Body) -> str | None:
    """Return the model that settings name."""
    model = settings.get("model")
    return model if isinstance(model, str) and model else None


def _number(body: Body, name: str) -> int:
    """Return a count that a service told; what is none counts for nothing."""
    value = body.get(name)
    return max(0, int(value)) if isinstance(value, int | float) else 0


def _usage(told: Body) -> Usage:
    into, out = part_of(told, "input_token_details"), part_of(told, "output_token_details")
    cached = part_of(into, "cached_tokens_details")
    given = InputTokens(
        text_tokens=_number(into, "text_tokens"),
        audio_tokens=_number(into, "audio_tokens"),
        image_tokens=_number(into, "image_tokens"),
        cached_tokens=_number(into, "cached_tokens"),
        cached_tokens_details=CachedTokens(
            text_tokens=_number(cached, "text_tokens"),
            audio_tokens=_number(cached, "audio_tokens"),
            image_tokens=_number(cached, "image_tokens"),
        ),
    )
    output = OutputTokens(text_tokens=_number(out, "text_tokens"), audio_tokens=_number(out, "audio_tokens"))
    read, written = _number(told, "input_tokens"), _number(told, "output_tokens")
    return Usage(
        total_tokens=_number(told, "total_tokens") or read + written,
        input_tokens=read,
        output_tokens=written,
        input_token_details=given,
        output_token_details=output,
    )


def _transcription(told: Body) -> TokenTranscriptionUsage | DurationUsage | None:
    if "seconds" in told:
        return DurationUsage(seconds=_number(told, "seconds"))
    if not told:
        return None
    details = part_of(told, "input_token_details")
    return TokenTranscriptionUsage(
        total_tokens=_number(told, "total_tokens"),
        input_tokens=_number(told, "input_tokens"),
        output_tokens=_number(told, "output_tokens"),
        input_token_details=TranscriptionTokenDetails(
            text_tokens=_number(details, "text_tokens"), audio_tokens=_number(details, "audio_tokens")
        ),
    )
