"""The library as an agent: one slow search that reports how far it is. Knows pace; not how to rank."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from pydantic import Field

from kaiwa.apps.library.documents import Document, Language
from kaiwa.apps.library.index import library
from kaiwa.tools.agent import Agent
from kaiwa.tools.context import ToolContext
from kaiwa.tools.function import Tool, tool

DURATION_S: Final = 20.0
_STEPS: Final = 10
_TIMEOUT_FACTOR: Final = 3
_SHORTEST_TIMEOUT_S: Final = 30.0  # the first search makes the index

Sleep = Callable[[float], Awaitable[object]]

INSTRUCTIONS: Final = {
    "ja": "あなたは資料の検索を手伝います。いつも日本語で短く話してください。"
    "検索は search_database で行います。時間がかかるので、始めたことを伝えて、そのまま会話を続けてください。",
    "en": "You help to search documents. Speak English, in short sentences. Search with search_database. "
    "It takes a while: say that it has begun and carry on with the conversation.",
}


def library_tools(
    language: Language = "ja", duration_s: float = DURATION_S, sleep: Sleep = asyncio.sleep
) -> list[Tool[..., Any]]:
    """Return search_database in the given language.

    It takes `duration_s`, in ten steps that are reported; `sleep` paces them.
    """
    timeout_s = max(_SHORTEST_TIMEOUT_S, duration_s * _TIMEOUT_FACTOR)

    async def look_up(context: ToolContext, query: str) -> dict[str, Any]:
        for step in range(1, _STEPS + 1):
            await sleep(duration_s / _STEPS)
            context.progress(step / _STEPS, _progress_text(step, language))
        found = await asyncio.to_thread(_search, query, language)
        results = [{"title": one.title, "summary": one.summary, "source": one.source} for one in found]
        return {"success": True, "query": query, "count": len(results), "results": results}

    @tool(name="search_database", changes=False, background=True, timeout_s=timeout_s)
    async def search_ja(
        context: ToolContext,
        query: Annotated[str, Field(description="調べたい言葉", min_length=1, max_length=200)],
    ) -> Any:
        """資料のデータベースを検索して調べます（20秒ほど時間がかかります）。"""
        return await look_up(context, query)

    @tool(name="search_database", changes=False, background=True, timeout_s=timeout_s)
    async def search_en(
        context: ToolContext,
        query: Annotated[str, Field(description="What to search for", min_length=1, max_length=200)],
    ) -> Any:
        """Search the document database for information (this takes about 20 seconds)."""
        return await look_up(context, query)

    return [search_en if language == "en" else search_ja]


def library_agent(
    language: Language = "ja", duration_s: float = DURATION_S, sleep: Sleep = asyncio.sleep
) -> Agent:
    return Agent(
        name="library",
        instructions=INSTRUCTIONS[language],
        tools=library_tools(language, duration_s, sleep),
        language=language,
        time_zone="Asia/Tokyo",
    )


def _search(query: str, language: Language) -> list[Document]:
    return library().search(query, language)


def _progress_text(step: int, language: Language) -> str:
    part = f"{step}/{_STEPS}"
    return f"Searching, part {part}" if language == "en" else f"検索中です（{part}）"
