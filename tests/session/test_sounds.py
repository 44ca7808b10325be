"""A peer that asks for an item has its sound back, as long as that is kept."""

from __future__ import annotations

from tests.session.harness import Talk, configured, sound

from kaiwa.events import client, engine, server
from kaiwa.events.client import ItemRetrieveRequested, ItemTruncateRequested
from kaiwa.events.config import AudioInput, AudioOutput, PcmuFormat
from kaiwa.events.items import InputAudio, Message
from kaiwa.session.policy import HostPolicy


def noise(ms: int, per_ms: int = 48) -> bytes:
    return bytes(at % 251 for at in range(ms * per_ms))


def retrieved(talk: Talk, item_id: str) -> bytes | object:
    talk.do(ItemRetrieveRequested(item_id=item_id))
    return talk.of(server.ItemRetrieved)[-1].item.content[0].audio


def committed(talk: Talk, audio: bytes) -> str:
    talk.do(client.AudioAppended(audio=audio), client.AudioCommitted())
    return talk.of(server.InputAudioCommitted)[-1].item_id


def spoken(talk: Talk, *pieces: bytes) -> str:
    talk.do(client.ResponseRequested())
    rid = talk.of(engine.Generate)[-1].response_id
    talk.do(engine.TextDelta(response_id=rid, text="はい。"))
    talk.do(*(engine.AudioDelta(response_id=rid, pcm=piece) for piece in pieces))
    return talk.of(server.OutputItemAdded)[-1].item.id


def test_what_the_user_said_comes_back_and_is_shown_nowhere_else():
    talk = Talk()
    first, second = noise(300), bytes(reversed(noise(200)))
    items = [committed(talk, first), committed(talk, second)]
    assert [retrieved(talk, item_id) for item_id in items] == [first, second]
    shown = [event.item.content[0] for event in talk.of(server.ItemAdded)]
    assert shown == [InputAudio(transcript=None)] * 2
    talk.do(client.ResponseRequested())
    assert talk.of(engine.Generate)[-1].history[0].content == (InputAudio(transcript=None),)
    talk.check(complete=False)


def test_an_item_that_came_whole_comes_back_as_it_was():
    talk = Talk()
    audio = noise(250)
    talk.do(client.ItemCreated(item=Message(id="mine", role="user", content=(InputAudio(audio=audio),))))
    assert retrieved(talk, "mine") == audio


def test_what_the_agent_said_comes_back_up_to_where_it_was_cut():
    talk = Talk()
    item_id = spoken(talk, noise(400), noise(400))
    rid = talk.of(engine.Generate)[-1].response_id
    talk.do(engine.GenerationEnded(response_id=rid))
    sent = b"".join(event.delta for event in talk.of(server.AudioDelta))
    assert retrieved(talk, item_id) == sent
    talk.do(ItemTruncateRequested(item_id=item_id, content_index=0, audio_end_ms=250))
    assert retrieved(talk, item_id) == sent[: 250 * 48]


def test_audio_of_the_telephone_comes_back_as_telephone_audio():
    telephone = PcmuFormat()
    config = configured(
        input=AudioInput(format=telephone, turn_detection=None), output=AudioOutput(format=telephone)
    )
    talk = Talk(config)
    audio = noise(300, per_ms=8)
    assert retrieved(talk, committed(talk, audio)) == audio
    item_id = spoken(talk, sound(400))
    talk.do(engine.GenerationEnded(response_id=talk.of(engine.Generate)[-1].response_id))
    assert retrieved(talk, item_id) == b"".join(event.delta for event in talk.of(server.AudioDelta))


def test_the_oldest_sounds_go_first_and_none_is_kept_in_part():
    talk = Talk(policy=HostPolicy(kept_sound_bytes=48 * 500, item_sound_bytes=48 * 450))
    old, new, too_long = committed(talk, noise(300)), committed(talk, noise(300)), committed(talk, noise(600))
    assert all(not isinstance(retrieved(talk, item_id), bytes) for item_id in (old, too_long))
    assert retrieved(talk, new) == noise(300)
    speech = spoken(talk, noise(400), noise(400), noise(400))
    talk.do(engine.GenerationEnded(response_id=talk.of(engine.Generate)[-1].response_id))
    assert not isinstance(retrieved(talk, speech), bytes)
    newest = committed(talk, noise(400))
    assert retrieved(talk, newest) == noise(400)
    assert not isinstance(retrieved(talk, new), bytes)
