"""One deployment asked once: until content comes it may fail and another be asked; then its bytes flow on.

Knows one lease and one exchange. What a client is told is decided by who made the attempt.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final, Protocol, cast

import msgspec

from kaiwa.errors import UpstreamError
from kaiwa.gateway.asking import Asked
from kaiwa.gateway.client import Write
from kaiwa.gateway.ended import Try
from kaiwa.gateway.headers import downwards
from kaiwa.gateway.passing import Passing
from kaiwa.gateway.reasons import COMPRESSED, UNAUTHORIZED, Reason, Refusal, reason_of
from kaiwa.protocol.chat.usage import TokensCounted, counted
from kaiwa.protocol.chat.watching import Watcher
from kaiwa.upstream.http1.client import Exchange, HttpClient, Question
from kaiwa.upstream.http1.connection import BREATH_S, Unanswered
from kaiwa.upstream.http1.heads import Request, ResponseHead
from kaiwa.upstream.pool.lease import Lease, Outcome, Usage

log = logging.getLogger(__name__)

MAX_ERROR_BYTES: Final = 64 * 1024
# Events before content; more than this is passed on, and then no other deployment is asked.
MAX_PRELUDE_BYTES: Final = 256 * 1024
# How long the end of a body may take behind the end of its stream; then the connection is not kept.
LINGER_S: Final = 1.0
# A head is told to the pool behind the first words, if those come so soon after the question.
SOON_S: Final = 0.02
EVENTS: Final = "text/event-stream"
# To a client these would mean its own key.
_OUR_KEY_IS_WRONG: Final = (401, 403)
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_OUTCOMES: Final[dict[str, Outcome]] = {
    "upstream_timeout": "timed_out",
    "upstream_unreachable": "unreachable",
    "upstream_busy": "unreachable",
}

Clock = Callable[[], float]


class Flow(Protocol):
    """Who takes the bytes of an attempt that began. One of `flow_ended` or `flow_broke` comes last."""

    due_bytes: int
    """With so many bytes of content `grew` is due."""

    def flowed(self, data: bytes) -> None: ...

    def grew(self, watcher: Watcher) -> None:
        """Count what has passed by `way`."""
        ...

    def way(self) -> Write | None:
        """Return where chunks may go on as they came; None: nowhere. The answer has begun."""
        ...

    def flow_ended(self) -> None:
        """The stream is over and whole."""
        ...

    def flow_broke(self, reason: Reason) -> None: ...


class Opening(Protocol):
    """Who hears what became of an attempt that was asked at once. One of both comes, once."""

    def began(self) -> None:
        """Content is there: `flow_to` hands it on."""
        ...

    def faltered(self) -> None:
        """It is no stream with content, or must be waited for: `open`, `read` and so on say what it is."""
        ...


class Failed(Exception):
    """The attempt came to nothing. `refusal`: what the service said, to be relayed if nobody does better.

    `final`: every deployment would say the same.
    """

    def __init__(self, refusal: Refusal | None, *, final: bool = False) -> None:
        super().__init__("an attempt failed")
        self.refusal = refusal
        self.final = final


class Attempt:
    """One lease in use. `open`, then `flow_to` or `read`; `close` at any time ends all of it at once.

    `ask_now` takes the straight way to `flow_to` by callbacks. Where that ends, `open` goes on from there.
    """

    # What every attempt begins with stands here: an attribute that is not set costs nothing.
    _question: Question | None = None
    _exchange: Exchange | None = None
    _opening: Opening | None = None
    _unanswered: UpstreamError | None = None
    _first_token_s = 0.0
    _patience: asyncio.TimerHandle | None = None
    _flow: Flow | None = None
    _prelude_bytes = 0
    _settled = False
    _verdict: UpstreamError | None = None
    _awaited: asyncio.Future[None] | None = None
    _first_at: float | None = None
    _broke: UpstreamError | None = None
    _over = False
    # Whether content, or even the head, takes its time; when the head came that the pool was not told of yet.
    _late = False
    _untold_at: float | None = None
    head: ResponseHead | None = None
    usage: TokensCounted | None = None
    status: int | None = None
    code: str | None = None
    outcome: Outcome | None = None
    ended_at = 0.0

    def __init__(self, lease: Lease, asked: Asked, now: Clock) -> None:
        self.lease = lease
        self._asked = asked
        self._now = now
        self._prelude: list[bytes] = []

    @cached_property
    def watcher(self) -> Watcher:
        """Who reads the answer: nothing that a question would wait for."""
        asked = self._asked
        dialect = "responses" if asked.operation == "responses" else "chat"
        return Watcher(dialect, choices=asked.choices, drop_usage=not asked.wants_usage)

    def ask_now(self, http: HttpClient, first_token_s: float) -> bool:
        """Ask, if nothing must be waited for before that; `tell` follows. Say no otherwise; then nothing was
        asked."""
        proof = self.lease.deployment.credential.headers_now()
        if proof is None:
            return False
        question = http.ask_kept(self._request(proof), self)
        if question is None:
            return False
        self._question, self._first_token_s = question, first_token_s
        return True

    def tell(self, opening: Opening) -> None:
        """Let somebody hear what becomes of what was asked just now."""
        self._opening = opening
        _ = self.watcher  # made while the service is at work
        self._await_content(self._first_token_s)

    async def open(self, http: HttpClient) -> ResponseHead:
        """Ask, unless that was done, and return the head of an answer that may be relayed. Raises Failed."""
        if self.head is not None:
            return self.head
        try:
            if self._unanswered is not None:
                raise self._unanswered
            if self._exchange is None:
                self._exchange = await http.send(self._request(await self._proof()))
            exchange = self._exchange
        except UpstreamError as error:
            self._end(_OUTCOMES.get(error.code, "cut"))
            raise Failed(None) from error
        except BaseException:
            self._end("cancelled")
            raise
        self.status = exchange.head.status
        if self.status != 200:
            raise await self._refused(exchange)
        if _is_compressed(exchange.head):
            self._close_exchange()
            self._end("cut")
            raise Failed(COMPRESSED)
        return self._accept(exchange.head)

    async def wait_for_content(self, limit_s: float) -> None:
        """Wait until the answer has begun. Raises Failed."""
        try:
            if not self._settled and self._patience is None:
                assert self._exchange is not None, "it is open"
                self._await_content(limit_s)
                self._exchange.deliver(self)
            if not self._settled:
                self._awaited = asyncio.get_running_loop().create_future()
                await self._awaited
        except BaseException:
            self.close()
            raise
        broke = self._verdict
        if broke is not None:
            self._end(_OUTCOMES.get(broke.code, "cut"))
            raise Failed(None)
        if self.watcher.error is not None and not self.watcher.begun:
            raise self._said_error(self.watcher.error)

    async def read(self, most_bytes: int) -> bytes:
        """Return an answer that comes in one piece. Raises Failed."""
        assert self._exchange is not None, "it is open"
        try:
            body = await self._exchange.read(most_bytes)
        except UpstreamError as error:
            self._end(_OUTCOMES.get(error.code, "cut"))
            raise Failed(None, final=error.code == "upstream_too_large") from error
        except BaseException:
            self.close()
            raise
        self.lease.first_token(self._now())
        self.usage = counted(_object(body).get("usage"))
        self._end("completed")
        return body

    def flow_to(self, flow: Flow) -> None:
        """Hand on what came before and with the first content, and the rest as it comes."""
        self._flow = flow
        self._first_at = self._now()
        self._pass_on(b"".join(self._prelude))
        self._prelude.clear()
        way = flow.way() if self._exchange is not None else None
        if way is not None and self._exchange is not None:
            self._exchange.offer_chunks(Passing(self.watcher, way, flow).chunk)
        self._stop_waiting()
        self._tell_head()
        self.lease.first_token(self._first_at)
        if self._broke is not None and not self._over:
            self._break(self._broke)

    def told(self) -> Try:
        """Return what became of it. One that runs still is told as given up now."""
        lease = self.lease
        return Try(
            deployment=lease.deployment.name,
            kind=lease.deployment.kind,
            model=lease.model,
            began=lease.begun,
            ended=self.ended_at if self._over else self._now(),
            outcome=self.outcome or "cancelled",
            status=self.status,
            code=self.code,
            hedge=lease.hedge,
        )

    def pause(self) -> None:
        if self._exchange is not None:
            self._exchange.pause()

    def resume(self) -> None:
        if self._exchange is not None:
            self._exchange.resume()

    def close(self, outcome: Outcome = "cancelled") -> None:
        """End the request to the service at once, wherever it stands."""
        self._flow = self._opening = None
        if self._question is not None:
            self._question.close()
            self._question = None
        self._stop_waiting()
        self._close_exchange()
        self._end(outcome)

    # As who hears of the question's answer.

    def answered(self, exchange: Exchange) -> None:
        self._question, self._exchange, head = None, exchange, exchange.head
        self.status = head.status
        if head.status == 200 and streams_events(head):
            self.head, self._untold_at = head, self._now()
            if self._late:
                self._tell_head()
            exchange.deliver(self)
        else:
            self._falter()

    def unanswered(self, error: UpstreamError | Unanswered) -> None:
        self._question = None
        if isinstance(error, UpstreamError):
            self._unanswered = error
        self._falter()

    # As the sink of the exchange.

    def body(self, data: bytes) -> None:
        flow, watcher = self._flow, self.watcher
        if flow is not None and watcher.is_plain(data):
            flow.flowed(data)
            return
        try:
            passing, rest = watcher.begin(data) if flow is None else (watcher.feed(data), b"")
        except UpstreamError as error:
            self._close_exchange()
            self.broken(error)
            return
        self._take(passing)
        if rest:  # the first words go on before anybody looks at what came with them
            self.body(rest)

    def _take(self, passing: bytes) -> None:
        if self._flow is not None:
            self._pass_on(passing)
            return
        self._prelude.append(passing)
        self._prelude_bytes += len(passing)
        watcher = self.watcher
        if (
            watcher.begun
            or watcher.done
            or watcher.error is not None
            or self._prelude_bytes > MAX_PRELUDE_BYTES
        ):
            self._settle(None)

    def ended(self) -> None:
        self._exchange = None
        rest = self.watcher.flush()
        if self._flow is None:
            self._prelude.append(rest)
            self._broke = None if self.watcher.complete else _cut_off()
            self._settle(self._broke if self.watcher.error is None else None)
            return
        self._pass_on(rest)
        if not self._over:
            self._break(_cut_off())

    def broken(self, error: UpstreamError) -> None:
        self._exchange = None
        self._broke = error
        if self._flow is not None:
            self._break(error)
        else:
            self._settle(None if self.watcher.begun else error)

    # Parts.

    async def _proof(self) -> Mapping[str, str]:
        try:
            return await self.lease.deployment.credential.headers()
        except UpstreamError as error:
            self._end("unauthorized")
            raise Failed(None) from error

    def _request(self, proof: Mapping[str, str]) -> Request:
        lease, asked = self.lease, self._asked
        target = lease.deployment.target(asked.operation, lease.model)
        return Request(
            target.origin,
            target.path,
            target.authority,
            (*asked.headers, *proof.items()),
            asked.sent_to(lease.deployment, target.model),
        )

    def _accept(self, head: ResponseHead) -> ResponseHead:
        self.head = head
        self.lease.answered(200, head.headers, self._now())
        return head

    def _tell_head(self) -> None:
        """Let the pool learn from a head, behind the first words or when those take their time."""
        told_at, self._untold_at = self._untold_at, None
        if told_at is not None and self.head is not None:
            self.lease.answered(200, self.head.headers, told_at)

    def _await_content(self, limit_s: float) -> None:
        """Wait so long for content from now on."""
        loop = asyncio.get_running_loop()
        if limit_s > SOON_S:
            self._patience = loop.call_later(SOON_S, self._be_patient, limit_s - SOON_S)
        else:
            self._patience = loop.call_later(limit_s, self._take_breath)

    def _be_patient(self, limit_s: float) -> None:
        self._late = True
        self._tell_head()
        self._patience = asyncio.get_running_loop().call_later(limit_s, self._take_breath)

    async def _refused(self, exchange: Exchange) -> Failed:
        head = exchange.head
        try:
            body = await exchange.read(MAX_ERROR_BYTES)
        except UpstreamError:
            body = b""
        except BaseException:
            self.close()
            raise
        self.code = code = _code_in(body)
        verdict = self.lease.answered(head.status, head.headers, self._now(), code=code)
        self._end("refused")
        if head.status in _OUR_KEY_IS_WRONG:
            facts = {"upstream": self.lease.deployment.name, "status": head.status, "code": code or ""}
            log.warning("a deployment refused the key or role of this server", extra=facts)
            return Failed(UNAUTHORIZED, final=verdict == "refuse")
        if _is_compressed(head):
            return Failed(COMPRESSED, final=verdict == "refuse")
        kind = head.headers.get("content-type", "application/json")
        refusal = Refusal(head.status, body, tuple(downwards(head.headers)), kind)
        return Failed(refusal, final=verdict == "refuse")

    def _said_error(self, code: str) -> Failed:
        self.code = code or None
        verdict = self.lease.said_error(self.code, self._now())
        self._close_exchange()
        self._end("failed")
        return Failed(Refusal(200, self._taken(), (), EVENTS), final=verdict == "refuse")

    def _taken(self) -> bytes:
        taken = b"".join(self._prelude)
        self._prelude.clear()
        return taken

    def _pass_on(self, data: bytes) -> None:
        """Hand on whole events; they may be the last."""
        flow, watcher = self._flow, self.watcher
        if flow is None:
            return
        if data:
            flow.flowed(data)
        if watcher.error is not None:
            self.code = watcher.error or None
            self.lease.said_error(self.code, self._now())
            self._finish("failed")
            flow.flow_broke("upstream_error")
        elif watcher.done or (self._exchange is None and self._broke is None and watcher.complete):
            self._finish("completed")
            flow.flow_ended()

    def _finish(self, outcome: Outcome) -> None:
        self._flow = None
        exchange, self._exchange = self._exchange, None
        if exchange is not None and outcome == "completed":
            exchange.linger(LINGER_S)
        elif exchange is not None:
            exchange.close()
        self._end(outcome)

    def _break(self, error: UpstreamError) -> None:
        flow, self._flow = self._flow, None
        self._end("timed_out" if error.code == "upstream_timeout" else "cut")
        if flow is not None:
            flow.flow_broke(reason_of(error.code))

    def _settle(self, broke: UpstreamError | None) -> None:
        """It is known whether this is an answer with content."""
        if self._settled:
            return
        self._settled, self._verdict = True, broke
        opening, self._opening = self._opening, None
        good = broke is None and (self.watcher.begun or self.watcher.error is None)
        if opening is not None and good:
            opening.began()
        self._stop_waiting()  # it came in time, however long whoever takes it is kept waiting
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(None)
        if opening is not None and not good:
            opening.faltered()

    def _falter(self) -> None:
        self._stop_waiting()
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.faltered()

    def _take_breath(self) -> None:
        self._patience = asyncio.get_running_loop().call_later(BREATH_S, self._lose_patience)

    def _lose_patience(self) -> None:
        silent = UpstreamError("upstream_timeout", "The service fell silent.", retryable=True)
        if self._question is not None:
            self._question.close()
            self.unanswered(silent)
            return
        self._close_exchange()
        self._settle(silent)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _close_exchange(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.close()

    def _end(self, outcome: Outcome) -> None:
        if self._over:
            return
        self._over, self.outcome, self.ended_at = True, outcome, self._now()
        self._stop_waiting()
        self._tell_head()
        if self._first_at is not None:
            self.lease.first_token(self._first_at)
        told = self.watcher.usage or self.usage
        usage = None if told is None else Usage(told.input, told.cached, told.output)
        self.lease.ended(outcome, usage, self.ended_at)


def streams_events(head: ResponseHead) -> bool:
    """Say whether an answer is a stream that can be read; without a word on it, it is."""
    kind = head.headers.get("content-type", EVENTS)
    return kind.startswith(EVENTS) and not _is_compressed(head)


def _is_compressed(head: ResponseHead) -> bool:
    """Say whether a service compressed an answer unasked: nothing in it could be found."""
    coding = head.headers.get("content-encoding")
    return coding is not None and coding.strip().lower() not in ("identity", "")


def _code_in(body: bytes) -> str | None:
    error = _object(body).get("error")
    code = cast(dict[str, Any], error).get("code") if isinstance(error, dict) else None
    return str(code) if isinstance(code, str | int) and _CODE.fullmatch(str(code)) else None


def _object(body: bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return cast(dict[str, Any], said) if isinstance(said, dict) else {}


def _cut_off() -> UpstreamError:
    return UpstreamError("upstream_cut_off", "The service's answer broke off.", retryable=True)
