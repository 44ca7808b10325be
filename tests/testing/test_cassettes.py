"""Cassettes over real sockets: record, replay, equal; what may differ and what may not; what never gets in."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openai import AsyncOpenAI
from tests.relay.relayed import peer_of, relaying, settings_for
from tests.testing.dialled import Dialled
from tests.testing.recorded import PATH, lines_of, record, typed_talk
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from kaiwa.audio.wav import house_audio_of
from kaiwa.errors import ConfigError
from kaiwa.protocol.cassette.matching import LIVE, STRICT
from kaiwa.testing.cassettes import (
    CassetteError,
    Matching,
    Recorder,
    UnknownCassetteVersion,
    Upstream,
    load_cassette,
    recording_proxy,
    replay_as_caller,
    replaying,
)
from kaiwa.testing.service import Faults, Habits, Service, running_service

SPEECH = Path(__file__).parents[1] / "data" / "audio" / "en_whats_the_weather_like.wav"
IMPATIENT = replace(STRICT, patience_s=0.3)


@pytest.fixture
async def typed(service: Service, tmp_path: Path) -> tuple[Path, list[str]]:
    frames: list[str] = []

    async def talk(url: str) -> None:
        frames.extend(await typed_talk(url))

    await record(service, tmp_path / "typed.jsonl", talk)
    return tmp_path / "typed.jsonl", frames


async def test_what_was_recorded_is_replayed_to_the_client_byte_for_byte(
    typed: tuple[Path, list[str]],
) -> None:
    path, frames = typed
    async with replaying(load_cassette(path)) as replay:
        assert await typed_talk(replay.url) == frames
        assert replay.over
        assert replay.problems() == []


async def test_the_caller_of_a_recording_and_the_service_of_it_agree_on_every_byte(
    service: Service, tmp_path: Path
) -> None:
    async def talk(url: str) -> None:
        async with connect(url.replace("http", "ws", 1) + PATH, max_size=None) as socket:
            peer = Dialled(socket)
            await peer.until("session.created")
            await peer.play(house_audio_of(SPEECH.read_bytes()) + bytes(48_000))
            await peer.until("response.done")

    await record(service, tmp_path / "spoken.jsonl", talk)
    cassette = load_cassette(tmp_path / "spoken.jsonl")
    async with replaying(cassette) as replay:
        report = await replay_as_caller(cassette, replay.url, rules=STRICT)
        assert (report.problems, replay.problems()) == ([], [])
    assert report.frames_checked > 20
    assert report.frames_sent > 10


async def test_a_client_that_asks_something_else_is_told_where_it_differs(
    typed: tuple[Path, list[str]],
) -> None:
    async with replaying(load_cassette(typed[0])) as replay:
        with pytest.raises(ConnectionClosed) as closed:
            await typed_talk(replay.url, "goodbye")
        (problem,) = replay.problems()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert "another conversation.item.create than was recorded" in problem
    assert "item.content[0].text: recorded 'hello there', came 'goodbye'" in problem


async def test_what_the_rules_ignore_may_differ(typed: tuple[Path, list[str]]) -> None:
    rules = Matching(ignore=("item.content*.text",))
    async with replaying(load_cassette(typed[0]), rules) as replay:
        await typed_talk(replay.url, "goodbye")
        assert replay.problems() == []


async def test_ids_that_the_client_makes_up_may_differ_and_come_back_as_its_own(
    service: Service, tmp_path: Path
) -> None:
    async def talk(url: str) -> None:
        await typed_talk(url, id="item_recorded")

    await record(service, tmp_path / "ids.jsonl", talk)
    async with replaying(load_cassette(tmp_path / "ids.jsonl")) as replay:
        frames = await typed_talk(replay.url, id="item_of_today")
        assert replay.problems() == []
    assert "item_recorded" not in "".join(frames)
    added = [json.loads(frame) for frame in frames if '"conversation.item.added"' in frame]
    assert added[0]["item"]["id"] == "item_of_today"


async def test_an_id_that_the_service_gave_may_not_differ(service: Service, tmp_path: Path) -> None:
    async def talk(url: str, wrong: str | None = None) -> None:
        async with connect(url.replace("http", "ws", 1) + PATH) as socket:
            peer = Dialled(socket)
            await peer.until("session.created")
            await peer.begin_in_text()
            events = await peer.answer_to("hi")
            item_id = wrong or events[-1]["response"]["output"][0]["id"]
            await peer.send("conversation.item.delete", item_id=item_id)
            await peer.until("conversation.item.deleted")

    await record(service, tmp_path / "ids.jsonl", talk)
    async with replaying(load_cassette(tmp_path / "ids.jsonl")) as replay:
        with pytest.raises(ConnectionClosed):
            await talk(replay.url, "item_of_nobody")
        assert "item_id: recorded 'item_" in replay.problems()[0]


async def test_other_sound_of_the_same_length_is_told_unless_only_its_length_counts(
    service: Service, tmp_path: Path
) -> None:
    async def talk(url: str, sample: bytes = b"\1\0") -> None:
        async with connect(url.replace("http", "ws", 1) + PATH) as socket:
            peer = Dialled(socket)
            await peer.until("session.created")
            await peer.play(sample * 12_000, chunk_bytes=4800 if sample == b"\1\0" else 960)
            await peer.send("input_audio_buffer.clear")
            await peer.until("input_audio_buffer.cleared")

    await record(service, tmp_path / "sound.jsonl", talk)
    cassette = load_cassette(tmp_path / "sound.jsonl")
    async with replaying(cassette) as replay:
        with pytest.raises(ConnectionClosed):
            await talk(replay.url, b"\2\0")
        assert "other sound than was recorded" in replay.problems()[0]
    async with replaying(cassette, Matching(audio="amount")) as replay:
        await talk(replay.url, b"\2\0")
        assert replay.problems() == []


async def test_a_client_that_is_silent_where_it_spoke_is_told_after_the_rules_patience(
    typed: tuple[Path, list[str]],
) -> None:
    async with replaying(load_cassette(typed[0]), IMPATIENT) as replay:
        async with connect(replay.url.replace("http", "ws", 1) + PATH) as socket:
            async with asyncio.timeout(20):
                with pytest.raises(ConnectionClosed):
                    while True:
                        await socket.recv()
        assert "nothing came for 0.3 s where the client sent session.update" in replay.problems()[0]


async def test_real_time_is_never_quicker_than_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "slow.jsonl"

    async def talk(url: str) -> None:
        await typed_talk(url)

    async with running_service(faults=Faults(late_ms=30)) as service:
        await record(service, path, talk)
    async with replaying(load_cassette(path), pace=1.0) as replay:
        began_s = asyncio.get_running_loop().time()
        await typed_talk(replay.url)
        spent_s = asyncio.get_running_loop().time() - began_s
        assert replay.problems() == []
    answered = [line["at"] / 1000 for line in lines_of(path) if line.get("by") == "server"]
    client = [line["at"] / 1000 for line in lines_of(path) if line.get("by") == "client"]
    assert spent_s > answered[-1] - max(at for at in client if at < answered[-1]) > 0.1


async def test_a_recorded_caller_talks_to_a_live_service_with_ids_of_its_own(
    typed: tuple[Path, list[str]], tmp_path: Path
) -> None:
    async with running_service(seed=7) as other:
        report = await replay_as_caller(load_cassette(typed[0]), other.url, key=other.key, rules=LIVE)
        assert report.problems == []
        (session,) = other.sessions
    assert [json.loads(frame)["type"] for frame in session.received][-1] == "response.create"


async def test_a_live_service_that_does_not_answer_is_a_problem(typed: tuple[Path, list[str]]) -> None:
    async with running_service(faults=Faults(freeze_after="session.updated")) as frozen:
        rules = replace(LIVE, patience_s=0.3)
        report = await replay_as_caller(load_cassette(typed[0]), frozen.url, key=frozen.key, rules=rules)
    assert "where the server sent response.done" in report.problems[0]


# --- streams over HTTP -----------------------------------------------------------------------------


async def test_a_stream_of_tokens_is_replayed_as_its_bytes_came(tmp_path: Path) -> None:
    async def talk(url: str) -> None:
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
            stream = await client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "one two three"}], stream=True
            )
            words.append("".join([chunk.choices[0].delta.content or "" async for chunk in stream]))

    words: list[str] = []
    path = tmp_path / "chat.jsonl"
    async with running_service(habits=Habits(chunks_per_s=20)) as service:
        await record(service, path, talk)
    async with replaying(load_cassette(path)) as replay:
        await talk(replay.url)
        assert replay.problems() == []
        report = await replay_as_caller(load_cassette(path), replay.url, rules=STRICT)
        assert "404" in report.problems[0]  # every recorded request is there once
    assert words == ["one two three"] * 2
    pieces = [
        line["text"] for line in lines_of(path) if line.get("by") == "server" and line["what"] == "frame"
    ]
    assert len(pieces) > 1
    assert "".join(pieces).endswith("data: [DONE]\n\n")


async def test_another_request_body_is_answered_409_with_the_difference(tmp_path: Path) -> None:
    async def ask(url: str, words: str) -> tuple[int, str]:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": words}]}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{url}/v1/chat/completions", json=body) as answer,
        ):
            return answer.status, await answer.text()

    async def talk(url: str) -> None:
        assert (await ask(url, "hi"))[0] == 200

    async with running_service() as service:
        await record(service, tmp_path / "chat.jsonl", talk)
    async with replaying(load_cassette(tmp_path / "chat.jsonl")) as replay:
        status, text = await ask(replay.url, "hello")
    assert status == 409
    assert "messages[0].content: recorded 'hi', came 'hello'" in text


async def test_a_stream_that_broke_off_breaks_off_again(tmp_path: Path) -> None:
    async def talk(url: str) -> None:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "a b c"}], "stream": True}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{url}/v1/chat/completions", json=body) as answer,
        ):
            with pytest.raises(aiohttp.ClientError):
                await answer.read()

    async with running_service(faults=Faults(close_after="delta.2")) as service:
        await record(service, tmp_path / "cut.jsonl", talk)
    async with replaying(load_cassette(tmp_path / "cut.jsonl")) as replay:
        await talk(replay.url)
        assert replay.problems() == []


# --- what gets in ----------------------------------------------------------------------------------


async def test_no_key_lands_in_a_cassette_whoever_sends_it(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "keys.jsonl"
    tools = [{"type": "mcp", "server_label": "x", "server_url": "https://x", "authorization": "mcp-secret-1"}]

    async def talk(url: str) -> None:
        address = url.replace("http", "ws", 1) + PATH + "&api-key=query-secret-2"
        protocols = ["realtime", "openai-insecure-api-key.page-secret-3"]
        headers = {"Authorization": "Bearer header-secret-4"}
        async with connect(address, additional_headers=headers, subprotocols=protocols) as socket:  # type: ignore[arg-type]
            await socket.recv()
            words = f"my key is sk-proj-abcdefghijklmnop and {service.key}"
            await socket.send(
                json.dumps({"type": "session.update", "session": {"type": "realtime", "tools": tools}})
            )
            await socket.send(json.dumps({"type": "nonsense", "words": words}))
            while '"error"' not in str(await socket.recv()):
                pass
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{url}/v1/realtime/client_secrets", json={}) as minted,
        ):
            ephemeral.append((await minted.json())["value"])

    ephemeral: list[str] = []
    await record(service, path, talk)
    written = path.read_text(encoding="utf-8")
    kept = [
        "mcp-secret-1",
        "query-secret-2",
        "page-secret-3",
        "header-secret-4",
        "sk-proj",
        service.key,
        *ephemeral,
    ]
    assert [secret for secret in kept if secret in written] == []
    assert ephemeral[0].startswith("ek_")
    # The service itself got its own key and none of the client's.
    assert service.records.places_of("header-secret-4") == []
    assert service.records.places_of("page-secret-3") == []


async def test_redacted_words_and_sound_are_not_in_the_file_and_it_can_still_be_replayed(
    service: Service, tmp_path: Path
) -> None:
    path = tmp_path / "redacted.jsonl"

    async def talk(url: str) -> None:
        async with connect(url.replace("http", "ws", 1) + PATH, max_size=None) as socket:
            peer = Dialled(socket)
            await peer.until("session.created")
            await peer.play(house_audio_of(SPEECH.read_bytes()) + bytes(48_000))
            await peer.until("response.done")
            await peer.answer_to("Yamada 太郎 wants a car")

    await record(service, path, talk, ("words", "audio", "ids"))
    lines = lines_of(path)
    assert lines[0]["redacted"] == ["audio", "ids", "words"]
    written = path.read_text(encoding="utf-8")
    assert "Yamada" not in written and "太郎" not in written
    sounds = [json.loads(line["text"]) for line in lines if "output_audio.delta" in line.get("text", "")]
    assert sounds and all(set(sound["delta"]) <= {"A", "="} for sound in sounds)
    async with replaying(load_cassette(path)) as replay:
        await talk(replay.url)
        assert replay.problems() == []


async def test_a_recording_that_is_killed_can_be_read_to_its_last_whole_line(
    typed: tuple[Path, list[str]],
) -> None:
    path, frames = typed
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"response.done") + 4])
    cassette = load_cassette(path)
    assert cassette.cut == "its recorder was killed"
    async with replaying(cassette) as replay, connect(replay.url.replace("http", "ws", 1) + PATH) as socket:
        peer = Dialled(socket)
        await peer.until("session.created")
        await peer.begin_in_text()
        await peer.ask("hello there")
        await peer.until("response.output_item.done")
        assert peer.frames == frames[: len(peer.frames)]


async def test_a_full_file_says_so_and_the_talk_goes_on(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "full.jsonl"
    with Recorder(path, max_bytes=4000) as recorder:
        async with recording_proxy(Upstream(service.url, service.key), recorder) as proxy:
            await typed_talk(proxy.url)
    assert path.stat().st_size <= 4000
    assert lines_of(path)[-1]["why"] == "the file was full"
    assert load_cassette(path).cut == "the file was full"


async def test_a_recording_is_not_written_over_another(tmp_path: Path) -> None:
    Recorder(tmp_path / "one.jsonl").close()
    with pytest.raises(ConfigError, match="there already"):
        Recorder(tmp_path / "one.jsonl")
    Recorder(tmp_path / "one.jsonl", overwrite=True).close()


def test_a_version_that_nobody_knows_is_an_error_by_name(tmp_path: Path) -> None:
    path = tmp_path / "new.jsonl"
    path.write_text('{"kaiwa_cassette":2}\n')
    with pytest.raises(
        UnknownCassetteVersion, match=r"new.jsonl is of version 2; this kaiwa reads version 1"
    ):
        load_cassette(path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("hello\n", "is no cassette"),
        ("{}\n", "is no cassette"),
        (
            '{"kaiwa_cassette":1}\n{"what":"frame","at":1,"on":1,"by":"server","text":""}\n',
            "line 2: exchange 1 was never",
        ),
        ('{"kaiwa_cassette":1}\n{"what":"dance"}\n', "line 2"),
    ],
)
def test_what_is_no_cassette_is_told_with_its_line(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "wrong.jsonl"
    path.write_text(text)
    with pytest.raises(CassetteError, match=why):
        load_cassette(path)


async def test_a_page_of_another_site_cannot_use_the_recorders_key(service: Service, tmp_path: Path) -> None:
    with Recorder(tmp_path / "page.jsonl") as recorder:
        async with (
            recording_proxy(Upstream(service.url, service.key), recorder) as proxy,
            aiohttp.ClientSession(headers={"Origin": "https://evil.example"}) as http,
        ):
            async with http.get(f"{proxy.url}/v1/models") as answer:
                assert answer.status == 403
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await http.ws_connect(proxy.url + PATH)
    assert service.requests == []


async def test_a_refused_upgrade_is_recorded_and_refused_again(tmp_path: Path) -> None:
    async def talk(url: str) -> None:
        async with aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect(f"{url}/openai/v1/realtime?model=nobody")
            statuses.append(refused.value.status)

    statuses: list[int] = []
    async with running_service() as service:
        await record(service, tmp_path / "refused.jsonl", talk)
    async with replaying(load_cassette(tmp_path / "refused.jsonl")) as replay:
        await talk(replay.url)
        assert replay.problems() == []
    assert statuses == [404, 404]


async def test_a_kaiwa_before_a_recorded_service_does_what_it_did_before_the_real_one(
    service: Service, tmp_path: Path
) -> None:
    async def talk(url: str) -> None:
        words: Any = {"output_modalities": ["text"]}
        settings = settings_for(service, azure_openai_endpoint=url, agent="weather", relay_session=words)
        async with relaying(settings) as address, peer_of(address, "/v1/realtime?model=weather") as peer:
            await peer.until("session.created")
            await peer.say('call get_weather {"city": "東京"}')
            told.append((await peer.until("response.output_text.done"))["text"])
            await peer.until("response.done")

    told: list[str] = []
    await record(service, tmp_path / "relay.jsonl", talk)
    async with replaying(load_cassette(tmp_path / "relay.jsonl")) as replay:
        await talk(replay.url)
        assert replay.problems() == []
    assert told[0] == told[1]
    assert "東京" in told[0]


async def test_the_words_of_a_stream_are_blackened_in_whole_events(tmp_path: Path) -> None:
    async def talk(url: str) -> None:
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
            stream = await client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "one two three"}], stream=True
            )
            words.append("".join([chunk.choices[0].delta.content or "" async for chunk in stream]))

    words: list[str] = []
    path = tmp_path / "chat.jsonl"
    async with running_service(habits=Habits(chunks_per_s=50)) as service:
        await record(service, path, talk, ("words",))
    assert "two" not in path.read_text(encoding="utf-8")
    async with replaying(load_cassette(path)) as replay:
        await talk(replay.url)
        assert replay.problems() == []
    assert words == ["one two three", "xxx xxx xxxxx"]


async def test_the_older_dialect_is_recorded_by_name_and_replayed(service: Service, tmp_path: Path) -> None:
    path = "/openai/realtime?api-version=2025-04-01-preview&deployment=voice"

    async def talk(url: str) -> None:
        async with connect(url.replace("http", "ws", 1) + path, max_size=None) as socket:
            heard.append(str(await socket.recv()))
            session = {"modalities": ["text"], "turn_detection": None}
            await socket.send(json.dumps({"type": "session.update", "session": session}))
            heard.append(str(await socket.recv()))

    heard: list[str] = []
    await record(service, tmp_path / "older.jsonl", talk)
    assert lines_of(tmp_path / "older.jsonl")[1]["dialect"] == "preview"
    async with replaying(load_cassette(tmp_path / "older.jsonl")) as replay:
        await talk(replay.url)
        assert replay.problems() == []
    assert heard[:2] == heard[2:]
