"""The bounds of the histograms, in seconds. Few: each is a series for every label."""

from __future__ import annotations

from typing import Final

LATENESS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)
"""Of what should take no time; 20 ms are a packet of sound."""
STEP_S: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Of a turn, which people feel from 0.2 s on."""
FIRST_TOKEN_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
LONG_S: Final = (0.25, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Of answers and of tools."""
SESSION_S: Final = (10.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0)
