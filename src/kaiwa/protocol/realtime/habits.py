"""Keys that stock clients and newer API versions send and kaiwa deliberately ignores (reference A3, B3).

Everything else unknown is answered with `unknown_parameter` (K-65).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kaiwa.events import config, items
from kaiwa.protocol.realtime.shape import Tolerance

_PART_KEYS: Final = frozenset({"id", "text", "audio", "transcript", "format", "image_url", "detail"})

_IGNORED: Final[Mapping[type, frozenset[str]]] = {
    # What session.created told the client, sent back.
    config.SessionUpdate: frozenset({"id", "object", "expires_at", "client_secret"}),
    # Hints of newer transcription models.
    config.Transcription: frozenset({"delay", "keywords", "languages"}),
    # Chat-completion habits.
    config.FunctionTool: frozenset({"strict", "defer_loading"}),
    config.McpTool: frozenset({"defer_loading", "allowed_callers"}),
    config.PcmuFormat: frozenset({"rate"}),
    config.PcmaFormat: frozenset({"rate"}),
    # Histories echoed whole.
    items.InputText: _PART_KEYS,
    items.InputAudio: _PART_KEYS,
    items.InputImage: _PART_KEYS,
    items.OutputText: _PART_KEYS,
    items.OutputAudio: _PART_KEYS,
    items.FunctionCall: frozenset({"namespace"}),
}

OF_CLIENTS: Final = Tolerance(ignored=_IGNORED)
