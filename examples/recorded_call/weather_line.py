"""A client as yours may be: asks a Realtime service in text and runs the function that it calls.

Run it at any service: python weather_line.py https://api.openai.com/v1 sk-…
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from openai import AsyncOpenAI

TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "都市の天気を調べます。",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def get_weather(city: str) -> str:
    return f"{city}は晴れ、22度です。"


async def ask(base_url: str, api_key: str, words: str) -> str:
    """Return what the service says in the end, all responses together."""
    said: list[str] = []
    async with (
        AsyncOpenAI(base_url=base_url, api_key=api_key) as client,
        client.realtime.connect(model="gpt-realtime") as service,
    ):
        await service.session.update(
            session={"type": "realtime", "output_modalities": ["text"], "tools": [TOOL]}
        )
        part: Any = {"type": "input_text", "text": words}
        await service.conversation.item.create(item={"type": "message", "role": "user", "content": [part]})
        await service.response.create()
        async for event in service:
            if event.type == "response.output_text.done":
                said.append(event.text)
            elif event.type == "response.done":
                calls = [item for item in event.response.output or [] if item.type == "function_call"]
                if not calls:
                    return "".join(said)
                for call in calls:
                    output = get_weather(**json.loads(call.arguments or "{}"))
                    await service.conversation.item.create(
                        item={"type": "function_call_output", "call_id": str(call.call_id), "output": output}
                    )
                await service.response.create()
    return "".join(said)


if __name__ == "__main__":
    sys.stdout.write(asyncio.run(ask(sys.argv[1], sys.argv[2], "東京の天気は？")) + "\n")
