"""Chat completions of Azure OpenAI, piece by piece. / Azure OpenAI の応答を少しずつ受け取ります。"""

import os
from collections.abc import AsyncIterator
from typing import Any

from openai import AsyncAzureOpenAI

DEFAULT_PROMPT = "日本語で自己紹介して"
DEFAULT_API_VERSION = "2024-10-21"
ROLES = ("system", "user", "assistant")
MOST_MESSAGES = 200
SETTINGS = ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_KEY", "AZURE_OPENAI_DEPLOYMENT", "FUNCTIONS_BASE_URL")


def missing_settings() -> list[str]:
    """Return the names of settings that are not there. / 足りない設定の名前を返します。"""
    return [name for name in SETTINGS if not os.environ.get(name)]


def messages_of(body: dict[str, Any] | None) -> list[dict[str, str]] | None:
    """Return the messages of a request, None when they are none. / 形が違えば None です。"""
    written = None if body is None else body.get("messages")
    if not isinstance(written, list) or not written or len(written) > MOST_MESSAGES:
        return None
    for each in written:
        if not isinstance(each, dict) or each.keys() != {"role", "content"}:
            return None
        if each["role"] not in ROLES or not isinstance(each["content"], str):
            return None
    return written


async def pieces_of(messages: list[dict[str, str]]) -> AsyncIterator[str]:
    """Yield the answer as it comes. Raises openai.OpenAIError. / 応答を届いた順に返します。"""
    client = AsyncAzureOpenAI(
        azure_endpoint=os.environ["AZURE_OPENAI_ENDPOINT"],
        api_key=os.environ["AZURE_OPENAI_KEY"],
        api_version=os.environ.get("AZURE_OPENAI_API_VERSION") or DEFAULT_API_VERSION,
    )
    async with client:
        stream = await client.chat.completions.create(
            model=os.environ["AZURE_OPENAI_DEPLOYMENT"],
            messages=messages,
            stream=True,
        )
        async with stream:
            async for chunk in stream:
                # The first chunk of Azure has no choices (it judges the prompt). / 最初のチャンクは空です。
                text = chunk.choices[0].delta.content if chunk.choices else None
                if text:
                    yield text
