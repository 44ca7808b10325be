"""What every answer tells browsers: to guess no type, to hold no page in a frame, to load nothing else.

Knows headers; nothing of what is answered. Pages of kaiwa's own name what they need (`page_policy`); an
answer that names nothing may load and hold nothing at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# For half a year a browser that came by TLS comes by nothing else: only where nothing else is served.
TLS_ONLY: Final = "max-age=15768000"
_NO_PAGE: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# Chainlit's page has scripts in its HTML, makes the one that hears the microphone, and styles itself.
_CHAT_PAGE: Final = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "media-src 'self' data: blob: mediastream:",
        "worker-src 'self' blob:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
ALWAYS: Final = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
_CHAT: Final = "/chat"


def page_policy(connect: Sequence[str] = ()) -> str:
    """Return the policy of a page that opens what this server sends and nothing else.

    `connect`: who it talks to besides.
    """
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            " ".join(("connect-src 'self'", *connect)),
            "media-src 'self' blob: mediastream:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


# Of a page that may listen to its user.
OF_PAGES: Final = {
    **ALWAYS,
    "content-security-policy": page_policy(),
    "permissions-policy": "microphone=(self), camera=(), geolocation=(), display-capture=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}


class SafeAnswers:
    """An ASGI application before another: adds to each answer what it does not say itself."""

    def __init__(self, app: ASGIApp, *, tls_only: bool = False) -> None:
        self._app = app
        self._usual = self._raw({**ALWAYS, "content-security-policy": _NO_PAGE}, tls_only)
        self._chat = self._raw({**OF_PAGES, "content-security-policy": _CHAT_PAGE}, tls_only)

    @staticmethod
    def _raw(headers: dict[str, str], tls_only: bool) -> list[tuple[bytes, bytes]]:
        told = headers | ({"strict-transport-security": TLS_ONLY} if tls_only else {})
        return [(name.encode(), value.encode()) for name, value in told.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        added = self._chat if path == _CHAT or path.startswith(_CHAT + "/") else self._usual

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                given: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
                said = {name for name, _ in given}
                message["headers"] = given + [field for field in added if field[0] not in said]
            await send(message)

        await self._app(scope, receive, answered)
