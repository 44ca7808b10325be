"""Recognition on the demo corpus: character error rate, and time per second of audio on one thread."""

from __future__ import annotations

import time

from bench.corpus import Utterance, bare, edit_distance, utterances
from bench.figures import Figure, p50_p95
from kaiwa.engines.speech.recognition import Effort, Recognizer

ROUNDS = 3
EFFORTS: tuple[Effort, ...] = ("final", "draft")


def measure() -> list[Figure]:
    recognizer = Recognizer()
    figures: list[Figure] = []
    for language in ("ja", "en"):
        corpus = utterances(language)
        recognizer.transcribe(corpus[0].pcm, language=language)
        for effort in EFFORTS:
            figures += _measure(recognizer, corpus, language, effort)
    return figures


def _measure(recognizer: Recognizer, corpus: list[Utterance], language: str, effort: Effort) -> list[Figure]:
    spent: list[float] = []
    errors = length = 0
    for utterance in corpus * ROUNDS:
        began_s = time.perf_counter()
        heard = recognizer.transcribe(utterance.pcm, language=language, effort=effort).text
        spent.append(time.perf_counter() - began_s)
        errors += edit_distance(bare(heard), bare(utterance.text))
        length += len(bare(utterance.text))
    audio_s = sum(utterance.seconds for utterance in corpus) * ROUNDS
    name = f"recognition.{language}.{effort}"
    return [
        Figure(f"{name}.real_time_factor", round(sum(spent) / audio_s, 4), "s/s", note="one thread"),
        Figure(
            f"{name}.character_error_rate", round(errors / length, 4), "share", note="no vocabulary given"
        ),
        *p50_p95(f"{name}.ms", [seconds * 1000 for seconds in spent], "ms"),
    ]
