"""A caller whose words a chat model makes up: it is told its aim and what was said, and answers as people do.

Knows the prompt and when the talk is over. Whose model it is, with which key, is the affair of who makes the
client.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any, Final

from kaiwa.engines.compatible import Completions
from kaiwa.testing.call import Call
from kaiwa.testing.callers.scenario import Scenario
from kaiwa.testing.callers.sounds import Voice, spoken

_OVER: Final = "END"
_MOST_TOKENS: Final = 120
_MOST_TURNS: Final = 20
_ASKED: Final = {
    "ja": (
        "あなたは電話をかけている客です。目的: {goal}\n"
        "次に言うことを、話し言葉で一文か二文だけ書いてください。説明や記号は書かないでください。"
        "目的を果たして挨拶も済んだら END とだけ書いてください。"
    ),
    "en": (
        "You are a person on the phone with an agent. Your aim: {goal}\n"
        "Write what you say next, one or two short spoken sentences and nothing else. "
        "When your aim is reached and you have said goodbye, write END alone."
    ),
}


class ModelCaller:
    """Fits `Improviser`."""

    def __init__(self, client: Completions, voice: Voice, scenario: Scenario) -> None:
        self._client = client
        self._voice = voice
        self._scenario = scenario

    async def next_line(self, goal: str, call: Call) -> tuple[str, bytes] | None:
        """Ask the model. Raises UpstreamError."""
        words = await self._words(
            {"messages": self._messages(goal, call), self._client.limit_field: _MOST_TOKENS}
        )
        if not words or words.strip(" .。") == _OVER:
            return None
        pcm = await asyncio.to_thread(spoken, words, self._scenario, self._voice)
        return words, pcm

    async def _words(self, body: dict[str, Any]) -> str:
        pieces: list[str] = []
        async with aclosing(self._client.stream(body)) as chunks:
            async for chunk in chunks:
                pieces += [choice.delta.content or "" for choice in chunk.choices or () if choice.delta]
        return "".join(pieces).strip()

    def _messages(self, goal: str, call: Call) -> list[dict[str, str]]:
        """The agent is the model's `user`: from where the caller sits, that is who talks to it."""
        asked = _ASKED.get(self._scenario.language, _ASKED["en"]).format(goal=goal)
        messages = [{"role": "system", "content": asked}]
        for turn in call.turns[-_MOST_TURNS:]:
            messages.append({"role": "assistant", "content": turn.text})
            if turn.reply:
                messages.append({"role": "user", "content": turn.reply})
        if len(messages) == 1:
            messages.append(
                {"role": "user", "content": "もしもし。" if self._scenario.language == "ja" else "Hello."}
            )
        return messages
