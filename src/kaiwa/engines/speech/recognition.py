"""Turn audio into text one may believe. Knows when not to: silence, noise, parroted prompts, loops.

Does not know how the network works (whisper.py), nor turns and sessions.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import msgspec
import numpy as np

from kaiwa.engines.speech.catalogue import Progress, default_cache_directory, whisper_directory
from kaiwa.engines.speech.japanese import tidy
from kaiwa.engines.speech.resampling import MODEL_RATE_HZ, Samples, house_to_model_rate
from kaiwa.engines.speech.vad import VoiceActivityModel
from kaiwa.engines.speech.whisper import Hypothesis, WhisperNetwork
from kaiwa.engines.speech.wordlists import word_set
from kaiwa.events.logprobs import TokenLogprob

LANGUAGES: Final = ("ja", "en")
Effort = Literal["final", "draft"]

_MAX_PIECE_S: Final = 28.0
_MIN_PIECE_S: Final = 15.0
_GATE_PEAK: Final = 0.5
_MOST_GAIN: Final = 30.0
_NO_SPEECH: Final = 0.6
_LOOP_RATIO: Final = 2.4
_DOUBTFUL_SCORE: Final = -0.7
_HOPELESS_SCORE: Final = -1.6
_TOKENS_PER_S: Final = 14
"""Fast Japanese is 9 to 10 morae a second and a mora rarely takes more than one token."""
_STYLE: Final = {"ja": "2泊3日で、10時から18時までお願いします。"}
"""Said before every Japanese utterance that has no prompt: digits, counters and punctuation come out as a
clerk writes them. Errors in the reading of 24 synthetic lines: 8.7% to 6.5%, in noise 15.4% to 12.7%."""
_BEAM: Final = {"final": 5, "draft": 1}

_GHOSTS: Final = word_set(
    "ご視聴ありがとうございました ご清聴ありがとうございました "
    "最後までご視聴いただきありがとうございます チャンネル登録お願いします "
    "チャンネル登録よろしくお願いします おやすみなさい "
    "thankyouforwatching thanksforwatching pleasesubscribe subtitlesbytheamara.orgcommunity you bye"
)
"""What Whisper says when nobody spoke, learned from subtitles. Believed only with good scores."""


@dataclass(frozen=True, slots=True)
class Recognition:
    """`text` is "" when there were no words. `confidence` is the average log probability of a token (0 is
    certain, below -1 doubtful); `seconds` the length of the audio."""

    text: str
    language: str
    no_speech_probability: float
    confidence: float
    seconds: float
    logprobs: tuple[TokenLogprob, ...] | None = None
    """Of each token as the model wrote it, before the text was tidied; when they were asked for."""


class SpeechRecognizer(Protocol):
    """Anything that writes down house audio. May block; is called in a worker thread, one call at a time."""

    def transcribe(
        self,
        pcm: bytes,
        *,
        language: str | None = None,
        vocabulary: Sequence[str] = (),
        prompt: str | None = None,
        effort: Effort = "final",
        logprobs: bool = False,
    ) -> Recognition: ...


class Recognizer:
    """Whisper-base, int8, one thread. One call at a time per instance; any thread may make it."""

    def __init__(
        self,
        model_path: Path | None = None,
        *,
        gate: VoiceActivityModel | None = None,
        cache: Path | None = None,
        threads: int = 1,
        progress: Progress | None = None,
    ) -> None:
        """Load the model.

        `model_path`: a directory with any Whisper model in CTranslate2's layout, instead of whisper-base.
        `gate`: audio in which it hears nobody is not decoded at all.
        Raises ConfigError when the model is missing, damaged or unreadable.
        """
        directory = model_path or whisper_directory(cache or default_cache_directory(), progress)
        self._network = WhisperNetwork(directory, threads=threads)
        self._gate = gate

    def transcribe(
        self,
        pcm: bytes,
        *,
        language: str | None = None,
        vocabulary: Sequence[str] = (),
        prompt: str | None = None,
        effort: Effort = "final",
        logprobs: bool = False,
    ) -> Recognition:
        """Write down house audio of any length.

        `prompt`: text as it might stand before; None takes one that helps with numbers, "" none at all.
        `language`: "ja", "en-US" or another that Whisper knows; None and others: Japanese or English is told.
        `vocabulary`: words likely to be said now, in their written form; keep it short, it also misleads.
        `effort`: "draft" is a beam of one and no second thoughts.
        `logprobs`: say how sure of each token of the text; 30 to 200 ms more.
        """
        language = self._code(language)
        samples = house_to_model_rate(pcm)
        seconds = len(samples) / MODEL_RATE_HZ
        if not self._is_speech(samples):
            return Recognition("", language or "", 1.0, 0.0, seconds, () if logprobs else None)
        hint = "、".join(vocabulary) + "。" if vocabulary else ""
        best: list[Hypothesis] = []
        sure: list[TokenLogprob] = []
        for piece in _pieces(samples):
            encoded = self._network.encode(piece)
            language = language or self._detect(encoded)
            before = (_STYLE.get(language, "") if prompt is None else prompt) + hint
            length_s = len(piece) / MODEL_RATE_HZ
            best.append(self._decode(encoded, language, before, length_s, effort))
            if logprobs and best[-1].text:
                sure += self._network.logprobs(encoded, language, best[-1], length_s)
        return _joined(best, language or "", seconds, _from_first_word(sure) if logprobs else None)

    def warm_up(self) -> None:
        """Run the network once: the first run costs some 100 ms more than the others."""
        encoded = self._network.encode(np.zeros(MODEL_RATE_HZ, dtype=np.float32))
        self._network.decode(encoded, "ja", prompt="", beam_size=_BEAM["final"], max_tokens=2)

    def _code(self, language: str | None) -> str | None:
        """Return Whisper's code: "ja" for "ja-JP"; None for a language it does not know."""
        code = (language or "").lower().replace("_", "-").split("-")[0]
        return code if code and self._network.knows(code) else None

    def _is_speech(self, samples: Samples) -> bool:
        if len(samples) < MODEL_RATE_HZ // 10:
            return False
        if self._gate is None:
            return True
        # A quiet caller is still a caller: the network misses speech 30 dB down that Whisper understands.
        gain = min(_MOST_GAIN, _GATE_PEAK / max(1e-6, float(np.abs(samples).max())))
        return self._gate.hears_speech(samples * np.float32(max(1.0, gain)))

    def _detect(self, encoded: Any) -> str:
        found = self._network.probabilities(encoded)
        return max(LANGUAGES, key=lambda code: found.get(code, 0.0))

    def _decode(self, encoded: Any, language: str, prompt: str, seconds: float, effort: Effort) -> Hypothesis:
        limit = int(seconds * _TOKENS_PER_S) + 12

        def decode(before: str) -> Hypothesis:
            found = self._network.decode(
                encoded, language, prompt=before, beam_size=_BEAM[effort], max_tokens=limit
            )
            return replace(found, text=tidy(found.text, language))

        first = decode(prompt)
        if prompt and (_loops(first.text) or _parrots(first.text, prompt) or first.score < _DOUBTFUL_SCORE):
            again = decode("")
            if _loops(first.text) or again.score > first.score:
                first = again
        return _believed(first)


