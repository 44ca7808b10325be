"""The names of the channels of one hub (rule S-62). Knows nothing of what they carry.

Source: RedisChannels.cs of ASP.NET Core.
"""

from __future__ import annotations

from kaiwa.hub.registry import Audience


class Channels:
    """`before` is written before every name, as StackExchange.Redis does with its ChannelPrefix."""

    def __init__(self, prefix: str, server: str, before: str = "") -> None:
        self._prefix = f"{before}{prefix}"
        self._before = before
        self.all = self._of("all")
        self.groups = self._of("internal:groups")
        self.acks = self.acks_of(server)
        self.returns_name = f"{prefix}:internal:return:{server}"
        """As others are told it: who publishes there writes `before` itself."""
        self.returns = self.named(self.returns_name)

    def of(self, audience: Audience) -> bytes:
        if audience.kind == "all":
            return self.all
        return self._of(f"{audience.kind}:{audience.name}")

    def connection(self, connection_id: str) -> bytes:
        return self._of(f"connection:{connection_id}")

    def acks_of(self, server: str) -> bytes:
        return self._of(f"internal:ack:{server}")

    def named(self, name: str) -> bytes:
        return f"{self._before}{name}".encode()

    def _of(self, rest: str) -> bytes:
        return f"{self._prefix}:{rest}".encode()
