"""The local engine: voice activity, recognition, chat model, speech, one after the other.

One `CascadeEngine` a conversation over models that all conversations share. In the first pause of the
user it works ahead (Prepare): the words, whether they are complete, and the answer to them, none of which
leaves the engine before the session asked for it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from kaiwa.engines.answer import Answer, given
from kaiwa.engines.chat import ChatModel, ChatRequest, Expectation
from kaiwa.engines.drafts import Drafts
from kaiwa.engines.lanes import Lanes, run_in
from kaiwa.engines.recall import Recall
from kaiwa.engines.speech.models import SpeechModels
from kaiwa.engines.speech.recognition import Effort, Recognition
from kaiwa.errors import KaiwaError, UpstreamError
from kaiwa.events import engine
from kaiwa.events.items import InputAudio, Item, Message
from kaiwa.events.response import FailureDetail
from kaiwa.events.usage import DurationUsage

log = logging.getLogger("kaiwa.cascade")
_KEPT_TEXTS = 256
_KEPT_PAUSES = 4
_NOTHING_IN_PARTICULAR = Expectation()
_UNHEARD = "The speech could not be recognised."


@dataclass(frozen=True, slots=True)
class Shared:
    """What every conversation of the process uses. `ahead`: answers may be computed before the turn is
    confirmed (right for a model that costs nothing, wrong for one that is paid by the token)."""

    speech: SpeechModels
    chat: ChatModel
    lanes: Lanes
    ahead: bool = True
    time_zone: str = "Asia/Tokyo"
    clock: Callable[[ZoneInfo], datetime] = datetime.now


class _Prepared:
    """The work on one pause, with its audio: that may be discarded before the work begins."""

    def __init__(self, command: engine.Prepare, pcm: bytes) -> None:
        self.command = command
        self.pcm = pcm
        self.answer: Answer | None = None
        self.words: asyncio.Task[Recognition] | None = None
        self.task: asyncio.Task[None] | None = None
        self.answering: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        for task in (self.task, self.words, self.answering):
            if task is not None:
                task.cancel()


class CascadeEngine:
    """Fits `kaiwa.interfaces.Engine`. Tasks belong to the engine and end with `close`."""

    def __init__(self, shared: Shared, *, language: str | None = None, time_zone: str | None = None) -> None:
        self._shared = shared
        self._language = language
        self._zone = ZoneInfo(time_zone or shared.time_zone)
        self._recall = Recall()
        self._events: asyncio.Queue[engine.EngineEvent] = asyncio.Queue()
        self._words: dict[str, asyncio.Task[Recognition]] = {}
        self._prepared: dict[str, _Prepared] = {}
        self._answers: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._unheard = bytearray()
        self._judging: asyncio.Task[None] | None = None
        self._drafts = Drafts(self._recall, self._draft, shared.lanes.recognition, self._events.put_nowait)
        self._drafting: asyncio.Task[None] | None = None
        self._stream = shared.speech.vad.stream()
        self._stream_from_ms = 0
        self._listening = False
        self._closed = False
        self._handlers: dict[type, Callable[[Any], None]] = {
            engine.Hear: self._hear,
            engine.Listen: self._listen,
            engine.Discard: self._recall.discard,
            engine.Commit: self._commit,
            engine.Remember: lambda command: self._recall.keep(command.item_id, command.pcm),
            engine.Prepare: self._prepare,
            engine.Abandon: self._abandon,
            engine.Transcribe: self._transcribe,
            engine.Follow: self._drafts.follow,
            engine.Unfollow: lambda command: self._drafts.end(command.item_id, keep=False),
            engine.Generate: self._generate,
            engine.Stop: self._stop,
        }

    # --- the doorway ---------------------------------------------------------------------------

    def ask(self, command: engine.EngineCommand) -> None:
        if not self._closed:
            self._handlers[type(command)](command)

    async def events(self) -> AsyncIterator[engine.EngineEvent]:
        while True:
            yield await self._events.get()

    async def close(self) -> None:
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(
        self, work: Coroutine[Any, Any, Any], when_broken: Callable[[], None] | None = None
    ) -> asyncio.Task[Any]:
        """Start a task. One that breaks is the end of the engine, unless `when_broken` tells of less."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, when_broken or self._lose_everything))
        return task

    def _ended(self, when_broken: Callable[[], None], task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None or isinstance(error, KaiwaError):
            return
        log.error("engine task failed", exc_info=error)
        when_broken()

    def _lose_everything(self) -> None:
        detail = FailureDetail(type="server_error", code="engine_failed", message="The engine failed.")
        self._events.put_nowait(engine.EngineFailed(error=detail))

    def _lose_nothing(self) -> None:
        """Nobody was promised what is lost, or whoever waits for it tells."""

    # --- hearing -------------------------------------------------------------------------------

    def _listen(self, command: engine.Listen) -> None:
        listening = command.mode != "off"
        if listening and not self._listening:
            self._stream, self._stream_from_ms = self._shared.speech.vad.stream(), self._recall.heard_ms
            self._unheard.clear()
        self._listening = listening

    def _hear(self, command: engine.Hear) -> None:
        self._recall.hear(command.pcm)
        if self._drafts.due and (self._drafting is None or self._drafting.done()):
            self._drafting = self._start(self._drafts.make(), self._lose_nothing)
        if not self._listening:
            return
        self._unheard += command.pcm
        if self._judging is None or self._judging.done():
            self._judging = self._start(self._judge_voice())

    async def _judge_voice(self) -> None:
        """Judge what has come in, and what comes in meanwhile, one stretch at a time."""
        while self._unheard and self._listening:
            stream, from_ms = self._stream, self._stream_from_ms
            pcm = bytes(self._unheard[: 48 * 2000])
            del self._unheard[: len(pcm)]
            frames = await run_in(self._shared.lanes.hearing, lambda s=stream, p=pcm: s.hear(p))
            if stream is self._stream:
                for audio_ms, probability in frames:
                    self._events.put_nowait(
                        engine.VoiceActivity(audio_ms=from_ms + audio_ms, probability=probability)
                    )

    # --- words ---------------------------------------------------------------------------------

    def _commit(self, command: engine.Commit) -> None:
        self._recall.commit(command)
        self._drafts.end(command.item_id, keep=True)

    async def _draft(self, pcm: bytes, wanted: engine.Transcribe) -> Recognition:
        return await _finished(self._recognise(pcm, wanted, effort="draft"))

    def _recognise(
        self,
        pcm: bytes,
        wanted: engine.Transcribe,
        expected: Expectation = _NOTHING_IN_PARTICULAR,
        effort: Effort = "final",
    ) -> asyncio.Task[Recognition]:
        recognizer = self._shared.speech.recognizer
        work = partial(
            recognizer.transcribe,
            pcm,
            language=wanted.language or self._language or self._drafts.language(wanted.item_id),
            vocabulary=() if expected.kind == "name" else expected.vocabulary,
            prompt=wanted.prompt or None,
            effort=effort,
            logprobs=wanted.logprobs and effort == "final",
        )
        return self._start(run_in(self._shared.lanes.recognition, work), self._lose_nothing)

    def _words_of(self, wanted: engine.Transcribe) -> asyncio.Task[Recognition]:
        """Return the recognition of an item, begun now if the pause before its end did not begin it."""
        item_id = wanted.item_id
        if (known := self._words.get(item_id)) is not None:
            return known
        prepared = self._prepared.get(item_id)
        if prepared is not None and prepared.words is not None and not prepared.words.cancelled():
            words = prepared.words
        else:
            words = self._recognise(self._recall.item(item_id), wanted)
        self._words[item_id] = words
        while len(self._words) > _KEPT_TEXTS:
            del self._words[next(iter(self._words))]
        return words

    def _transcribe(self, command: engine.Transcribe) -> None:
        self._start(self._write_down(command))

    async def _write_down(self, command: engine.Transcribe) -> None:
        try:
            words = await _finished(self._words_of(command))
            if command.logprobs and words.logprobs is None:  # asked for after the pause
                words = await _finished(self._recognise(self._recall.item(command.item_id), command))
        except KaiwaError:
            detail = FailureDetail(type="transcription_error", code="transcription_failed", message=_UNHEARD)
            self._events.put_nowait(engine.TranscriptFailed(item_id=command.item_id, error=detail))
            return
        text, rest = self._drafts.whole(command.item_id, words.text)
        if rest:
            self._events.put_nowait(engine.TranscriptDelta(item_id=command.item_id, text=rest))
        self._events.put_nowait(
            engine.TranscriptDone(
                item_id=command.item_id,
                text=text,
                usage=DurationUsage(seconds=math.ceil(words.seconds)),
                logprobs=words.logprobs,
            )
        )

    # --- working ahead -------------------------------------------------------------------------

    def _prepare(self, command: engine.Prepare) -> None:
        self._abandon(engine.Abandon(item_id=command.item_id))
        prepared = _Prepared(command, self._recall.stretch(command.start_ms, command.end_ms))
        self._prepared[command.item_id] = prepared
        prepared.task = self._start(self._work_ahead(prepared), self._lose_nothing)
        while len(self._prepared) > _KEPT_PAUSES:  # turns that nobody asked to answer
            self._abandon(engine.Abandon(item_id=next(iter(self._prepared))))

    def _abandon(self, command: engine.Abandon) -> None:
        """Drop what was prepared, but not words that a Transcribe or Generate already waits for."""
        if (prepared := self._prepared.pop(command.item_id, None)) is None:
            return
        if prepared.words is self._words.get(command.item_id):
            prepared.words = None
        prepared.cancel()

    async def _work_ahead(self, prepared: _Prepared) -> None:
        command, pcm, speech = prepared.command, prepared.pcm, self._shared.speech
        expected = Expectation()
        if command.generate is not None:
            expected = await self._expect(command.generate)
        wanted = command.transcribe or engine.Transcribe(item_id=command.item_id)
        prepared.words = self._recognise(pcm, wanted, expected)
        words = await _finished(prepared.words)
        if command.generate is not None and self._shared.ahead and words.text:
            answer = Answer(command.generate, self._events.put_nowait)
            prepared.answer = answer
            known = {command.item_id: words.text}
            prepared.answering = self._start(self._answer(answer, known), answer.break_off)
        language = wanted.language or self._language
        likelihood = await run_in(
            self._shared.lanes.hearing,
            lambda: speech.turns.likelihood(words.text, language, kind=expected.kind, pcm=pcm),
        )
        self._events.put_nowait(
            engine.TurnLikelihood(
                item_id=command.item_id, audio_ms=command.end_ms, probability=likelihood, text=words.text
            )
        )

    async def _expect(self, command: engine.Generate) -> Expectation:
        before = msgspec.structs.replace(command, history=command.history[:-1])
        return self._shared.chat.expect(await self._request(before, {}))

    # --- answering -----------------------------------------------------------------------------

    def _generate(self, command: engine.Generate) -> None:
        prepared = self._taken_up(command)
        if prepared is not None and prepared.answer is not None and prepared.answering is not None:
            self._answer_with(command.response_id, prepared.answering)
            prepared.answer.release(command.response_id)
            return
        answer = Answer(command, self._events.put_nowait)
        self._answer_with(command.response_id, self._start(self._answer(answer, {}), answer.break_off))

    def _answer_with(self, response_id: str, task: asyncio.Task[None]) -> None:
        self._answers[response_id] = task
        task.add_done_callback(lambda _: self._answers.pop(response_id, None))

    def _taken_up(self, command: engine.Generate) -> _Prepared | None:
        """Return what was prepared for the last item, if it was prepared for this very question."""
        last = command.history[-1] if command.history else None
        prepared = self._prepared.pop(last.id, None) if last and isinstance(last.id, str) else None
        if prepared is None or prepared.command.generate is None:
            return None
        self._words_from(prepared)
        if prepared.answer is not None and _question(prepared.command.generate) == _question(command):
            return prepared
        for task in (prepared.task, prepared.answering):
            if task is not None:
                task.cancel()
        return None

    def _words_from(self, prepared: _Prepared) -> None:
        if prepared.words is not None:
            self._words.setdefault(prepared.command.item_id, prepared.words)

    async def _answer(self, answer: Answer, known: dict[str, str]) -> None:
        command = answer.command
        language = command.language or self._language
        try:
            request = await self._request(command, known)
        except KaiwaError as error:
            answer.fail(error)
            return
        shared = self._shared
        chat = shared.chat.generate(request) if command.words is None else given(command.words)

        async def speak(clause: str) -> list[bytes]:
            say = partial(
                shared.speech.synthesizer.speak,
                clause,
                voice=command.voice,
                speed=command.speed,
                language=language,
            )
            return await run_in(shared.lanes.voice, lambda: list(say()))

        await answer.make(chat, speak, language)

    def _stop(self, command: engine.Stop) -> None:
        if (task := self._answers.pop(command.response_id, None)) is not None:
            task.cancel()

    async def _request(self, command: engine.Generate, known: dict[str, str]) -> ChatRequest:
        return ChatRequest(
            history=await self._in_words(command, known),
            instructions=command.instructions,
            tools=command.tools,
            tool_choice=command.tool_choice,
            max_output_tokens=command.max_output_tokens,
            language=command.language or self._language,
            progress=command.progress,
            now=self._shared.clock(self._zone),
        )

    async def _in_words(self, command: engine.Generate, known: dict[str, str]) -> tuple[Item, ...]:
        """Return the history with the words of every user audio filled in."""
        history: list[Item] = []
        for item in command.history:
            if isinstance(item, Message) and isinstance(item.id, str) and _wordless(item.content):
                text = known.get(item.id)
                if text is None:
                    wanted = engine.Transcribe(item_id=item.id, language=command.language)
                    text = (await _finished(self._words_of(wanted))).text
                history.append(_with_words(item, text))
            else:
                history.append(item)
        return tuple(history)


async def _finished(words: asyncio.Task[Recognition]) -> Recognition:
    """Wait for words that others may wait for too. Raises UpstreamError for whatever the recogniser raised.

    A recogniser is foreign code: it may raise anything, and only the audio it was given is lost by it.
    """
    await asyncio.wait([words])
    if words.cancelled() or (error := words.exception()) is None or isinstance(error, KaiwaError):
        return words.result()
    raise UpstreamError("recognition_failed", _UNHEARD) from error


def _wordless(content: Sequence[Any]) -> bool:
    return any(isinstance(part, InputAudio) and part.transcript is None for part in content)


def _with_words(item: Message, text: str | None) -> Message:
    content = tuple(
        msgspec.structs.replace(part, transcript=text) if isinstance(part, InputAudio) else part
        for part in item.content
    )
    return msgspec.structs.replace(item, content=content)


def _question(command: engine.Generate) -> engine.Generate:
    """Return the command without what may differ between working ahead and being asked."""
    history = tuple(
        _with_words(item, None) if isinstance(item, Message) and item.role == "user" else item
        for item in command.history
    )
    return msgspec.structs.replace(command, response_id="", history=history, progress=())
