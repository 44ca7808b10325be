"""A function for each thing that the host can do."""

import asyncio
import json
import os
import time

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
HUB = {"hubName": "%HUB%", "connectionStringSetting": "AzureSignalRConnectionString"}


@app.route(route="negotiate")
@app.generic_input_binding(arg_name="info", type="signalRConnectionInfo", userId="{headers.x-user}", **HUB)
def negotiate(req: func.HttpRequest, info: str) -> func.HttpResponse:
    return func.HttpResponse(info, mimetype="application/json")


@app.route(route="send", methods=["POST"])
@app.generic_output_binding(arg_name="out", type="signalR", **HUB)
def send(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
    out.set(req.get_body().decode())
    return func.HttpResponse("sent")


@app.route(route="elsewhere", methods=["POST"])
@app.generic_output_binding(arg_name="out", type="signalR", hubName="other")
def elsewhere(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
    out.set('{"target": "token", "arguments": ["of another hub"]}')
    return func.HttpResponse("sent")


@app.route(route="echo/{first:int}/{*rest}", methods=["POST", "PUT"])
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    told = {
        "method": req.method,
        "route": dict(req.route_params),
        "query": dict(req.params),
        "header": req.headers.get("x-own"),
        "length": len(req.get_body()),
    }
    headers = {"Set-Cookie": "a=b; Path=/; HttpOnly", "X-Told": "yes"}
    return func.HttpResponse(json.dumps(told), status_code=201, headers=headers)


@app.route(route="locked", auth_level=func.AuthLevel.FUNCTION)
def locked(req: func.HttpRequest) -> str:
    return "open"


@app.route(route="busy")
async def busy(req: func.HttpRequest) -> str:
    await asyncio.Event().wait()
    return "never"


@app.route(route="blocked")
def blocked(req: func.HttpRequest) -> str:
    time.sleep(60)
    return "never"


@app.route(route="crash")
def crash(req: func.HttpRequest) -> str:
    os._exit(3)


@app.route(route="raises")
def raises(req: func.HttpRequest) -> str:
    raise RuntimeError("a secret of the app")


@app.route(route="setting")
def setting(req: func.HttpRequest) -> str:
    return os.environ["AZURE_OPENAI_DEPLOYMENT_NAME"]


@app.route(route="storage")
def storage(req: func.HttpRequest) -> str:
    raise ConnectionRefusedError("[Errno 111] Connection refused: 127.0.0.1:10000")


@app.route(route="pid")
def pid(req: func.HttpRequest) -> str:
    return str(os.getpid())


@app.generic_trigger(arg_name="called", type="signalRTrigger", category="messages", event="Add", **HUB)
def add(called: str) -> str:
    happened = json.loads(called)
    return json.dumps({"sum": sum(happened["Arguments"]), "user": happened["UserId"]})
