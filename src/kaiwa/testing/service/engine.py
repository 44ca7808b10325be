"""The stand-in's engine: hears turns by level, writes down scripted words, answers by rule.

Knows the script and the faults of answers; knows no model. Everything it says has its moment in one
schedule, so that it needs no task and `Stop` drops what is not yet said.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator, Callable
from typing import Final

from msgspec import structs

from kaiwa.events import engine
from kaiwa.events.config import ForcedFunction
from kaiwa.events.items import FunctionCallOutput, Item, Message
from kaiwa.events.response import FailureDetail
from kaiwa.events.usage import DurationUsage, TokenTranscriptionUsage, TranscriptionTokenDetails
from kaiwa.testing.service.faults import Faults
from kaiwa.testing.service.schedule import Schedule
from kaiwa.testing.service.script import Answer, Call, Fail, Say, Script, rest_of
from kaiwa.testing.service.sound import LevelEar, ToneVoice

_PIECE: Final = re.compile(r"\s*\S{1,12}\s*")
_COMPLETE: Final = 0.9
_TOKENS_PER_S: Final = 10


class ServiceEngine:
    """Fits `kaiwa.interfaces.Engine`. `faults` is asked anew for every answer."""

    def __init__(self, script: Script, faults: Callable[[], Faults] = Faults) -> None:
        self._script = script
        self._faults = faults
        self._schedule: Schedule[engine.EngineEvent] = Schedule()
        self._ear = LevelEar()
        self._listening = False
        self._words: dict[str, str] = {}
        self._lengths_ms: dict[str, int] = {}

    def ask(self, command: engine.EngineCommand) -> None:
        match command:
            case engine.Listen(mode=mode):
                self._listening = mode != "off"
            case engine.Hear(pcm=pcm):
                for audio_ms, probability in self._ear.hear(pcm, judging=self._listening):
                    self._schedule.put(engine.VoiceActivity(audio_ms=audio_ms, probability=probability))
            case engine.Prepare():
                self._judge(command)
            case engine.Commit(item_id=item_id, start_ms=start_ms, end_ms=end_ms):
                self._keep(item_id, end_ms - start_ms)
            case engine.Remember(item_id=item_id, pcm=pcm):
                self._keep(item_id, len(pcm) // 48)
            case engine.Transcribe():
                self._write_down(command)
            case engine.Generate():
                self._answer(command)
            case engine.Stop(response_id=response_id):
                self._schedule.drop(lambda event: getattr(event, "response_id", None) == response_id)
            case _:
                pass  # nothing is kept that could be discarded, and frames of a relay never come here

    def events(self) -> AsyncIterator[engine.EngineEvent]:
        return self._schedule.events()

    async def close(self) -> None:
        """There is nothing to free."""

    # --- hearing -------------------------------------------------------------------------------

    def _keep(self, item_id: str, length_ms: int) -> None:
        self._words[item_id] = self._script.heard(len(self._words), length_ms)
        self._lengths_ms[item_id] = length_ms

    def _judge(self, pause: engine.Prepare) -> None:
        words = self._script.heard(len(self._words), pause.end_ms - pause.start_ms)
        self._schedule.put(
            engine.TurnLikelihood(
                item_id=pause.item_id, audio_ms=pause.end_ms, probability=_COMPLETE, text=words
            )
        )

    def _write_down(self, wanted: engine.Transcribe) -> None:
        item_id, words = wanted.item_id, self._words.get(wanted.item_id, "")
        if (code := self._faults().fail_transcription) is not None:
            message = f"Input transcription failed for item '{item_id}'."
            error = FailureDetail(type="server_error", code=code, message=message)
            self._schedule.put(engine.TranscriptFailed(item_id=item_id, error=error))
            return
        seconds = self._lengths_ms.get(item_id, 0) / 1000
        if (wanted.model or "").startswith("whisper"):
            whole = DurationUsage(seconds=math.ceil(seconds))
            self._schedule.put(engine.TranscriptDone(item_id=item_id, text=words, usage=whole))
            return
        pieces = _PIECE.findall(words)
        for piece in pieces:
            self._schedule.put(engine.TranscriptDelta(item_id=item_id, text=piece))
        heard, written = round(seconds * _TOKENS_PER_S), len(pieces)
        usage = TokenTranscriptionUsage(
            total_tokens=heard + written,
            input_tokens=heard,
            output_tokens=written,
            input_token_details=TranscriptionTokenDetails(audio_tokens=heard),
        )
        self._schedule.put(engine.TranscriptDone(item_id=item_id, text=words, usage=usage))

    # --- answering -----------------------------------------------------------------------------

    def _answer(self, command: engine.Generate) -> None:
        if (code := self._faults().fail_response) is not None:
            self._fail(command, Fail(code=code), asyncio.get_running_loop().time())
            return
        telling = _Telling(command, self._schedule)
        for answer in self._answers(command):
            if isinstance(answer, Fail):
                self._fail(command, answer, telling.moment)
                return
            if not telling.give(answer):
                return
        telling.end("completed")

    def _answers(self, command: engine.Generate) -> tuple[Answer, ...]:
        told = command.words or _told_to_say(command.instructions)
        if told:
            return (Say(text=told),)
        newest = command.history[-1] if command.history else None
        if isinstance(newest, Message) and newest.role == "assistant" and len(command.history) > 1:
            whole = self._answers(structs.replace(command, history=command.history[:-1]))
            if rest := rest_of(whole, self._said(newest)):
                return rest
        if isinstance(newest, FunctionCallOutput):
            return self._script.answers_to_result(newest.output)
        forced = _forced_call(command)
        return (forced,) if forced else self._script.answers(self._said(newest))

    def _said(self, item: Item | None) -> str:
        if not isinstance(item, Message):
            return ""
        written = (getattr(part, "text", None) or getattr(part, "transcript", None) for part in item.content)
        words = " ".join(text for text in written if text)
        return words or self._words.get(str(item.id), "")

    def _fail(self, command: engine.Generate, failure: Fail, moment: float) -> None:
        kind = _TYPES.get(failure.code, failure.type)
        error = FailureDetail(type=kind, code=failure.code, message=failure.message)
        ended = engine.GenerationEnded(response_id=command.response_id, reason="failed", error=error)
        self._schedule.put(ended, at=moment)


_ORDER: Final = re.compile(r"^Say only these words[^:]*: (.+)", re.DOTALL)
_TYPES: Final = {"rate_limit_exceeded": "rate_limit_error", "insufficient_quota": "insufficient_quota"}


def _told_to_say(instructions: str) -> str | None:
    """Return the words that a model would say which does as it is told."""
    order = _ORDER.search(instructions)
    return order[1] if order else None


def _forced_call(command: engine.Generate) -> Call | None:
    """The call that `tool_choice` asks for, whatever was said."""
    if isinstance(command.tool_choice, ForcedFunction):
        return Call(name=command.tool_choice.name)
    if command.tool_choice == "required" and command.tools:
        return Call(name=command.tools[0].name)
    return None


class _Telling:
    """One response, laid out over time."""

    def __init__(self, command: engine.Generate, schedule: Schedule[engine.EngineEvent]) -> None:
        self.moment = asyncio.get_running_loop().time()
        self._command = command
        self._schedule = schedule
        self._tokens_left = math.inf if command.max_output_tokens == "inf" else command.max_output_tokens
        self._calls = 0
        self._voice = ToneVoice(command.voice, command.speed) if "audio" in command.modalities else None

    def give(self, answer: Say | Call) -> bool:
        """Lay out one answer; False when the response's tokens are used up, which ends it."""
        self.moment += answer.delay_ms / 1000
        whole = self._say(answer) if isinstance(answer, Say) else self._call(answer)
        if not whole:
            self.end("max_output_tokens")
        return whole

    def end(self, reason: str) -> None:
        ended = engine.GenerationEnded(response_id=self._command.response_id, reason=reason)  # type: ignore[arg-type]
        self._put(ended)

    def _say(self, answer: Say) -> bool:
        for piece in _PIECE.findall(answer.text):
            if not self._take_token():
                return False
            self._put(engine.TextDelta(response_id=self._command.response_id, text=piece))
            if self._voice is not None:
                self._sound(self._voice.speak(piece))
            self.moment += answer.pace_ms / 1000
        if self._voice is not None:
            self._sound(self._voice.rest())
        return True

    def _call(self, answer: Call) -> bool:
        index, name = self._calls, answer.name
        self._calls += 1
        for piece in _PIECE.findall(answer.arguments):
            if not self._take_token():
                return False
            delta = engine.ArgumentsDelta(
                response_id=self._command.response_id, index=index, name=name, delta=piece
            )
            self._put(delta)
        self._put(
            engine.ToolCalled(
                response_id=self._command.response_id, index=index, name=name, arguments=answer.arguments
            )
        )
        return True

    def _sound(self, chunks: list[bytes]) -> None:
        for pcm in chunks:
            self._put(engine.AudioDelta(response_id=self._command.response_id, pcm=pcm))

    def _take_token(self) -> bool:
        self._tokens_left -= 1
        return self._tokens_left >= 0

    def _put(self, event: engine.EngineEvent) -> None:
        self._schedule.put(event, at=self.moment)
