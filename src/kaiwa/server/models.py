"""Load what all conversations share: speech models, chat model, worker lanes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from importlib.util import find_spec
from typing import Final

from kaiwa.engines.cascade import Shared
from kaiwa.engines.chat import ChatModel
from kaiwa.engines.dialogue import DialogueModel
from kaiwa.engines.dialogue.phrases import common_phrases
from kaiwa.engines.lanes import Lanes
from kaiwa.engines.speech.english import EnglishVoice
from kaiwa.engines.speech.models import SpeechSettings, load_speech_models
from kaiwa.engines.speech.synthesis import Synthesizer
from kaiwa.errors import ConfigError, MissingPackage
from kaiwa.events.config import AudioOutput
from kaiwa.gateway.completions import PooledCompletions
from kaiwa.gateway.gateway import Gateway
from kaiwa.server.asked import PooledChat
from kaiwa.server.ids import new_id
from kaiwa.server.settings import Settings
from kaiwa.tools.mcp_client import require_mcp
from kaiwa.upstream.pool.pool import DeploymentPool

_SPEECH: Final = {
    "ctranslate2": "ctranslate2",
    "onnxruntime": "onnxruntime",
    "pyopenjtalk": "pyopenjtalk-plus",
    "tokenizers": "tokenizers",
}
_LET_ANOTHER_ANSWER: Final = (
    "Or let a service answer: AZURE_OPENAI_ENDPOINT with AZURE_OPENAI_REALTIME_DEPLOYMENT for voice, "
    "KAIWA_ENGINE=text with KAIWA_UPSTREAMS or a chat model for text.",
    "または外のサービスに答えさせます：音声は AZURE_OPENAI_ENDPOINT と AZURE_OPENAI_REALTIME_DEPLOYMENT、"
    "テキストは KAIWA_ENGINE=text と KAIWA_UPSTREAMS（またはチャットモデル）を設定します。",
)


def chat_model_name(settings: Settings, pool: DeploymentPool) -> str | None:
    """Return which model of the pool speaks for agents; None: the embedded one. Raises ConfigError."""
    if settings.upstreams is None:
        _check_known_names(settings)
    named = settings.chat_model or next(iter(pool.models), None)
    if named is not None and pool.serves(named):
        return named
    if settings.upstreams is None or not pool.members:
        return None
    problem = (
        "is not set." if named is None else "names a model that no deployment of KAIWA_UPSTREAMS serves."
    )
    raise ConfigError("KAIWA_CHAT_MODEL", problem, "Name a model of KAIWA_UPSTREAMS for agents.")


def _check_known_names(settings: Settings) -> None:
    """See that a chat model which is half named is named whole."""
    if settings.chat_base_url is not None and settings.chat_model is None:
        raise ConfigError("KAIWA_CHAT_MODEL", "is not set.", "Name the model of KAIWA_CHAT_BASE_URL.")
    named = settings.azure_openai_chat_deployment or settings.azure_openai_realtime_deployment
    if settings.chat_base_url is None and settings.azure_openai_endpoint is not None and named is None:
        raise ConfigError("AZURE_OPENAI_CHAT_DEPLOYMENT", "is not set.", "Name a deployment of a chat model.")


def require_installed(settings: Settings, pool: DeploymentPool, *, relayed: bool) -> None:
    """See that what answers on this machine is installed, and the client of MCP servers where some are named.

    `relayed`: a service answers. Raises MissingPackage, before anything is loaded.
    """
    if settings.mcp_servers:
        require_mcp()
    if relayed:
        return
    if settings.engine == "text":
        here = chat_model_name(settings, pool) is None and settings.upstreams is None
        needed = {"pyopenjtalk": "pyopenjtalk-plus"} if here else {}
    else:
        needed = _SPEECH
    missing = [package for module, package in needed.items() if find_spec(module) is None]
    if missing:
        raise MissingPackage("KAIWA_ENGINE", ", ".join(missing), "local", otherwise=_LET_ANOTHER_ANSWER)


def load_shared(
    settings: Settings, gateway: Gateway, progress: Callable[[str, float], None] | None = None
) -> Shared:
    """Load every model once. Blocks 2 to 5 s. Raises ConfigError naming what is missing."""
    speech = load_speech_models(
        SpeechSettings(
            recognition_model=settings.speech_model_path, cache_directory=settings.cache_directory
        ),
        progress,
    )
    chat = load_chat(settings, gateway)
    lanes = Lanes()
    embedded = isinstance(chat, DialogueModel)
    if embedded:
        _render_ahead(speech.synthesizer, lanes.voice)
    return Shared(speech=speech, chat=chat, lanes=lanes, ahead=embedded, time_zone=settings.time_zone)


def load_chat(settings: Settings, gateway: Gateway) -> ChatModel:
    """Return the chat model of agents: the pool's, or the embedded one. Raises ConfigError."""
    model = chat_model_name(settings, gateway.pool)
    if model is not None:
        return PooledChat(PooledCompletions(gateway, model, new_id))
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
