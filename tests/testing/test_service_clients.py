"""The stock `openai` package takes the stand-in for the service."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI
from tests.testing.test_service import SECOND_OF_SILENCE, SPEECH

from kaiwa.audio.wav import house_audio_of
from kaiwa.testing.conformance import check_transcript
from kaiwa.testing.service import Script, Service, running_service

TOOL: Any = {"type": "function", "name": "weather", "parameters": {"type": "object"}}


async def until(connection: Any, name: str, frames: list[bytes]) -> list[Any]:
    seen: list[Any] = []
    while not seen or seen[-1].type != name:
        frames.append(await connection.recv_bytes())
        seen.append(connection.parse_event(frames[-1]))
        assert seen[-1].type != "error", seen[-1]
    return seen


def user_says(text: str) -> Any:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


@pytest.mark.parametrize("path", ["/v1", "/openai/v1"])
async def test_the_asynchronous_client_speaks_listens_and_answers_a_call(path: str) -> None:
    script, frames = Script(hears=('call weather {"town": "Nara"}',)), list[bytes]()
    async with (
        running_service(script) as service,
        AsyncOpenAI(api_key=service.key, base_url=f"{service.url}{path}") as client,
        client.realtime.connect(model="gpt-realtime") as connection,
    ):
        await connection.session.update(session={"type": "realtime", "tools": [TOOL]})
        await until(connection, "session.updated", frames)
        sound = house_audio_of(SPEECH.read_bytes()) + SECOND_OF_SILENCE
        await connection.input_audio_buffer.append(audio=base64.b64encode(sound).decode())
        call = (await until(connection, "response.done", frames))[-1].response.output[0]
        assert (call.name, call.arguments) == ("weather", '{"town": "Nara"}')
        result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
        await connection.conversation.item.create(item=result)
        await connection.response.create()
        done = (await until(connection, "response.done", frames))[-1]
        assert done.response.output[0].content[0].transcript == "The tool said: rain"
        await until(connection, "rate_limits.updated", frames)
    check_transcript(frames)


async def test_the_azure_client_speaks_the_older_shape() -> None:
    async with running_service(flavour="azure") as service:
        client = AsyncAzureOpenAI(
            api_key=service.key,
            api_version="2025-04-01-preview",
            azure_endpoint=service.url,
            websocket_base_url=f"{service.url}/openai".replace("http", "ws", 1),
        )
        async with client, client.beta.realtime.connect(model="voice") as connection:
            await connection.session.update(session={"modalities": ["text"]})
            await connection.conversation.item.create(item=user_says("hello"))
            await connection.response.create()
            async for event in connection:
                assert event.type != "error", event
                if event.type == "response.done":
                    break
        assert event.response.output[0].content[0].text == "hello"


async def test_an_ephemeral_key_is_made_by_the_client_library(service: Service) -> None:
    async with AsyncOpenAI(api_key=service.key, base_url=f"{service.url}/v1") as client:
        minted = await client.realtime.client_secrets.create(
            session={"type": "realtime", "model": "gpt-realtime", "instructions": "Be brief."}
        )
        models = [model.id async for model in client.models.list()]
    assert minted.session.instructions == "Be brief."
    assert "gpt-realtime" in models
    async with (
        AsyncOpenAI(api_key=minted.value, base_url=f"{service.url}/v1") as client,
        client.realtime.connect(model="gpt-realtime") as connection,
    ):
        assert (await connection.recv()).session.instructions == "Be brief."
