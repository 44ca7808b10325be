"""The five turns that every client completes, and what it has to have seen of each. Knows no client."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TURNS = ("text", "audio", "tool", "interruption", "error")
HALF_A_SECOND = 24_000


@dataclass(frozen=True)
class Turn:
    """What one client saw of one turn. `failed` is its own word for why there is nothing to see."""

    surface: str
    turn: str
    saw: Mapping[str, Any] = field(default_factory=dict[str, Any])
    failed: str = ""


def check(done: Sequence[Turn], surfaces: Sequence[str], turns: Sequence[str] = TURNS) -> None:
    """Fail with the client's own words unless each surface completed each turn."""
    for one in done:
        where = f"{one.surface}: {one.turn} turn"
        assert not one.failed, f"{where}: {one.failed}"
        _CHECKS[one.turn](where, one.saw)
    assert [(one.surface, one.turn) for one in done] == [(s, t) for s in surfaces for t in turns]


def _answered(where: str, saw: Mapping[str, Any]) -> None:
    assert saw["status"] == "completed", f"{where}: the answer is {saw['status']}"
    assert saw["words"].strip(), f"{where}: an answer without words"


def _heard(where: str, saw: Mapping[str, Any]) -> None:
    _answered(where, saw)
    assert "weather" in saw["heard"].lower(), f"{where}: heard {saw['heard']!r}"
    assert saw["sound_bytes"] > HALF_A_SECOND, f"{where}: {saw['sound_bytes']} bytes of sound"


def _called(where: str, saw: Mapping[str, Any]) -> None:
    _answered(where, saw)
    assert saw["call"]["name"] == "get_weather_for_location", f"{where}: {saw['call']}"
    assert "東京" in saw["call"]["arguments"]["location"], f"{where}: {saw['call']}"
    assert any(word in saw["words"] for word in ("21", "二十一", "晴れ")), f"{where}: {saw['words']}"


def _interrupted(where: str, saw: Mapping[str, Any]) -> None:
    assert saw["interrupted"] == "cancelled", f"{where}: the answer was {saw['interrupted']}"
    _answered(where, saw)


def _refused(where: str, saw: Mapping[str, Any]) -> None:
    assert saw["error"], f"{where}: an error without words"
    assert saw.get("blamed") in (None, "mine_1"), f"{where}: blames {saw['blamed']}"
    _answered(where, saw)


def _handed_over(where: str, saw: Mapping[str, Any]) -> None:
    assert saw["agent"] == "billing", f"{where}: {saw['agent']} speaks"
    _answered(where, saw)


def _stopped_by_a_guardrail(where: str, saw: Mapping[str, Any]) -> None:
    assert saw["tripped"] == 1, f"{where}: {saw['tripped']} guardrails tripped"
    _interrupted(where, saw)


_CHECKS: dict[str, Callable[[str, Mapping[str, Any]], None]] = {
    "text": _answered,
    "audio": _heard,
    "tool": _called,
    "interruption": _interrupted,
    "error": _refused,
    "handoff": _handed_over,
    "guardrail": _stopped_by_a_guardrail,
    "approval": _called,
}
