"""What clients do with the servers: every door, and everything that goes wrong on the way.

Knows the public protocols only. Whatever is answered is kept, so that it can be searched.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from tests.security.desk import Credentials, Given
from tests.security.planted import GIVEN_AWAY, SECRETS, WORDS
from tests.server.paper_media import OFFER

PATIENCE_S = 15.0
RECORD_END = "\x1e"
PUBLIC = (
    "/",
    "/console/facts",
    "/signalr",
    "/pool",
    "/status",
    "/docs",
    "/openapi.json",
    "/healthz",
    "/readyz",
    "/v1/models",
)
KEYED = ("/metrics", "/api/pool", "/api/status")
STARTS = "2031-05-10T10:00:00"


@dataclass
class Client:
    """One caller of one house."""

    house: str
    address: str
    key: str
    given: Given
    web: aiohttp.ClientSession

    @property
    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    async def post(self, path: str, body: Any, *, error: bool = False, **headers: str) -> tuple[int, bytes]:
        """Post; keep the answer where errors are kept if one is expected."""
        data = body if isinstance(body, bytes | str) else json.dumps(body)
        usual = {"content-type": "application/json", **self.bearer}
        return await self._asked("POST", path, data, usual | headers, error=error)

    async def get(self, path: str, *, error: bool = False, **headers: str) -> tuple[int, bytes]:
        return await self._asked("GET", path, None, self.bearer | headers, error=error)

    async def _asked(
        self, method: str, path: str, data: Any, headers: dict[str, str], *, error: bool
    ) -> tuple[int, bytes]:
        async with self.web.request(method, self.address + path, data=data, headers=headers) as answer:
            body = await answer.read()
            head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items()).encode()
            failed = answer.status >= 400 or b"error" in body  # a stream fails within a 200
            assert failed if error else answer.status < 400, (path, answer.status, body[:300])
            if error:
                self.given.add(f"{self.house}: error bodies", head + b"\n" + body)
            self.given.did.add(f"{method} {path.partition('?')[0]} {answer.status}")
            return answer.status, body

    @asynccontextmanager
    async def live(self, query: str, path: str = "/v1/realtime", **headers: str) -> AsyncIterator[Live]:
        url = self.address.replace("http", "ws") + path + query
        async with self.web.ws_connect(url, headers=headers) as socket:
            yield Live(socket, self.given, self.house)


@dataclass
class Live:
    socket: aiohttp.ClientWebSocketResponse
    given: Given
    house: str

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send_str(json.dumps({"type": kind, **fields}))

    async def until(self, *kinds: str) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message = await self.socket.receive()
                assert message.type is aiohttp.WSMsgType.TEXT, (kinds, message)
                event = json.loads(message.data)
                if event["type"] == "error":
                    self.given.add(f"{self.house}: error events", message.data.encode())
                self.given.did.add(f"heard {event['type']}")
                if event["type"] in kinds:
                    return event

    async def says(self, text: str) -> None:
        part = {"type": "input_text", "text": text}
        item = {"type": "message", "role": "user", "content": [part]}
        await self.send("conversation.item.create", item=item)

    async def asks(self, text: str, *, then: int = 1) -> None:
        """Say something and hear the answers out."""
        await self.says(text)
        await self.send("response.create")
        for _ in range(then):
            await self.until("response.done")


def chat(text: str, model: str = "gpt-4o", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def call(tool: str, word: str) -> str:
    return f"call {tool} " + json.dumps({"wish": word})


# --- the house that relays -----------------------------------------------------------------------


async def use_the_relay(client: Client, them: Credentials) -> None:
    typed, failing = WORDS["words typed"], WORDS["words of an upstream that fails"]
    for key in (SECRETS["key of the house"], them.user, them.program):
        one = Client(client.house, client.address, key, client.given, client.web)
        await one.post("/v1/chat/completions", chat(typed, stream=True))
    dated = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
    await client.post(dated, chat(typed), **{"api-key": client.key, "authorization": ""})
    await client.post("/v1/chat/completions", chat(typed, "filed"))
    await client.post("/v1/responses", {"model": "gpt-4o", "input": typed})
    embedded = {"model": "text-embedding-3-small", "input": WORDS["a document to search"]}
    await client.post("/v1/embeddings", embedded)
    await client.post("/v1/chat/completions", chat(failing, "cut", stream=True), error=True)
    for model in ("wrong", "failing", "filtered", "away", "nobody"):
        for stream in (False, True):
            await client.post("/v1/chat/completions", chat(failing, model, stream=stream), error=True)
    broken = f'{{"messages": [{{"content": "{WORDS["words in broken JSON"]}"'
    await client.post("/v1/chat/completions", broken, error=True)
    stranger = f"Bearer {SECRETS['key that nobody gave']}"
    await client.post("/v1/chat/completions", chat(typed), error=True, authorization=stranger)
    forged = them.user[:-8] + "AAAAAAAA"
    await client.post("/v1/chat/completions", chat(typed), error=True, authorization=f"Bearer {forged}")


async def ask_without_a_token(client: Client) -> None:
    """Entra ID cannot be reached: it is tried for seconds."""
    failing = WORDS["words of an upstream that fails"]
    await client.post("/v1/chat/completions", chat(failing, "entra"), error=True)


async def ask_in_text(client: Client) -> None:
    ask = "/api/chat-stream"
    typed = {"agent": "wishes", "events": "typed", "resume": True}
    await client.post(ask, {"prompt": WORDS["words typed"], **typed})
    for tool, name in (("note_wish", "arguments of a tool"), ("crash", "arguments of a tool that crashes"),
                       ("refuse", "arguments of a tool that refuses")):  # fmt: skip
        await client.post(ask, {"prompt": call(tool, WORDS[name]), **typed})
    await client.post(ask, {"prompt": call("tell_on", GIVEN_AWAY), **typed})
    await client.post(ask, {"prompt": "fail content_filter", **typed})
    await client.post(ask, {"prompt": WORDS["words typed"], "wish": WORDS["words typed"]}, error=True)
    await client.post(ask, WORDS["words in broken JSON"], error=True)
    posted = {"wish": WORDS["arguments over HTTP"]}
    await client.post("/api/functions/note_wish", posted)
    await client.post("/api/functions/crash", posted, error=True)
    await client.post("/api/functions/refuse", posted)


async def book(client: Client, *, error: bool = False) -> None:
    """Have a car booked: what is bound to SQL is somebody's name."""
    where = "?agent=rentacar"
    _, body = await client.post(f"/api/functions/list_locations{where}", {}, error=error)
    if error:
        return
    location = json.loads(body)["locations"][0]["id"]
    wish = {"locationId": location, "startDate": STARTS, "endDate": STARTS.replace("T10", "T18"),
            "customerName": WORDS["name of a customer"]}  # fmt: skip
    await client.post(f"/api/functions/create_reservation{where}", wish)


