"""The settings that a visitor may change on the page: a choice as Chainlit's widgets, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from chainlit.input_widget import InputWidget, Select, Slider, Switch, TextInput
from environment import Choice
from sessions import LANGUAGES_SPOKEN
from words import agent_title

VOICES = ("alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse")
OWN = "-"


def widgets(
    choice: Choice, agents: Sequence[str], words: Mapping[str, str], language: str
) -> list[InputWidget]:
    titles = {agent_title(name, language): name for name in _with(choice.agent, agents)}
    voices = {words["own_voice"]: OWN} | {name: name for name in VOICES}
    kinds = {words["vad_server"]: "server_vad", words["vad_semantic"]: "semantic_vad"}
    spoken = {title: name for name, title in LANGUAGES_SPOKEN.items()}
    return [
        Select(id="agent", label=words["agent"], items=titles, initial_value=choice.agent),
        Select(
            id="voice",
            label=words["voice"],
            items=voices,
            initial_value=choice.voice or OWN,
            description=words["voice_about"],
        ),
        Select(id="language", label=words["language"], items=spoken, initial_value=choice.language),
        Select(id="vad", label=words["vad"], items=kinds, initial_value=choice.vad),
        Slider(
            id="threshold", label=words["threshold"], initial=choice.threshold, min=0.1, max=0.9, step=0.05
        ),
        Slider(
            id="silence_ms", label=words["silence_ms"], initial=choice.silence_ms, min=200, max=2000, step=50
        ),
        TextInput(
            id="instructions",
            label=words["instructions"],
            initial=choice.instructions,
            multiline=True,
            description=words["instructions_about"],
        ),
        Switch(id="debug", label=words["debug"], initial=choice.debug),
    ]


def chosen(choice: Choice, given: Mapping[str, Any]) -> Choice:
    """Return the choice with what the page sent; unknown and missing names change nothing."""
    known = {name: given[name] for name in asdict(choice) if given.get(name) is not None}
    if known.get("voice") == OWN:
        known["voice"] = ""
    if "silence_ms" in known:
        known["silence_ms"] = int(known["silence_ms"])
    return replace(choice, **known)


def _with(agent: str, agents: Sequence[str]) -> list[str]:
    """Agents to choose from; those of another language come by the choice of the language."""
    names = [name for name in agents if not name.endswith("-en")]
    return names if agent in names else [agent, *names]
