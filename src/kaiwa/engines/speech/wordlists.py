"""Write a list of words as one readable string."""

from __future__ import annotations


def words(text: str) -> tuple[str, ...]:
    """Return the words between white space, in order."""
    return tuple(text.split())


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())