async def talk(client: Client, version: str = "") -> None:
    """A conversation by the Realtime API: typed, spoken, with tools that work, break and refuse."""
    preview = bool(version)
    path, query = ("/openai/realtime", f"?api-version={version}&deployment=voice") if preview else (
        "/v1/realtime", "?model=wishes")  # fmt: skip
    headers = {"api-key": client.key} if not preview else {}
    query += f"&api-key={client.key}" if preview else ""
    async with client.live(query, path, **headers) as line:
        await line.until("session.created")
        session: dict[str, Any] = {
            "turn_detection": None,
            "input_audio_transcription": {"model": "whisper-1"},
        }
        if not preview:
            heard = {"turn_detection": None, "transcription": {"model": "whisper-1"}}
            session = {"type": "realtime", "audio": {"input": heard}}
        await line.send("session.update", session=session)
        await line.until("session.updated")
        sound = base64.b64encode(b"\xff\x2f" * 12_000).decode()
        await line.send("input_audio_buffer.append", audio=sound)
        await line.send("input_audio_buffer.commit")
        await line.until("conversation.item.input_audio_transcription.completed")
        await line.send("response.create")
        await line.until("response.done")
        await line.asks(WORDS["words typed"])
        if not preview:
            await line.asks(call("note_wish", WORDS["arguments of a tool"]), then=2)
            await line.asks(call("crash", WORDS["arguments of a tool that crashes"]), then=2)
            await line.asks(call("refuse", WORDS["arguments of a tool that refuses"]), then=2)
        await line.asks("fail")
        await line.send("session.update", session={"type": "realtime", "voice": {WORDS["words typed"]: 1}})
        await line.until("error")
        await line.socket.send_str(WORDS["words in broken JSON"])
        await line.until("error")


async def be_refused(client: Client) -> None:
    for query, key in (
        ("?model=wrong-voice", client.key),
        ("?model=away-voice", client.key),
        ("?model=wishes", SECRETS["key that nobody gave"]),
        (f"?model=wishes&api-key={SECRETS['key that nobody gave']}", ""),
        ("?model=nobody", client.key),
    ):
        headers = {"api-key": key} if key else {}
        async with client.live(query, **headers) as line:
            await line.until("error")


