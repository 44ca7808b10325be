"""What the house decides about a conversation, apart from what its peer may configure."""

from __future__ import annotations

from kaiwa.events.server import RateLimit
from kaiwa.events.value import Value

BACKCHANNELS = (
    "はい", "ええ", "えーと", "うん", "うーん", "ふーん", "ふんふん", "ほう", "へえ", "あー", "ああ", "おお",
    "なるほど", "なるほどね", "そうですね", "そうですか", "そうなんですね",
    "そうなんだ", "そっか", "たしかに", "確かに", "了解", "わかりました", "分かりました",
    "uh-huh", "uh huh", "mm-hmm", "mhm", "mm", "hmm", "hm", "yeah", "yep", "yes", "ok", "okay", "right",
    "i see", "sure", "oh", "ah", "got it",
)  # fmt: skip

REFUSALS = (
    "いいえ", "いえ", "いや", "だめ", "ダメ", "駄目", "やめ", "止め", "違", "ちが", "待って", "ちょっと待",
    "まだ", "キャンセル", "no", "nope", "nah", "not yet", "don't", "do not", "stop", "wait", "cancel",
    "never mind", "hold on", "wrong",
)  # fmt: skip

FILLERS = {"ja": "お調べしますね。", "en": "One moment, please."}


class HostPolicy(Value, kw_only=True):
    """Numbers and habits of a host session. Times in the unit their name ends with."""

    lifetime_s: float | None = 3600.0
    rate_limits: tuple[RateLimit, ...] | None = None
    lock_voice: bool = True
    paced_output: bool = False
    max_out_of_band: int = 8
    max_buffer_ms: int = 600_000
    min_commit_ms: int = 100
    kept_sound_bytes: int = 2 * 1024 * 1024
    # In base64 below 1 MiB: clients on Python's websockets take no longer frame unless told to.
    item_sound_bytes: int = 720 * 1024
    # turn detection, on the audio clock
    frame_ms: int = 32
    hysteresis: float = 0.15
    semantic_threshold: float = 0.5
    semantic_prefix_ms: int = 300
    min_speech_ms: int = 64
    pause_ms: int = 128
    complete_ms: int = 300
    unsure_ms: int = 800
    incomplete_ms: int = 1300
    keep_silence_ms: int = 1000
    discard_every_ms: int = 5000
    # who may speak
    backchannels: tuple[str, ...] = BACKCHANNELS
    interrupt_after_ms: int = 350
    answer_window_ms: int = 700
    decide_within_ms: int = 1000
    join_ms: int = 400
    # calls: what is said when they make a silence, after so long (None: nothing), and what is no agreement
    filler_ms: int | None = None
    filler: str = ""
    refusals: tuple[str, ...] = REFUSALS
    retell_ms: int = 1000
    max_retellings: int = 2
    # how long an approved call waits for the response.create that usually follows
    approval_grace_ms: int = 300
