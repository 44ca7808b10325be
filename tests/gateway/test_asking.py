"""What a service gets of a request: the client's own bytes where that is safe, and one meaning where it is not."""

from __future__ import annotations

import json

import pytest
from tests.upstream.pool.virtual import deployment

from kaiwa.gateway.asking import Asked, read_body
from kaiwa.policy.caller import ANYBODY, Caller

RAW = b'{"model": "dear", "messages": [], "mod\\u0065l": "cheap"}'


def sent(raw: bytes, caller: Caller) -> bytes:
    given = read_body(raw)
    asked = Asked(
        id="str_1",
        operation="chat/completions",
        model=given["model"],
        body=given,
        raw=raw,
        given=given,
        caller=caller,
    )
    return asked.sent_to(deployment("east"), given["model"])


def test_what_nobody_judges_goes_on_as_it_came() -> None:
    assert sent(RAW, ANYBODY) == RAW


@pytest.mark.parametrize(
    "caller",
    [Caller(id="a", models=("cheap",)), Caller(id="a", max_tokens=5), Caller(id="a", forced={"n": 1})],
)
def test_a_member_that_is_said_twice_is_judged_as_it_is_sent(caller: Caller) -> None:
    pairs = json.loads(sent(RAW, caller), object_pairs_hook=lambda pairs: pairs)
    assert [value for name, value in pairs if name == "model"] == ["cheap"]