def _believed(found: Hypothesis) -> Hypothesis:
    """Return the hypothesis, without its text when it is more likely invented than heard."""
    ghost = _bare(found.text) in _GHOSTS
    if (
        (found.no_speech > _NO_SPEECH and found.score < _DOUBTFUL_SCORE)
        or found.score < _HOPELESS_SCORE
        or (ghost and (found.no_speech > 0.2 or found.score < -0.5))
        or not _bare(found.text)
    ):
        return replace(found, text="")
    if _loops(found.text):
        return replace(found, text=_without_loop(found.text))
    return found


def _from_first_word(tokens: list[TokenLogprob]) -> tuple[TokenLogprob, ...]:
    """Drop the space that Whisper writes before the first word."""
    if not tokens or tokens[0].bytes[:1] != (0x20,):
        return tuple(tokens)
    first = msgspec.structs.replace(tokens[0], token=tokens[0].token[1:], bytes=tokens[0].bytes[1:])
    return (first, *tokens[1:]) if first.token else tuple(tokens[1:])


def _joined(
    found: list[Hypothesis], language: str, seconds: float, logprobs: tuple[TokenLogprob, ...] | None
) -> Recognition:
    heard = [each for each in found if each.text]
    counted = heard or found
    return Recognition(
        ("" if language == "ja" else " ").join(each.text for each in heard),
        language,
        min(each.no_speech for each in counted),
        sum(each.score for each in counted) / len(counted),
        seconds,
        logprobs,
    )


def _bare(text: str) -> str:
    return re.sub(r"[\s、。，．,!?！？・…「」-]", "", text).lower()


def _loops(text: str) -> bool:
    """Say whether the decoder repeats itself: a phrase again and again, or text that packs too well."""
    raw = _bare(text).encode()
    if len(raw) >= 60 and len(raw) / len(zlib.compress(raw)) > _LOOP_RATIO:
        return True
    return re.search(r"(.{3,}?)\1{2,}", _bare(text)) is not None or _repeats_words(text)


def _repeats_words(text: str) -> bool:
    words = text.lower().split()
    threes = Counter(zip(words, words[1:], words[2:], strict=False))
    return any(count >= 3 for count in threes.values())


def _without_loop(text: str) -> str:
    """Keep one round of a phrase that repeats three times or more."""
    return re.sub(r"(.{3,}?)(?:[\s、。]*\1){2,}", r"\1", text)


def _parrots(text: str, prompt: str) -> bool:
    """Say whether the text is a longer stretch of the prompt: then it was read, not heard."""
    bare = _bare(text)
    return len(bare) >= 12 and bare in _bare(prompt)


def _pieces(samples: Samples) -> Iterator[Samples]:
    """Cut long audio at its quietest fifth of a second between 15 and 28 s."""
    while len(samples) > _MAX_PIECE_S * MODEL_RATE_HZ:
        step = MODEL_RATE_HZ // 50
        low, high = int(_MIN_PIECE_S * MODEL_RATE_HZ), int(_MAX_PIECE_S * MODEL_RATE_HZ)
        energy = np.square(samples[low:high]).reshape(-1, step).mean(axis=1)
        smooth = np.convolve(energy, np.ones(10, dtype=np.float32), mode="valid")
        cut = low + (int(smooth.argmin()) + 5) * step
        yield samples[:cut]
        samples = samples[cut:]
    yield samples
