"""C15, the part without WebRTC: ephemeral keys and what may be done to calls over HTTP."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from tests.contract.breakages import answering, put
from tests.contract.house import API_KEY, BEARER, House
from tests.contract.manifest import rule

SECRETS = "/v1/realtime/client_secrets"
DATED = "api-version=2025-04-01-preview"


def bearer(value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}"}


@rule("K-259", broken_by=answering(status=500))
@rule("K-259", broken_by=answering(error={}))
@pytest.mark.parametrize("act", ["accept", "refer", "reject", "hangup"])
async def test_what_is_done_to_a_call_that_is_not_there_is_answered_clearly(house: House, act: str) -> None:
    for base in ("/v1", "/openai/v1"):
        told = await house.post(f"{base}/realtime/calls/rtc_1/{act}", {"target_uri": "tel:+1"})
        assert told.status == 404
        assert set(told.body["error"]) == {"message", "type", "code", "param"}


@rule("K-261", broken_by=answering(expires_at=0))
async def test_a_key_lives_ten_minutes_unless_told_otherwise(house: House) -> None:
    for wanted, seconds in (
        (None, 600),
        ({"seconds": 10}, 10),
        ({"anchor": "created_at", "seconds": 7200}, 7200),
    ):
        made = await house.post(SECRETS, {} if wanted is None else {"expires_after": wanted})
        assert made.status == 200
        assert abs(made.body["expires_at"] - time.time() - seconds) < 2


@rule("K-261", broken_by=answering(status=200))
@pytest.mark.parametrize("seconds", [0, 9, 7201, -1, "60"])
async def test_other_times_to_live_are_refused(house: House, seconds: Any) -> None:
    told = await house.post(SECRETS, {"expires_after": {"anchor": "created_at", "seconds": seconds}})
    assert told.status == 400


@rule("K-262", broken_by=answering(value="sk_0123456789abcdef0123456789abcdef"))
@rule("K-262", broken_by=answering(session__id=None))
@rule("K-262", broken_by=answering(session__type="transcription"))
@rule("K-262", broken_by=answering(expires_at=None))
async def test_a_secret_comes_with_its_end_and_its_whole_session(house: House) -> None:
    made = await house.post(SECRETS, {"session": {"type": "realtime", "instructions": "Be brief."}})
    assert re.fullmatch(r"ek_[0-9a-f]{32}", made.body["value"])
    assert isinstance(made.body["expires_at"], int)
    session = made.body["session"]
    assert str(session["id"]).startswith("sess_")
    assert (session["type"], session["object"]) == ("realtime", "realtime.session")
    assert session["instructions"] == "Be brief." and session["audio"]["output"]["voice"]
    created = await house.first("/v1/realtime?model=gpt-realtime", bearer(made.body["value"]))
    assert created["session"]["instructions"] == "Be brief."


@rule("K-263", broken_by=put("session.created", "session.type", "realtime"))
@rule("K-263", broken_by=answering(value="ek_00000000000000000000000000000000"))
async def test_a_secret_may_be_for_a_transcription(house: House) -> None:
    audio = {"input": {"transcription": {"model": "gpt-4o-transcribe", "language": "ja"}}}
    made = await house.post(SECRETS, {"session": {"type": "transcription", "audio": audio}})
    assert made.body["session"]["object"] == "realtime.transcription_session"
    created = await house.first("/v1/realtime", bearer(made.body["value"]))
    assert created["type"] == "session.created" and created["session"]["type"] == "transcription"
    assert created["session"]["audio"]["input"]["transcription"]["language"] == "ja"


@rule("K-264", broken_by=answering(client_secret__value="sk_1"))
@rule("K-264", broken_by=answering(client_secret__expires_at=0))
@rule("K-264", broken_by=answering(modalities=None))
async def test_the_preview_puts_the_secret_into_a_flat_session(house: House) -> None:
    asked = {"model": "gpt-realtime", "modalities": ["text"], "voice": "verse"}
    made = await house.post(
        "/v1/realtime/sessions", asked, headers={**BEARER, "OpenAI-Beta": "assistants=v2"}
    )
    assert made.status == 200
    secret = made.body["client_secret"]
    assert secret["value"].startswith("ek_") and abs(secret["expires_at"] - time.time() - 60) < 2
    assert (made.body["modalities"], made.body["voice"]) == (["text"], "verse")
    assert made.body["object"] == "realtime.session" and "audio" not in made.body
    created = await house.first(
        "/v1/realtime", bearer(secret["value"]) | {"OpenAI-Beta": "realtime=v1"}, dialect="preview"
    )
    assert created["session"]["modalities"] == ["text"]


@rule("K-265", broken_by=answering(status=404))
@pytest.mark.parametrize(
    "path",
    [
        "/openai/realtime/client_secrets",
        "/openai/realtime/sessions",
        "/openai/realtimeapi/sessions",
        "/openai/realtime/transcription_sessions",
        "/openai/v1/realtime/client_secrets",
    ],
)
async def test_azures_addresses_mint_keys_too(house: House, path: str) -> None:
    made = await house.post(f"{path}?{DATED}", headers=API_KEY)
    assert made.status == 200
    flat = "client_secret" in made.body
    assert flat == (not path.endswith("client_secrets"))
    key = made.body["client_secret"]["value"] if flat else made.body["value"]
    created = await house.first(
        f"/openai/realtime?{DATED}&deployment=dep", {"api-key": key}, dialect="preview"
    )
    assert created["type"].endswith("session.created")


async def test_a_page_may_ask_before_it_posts_and_read_the_answer(house: House) -> None:
    page = {"Origin": "http://localhost:5173", "Access-Control-Request-Method": "POST"}
    asked = await house.request(
        "OPTIONS", SECRETS, headers=page | {"Access-Control-Request-Headers": "authorization,content-type"}
    )
    assert asked.status == 204
    assert asked.headers["access-control-allow-headers"] == "authorization,content-type"
    made = await house.post(SECRETS, headers=BEARER | {"Origin": "http://localhost:5173"})
    assert made.headers["access-control-allow-origin"] == "http://localhost:5173"
    assert "Location" in made.headers["access-control-expose-headers"]


async def test_a_page_from_elsewhere_is_not_served(house: House) -> None:
    page = {"Origin": "https://foreign.example"}
    for told in (
        await house.request("OPTIONS", SECRETS, headers=page),
        await house.post(SECRETS, headers=BEARER | page),
    ):
        assert told.status == 403
        assert "access-control-allow-origin" not in told.headers
