"""How a conversation ends: its time is up, its engine is lost or its peer has gone; what runs is stopped."""

from __future__ import annotations

from kaiwa.errors import PeerError
from kaiwa.events.engine import EngineFailed
from kaiwa.events.response import FailureDetail
from kaiwa.session import errors
from kaiwa.session.answers import Answers
from kaiwa.session.mcp_calls import RemoteCalls
from kaiwa.session.outbox import Outbox
from kaiwa.session.own_calls import OwnCalls

GOING_AWAY = 1001
INTERNAL_ERROR = 1011


class Ending:
    def __init__(
        self, lifetime_s: float | None, outbox: Outbox, answers: Answers, own: OwnCalls, remote: RemoteCalls
    ) -> None:
        self._lifetime_s = lifetime_s or 0
        self._outbox = outbox
        self._answers = answers
        self._own = own
        self._remote = remote

    def expire(self) -> None:
        error = errors.session_expired(round(self._lifetime_s / 60))
        failure = FailureDetail(type=error.type, code=error.code, message=error.message)
        self._fail(error, failure)
        self._outbox.hang(GOING_AWAY, error.message)

    def lose_engine(self, event: EngineFailed) -> None:
        self._fail(errors.engine_lost(event.error.message), event.error)
        self._outbox.hang(INTERNAL_ERROR, "The engine was lost.")

    def leave(self) -> None:
        """The peer has gone: there is nobody to tell."""
        self._stop_everything()
        self._outbox.close()

    def _fail(self, error: PeerError, failure: FailureDetail) -> None:
        self._answers.fail_all(failure)
        self._stop_everything()
        self._outbox.fail(error)

    def _stop_everything(self) -> None:
        self._answers.stop_all()
        for call_id in (*self._own.stop_all(), *self._remote.stop_all()):
            self._outbox.stop_tool(call_id)
