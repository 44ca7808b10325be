"""API keys: made, kept by their hashes in one file, found again. Knows no policy and no request.

A key is `kw_`, eight letters that name it in listings, and 256 random bits. Those make a slow hash needless.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from kaiwa.errors import ConfigError
from kaiwa.events.value import Value
from kaiwa.policy.caller import SCOPES, Scope
from kaiwa.policy.watched import Watched

SETTING: Final = "KAIWA_KEYS"
PREFIX: Final = "kw_"
MOST_LETTERS: Final = 256
_OWNER_ONLY: Final = 0o600


class KeyRecord(Value, frozen=True, kw_only=True):
    """A key as it is kept. `digest`: SHA-256 of the whole key; times are Unix seconds."""

    id: str
    digest: str
    label: str = ""
    policy: str | None = None
    scopes: tuple[Scope, ...] = tuple(sorted(SCOPES))
    created_at: int = 0
    expires_at: int | None = None
    revoked_at: int | None = None

    def is_good(self, now: float) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def __repr__(self) -> str:
        return f"KeyRecord({self.id})"


class KeyFile(Value, frozen=True, kw_only=True):
    """All keys, as the file holds them."""

    version: int = 1
    keys: tuple[KeyRecord, ...] = ()


class KeyStore:
    """The keys of a file. Reads it again when it has changed; a missing file holds none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = Watched(path, _index, setting=SETTING, missing={})
        # The key that was good last: a client sends the same with each request, and hashing takes its time.
        self._last: tuple[bytes, KeyRecord] | None = None

    def find(self, key: str, now: float) -> KeyRecord | None:
        """Return the record of a key that is good now.

        Takes as long for a wrong key as for a good one, but for the one that was good last.
        """
        records, given = self._file.value, key.encode()
        if self._last is not None and hmac.compare_digest(self._last[0], given):
            record = self._last[1]
            if records.get(record.id) is record:
                return record if record.is_good(now) else None
        record = self._found(records, key, now)
        if record is not None and len(key) <= MOST_LETTERS:
            self._last = given, record
        return record

    def _found(self, records: Mapping[str, KeyRecord], key: str, now: float) -> KeyRecord | None:
        record = records.get(_id_in(key))
        expected = record.digest if record is not None else _digest("")
        fits = hmac.compare_digest(expected, _digest(key[:MOST_LETTERS]))
        return record if record is not None and fits and record.is_good(now) else None

    def is_good(self, key_id: str, now: float) -> bool:
        """Say whether the key of this id is still good; what it let others have ends with it."""
        record = self._file.value.get(key_id)
        return record is not None and record.is_good(now)

    def all(self) -> tuple[KeyRecord, ...]:
        """Return every record, the oldest first."""
        return tuple(self._file.value.values())

    def create(
        self,
        now: float,
        *,
        label: str = "",
        policy: str | None = None,
        scopes: tuple[Scope, ...] | None = None,
        lifetime_s: float | None = None,
    ) -> tuple[str, KeyRecord]:
        """Make a key and keep its hash; the key itself is returned here and never again."""
        with self._changing() as keys:
            key_id = _fresh_id(keys)
            key = f"{PREFIX}{key_id}_{secrets.token_urlsafe(32)}"
            record = KeyRecord(
                id=key_id,
                digest=_digest(key),
                label=label,
                policy=policy,
                scopes=tuple(sorted(SCOPES if scopes is None else scopes)),
                created_at=int(now),
                expires_at=None if lifetime_s is None else int(now + lifetime_s),
            )
            keys[key_id] = record
        return key, record

    def revoke(self, key_id: str, now: float) -> KeyRecord | None:
        """End a key for good. None: there is none of this id."""
        with self._changing() as keys:
            record = keys.get(key_id)
            if record is not None and record.revoked_at is None:
                record = keys[key_id] = msgspec.structs.replace(record, revoked_at=int(now))
        return record

    @contextmanager
    def _changing(self) -> Generator[dict[str, KeyRecord]]:
        """Hold off others who change the file, and write it as a whole when the block is left well."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with (self._path.with_name(self._path.name + ".lock")).open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                keys = dict(self._file.value)
                yield keys
                _write(self._path, msgspec.json.encode(KeyFile(keys=tuple(keys.values()))))
        except OSError as error:
            problem = f"{self._path} cannot be written ({error.strerror})."
            raise ConfigError(SETTING, problem, "Name a file in a folder of yours.") from None


def _write(path: Path, content: bytes) -> None:
    """Replace the file at once; nobody but its owner may read it at any time."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, _OWNER_ONLY)
            file.write(msgspec.json.format(content, indent=2) + b"\n")
            file.flush()
            os.fsync(handle)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _index(content: bytes) -> dict[str, KeyRecord]:
    try:
        read = msgspec.json.decode(content, type=KeyFile)
    except msgspec.MsgspecError:
        raise ConfigError(SETTING, "is no file of keys.", "Make one with `kaiwa keys create`.") from None
    return {record.id: record for record in read.keys}


def _fresh_id(taken: dict[str, KeyRecord], make: Callable[[], str] = lambda: secrets.token_hex(4)) -> str:
    while (key_id := make()) in taken:
        pass
    return key_id


def _id_in(key: str) -> str:
    return key.removeprefix(PREFIX).partition("_")[0] if key.startswith(PREFIX) else ""


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
