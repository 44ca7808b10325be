"""Faults on demand: one list of what can go wrong with a conversation, and how to choose from it."""

from kaiwa.testing.faults.catalogue import FAULTS, fault_named
from kaiwa.testing.faults.choosing import Choice, Strikes, parse_choices
from kaiwa.testing.faults.kinds import Fault, Parameter, Place, Player

__all__ = [
    "FAULTS",
    "Choice",
    "Fault",
    "Parameter",
    "Place",
    "Player",
    "Strikes",
    "fault_named",
    "parse_choices",
]
