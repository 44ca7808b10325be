"""The log: a sentence that is always the same, and facts as fields; text for people or JSON for collectors.

Whoever logs gives facts as `extra`. Nothing here looks into them: words, prompts, keys and addresses are not
given in the first place.
"""

from __future__ import annotations

import logging
import sysconfig
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from kaiwa.server.metering import Totals

LogFormat = Literal["text", "json"]

_OWN: Final = "kaiwa"
# What every record has by itself; the last two are made by formatters.
_USUAL: Final = frozenset(
    {*logging.LogRecord("", 0, "", 0, "", None, None).__dict__, "taskName", "message", "asctime"}
)


class TextFacts(logging.Formatter):
    """Message first, then the facts that came as fields, in this order."""

    _FIELDS = (
        "request_id",
        "client_request_id",
        "trace_id",
        "span_id",
        "session_id",
        "stream_id",
        "function",
        "invocation_id",
        "door",
        "caller",
        "model",
        "reason",
        "elapsed_ms",
        "first_token_ms",
        *Totals.__slots__,
        "estimated",
        "attempts",
        "upstream",
        "tool",
        "call_id",
        "outcome",
        "settings",
        "cause",
        "worker",
        "status",
        "code",
    )

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")
        self._second, self._time = 0, ""

    def format(self, record: logging.LogRecord) -> str:
        given = record.__dict__
        facts = [f"{name}={given[name]}" for name in self._FIELDS if name in given]
        return " ".join([self._said(record), *([_on_one_line(" ".join(facts))] if facts else ())])

    def _said(self, record: logging.LogRecord) -> str:
        """As the formatter of the standard library, which writes each line's time out anew."""
        if record.exc_info or record.exc_text or record.stack_info:
            return super().format(record)
        second = int(record.created)
        if second != self._second:
            self._second, self._time = second, self.formatTime(record, self.default_time_format)
        moment = f"{self._time},{int(record.msecs):03d}"
        return f"{moment} {record.levelname} {record.name} {record.getMessage()}"


class JsonFacts(logging.Formatter):
    """One object a line: `time` (UTC), `level`, `logger`, `message`, then every fact; `exception` for a bug.

    Of libraries only the message is taken: what they give besides, nobody here has looked at.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.name.partition(".")[0] == _OWN:
            line |= {name: _plain(fact) for name, fact in vars(record).items() if name not in _USUAL}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class OwnLines:
    """Lets through what kaiwa and the operator's own modules say, and of libraries warnings and worse.

    While they work, libraries tell addresses (httpx, azure-core) and every value bound to SQL (aiosqlite).
    """

    _INSTALLED = tuple({sysconfig.get_path(kind) for kind in ("purelib", "platlib")})

    def filter(self, record: logging.LogRecord) -> bool:
        return (
            record.levelno >= logging.WARNING
            or record.name.partition(".")[0] == _OWN
            or not record.pathname.startswith(self._INSTALLED)
        )


def log_to_stderr(level: str, form: LogFormat, *filters: logging.Filter) -> None:
    """Let the whole process log this way; `filters` may add facts."""
    # Nobody shows them, and finding them out takes a fifth of a line's time.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler()
    for one in (OwnLines(), *filters):
        handler.addFilter(one)
    handler.setFormatter(JsonFacts() if form == "json" else TextFacts())
    logging.basicConfig(level=level.upper(), handlers=[handler])


def change_log(level: str, form: LogFormat) -> None:
    """Let what `log_to_stderr` began go on in another form, or tell more or less."""
    log = logging.getLogger()
    log.setLevel(level.upper())
    for handler in log.handlers:
        if isinstance(handler.formatter, JsonFacts | TextFacts):
            handler.setFormatter(JsonFacts() if form == "json" else TextFacts())


def _on_one_line(text: str) -> str:
    """A model's name is whatever a client wrote: it must not draw lines of its own."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _plain(fact: object) -> object:
    return fact if fact is None or isinstance(fact, str | int | float | bool) else str(fact)
