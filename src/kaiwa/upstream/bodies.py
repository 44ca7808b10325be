"""Read an answer's body to its end, and no further than a bound."""

from __future__ import annotations

import aiohttp


async def bounded_body(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """Return the body, or its first `most_bytes`; what comes behind them is not read."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) >= most_bytes:
            break
    return bytes(body[:most_bytes])
