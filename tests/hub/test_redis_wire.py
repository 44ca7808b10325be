"""What is in Redis is what ASP.NET Core's servers write and read, byte for byte (rule S-62).

The bytes of `redis.json` were put together by hand from the rule.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from redis.asyncio import Redis
from tests.contract.manifest import rule
from tests.hub.bending import Bend, other_words
from tests.hub.house import soon, until
from tests.hub.town import PREFIX, open_town
from tests.redis_server import _redis_of_module, redis_url  # noqa: F401 - fixtures

from kaiwa.errors import ConfigError
from kaiwa.hub.backplane import Answer, ClientCall, GroupCommand
from kaiwa.hub.redis import RedisBackplane, wire
from kaiwa.hub.redis.address import address_of
from kaiwa.hub.redis.channels import Channels
from kaiwa.hub.redis.resp import Parser, Push, Refused, command
from kaiwa.hub.registry import Audience
from kaiwa.protocol.signalr.encoding import Outgoing
from kaiwa.protocol.signalr.messages import Invocation

GOLDEN = json.loads((Path(__file__).parents[1] / "data/signalr/redis.json").read_text("utf-8"))
TOLD = Invocation("told", ["hi", 1])


def _bytes(case: dict[str, Any]) -> bytes:
    return bytes.fromhex(case["bytes"])


def test_messages_calls_commands_acks_and_answers_have_the_bytes_of_the_rule() -> None:
    for case in GOLDEN["messages"]:
        assert wire.write_message(Outgoing(TOLD), case["excluded"]) == _bytes(case), case["name"]
        carried = wire.read_carried(_bytes(case))
        assert carried.excluded == case["excluded"]
        assert wire.message_of(carried).encoded("json").payload == Outgoing(TOLD).encoded("json").payload
    for case in GOLDEN["calls"]:
        call = ClientCall(case["invocationId"], case["target"], [])
        assert wire.write_call(call, case["returns"]) == _bytes(case)
        assert wire.call_of(wire.read_carried(_bytes(case))) == call
        assert wire.read_carried(_bytes(case)).returns == case["returns"]
    for case in GOLDEN["commands"]:
        change = GroupCommand(case["action"], case["group"], case["connection"])
        assert wire.write_command(case["id"], case["server"], change) == _bytes(case)
        assert wire.read_command(_bytes(case)) == (case["id"], case["server"], change)
    for case in GOLDEN["acks"]:
        assert wire.write_ack(case["id"]) == _bytes(case)
        assert wire.read_ack(_bytes(case)) == case["id"]
    for case in GOLDEN["answers"]:
        answer = Answer(case["result"], case["error"])
        assert wire.write_answer("7", answer, case["protocol"]) == _bytes(case)
        assert wire.read_answer(_bytes(case)) == ("7", answer)


def test_channels_have_the_names_of_the_rule() -> None:
    plain, prefixed = Channels("Shop.Chat", "S"), Channels("Shop.Chat", "S", "shop-")
    assert [plain.all, plain.groups, plain.acks, plain.returns] == [
        b"Shop.Chat:all",
        b"Shop.Chat:internal:groups",
        b"Shop.Chat:internal:ack:S",
        b"Shop.Chat:internal:return:S",
    ]
    kinds = [Audience("all"), Audience("connection", "c"), Audience("group", "g"), Audience("user", "愛")]
    assert [plain.of(kind).decode() for kind in kinds] == [
        "Shop.Chat:all",
        "Shop.Chat:connection:c",
        "Shop.Chat:group:g",
        "Shop.Chat:user:愛",
    ]
    assert prefixed.returns == b"shop-Shop.Chat:internal:return:S"
    assert prefixed.returns_name == "Shop.Chat:internal:return:S", "others write the prefix themselves"
    assert prefixed.connection("c") == b"shop-Shop.Chat:connection:c"


@asynccontextmanager
async def _listening(url: str, *channels: str) -> AsyncIterator[tuple[Redis, Any]]:
    """Be another server: a stock client of Redis that hears some channels."""
    async with Redis.from_url(url) as redis, redis.pubsub() as heard:
        await heard.subscribe(*(f"{PREFIX}:{channel}" for channel in channels))
        for _ in channels:
            await heard.get_message(timeout=2)
        yield redis, heard


async def _next(heard: Any, bend: Bend) -> tuple[str, bytes]:
    found = await heard.get_message(ignore_subscribe_messages=True, timeout=1)
    assert found is not None, "something is published"
    return found["channel"].decode().removeprefix(f"{PREFIX}:"), bend.said(found["data"])


@rule("S-62", broken_by=other_words(b"json", b"jsan"))
async def test_another_server_hears_what_is_sent(redis_url: str, planted: Bend | None) -> None:  # noqa: F811
    bend = planted or Bend()
    channels = ("all", "group:g", "user:u", "connection:c", "internal:groups")
    async with (
        open_town(redis_url, servers=1) as (_, (one,)),
        _listening(redis_url, *channels) as (_redis, heard),
    ):
        whole = [_bytes(case) for case in GOLDEN["messages"]]
        send = one.hub.clients
        send.all.send("told", "hi", 1)
        send.group_except("g", "a").send("told", "hi", 1)
        send.user("u").send("told", "hi", 1)
        send.client("c").send("told", "hi", 1)
        send.all_except(*"fedcba").send("told", "hi", 1)
        said = [await _next(heard, bend) for _ in range(5)]
        assert said == [
            ("all", whole[0]),
            ("group:g", whole[1]),
            ("user:u", whole[0]),
            ("connection:c", whole[0]),
            ("all", whole[2]),
        ]
        change = asyncio.create_task(one.hub.groups.add("c", "G"))
        channel, data = await _next(heard, bend)
        assert channel == "internal:groups"
        assert wire.read_command(data) == (1, one.hub.redis.server, GroupCommand("add", "G", "c"))
        await _redis.publish(f"{PREFIX}:internal:ack:{one.hub.redis.server}", wire.write_ack(1))
        await soon(change, "the ack is heard")


@rule("S-62", broken_by=other_words(b"told", b"tolt"))
async def test_what_another_server_sends_is_heard(redis_url: str, planted: Bend | None) -> None:  # noqa: F811
    async with (
        open_town(redis_url, planted, servers=1) as (stack, (one,)),
        _listening(redis_url, "internal:ack:S", "internal:return:S") as (redis, heard),
    ):
        ann = await one.person(stack, "ann")
        whole = _bytes(GOLDEN["messages"][0])
        for channel in ("all", "user:ann", f"connection:{ann.id}"):
            assert await redis.publish(f"{PREFIX}:{channel}", whole) == 1
            message = await ann.socket.record()
            assert (message["target"], message["arguments"]) == ("told", ["hi", 1])
        await redis.publish(f"{PREFIX}:all", wire.write_message(Outgoing(TOLD), [ann.id]))
        add = wire.write_command(42, "S", GroupCommand("add", "room", ann.id))
        await redis.publish(f"{PREFIX}:internal:groups", add)
        assert await _next(heard, Bend()) == ("internal:ack:S", bytes.fromhex("912a"))
        assert await redis.publish(f"{PREFIX}:group:room", whole) == 1
        assert (await ann.socket.record())["target"] == "told"

        call = wire.write_call(ClientCall("7", "told", []), f"{PREFIX}:internal:return:S")
        await redis.publish(f"{PREFIX}:connection:{ann.id}", call)
        assert await ann.socket.record() == {
            "type": 1,
            "invocationId": "7",
            "target": "told",
            "arguments": [],
        }
        await ann.socket.send(type=3, invocationId="7", result=42)
        assert await _next(heard, Bend()) == ("internal:return:S", _bytes(GOLDEN["answers"][1]))
        assert await ann.heard() == []


async def test_a_server_without_messagepack_is_understood(redis_url: str) -> None:  # noqa: F811
    payloads = {"json": Outgoing(TOLD).encoded("json").payload}
    carried = wire.Carried([], payloads)
    assert (
        wire.message_of(carried).encoded("messagepack").payload
        == Outgoing(TOLD).encoded("messagepack").payload
    )
    assert wire.protocol_for_answer(carried) == "json"


async def test_garbage_in_redis_is_counted_and_hurts_nobody(redis_url: str) -> None:  # noqa: F811
    async with (
        open_town(redis_url, servers=1) as (stack, (one,)),
        _listening(redis_url, "internal:ack:S") as (redis, _),
    ):
        ann = await one.person(stack)
        odd = [b"", b"\xc1", b"\x93", b"hello", b"\x92\x90\x80", b"\x94\x90\x81\xa4json\xc4\x01{\xa17\xa1r"]
        mine = f"internal:return:{one.hub.redis.server}"
        places = ("all", f"connection:{ann.id}", "internal:groups", mine)
        for place in (*places, mine.replace("return", "ack")):
            for data in odd:
                await redis.publish(f"{PREFIX}:{place}", data)
        command = b"\x95\x2a\xa1S\x09\xa1G\xa1C"
        await redis.publish(f"{PREFIX}:internal:groups", command)
        await until(lambda: one.hub.redis.unreadable == 5 * len(odd) + 1, "all of it is counted")
        await one.hub.clients.all.send("alive")
        assert await ann.heard() == ["alive"]


@given(some.lists(some.integers(1, 30)), some.binary(max_size=40))
def test_replies_are_read_whatever_the_pieces(cuts: list[int], words: bytes) -> None:
    raw = (
        b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$%d\r\n%b\r\n" % (len(words), words)
        + b":7\r\n-NOPERM no\r\n_\r\n%1\r\n+id\r\n:5\r\n*2\r\n$-1\r\n#t\r\n,1.5\r\n=5\r\ntxt:a\r\n"
    )
    parser, found, at = Parser(), [], 0
    for cut in [*cuts, len(raw)]:
        found += parser.feed(raw[at : at + cut])
        at += cut
    assert found[0] == Push([b"message", b"c", words])
    assert isinstance(found[0], Push)
    assert isinstance(found[2], Refused)
    assert found[2].code == "NOPERM"
    assert [found[1], *found[3:]] == [7, None, [b"id", 5], [None, True], 1.5, b"txt:a"]


def test_commands_are_written_as_redis_reads_them() -> None:
    assert command(b"PUBLISH", b"c", b"\r\n") == b"*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$2\r\n\r\n\r\n"


def test_an_address_is_read_and_never_shown_with_its_password() -> None:
    one = address_of("rediss://me:se%20cret@example.com:6380/0?ssl_cert_reqs=none")
    assert (one.host, one.port, one.user, one.password) == ("example.com", 6380, "me", "se cret")
    context = one.context()
    assert context is not None
    assert not context.check_hostname
    assert "cret" not in repr(one)
    assert address_of("redis://localhost").context() is None
    assert address_of("unix:///run/redis.sock").path == "/run/redis.sock"


@pytest.mark.parametrize(
    "url",
    [
        "http://me:hidden@h",
        "localhost:6379",
        "redis://h:hidden",
        "unix://",
        "rediss://h?ssl_ca_certs=/no/file",
    ],
)
def test_what_is_no_address_says_how_to_write_one(url: str) -> None:
    with pytest.raises(ConfigError, match="redis_url") as raised:
        RedisBackplane(url, "Chat")
    assert "hidden" not in str(raised.value)
