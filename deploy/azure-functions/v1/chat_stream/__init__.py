"""POST /api/chat_stream {"prompt": text}: the answer goes to everybody through /api/broadcast.
応答を /api/broadcast 経由で全員に流します。"""

import json
import logging
from collections.abc import AsyncIterator

import azure.functions as func
import httpx2
import openai
from shared.broadcasting import broadcast
from shared.completions import DEFAULT_PROMPT, missing_settings, pieces_of

DONE = "\n\n✅ 完了"


async def main(req: func.HttpRequest) -> func.HttpResponse:
    try:
        body = req.get_json() if req.get_body() else {}
    except ValueError:
        return _answer(400, "The body is no JSON. / 本文が JSON ではありません。")
    prompt = body.get("prompt") or DEFAULT_PROMPT if isinstance(body, dict) else None
    if not isinstance(prompt, str):
        return _answer(400, "`prompt` must be a text. / `prompt` は文字列にしてください。")
    if missing := missing_settings():
        return _answer(500, f"Missing settings / 設定がありません: {', '.join(missing)}")
    failures: list[str] = []
    try:
        await broadcast(_marked(pieces_of(prompt), failures))
    except httpx2.HTTPError as error:
        logging.error("a broadcast failed: %s", type(error).__name__)
        return _answer(502, "FUNCTIONS_BASE_URL/api/broadcast failed. / ブロードキャストに失敗しました。")
    return _answer(502, f"Azure OpenAI: {failures[0]}") if failures else _answer(200)


async def _marked(pieces: AsyncIterator[str], failures: list[str]) -> AsyncIterator[str]:
    """Add the mark of the end; an answer that breaks off gets another. / 最後に完了の印を付けます。"""
    try:
        async for piece in pieces:
            yield piece
    except openai.OpenAIError as error:
        # The name alone: its text may hold the prompt. / 本文はプロンプトを含みうるので記録しません。
        logging.error("Azure OpenAI failed: %s", type(error).__name__)
        failures.append(type(error).__name__)
        yield "\n\n⚠️ エラー / error"
        return
    yield DONE


def _answer(status: int, error: str = "") -> func.HttpResponse:
    told = {"ok": True} if status == 200 else {"ok": False, "error": error}
    return func.HttpResponse(
        json.dumps(told, ensure_ascii=False), status_code=status, mimetype="application/json"
    )