async def use_mcp(client: Client) -> None:
    """Tools of MCP servers whose tokens the operator keeps, one of which is gone, and one that nobody allowed."""
    async with client.live("?model=wishes") as line:
        await line.until("session.created")
        notes = {"type": "mcp", "require_approval": "never"}
        tools = [{**notes, "server_label": label} for label in ("notes", "gone")]
        theirs = {"server_label": "theirs", "server_url": "https://notes.example/mcp"}
        tools.append({**notes, **theirs, "authorization": SECRETS["token of a client for MCP"]})
        text = {"type": "realtime", "output_modalities": ["text"], "tools": tools}
        await line.send("session.update", session=text)
        await line.until("session.updated")
        for _ in tools:
            await line.until("mcp_list_tools.completed", "mcp_list_tools.failed")
        await line.asks("call learn " + json.dumps({"tool": WORDS["arguments of an MCP tool"]}))
        await line.until("response.mcp_call.completed")
        await line.send("response.create")
        await line.until("response.done")


async def get_keys(client: Client) -> None:
    """Keys for pages: made, used and used wrongly."""
    wish = {"session": {"type": "realtime", "model": "wishes"}}
    _, body = await client.post("/v1/realtime/client_secrets", wish)
    secret = client.given.minted["key of a page"] = json.loads(body)["value"]
    async with client.live("?model=wishes", authorization=f"Bearer {secret}") as line:
        await line.until("session.created")
        await line.asks(WORDS["words typed"])
    await client.post("/v1/realtime/client_secrets", wish, error=True, authorization=f"Bearer {secret}")
    _, body = await client.post("/api/tokens", {"scopes": ["chat"], "expires_in": 60})
    client.given.minted["token of a page"] = json.loads(body)["token"]
    _, body = await client.post("/api/realtime/session", {})
    client.given.minted["key of a call"] = json.loads(body)["client_secret"]
    broken = {"session": {"type": "realtime", "model": "wishes", "instructions": 7}}
    await client.post("/v1/realtime/client_secrets", broken, error=True)


async def make_a_call(client: Client) -> None:
    status, _ = await client.post(
        "/v1/realtime/calls?model=wishes", OFFER, **{"content-type": "application/sdp"}
    )
    assert status == 201
    wrong = {"content-type": "application/sdp"}
    await client.post("/v1/realtime/calls?model=wishes", WORDS["words typed"], error=True, **wrong)


async def use_the_hub(client: Client) -> None:
    """A page's tokens through the hub, by WebSocket, and what its own calls come to."""
    _, body = await client.post("/api/negotiate", {})
    told = json.loads(body)
    client.given.minted[f"access token of the hub of {client.house}"] = told["accessToken"]
    url = told["url"].replace("http", "ws") + f"&access_token={told['accessToken']}"
    async with client.web.ws_connect(url) as socket:
        await socket.send_str('{"protocol":"json","version":1}' + RECORD_END)
        async with asyncio.timeout(PATIENCE_S):
            await socket.receive()
            words = WORDS["words of a page to its hub"]
            await client.post("/api/broadcast", {"message": words})
            while words not in (await socket.receive()).data:
                pass
            dropped = WORDS["words of a page that was dropped"]
            invocation = {"type": 1, "invocationId": "1", "target": "tell", "arguments": [dropped]}
            await socket.send_str(json.dumps(invocation) + RECORD_END)
            await _until_it_ended(socket)
    ask = {"prompt": WORDS["words typed"], "userId": "hana"}
    await client.post("/api/chat_stream", ask)
    await client.post("/api/broadcast", {"message": ""}, error=True)
    stranger = {"authorization": f"Bearer {told['accessToken'][:-6]}AAAAAA"}
    async with client.web.post(told["url"].replace("/?", "/negotiate?"), headers=stranger) as refused:
        assert refused.status == 401
        client.given.add(f"{client.house}: error bodies", await refused.read())


async def _until_it_ended(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Wait until the call was answered, or the connection dropped for it."""
    while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
        if any(json.loads(record)["type"] == 3 for record in message.data.split(RECORD_END) if record):
            return


async def look_around(client: Client, *, keyed: bool) -> None:
    """Read every page and figure, and the parts that pages name."""
    for path in (*PUBLIC, *KEYED):
        headers = client.bearer if path in KEYED and keyed else {}
        async with client.web.get(client.address + path, headers=headers) as answer:
            body = await answer.read()
            assert answer.status == 200, (path, answer.status)
            client.given.add(f"{client.house}: {path}", body)
            client.given.did.add(f"GET {path} 200")
