"""What a server and its media process say to each other. Values only; `line` carries them."""

from __future__ import annotations

import msgspec

from kaiwa.events.value import Value
from kaiwa.transports.webrtc.offer import Offer


class _Said(Value, tag=True, kw_only=True):
    call: int


# --- the server to media ----------------------------------------------------------------------


class Open(_Said, kw_only=True):
    """Expect this peer."""

    offer: Offer


class Play(_Said, kw_only=True):
    """House audio to be played in real time, after what waits."""

    sound: bytes


class Flush(_Said, kw_only=True):
    """Forget what was not played."""


class Tell(_Said, kw_only=True):
    """A frame for the data channel."""

    frame: str


class HangUp(_Said, kw_only=True):
    """End the call, once what was told has gone out."""


Order = Open | Play | Flush | Tell | HangUp


# --- media to the server ----------------------------------------------------------------------


class Answered(_Said, kw_only=True):
    sdp: str


class Connected(_Said, kw_only=True):
    """Sound goes both ways from now on."""


class Busy(_Said, kw_only=True):
    """No further call is taken."""


class Heard(_Said, kw_only=True):
    """House audio of the peer's microphone."""

    sound: bytes


class Told(_Said, kw_only=True):
    """A frame of the data channel. `binary`: it came as a binary message, and may be no text at all."""

    frame: bytes
    binary: bool


class Taken(_Said, kw_only=True):
    """So many characters of frames have left the queue."""

    size: int


class Ended(_Said, kw_only=True):
    """The last word of a call. `facts`: counts for the log."""

    reason: str
    facts: dict[str, float] = msgspec.field(default_factory=dict[str, float])


class Ready(Value, tag=True, kw_only=True):
    """Media listens."""


class Refused(Value, tag=True, kw_only=True):
    """Media cannot listen: the parts of a ConfigError."""

    setting: str
    problem: str
    remedy: str


Report = Answered | Connected | Busy | Heard | Told | Taken | Ended | Ready | Refused

order_decoder = msgspec.msgpack.Decoder(Order)
report_decoder = msgspec.msgpack.Decoder(Report)
