"""What a service does wrong towards kaiwa must not read as if the client had done it."""

from __future__ import annotations

import logging

import pytest
from tests.gateway.raw_upstream import END, HEAD, chunk, sized
from tests.gateway.relaying import ANSWER, DONE, HELLO, Way, event, relay, text

WRONG_KEY = b'{"error":{"code":"PermissionDenied","message":"words of Azure"}}'
ZIPPED = HEAD.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n")


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
@pytest.mark.parametrize("streams", [True, False])
async def test_a_wrong_key_of_ours_is_no_wrong_key_of_the_client(
    direct: Way, status: str, streams: bool, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.WARNING, "kaiwa.gateway")
    async with relay([[sized(WRONG_KEY, status)]], direct=direct) as running:
        answer = await running.post({"model": "m", "stream": streams, "messages": []})
    assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_unauthorized")
    assert b"words of Azure" not in answer.body
    told = [record for record in caplog.records if "key or role" in record.message]
    assert [(one.status, one.code, one.upstream) for one in told] == [
        (int(status[:3]), "PermissionDenied", "d0")
    ]


async def test_another_deployment_answers_where_our_key_is_good(direct: Way):
    async with relay([[sized(WRONG_KEY, "401 Unauthorized")]], [ANSWER], direct=direct) as running:
        assert (await running.post()).body == HELLO + DONE


@pytest.mark.parametrize(
    "answer",
    [[ZIPPED, chunk(b"\x1f\x8b"), END], [sized(b"\x1f\x8b", "500 No", "content-encoding: br")]],
    ids=["answered", "refused"],
)
async def test_a_compressed_answer_is_refused_by_name(direct: Way, answer: list[bytes]):
    async with relay([answer], direct=direct) as running:
        said = await running.post()
        assert (said.status, said.json["error"]["code"]) == (502, "upstream_compressed")
    async with relay([answer], [ANSWER], direct=direct) as running:
        assert (await running.post()).body == HELLO + DONE


async def test_an_answer_that_is_called_uncompressed_passes(direct: Way):
    head = HEAD.replace(b"\r\n\r\n", b"\r\ncontent-encoding: identity\r\n\r\n")
    async with relay([[head, chunk(event(text("a")) + DONE), END]], direct=direct) as running:
        assert (await running.post()).body == event(text("a")) + DONE
