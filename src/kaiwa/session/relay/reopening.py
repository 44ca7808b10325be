"""When another session is asked for at the service: at once, after a while, or before the present one ends.

Knows moments and counts; asks for nothing itself.
"""

from __future__ import annotations

from typing import Final

from kaiwa.events.value import Value

_RETRIES_S: Final = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)


class Renewal(Value, kw_only=True):
    """`within_s`: how long another session is tried for. `before_s`: so long before the end of a session it
    is renewed at a quiet moment, and `latest_s` before it at any moment. `answers`: how often an answer that
    failed is asked for again; `breaks`: so many without an answer between them are the end."""

    within_s: float = 15.0
    before_s: float = 180.0
    latest_s: float = 10.0
    answers: int = 2
    breaks: int = 5


class Reopening:
    def __init__(self, renewal: Renewal) -> None:
        self._renewal = renewal
        self._broken_at = 0.0
        self._tries = self._breaks = 0
        self._renew_at: float | None = None
        self._renew_latest: float | None = None
        self.try_at: float | None = None
        """When the next attempt is due, if one is to wait."""

    @property
    def may_go_on(self) -> bool:
        """Whether a session that breaks now is followed by another."""
        return self._breaks < self._renewal.breaks

    def opened(self, lives_s: float | None, now: float) -> None:
        """A session began, and lasts so long if that is known."""
        self._renew_at = self._renew_latest = None
        if lives_s is not None:
            self._renew_at = now + max(lives_s - self._renewal.before_s, lives_s / 2)
            self._renew_latest = now + max(lives_s - self._renewal.latest_s, lives_s * 0.8)

    def greeted(self) -> None:
        """The new session is there."""
        self._tries = 0

    def answered(self) -> None:
        """An answer came to its end."""
        self._breaks = 0

    def broke(self, now: float, *, greeted: bool) -> bool:
        """The present session is of no more use; True: ask for another at once. `greeted`: it was in use."""
        self._breaks += 1
        self._tries += 1
        self._renew_at = self._renew_latest = None
        if greeted:
            self._broken_at = now
        if self._tries == 1:
            return True
        self._wait(now)
        return False

    def tries_again(self, now: float) -> bool:
        """An attempt failed; False: there will be no other."""
        self._tries += 1
        if now - self._broken_at >= self._renewal.within_s:
            return False
        self._wait(now)
        return True

    def is_due(self, now: float) -> bool:
        """Say, once, that the attempt that had to wait is due."""
        due = self.try_at is not None and now >= self.try_at
        if due:
            self.try_at = None
        return due

    def renew_at(self, *, busy: bool) -> float | None:
        """When the present session is to be left, before it ends by itself."""
        return self._renew_latest if busy else self._renew_at

    def _wait(self, now: float) -> None:
        self.try_at = now + _RETRIES_S[min(self._tries, len(_RETRIES_S) - 1)]
