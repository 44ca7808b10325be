"""POST /api/broadcast {"message": text}: everybody gets it as `token`. / 全員に `token` として送ります。

Asynchronous on purpose: a synchronous function needs a thread, and while as many chat_stream as there are
threads wait for their broadcasts, none would be left.
同期関数にするとスレッドが尽きて止まることがあります。
"""

import json

import azure.functions as func


async def main(req: func.HttpRequest, signalRMessages: func.Out[str]) -> func.HttpResponse:
    try:
        body = req.get_json()
    except ValueError:
        return _refused("The body is no JSON. / 本文が JSON ではありません。")
    message = body.get("message") if isinstance(body, dict) else None
    if not isinstance(message, str) or not message:
        return _refused("`message` must be a text that is not empty. / `message` に文字列が必要です。")
    # JSON by hand: azure.functions has no SignalRMessage. / SignalRMessage という型はありません。
    signalRMessages.set(json.dumps([{"target": "token", "arguments": [message]}]))
    return func.HttpResponse(json.dumps({"ok": True}), mimetype="application/json")


def _refused(why: str) -> func.HttpResponse:
    error = json.dumps({"ok": False, "error": why}, ensure_ascii=False)
    return func.HttpResponse(error, status_code=400, mimetype="application/json")
