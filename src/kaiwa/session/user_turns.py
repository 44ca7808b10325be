"""The user's turns: which sounds begin one, which are only 相槌, and when one is over.

Joins the turn detector with the floor: speech while the agent is heard is held back until it has proved
to be more than a listener's word. Says what happened as values; does not send, ask or change items.
"""

from __future__ import annotations

from collections.abc import Callable

from kaiwa.events.config import TurnDetection
from kaiwa.events.engine import TurnLikelihood, VoiceActivity
from kaiwa.events.value import Value
from kaiwa.session.backchannels import Backchannels
from kaiwa.session.floor import Floor
from kaiwa.session.policy import HostPolicy
from kaiwa.session.turns import Sign, TurnDetector


class Began(Value, kw_only=True):
    item_id: str
    start_ms: int


class Paused(Value, kw_only=True):
    item_id: str
    start_ms: int
    end_ms: int


class WentOn(Value, kw_only=True):
    item_id: str


class Ended(Value, kw_only=True):
    item_id: str
    start_ms: int
    end_ms: int


class Dropped(Value, kw_only=True):
    """Nothing came of it: a listener's word, or noise."""

    item_id: str


TurnNews = Began | Paused | WentOn | Ended | Dropped
_NOTHING: tuple[TurnNews, ...] = ()


class UserTurns:
    def __init__(self, policy: HostPolicy, floor: Floor, new_id: Callable[[str], str]) -> None:
        self._policy = policy
        self._floor = floor
        self._new_id = new_id
        self._listener_words = Backchannels(policy.backchannels)
        self.silence_ms: int | None = None
        """How long the user had been silent when the last turn ended by itself."""
        self._detector = TurnDetector(policy)
        self._forget()

    @property
    def item_id(self) -> str | None:
        """The item the present turn will become; None when nobody speaks."""
        return self._item_id

    @property
    def announced(self) -> bool:
        """True when the peer was told that the user speaks."""
        return self._item_id is not None and not self._held

    @property
    def quiet(self) -> bool:
        """True when no turn, not even a possible one, is under way."""
        if self._detector.detection is None:
            return True
        return self._item_id is None and self._detector.idle

    @property
    def judged_ms(self) -> int:
        """Up to where the engine has judged the audio; what follows may still be speech."""
        return self._detector.heard_ms

    @property
    def deadline(self) -> float | None:
        """When a held turn that waits for its words is taken as a real one."""
        return self._decide_by

    @property
    def prefix_ms(self) -> int:
        return self._detector.prefix_ms

    def configure(self, detection: TurnDetection | None) -> tuple[TurnNews, ...]:
        """Take new settings. Without detection an announced turn waits for the peer's commit."""
        news = _NOTHING
        if detection is None and self._item_id is not None:
            news = (Dropped(item_id=self._item_id),)
            if self._held:
                self._forget()
        self._detector.configure(detection)
        return news

    def abandon(self, until_ms: int = 0) -> tuple[TurnNews, ...]:
        """Forget the present turn and whatever is heard before `until_ms`."""
        item_id = self._item_id
        self._detector.skip(until_ms)
        self._forget()
        return (Dropped(item_id=item_id),) if item_id else _NOTHING

    def hear(self, event: VoiceActivity, now: float) -> tuple[TurnNews, ...]:
        if self._detector.detection is None:
            return _NOTHING
        sign = self._detector.hear(event.audio_ms, event.probability)
        if sign is None:
            if self._held and self._detector.voiced_ms >= self._policy.interrupt_after_ms:
                return self._announce()
            return _NOTHING
        return self._follow(sign, now)

    def judge(self, event: TurnLikelihood, now: float) -> tuple[TurnNews, ...]:
        if event.item_id != self._item_id:
            return _NOTHING
        if self._decide_by is not None:
            self._text = event.text
            return self._decide(now)
        sign = self._detector.judge(event.audio_ms, event.probability)
        if self._detector.paused:
            self._text = event.text
        return self._follow(sign, now) if sign else _NOTHING

    def cut(self, end_ms: int) -> tuple[TurnNews, ...]:
        """End a turn that has grown too long."""
        if self._item_id is None:
            return _NOTHING
        self._end_ms, self.silence_ms = end_ms, None
        return self._real()

    def handle_timer(self, now: float) -> tuple[TurnNews, ...]:
        if self._decide_by is not None and now >= self._decide_by:
            return self._real()
        return _NOTHING

    def _follow(self, sign: Sign, now: float) -> tuple[TurnNews, ...]:
        match sign:
            case Sign.STARTED:
                return self._started(now)
            case Sign.PAUSED:
                return (Paused(item_id=self._id, start_ms=self._start_ms, end_ms=self._detector.heard_ms),)
            case Sign.RESUMED:
                self._text = None
                return (WentOn(item_id=self._id),)
            case Sign.ENDED:
                return self._ended(now)

    def _started(self, now: float) -> tuple[TurnNews, ...]:
        """A second onset while words are awaited: then the first was no listener's word either."""
        if self.announced:
            return _NOTHING
        before = self._real(reset=False) if self._decide_by is not None else _NOTHING
        onset_ms = self._detector.onset_ms or 0
        self._item_id = self._new_id("item")
        self._start_ms = max(0, onset_ms - self._detector.prefix_ms)
        self._onset_at = now
        self._text = None
        self._held = self._holds_back(now)
        if self._held:
            return before
        return (*before, *self._announce())

    def _holds_back(self, now: float) -> bool:
        detection = self._detector.detection
        if not self._listener_words or detection is None or not detection.interrupt_response:
            return False
        return self._floor.audible_beyond(now + self._policy.answer_window_ms / 1000, now)

    def _ended(self, now: float) -> tuple[TurnNews, ...]:
        self._end_ms = self._detector.heard_ms
        self.silence_ms = self._end_ms - self._detector.last_speech_ms
        if not self._held:
            return self._real()
        asked = self._detector.paused
        self._detector.reset()
        self._decide_by = now + self._policy.decide_within_ms / 1000
        news = self._decide(now)
        if news or asked:
            return news
        return (Paused(item_id=self._id, start_ms=self._start_ms, end_ms=self._end_ms),)

    def _decide(self, now: float) -> tuple[TurnNews, ...]:
        """A short sound under the agent's voice is over: was it an answer, an objection or 相槌?"""
        nearly_done_at = self._onset_at + self._policy.answer_window_ms / 1000
        was_answer = not self._floor.generating and self._floor.until <= nearly_done_at
        if was_answer:
            return self._real()
        if self._text is None:
            return _NOTHING
        return self.abandon() if self._listener_words.holds(self._text) else self._real()

    def _announce(self) -> tuple[TurnNews, ...]:
        self._held = False
        return (Began(item_id=self._id, start_ms=self._start_ms),)

    def _real(self, *, reset: bool = True) -> tuple[TurnNews, ...]:
        begun = self._announce() if self._held else _NOTHING
        ended = Ended(item_id=self._id, start_ms=self._start_ms, end_ms=self._end_ms)
        if reset:
            self._detector.reset()
        self._forget()
        return (*begun, ended)

    def _forget(self) -> None:
        self._item_id: str | None = None
        self._held = False
        self._start_ms = 0
        self._end_ms = 0
        self._onset_at = 0.0
        self._text: str | None = None
        self._decide_by: float | None = None

    @property
    def _id(self) -> str:
        assert self._item_id is not None, "only a turn that began has news"
        return self._item_id
