"""The bounds and times of one hub connection, with the defaults of ASP.NET Core."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """`parallel_invocations`: plain invocations of one client that run at once; streams do not count."""

    handshake_timeout_s: float = 15.0
    keep_alive_s: float = 15.0
    client_timeout_s: float = 30.0
    resume_window_s: float = 15.0
    ack_delay_s: float = 1.0
    max_message_bytes: int = 32 * 1024
    parallel_invocations: int = 1
    waiting_invocations: int = 64
    """Full: the machine no longer wants input, so the client's socket waits."""
    upload_items: int = 10
    """Items of one upload the host has not taken. Full: as above."""
    resume_buffer_bytes: int = 100_000
    """Bytes on their way that the client has not acknowledged. Full: messages are kept, not written."""
    kept_bytes: int = 1024 * 1024
    """All bytes kept for a client, written or not. Full: it is too slow, the connection ends."""
    detailed_errors: bool = False
