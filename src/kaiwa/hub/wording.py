"""What a client is told about a call that failed: ASP.NET Core's words, which clients and their tests look
for.
"""

from __future__ import annotations

from kaiwa.hub.errors import HubException


def unknown_method(target: str) -> str:
    return f"Unknown hub method '{target}'"


def not_streamed(target: str) -> str:
    return f"The client attempted to invoke the streaming '{target}' method with a non-streaming invocation."


def not_streaming(target: str) -> str:
    return f"The client attempted to invoke the non-streaming '{target}' method with a streaming invocation."


def wrong_arguments(target: str, reason: str, detailed: bool) -> str:
    words = f"Failed to invoke '{target}' due to an error on the server."
    return f"{words} InvalidDataException: {reason}" if detailed else words


def wrong_streams(target: str, sent: int, expected: int) -> str:
    error = HubException(f"Client sent {sent} stream(s), Hub method expects {expected}.")
    return failed(target, error, detailed=False)


def failed(target: str, error: BaseException, detailed: bool) -> str:
    return _with(f"An unexpected error occurred invoking '{target}' on the server.", error, detailed)


def broke_off(error: BaseException, detailed: bool) -> str:
    return _with("An error occurred on the server while streaming results.", error, detailed)


def refused(error: BaseException, detailed: bool) -> str:
    """When `on_connected` fails (rule S-31)."""
    return _with("Connection closed with an error.", error, detailed)


def canceled(target: str) -> str:
    return f"The invocation of '{target}' was canceled."


def _with(words: str, error: BaseException, detailed: bool) -> str:
    """A HubException's words are for the client; anything else may hold secrets (rule S-36)."""
    if isinstance(error, HubException) or detailed:
        return f"{words} {type(error).__name__}: {error}"
    return words
