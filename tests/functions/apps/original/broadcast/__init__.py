import json

import azure.functions as func


def main(req: func.HttpRequest, signalRMessages: func.Out[str]) -> func.HttpResponse:
    text = req.get_json().get("message", "")
    signalRMessages.set(json.dumps([{"target": "token", "arguments": [text]}]))
    return func.HttpResponse("ok")
