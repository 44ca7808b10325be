"""The chat model of agents over the pool, and in whose conversation it is asked: the relay's log says so."""

from __future__ import annotations

from kaiwa.engines.chat import ChatModel
from kaiwa.engines.compatible import CompatibleChatModel
from kaiwa.gateway.completions import PooledCompletions
from kaiwa.policy.caller import Caller


class PooledChat(CompatibleChatModel):
    """The chat model that the deployments of the pool serve. The relay's log names who it answers."""

    def __init__(self, completions: PooledCompletions) -> None:
        super().__init__(completions)
        self._completions = completions

    def asked_by(self, caller: Caller) -> PooledChat:
        """Return the same for the conversations of one caller."""
        return PooledChat(self._completions.asked_by(caller))


def asked_by(caller: Caller, chat: ChatModel) -> ChatModel:
    """Return a chat model for the conversations of one caller. The embedded one keeps no log of anybody."""
    return chat.asked_by(caller) if isinstance(chat, PooledChat) else chat
