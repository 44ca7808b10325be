"""A configuration looked at as a whole: what was read, and whether a house can be built of it."""

from __future__ import annotations

from dataclasses import replace

from kaiwa.server.configuration.findings import told_of
from kaiwa.server.configuration.names import ENVIRONMENT
from kaiwa.server.configuration.parts import wrong_parts
from kaiwa.server.configuration.reading import Configuration


def checked(read: Configuration) -> Configuration:
    """Return the configuration with what the parts of a house find wrong with it besides."""
    if read.settings is None:
        return read
    found = [
        told_of(wrong, read.origins.get(ENVIRONMENT.get(wrong.setting.partition(",")[0].upper(), "")))
        for wrong in wrong_parts(read.settings)
    ]
    return replace(read, findings=(*read.findings, *found))
