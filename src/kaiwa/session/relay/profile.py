"""What the operator decides about relayed conversations. Knows values; enforces nothing."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import field

from kaiwa.events.value import Value


class Remedies(Value, kw_only=True):
    """The settings that an operator mends when the service refuses."""

    key: str = "AZURE_OPENAI_API_KEY"
    address: str = "AZURE_OPENAI_ENDPOINT"
    deployment: str = "AZURE_OPENAI_REALTIME_DEPLOYMENT"


class RelayProfile(Value, kw_only=True):
    """`session` is put into the upstream's session when the conversation begins (GA session.update).

    `pinned` names settings the peer may not change, as in `pins.PINNABLE`. `hide_tools` keeps the calls
    of kaiwa's own tools from the peer. Times are in seconds; a lifetime of None leaves it to the service.
    `paced`: kaiwa plays the sound to the peer (WebRTC). `may_call`: it does not, and the peer may come back
    as a call. `attached`: the session is under way at the service,
    which has `session` already and hears the peer itself.
    `filler` is said when calls make a silence of `filler_s` seconds; None: never.
    """

    type: Literal["realtime", "transcription"] = "realtime"
    session: dict[str, Any] = field(default_factory=dict[str, Any])
    pinned: tuple[str, ...] = ()
    hide_tools: bool = True
    remedies: Remedies = Remedies()
    paced: bool = False
    may_call: bool = False
    attached: bool = False
    lifetime_s: float | None = None
    settle_s: float = 10.0
    held_frames: int = 4096
    join_s: float = 0.4
    turn_answer_s: float = 2.0
    filler_s: float | None = None
    filler: str = ""
