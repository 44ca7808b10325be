"""Who answers conversations in text: the configured chat model, without any model for speech."""

from __future__ import annotations

from kaiwa.engines.chat import ChatModel
from kaiwa.engines.text import TextEngine
from kaiwa.server.conversations import HostAnswerer
from kaiwa.server.settings import Settings


class TextAnswerer(HostAnswerer):
    """Conversations over a chat model that others may use, too."""

    def __init__(self, settings: Settings, chat: ChatModel) -> None:
        super().__init__(
            settings,
            lambda agent: TextEngine(
                chat, language=agent.language, time_zone=agent.time_zone or settings.time_zone
            ),
        )
