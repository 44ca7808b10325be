"""A file that is read again when it has changed. Knows when, not what is in it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from kaiwa.errors import ConfigError

T = TypeVar("T")
log = logging.getLogger("kaiwa.policy")


class Watched(Generic[T]):
    """What `read` made of a file. A later version that is wrong is logged, and the one before stays.

    `missing`: what it is without the file; None: the file must be there. Raises ConfigError at first.
    """

    def __init__(
        self, path: Path, read: Callable[[bytes], T], *, setting: str, missing: T | None = None
    ) -> None:
        self.path = path
        self._name = os.fspath(path)
        self._read = read
        self._setting = setting
        self._missing = missing
        self._mark = self._look()
        self._value = self._load(self._mark)

    @property
    def value(self) -> T:
        """Return what the file says now; costs one look at its time and size."""
        mark = self._look()
        if mark != self._mark:
            self._mark = mark
            try:
                self._value = self._load(mark)
                log.info("read again what has changed", extra={"cause": self._setting})
            except ConfigError:
                log.error(
                    "kept what was read before: the new version is wrong", extra={"cause": self._setting}
                )
        return self._value

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._name)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _load(self, mark: tuple[int, int, int] | None) -> T:
        if mark is None and self._missing is not None:
            return self._missing
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise ConfigError(
                self._setting, f"{self.path} cannot be read ({error.strerror}).", "Name another file."
            ) from None
        return self._read(content)
