"""GET or POST /api/negotiate: where a page connects, and its token. / 接続先とトークンを返します。"""

import azure.functions as func


async def main(req: func.HttpRequest, connectionInfo: str) -> func.HttpResponse:
    # The token lets its bearer listen: it must not be cached, nor be logged. / ログに残さないこと。
    headers = {"Cache-Control": "no-store"}
    return func.HttpResponse(connectionInfo, mimetype="application/json", headers=headers)
