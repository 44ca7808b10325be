"""LLM tokens to the browser by SignalR and by server-sent events, in the decorator model of Azure Functions.
LLM の応答を SignalR と SSE でブラウザーへ流します (Azure Functions Python v2)。

The fastapi extension makes true streaming possible; with it every function of the app uses FastAPI's types.
fastapi 拡張で本物のストリーミングができます。そのとき全関数が FastAPI の型を使います。
"""

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import azure.functions as func
import httpx2
import openai
from azurefunctions.extensions.http.fastapi import JSONResponse, Request, Response, StreamingResponse
from broadcasting import broadcast
from completions import DEFAULT_PROMPT, messages_of, missing_settings, pieces_of

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

HUB: dict[str, Any] = {
    "hubName": "chat",
    "connectionStringSetting": "AzureSignalRConnectionString",
}
DONE = "\n\n✅ 完了"
UNCACHED = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


@app.route(route="negotiate", methods=[func.HttpMethod.GET, func.HttpMethod.POST])
@app.generic_input_binding(arg_name="connectionInfo", type="signalRConnectionInfo", **HUB)
async def negotiate(req: Request, connectionInfo: str) -> Response:
    """Where a page connects, and its token. / 接続先とトークンを返します。"""
    return Response(connectionInfo, media_type="application/json", headers={"Cache-Control": "no-store"})


@app.route(route="broadcast", methods=[func.HttpMethod.POST])
@app.generic_output_binding(arg_name="signalRMessages", type="signalR", **HUB)
async def broadcast_message(req: Request, signalRMessages: func.Out[str]) -> JSONResponse:
    """{"message": text} goes to everybody as `token`. / 全員に `token` として送ります。"""
    body = await _object_in(req)
    message = None if body is None else body.get("message")
    if not isinstance(message, str) or not message:
        return _refused(400, "`message` must be a text that is not empty. / `message` に文字列が必要です。")
    signalRMessages.set(json.dumps([{"target": "token", "arguments": [message]}]))
    return JSONResponse({"ok": True})


@app.route(route="chat_stream", methods=[func.HttpMethod.POST])
async def chat_stream(req: Request) -> JSONResponse:
    """{"prompt": text}: the answer goes to everybody through /api/broadcast. / 応答を全員に流します。"""
    body = await _object_in(req)
    prompt = None if body is None else body.get("prompt") or DEFAULT_PROMPT
    if not isinstance(prompt, str):
        return _refused(400, "The body must be {prompt: text}. / 本文は {prompt: 文字列} です。")
    if missing := missing_settings():
        return _refused(500, f"Missing settings / 設定がありません: {', '.join(missing)}")
    failures: list[str] = []
    try:
        await broadcast(_marked(pieces_of([{"role": "user", "content": prompt}]), failures))
    except httpx2.HTTPError as error:
        logging.error("a broadcast failed: %s", type(error).__name__)
        return _refused(502, "FUNCTIONS_BASE_URL/api/broadcast failed. / ブロードキャストに失敗しました。")
    return _refused(502, f"Azure OpenAI: {failures[0]}") if failures else JSONResponse({"ok": True})


@app.route(route="chat-stream", methods=[func.HttpMethod.POST])
async def chat_events(req: Request) -> Response:
    """{"messages": […]}: the answer as server-sent events, then [DONE]. / SSE で応答します。

    Only messages are taken from a client: model, key and limits stay here. / メッセージ以外は受け付けません。
    """
    messages = messages_of(await _object_in(req))
    if messages is None:
        return _refused(400, "The body must be {messages: [{role, content}]}. / messages の形が違います。")
    if missing := missing_settings():
        return _refused(500, f"Missing settings / 設定がありません: {', '.join(missing)}")
    pieces = pieces_of(messages)
    try:
        first = await anext(pieces, "")  # what fails before the first piece gets a status of its own
    except openai.OpenAIError as error:
        logging.error("Azure OpenAI failed: %s", type(error).__name__)
        return _refused(502, f"Azure OpenAI: {type(error).__name__}")
    return StreamingResponse(_events(first, pieces), media_type="text/event-stream", headers=UNCACHED)


async def _events(first: str, pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    """An event for each piece, [DONE] at the end of a whole answer only. / 途中で切れたら [DONE] なし。"""
    yield _event(first)
    try:
        async for piece in pieces:
            yield _event(piece)
    except openai.OpenAIError as error:
        logging.error("Azure OpenAI failed: %s", type(error).__name__)
        yield f"event: error\ndata: {type(error).__name__}\n\n"
        return
    yield "data: [DONE]\n\n"


def _event(piece: str) -> str:
    """Every event is one line; a line end is an event of two empty ones. / 改行は空の 2 行で表します。"""
    parts: list[str] = []
    for number, line in enumerate(piece.replace("\r\n", "\n").split("\n")):
        parts += ["data: \ndata: \n\n"] if number else []
        parts += [f"data: {line}\n\n"] if line else []
    return "".join(parts)


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


async def _object_in(req: Request) -> dict[str, Any] | None:
    """Return the body's object; {} for an empty body, None for anything else."""
    data = await req.body()
    try:
        read = json.loads(data or b"{}")
    except ValueError:
        return None
    return read if isinstance(read, dict) else None


def _refused(status: int, error: str) -> JSONResponse:
    return JSONResponse({"ok": False, "error": error}, status)
