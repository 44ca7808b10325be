"""What a hub's own code and its callers may see go wrong. Knows no wire."""

from __future__ import annotations

from kaiwa.errors import KaiwaError


class HubException(KaiwaError):
    """Raised by a hub method: its words reach the caller, whatever the option for detailed errors says.

    A hub method sees one too: when a client ended an upload with an error, or failed to give a result.
    """


class DeclarationError(KaiwaError):
    """A hub class declares a method that no client could call."""
