"""Which dialect a connection speaks follows from its upgrade request alone."""

import pytest

from kaiwa.protocol.realtime.dialects import dialect_of

GA, PREVIEW = "/v1/realtime", "/openai/realtime"
LATE, FIRST = {"api-version": "2025-04-01-preview"}, {"api-version": "2024-10-01-preview"}


@pytest.mark.parametrize(
    ("path", "query", "headers", "subprotocols", "dialect"),
    [
        (GA, {"model": "m"}, {}, [], "ga"),
        ("/openai/v1/realtime", {"model": "m"}, {}, [], "ga"),
        ("/openai/v1/realtime", FIRST, {}, [], "ga"),
        (GA, {"model": "gpt-4o-realtime-preview"}, {}, [], "ga"),
        (PREVIEW, LATE, {}, [], "preview"),
        (PREVIEW + "/", {}, {}, [], "preview"),
        (PREVIEW, FIRST, {}, [], "preview-2024-10-01"),
        (PREVIEW, {"api-version": "2024-10-01-preview-2"}, {}, [], "preview"),
        (GA, {}, {"OpenAI-Beta": "realtime=v1"}, [], "preview"),
        (GA, {}, {"openai-beta": "Realtime=V1"}, [], "preview"),
        (GA, FIRST, {"openai-beta": "realtime=v1"}, [], "preview-2024-10-01"),
        (GA, {}, {"openai-beta": "assistants=v2, realtime=v1"}, [], "preview"),
        (GA, {}, {"OpenAI-Beta": "assistants=v2"}, [], "ga"),
        (GA, {}, {}, ["realtime", "openai-insecure-api-key.K", "openai-beta.realtime-v1"], "preview"),
        (GA, {}, {}, ["realtime", "openai-insecure-api-key.K", "openai-agents-sdk.0.20.0"], "ga"),
        ("/some/openai/realtimely", {}, {}, [], "ga"),
    ],
)
def test_the_dialect_is_chosen_by_path_header_or_subprotocol(path, query, headers, subprotocols, dialect):
    assert dialect_of(path, query, headers, subprotocols) == dialect
