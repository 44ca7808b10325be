"""Idempotency keys of HTTP requests: read, and held to one request each. Knows no function.

Source: the IETF draft `Idempotency-Key`. What a key gave is remembered by whoever does the work.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from typing import Final

from kaiwa.errors import PeerError

HEADER: Final = "idempotency-key"
KEPT_KEYS: Final = 4096
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


class KeyReused(PeerError):
    """A key that stood for another request; answered with 422."""

    def __init__(self) -> None:
        text = "This Idempotency-Key was used for another request. Give every change a key of its own."
        super().__init__("idempotency_key_reused", text, param=HEADER)


class IdempotencyKeys:
    """Which request a key stands for. The oldest are forgotten when there are too many."""

    def __init__(self) -> None:
        self._requests: OrderedDict[str, bytes] = OrderedDict()

    def name(self, key: str | None, *request: str) -> str | None:
        """Return the name that equal requests under this key share, None without a key.

        Raises PeerError for a key that is none, and KeyReused.
        """
        if key is None:
            return None
        if not _KEY.fullmatch(key):
            text = "An Idempotency-Key is 1 to 255 visible ASCII characters."
            raise PeerError("invalid_value", text, param=HEADER)
        asked = hashlib.sha256("\0".join(request).encode("utf-8", "replace")).digest()
        if self._requests.setdefault(key, asked) != asked:
            raise KeyReused
        self._requests.move_to_end(key)
        while len(self._requests) > KEPT_KEYS:
            self._requests.popitem(last=False)
        return key
