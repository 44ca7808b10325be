"""The Chainlit page's hooks: who comes in, what they say, choose and hear. The talk itself is in `talk.py`.

Start it with `make chainlit`, or beside the server with `make run`.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import ssl
from dataclasses import replace
from typing import Any

import httpx
from chainlit.context import context
from chainlit.types import ThreadDict
from environment import place_from
from settings_panel import chosen, widgets
from talk import Talk
from threads import Threads
from transcript import Transcript
from words import AGENTS, words_for

import chainlit as cl

PLACE = place_from(os.environ)
LINGER_S = 30.0  # a browser that lost its network comes back to the same line
FACTS_TIMEOUT_S = 5
FIRST_AGENT = "concierge"
VISITOR = "guest"
TRUSTED = ssl.create_default_context()  # with SSL_CERT_FILE, which httpx by itself would not read
KEYS: dict[str, str] = {}
"""Keys of those who logged in by one. In memory only: with the process they go, and so do its logins."""


@cl.data_layer
def data_layer() -> Threads:
    return Threads(PLACE.database)


if PLACE.keyed:

    @cl.password_auth_callback
    async def log_in_by_key(username: str, password: str) -> cl.User | None:
        """The password is a key of kaiwa, which judges it; the talk then runs on that key."""
        if not username or not await _opens(password):
            return None
        # Whoever has another key has other threads, whatever name they give.
        digest = hmac.new(password.encode(), username.encode(), "sha256").hexdigest()[:12]
        identifier = f"{username}#{digest}"
        KEYS[identifier] = password
        return cl.User(identifier=identifier, display_name=username)

elif PLACE.logins:

    @cl.password_auth_callback
    async def log_in(username: str, password: str) -> cl.User | None:
        expected = PLACE.logins.get(username)
        given = password.encode()
        if expected is None or not hmac.compare_digest(expected.encode(), given):
            return None
        return cl.User(identifier=username)

else:

    @cl.header_auth_callback
    async def come_in(headers: Any) -> cl.User | None:
        """Without a login everybody is the same visitor, whose threads are kept."""
        return cl.User(identifier=VISITOR)


@cl.on_chat_start
async def start() -> None:
    await _welcome(Transcript(_words()), {})


@cl.on_chat_resume
async def resume(thread: ThreadDict) -> None:
    steps: list[Any] = list(thread["steps"])
    given = (thread.get("metadata") or {}).get("chat_settings") or {}
    await _welcome(Transcript(_words(), steps), given)


@cl.on_message
async def say(message: cl.Message) -> None:
    await _talk().say(message)


@cl.on_audio_start
async def start_voice() -> bool:
    cl.user_session.set("chunks", 0)
    cl.user_session.set("trouble", None)
    return await _talk().start_voice()


@cl.on_audio_chunk
async def hear(chunk: cl.InputAudioChunk) -> None:
    # Chainlit starts a task for every chunk: they keep their order only up to the first await.
    _talk().hear(chunk.data)
    cl.user_session.set("chunks", cl.user_session.get("chunks", 0) + 1)


@cl.on_audio_end
async def stop_voice() -> None:
    await _talk().stop_voice()
    if not cl.user_session.get("chunks"):
        words = _words()
        trouble = cl.user_session.get("trouble") or "no_microphone"
        await _talk().transcript.note(words.get(trouble, words["no_microphone"]), error=True)


@cl.on_window_message
async def note_trouble(data: Any) -> None:
    """The page's own script says why the microphone did not open; nobody else's messages count."""
    if isinstance(data, dict) and isinstance(data.get("kaiwa_microphone"), str):
        cl.user_session.set("trouble", data["kaiwa_microphone"])


@cl.on_settings_update
async def choose(settings: dict[str, Any]) -> None:
    talk = _talk()
    await talk.choose(chosen(talk.choice, settings))
    await talk.events_view.draw()


@cl.on_chat_end
async def leave() -> None:
    """End the line unless the browser comes back soon: Chainlit calls this for every lost socket."""
    talk = cl.user_session.get("talk")
    if talk is None:
        return
    await talk.stop_voice()
    session = context.session
    socket = session.socket_id

    async def end_if_gone() -> None:
        await asyncio.sleep(0 if session.to_clear else LINGER_S)
        if session.to_clear or session.socket_id == socket:
            await talk.hang_up()

    cl.user_session.set("leaving", asyncio.create_task(end_if_gone()))


async def _welcome(transcript: Transcript, given: dict[str, Any]) -> None:
    words = _words()
    key = KEYS.get(context.session.user.identifier) if PLACE.keyed and context.session.user else PLACE.key
    agents, served = await _agents()
    choice = chosen(replace(PLACE.choice, agent=PLACE.choice.agent or served), given)
    talk = Talk(PLACE, choice, key, words, transcript)
    talk.known_agents = agents
    talk.events_view.shown = choice.debug
    cl.user_session.set("talk", talk)
    language = "ja" if words is words_for("ja") else "en"
    await cl.ChatSettings(widgets(choice, talk.known_agents, words, language)).send()


def _talk() -> Talk:
    talk = cl.user_session.get("talk")
    assert isinstance(talk, Talk), "a visitor speaks before the talk was begun"
    return talk


def _words() -> dict[str, str]:
    return words_for(getattr(context.session, "language", None))


async def _agents() -> tuple[tuple[str, ...], str]:
    """The agents there are, and which to begin with; a kaiwa that is away is told of later."""
    try:
        async with httpx.AsyncClient(timeout=FACTS_TIMEOUT_S, trust_env=False, verify=TRUSTED) as client:
            facts = (await client.get(f"{PLACE.kaiwa_http}/console/facts")).raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return (), FIRST_AGENT
    served = facts["agent"] if facts["agent"] not in AGENTS else FIRST_AGENT
    return tuple(agent["name"] for agent in facts["agents"]), served


async def _opens(key: str) -> bool:
    """Ask kaiwa whether it takes this key for a page's session."""
    try:
        async with httpx.AsyncClient(timeout=FACTS_TIMEOUT_S, trust_env=False, verify=TRUSTED) as client:
            answer = await client.post(
                f"{PLACE.kaiwa_http}/v1/realtime/client_secrets",
                headers={"Authorization": f"Bearer {key}"},
                json={"session": {"type": "realtime", "model": PLACE.choice.agent}},
            )
    except (httpx.HTTPError, ValueError):
        return False
    return answer.is_success
