"""Load what all conversations share: speech models, chat model, worker lanes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

from kaiwa.engines.cascade import Shared
from kaiwa.engines.chat import ChatModel
from kaiwa.engines.compatible import CompatibleChatModel
from kaiwa.engines.dialogue import DialogueModel
from kaiwa.engines.dialogue.phrases import common_phrases
from kaiwa.engines.lanes import Lanes
from kaiwa.engines.speech.english import EnglishVoice
from kaiwa.engines.speech.models import SpeechSettings, load_speech_models
from kaiwa.engines.speech.synthesis import Synthesizer
from kaiwa.errors import ConfigError
from kaiwa.events.config import AudioOutput
from kaiwa.server.settings import Settings
from kaiwa.upstream.chat import ChatCompletions
from kaiwa.upstream.endpoint import ChatEndpoint, azure_deployment, azure_v1, openai_compatible


def chat_endpoint(settings: Settings) -> ChatEndpoint | None:
    """Return the configured chat endpoint, None for the embedded engine. Raises ConfigError."""
    if settings.chat_base_url is not None:
        if settings.chat_model is None:
            raise ConfigError("KAIWA_CHAT_MODEL", "is not set.", "Name the model of KAIWA_CHAT_BASE_URL.")
        key = settings.chat_api_key.get_secret_value() if settings.chat_api_key else None
        return openai_compatible(settings.chat_base_url, settings.chat_model, key)
    if settings.azure_openai_endpoint is None:
        return None
    if settings.azure_openai_api_key is None:
        raise ConfigError(
            "AZURE_OPENAI_API_KEY", "is not set.", "Set it, or leave AZURE_OPENAI_ENDPOINT out."
        )
    if settings.azure_openai_chat_deployment is None:
        raise ConfigError("AZURE_OPENAI_CHAT_DEPLOYMENT", "is not set.", "Name a deployment of a chat model.")
    endpoint, key = settings.azure_openai_endpoint, settings.azure_openai_api_key.get_secret_value()
    deployment, version = settings.azure_openai_chat_deployment, settings.azure_openai_api_version
    if version is None:
        return azure_v1(endpoint, deployment, key)
    return azure_deployment(endpoint, deployment, key, version)


def load_shared(settings: Settings, progress: Callable[[str, float], None] | None = None) -> Shared:
    """Load every model once. Blocks 2 to 5 s. Raises ConfigError naming what is missing."""
    speech = load_speech_models(
        SpeechSettings(
            recognition_model=settings.speech_model_path, cache_directory=settings.cache_directory
        ),
        progress,
    )
    chat = load_chat(settings)
    lanes = Lanes()
    embedded = isinstance(chat, DialogueModel)
    if embedded:
        _render_ahead(speech.synthesizer, lanes.voice)
    return Shared(speech=speech, chat=chat, lanes=lanes, ahead=embedded, time_zone=settings.time_zone)


def load_chat(settings: Settings) -> ChatModel:
    """Return the configured chat model, or the embedded one. Raises ConfigError."""
    endpoint = chat_endpoint(settings)
    if endpoint is not None:
        return CompatibleChatModel(ChatCompletions(endpoint))
    dialogue = DialogueModel()
    dialogue.warm_up()
    return dialogue


def _render_ahead(synthesizer: Synthesizer, lane: Executor) -> None:
    """Have the commonest sentences said once, into the voice's own cache: later they cost nothing.

    Each is a job of its own, so that a call that comes at once waits for one sentence at most.
    """

    default = AudioOutput().voice
    usual_voice = default if isinstance(default, str) else default.id

    def say(phrase: str, language: str) -> None:
        for _ in synthesizer.speak(phrase, voice=usual_voice, language=language):
            pass

    for language in ("ja", "en") if EnglishVoice.find() is not None else ("ja",):
        for phrase in common_phrases(language):
            lane.submit(say, phrase, language)
