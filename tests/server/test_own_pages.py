"""Pages of the server's own address: with a key as everybody, without one where the operator allows it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.server.test_calls import KEY, Desk
from tests.server.test_seed_api import FORM, house

HERE = {"sec-fetch-site": "same-origin"}
SESSION, FUNCTION = "/api/realtime/session", "/api/functions/list_locations"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with house(tmp_path, api_key=KEY, page_sessions=True) as desk:
        yield desk


async def asked(desk: Desk, path: str, **headers: str) -> int:
    """Ask without a key; return the status."""
    status, _, _ = await desk.post(path, b"{}", **{**FORM, "authorization": "", **headers})
    return status


@pytest.mark.parametrize("path", [SESSION, FUNCTION])
async def test_an_own_page_needs_no_key_where_it_is_allowed(desk: Desk, path: str) -> None:
    assert await asked(desk, path, **HERE) == 200


@pytest.mark.parametrize("path", [SESSION, FUNCTION])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "none"},
        {**HERE, "origin": "http://127.0.0.1:1"},
    ],
    ids=["a program", "a sibling", "a stranger", "a bookmark", "a page of another port"],
)
async def test_everybody_else_needs_one_all_the_same(desk: Desk, path: str, headers: dict[str, str]) -> None:
    assert await asked(desk, path, **headers) == 401


async def test_the_key_of_an_own_page_begins_a_call(desk: Desk) -> None:
    _, told, _ = await desk.post(SESSION, b"", authorization="", **HERE)
    key = {"authorization": f"Bearer {told['client_secret']}", "content-type": "application/sdp"}
    status, _, _ = await desk.post("/v1/realtimertc?model=rentacar", b"no offer", **key)
    assert status != 401


async def test_an_own_page_is_let_into_nothing_else(desk: Desk) -> None:
    assert await asked(desk, "/v1/realtime/client_secrets", **HERE) == 401


@pytest.mark.parametrize("path", [SESSION, FUNCTION])
async def test_own_pages_need_a_key_unless_it_is_said_otherwise(tmp_path: Path, path: str) -> None:
    async with house(tmp_path, api_key=KEY) as desk:
        assert await asked(desk, path, **HERE) == 401
