"""What a hub has done since it began, in numbers: for whoever watches it. Nobody here reads them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """`came`: clients that shook hands. `called`: what they called. `sent`: messages, one for each client
    they are for. `too_slow`: clients dropped since they took too little or nothing."""

    came: int = 0
    called: int = 0
    sent: int = 0
    too_slow: int = 0
