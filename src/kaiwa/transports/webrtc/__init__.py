"""WebRTC: a browser's microphone and loudspeaker, and the data channel beside them.

`MediaService` is what a server needs of this room.
"""

from kaiwa.transports.webrtc.service import Call, MediaService
from kaiwa.transports.webrtc.settings import MediaSettings

__all__ = ["Call", "MediaService", "MediaSettings"]
