"""Settings that change while the server runs: read anew on SIGHUP, all or nothing; no stream is dropped.

Knows which settings changed and whether they may; putting them in force is the parts' affair.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress

from kaiwa.errors import ConfigError
from kaiwa.server.configuration.findings import WrongConfiguration, told_of
from kaiwa.server.configuration.names import shown_name
from kaiwa.server.settings import GROUPS, Settings, disagreements
from kaiwa.server.settings_words import live_of

log = logging.getLogger("kaiwa.server")

Reread = Callable[[], Settings]
Prepare = Callable[[Settings], Callable[[], None]]


class Reloading:
    """`reread` reads all places anew, None: settings came from code and stay. `prepare` returns what puts
    settings in force, both raise ConfigError; `besides` reads what is kept elsewhere.
    """

    def __init__(
        self, settings: Settings, reread: Reread | None, prepare: Prepare, besides: Callable[[], None]
    ) -> None:
        self.settings = settings
        self._reread = reread
        self._prepare = prepare
        self._besides = besides
        self._asked = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Read anew on every SIGHUP while the block lasts."""
        with _hung_up(self._asked):
            watch = asyncio.create_task(self._watch(), name="reloading")
            try:
                yield
            finally:
                watch.cancel()
                with suppress(asyncio.CancelledError):
                    await watch

    async def _watch(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self.reload()

    async def reload(self) -> None:
        """Put in force what can be; say by name what changed, what waits for a restart and what is wrong."""
        if self._reread is not None:
            try:
                self._take(await asyncio.to_thread(self._reread))
            except ConfigError as wrong:
                _tell(wrong)
                return
        self._besides()

    def _take(self, fresh: Settings) -> None:
        changed = _differences(self.settings, fresh)
        live = [name for name in changed if _may_change(name, self.settings, fresh)]
        if live:
            settings = self.settings.model_copy(update={name: getattr(fresh, name) for name in live})
            for wrong in disagreements(settings):
                raise wrong
            self._prepare(settings)()
            self.settings = settings
        waiting = [name for name in changed if name not in live]
        log.info("the settings were read anew", extra={"settings": _named(live) or "none changed"})
        if waiting:
            log.warning("these settings wait for a restart", extra={"settings": _named(waiting)})


def _differences(before: Settings, after: Settings) -> list[str]:
    names = [name for group in GROUPS for name in group.model_fields]
    return [name for name in names if getattr(before, name) != getattr(after, name)]


def _may_change(name: str, before: Settings, after: Settings) -> bool:
    """Whether the house is open to all, or relays, is decided when it starts: not the last key may go."""
    live = live_of(Settings.model_fields[name])
    if live is None or not live.while_set:
        return live is not None
    return bool(getattr(before, name)) and bool(getattr(after, name))


def _named(names: Sequence[str]) -> str:
    return ", ".join(shown_name(name) for name in names)


def _tell(wrong: ConfigError) -> None:
    findings = wrong.findings if isinstance(wrong, WrongConfiguration) else [told_of(wrong)]
    for finding in findings:
        facts = {"settings": finding.where, "cause": finding.problem.english}
        log.error("the new settings are not used; the ones before stay in force", extra=facts)


def outlive_a_hang_up() -> None:
    """Let a SIGHUP that comes before the server listens to it end nothing."""
    hang_up: signal.Signals | None = getattr(signal, "SIGHUP", None)
    if hang_up is not None:
        signal.signal(hang_up, _pass_over)


def _pass_over(number: int, frame: object) -> None:
    """A handler of our own: what a process ignores, its children would ignore too."""


@contextmanager
def _hung_up(asked: asyncio.Event) -> Generator[None]:
    """Set the event on SIGHUP, where there is such a signal and this is the thread that gets it."""
    loop = asyncio.get_running_loop()
    hang_up: signal.Signals | None = getattr(signal, "SIGHUP", None)
    try:
        if hang_up is not None:
            loop.add_signal_handler(hang_up, asked.set)
    except (NotImplementedError, RuntimeError, ValueError):
        hang_up = None
    try:
        yield
    finally:
        if hang_up is not None:
            loop.remove_signal_handler(hang_up)
