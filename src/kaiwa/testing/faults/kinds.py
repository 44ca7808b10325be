"""What a fault is: its name, where it strikes, who plays it, and what it is told. Values only."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from kaiwa.events.value import Value

Place = Literal["upstream", "network", "peers", "tools", "stores"]
PLACES: Final[tuple[Place, ...]] = ("upstream", "network", "peers", "tools", "stores")

Player = Literal["service", "house", "line", "process"]
"""Who makes it happen: the stand-in of the services; a house in test mode; what lies between a caller by
WebRTC and the house; or whoever ends the process that the fault is about."""


class Parameter(Value, kw_only=True):
    """`usual` holds where nothing is said. A number unless `is_text`."""

    name: str
    usual: str
    english: str
    japanese: str
    is_text: bool = False


class Fault(Value, kw_only=True):
    """One thing that can go wrong.

    `service`: the stand-in's own faults (`testing/service/faults.py`) that this is; parameters of those names
    are laid over them. `outcome` and `japanese_outcome`: what must come of it. `scenario`: the test that
    shows it, below `tests/faults`.
    """

    name: str
    place: Place
    player: Player
    english: str
    japanese: str
    outcome: str
    japanese_outcome: str
    scenario: str
    parameters: tuple[Parameter, ...] = ()
    service: dict[str, str] = msgspec.field(default_factory=dict[str, str])

    def parameter(self, name: str) -> Parameter | None:
        return next((one for one in self.parameters if one.name == name), None)


AT: Final = Parameter(
    name="at", usual="1", english="strikes the n-th occasion", japanese="何回目の機会に起こすか"
)
TIMES: Final = Parameter(
    name="times",
    usual="1",
    english="… and so many in a row; 0: all",
    japanese="続けて何回か（0 は以後すべて）",
)
ANY_TOOL: Final = Parameter(
    name="tool",
    usual="*",
    english="which tool, or a pattern",
    japanese="対象のツール名（パターン可）",
    is_text=True,
)
