"""Who answers conversations in text: the configured chat model, without any model for speech."""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from kaiwa.engines.chat import ChatModel
from kaiwa.engines.text import TextEngine
from kaiwa.server.asked import asked_by
from kaiwa.server.conversations import Admitted, HostAnswerer, Parts
from kaiwa.server.settings import Settings
from kaiwa.tools.jobs import Jobs


class TextAnswerer(HostAnswerer):
    """Conversations over a chat model that others may use, too."""

    def __init__(self, settings: Settings, chat: ChatModel, jobs: Jobs) -> None:
        super().__init__(
            settings,
            lambda admitted: TextEngine(
                asked_by(admitted.caller, chat),
                language=admitted.agent.language,
                time_zone=admitted.agent.time_zone or settings.time_zone,
            ),
            jobs,
        )

    async def open(self, admitted: Admitted) -> Parts:
        """Begin in text, whatever the peer's door is used to."""
        config = structs.replace(admitted.config, output_modalities=("text",))
        return await super().open(replace(admitted, config=config))
