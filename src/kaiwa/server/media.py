"""What of a server's settings its calls need. Values only: knows no call."""

from __future__ import annotations

from kaiwa.server.settings import Settings
from kaiwa.transports.webrtc.settings import MediaSettings


def media_settings(settings: Settings) -> MediaSettings:
    """Return how calls are carried. There may be no more of them than sessions."""
    return MediaSettings(
        host=settings.rtc_host or settings.host,
        ports=settings.rtc_port,
        public_addresses=settings.rtc_public_ip,
        bitrate=settings.rtc_bitrate,
        lossy=settings.rtc_lossy,
        max_calls=settings.max_sessions,
    )
