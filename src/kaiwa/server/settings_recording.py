"""Settings of the recordings that a server makes of its own conversations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from kaiwa.protocol.cassette.redaction import KINDS
from kaiwa.server.settings_values import Listed
from kaiwa.server.settings_words import Group


class RecordingSettings(Group):
    """Recordings

    Conversations as cassettes, to be played again as a test. What callers say is in them: tell your callers,
    and keep the directory to yourself."""

    record_dir: Path | None = None
    """Write every conversation at a WebSocket of the Realtime API into a file of this directory
    (docs/cassettes.md#a-server-that-records-itself)."""
    record_redact: Listed = ()
    """What is blackened: `words`, `audio`, `ids`. Keys and tokens always are."""
    record_files: Annotated[int, Field(ge=1)] = 200
    """So many files may be in the directory; then nothing more is recorded. None is ever removed."""
    record_mib: Annotated[int, Field(ge=1)] = 64
    """So large may one file be; what comes after is not kept, and the conversation goes on."""

    @field_validator("record_redact")
    @classmethod
    def _known(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        for kind in kinds:
            if kind not in KINDS:
                raise ValueError(f"has no {kind!r}: there are {', '.join(KINDS)}")
        return kinds
