"""The official clients for JavaScript, unmodified, in node: each completes every turn on every engine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.clients.outcomes import recorded
from tests.clients.place import Place
from tests.clients.program import run_program
from tests.clients.turns import TURNS, Turn, check
from tests.contract.breakages import Breakage, put
from tests.contract.manifest import rule

JS = Path(__file__).with_name("js")
failed_answers = put("response.done", "response.status", "failed")


@dataclass(frozen=True)
class NodeClient:
    package: str
    program: str
    surfaces: Sequence[str]
    name: str = ""
    flags: Sequence[str] = ()


def version_of(package: str) -> str:
    manifest = JS / "node_modules" / package / "package.json"
    assert manifest.is_file(), f"{package} is not installed; run scripts/setup.sh dev"
    return json.loads(manifest.read_text(encoding="utf-8"))["version"]


async def completes_every_turn(client: NodeClient, place: Place, planted: Breakage | None) -> list[Turn]:
    command = ["node", *client.flags, JS / client.program]
    if planted is not None:  # one turn is enough to notice
        done = await run_program(command, place, client.surfaces[:1], TURNS[:1])
        check(done, client.surfaces[:1], TURNS[:1])
        return done
    with recorded(client.name or client.package, version_of(client.package), place.engine, client.surfaces):
        done = await run_program(command, place, client.surfaces, TURNS)
        check(done, client.surfaces)
    return done


@rule("K-308", broken_by=failed_answers)
async def test_agents_realtime_keeps_its_history_and_counts_tokens(
    place: Place, planted: Breakage | None
) -> None:
    client = NodeClient("@openai/agents-realtime", "agents-realtime.mjs", ["GA"])
    done = {one.turn: one.saw for one in await completes_every_turn(client, place, planted)}
    assert done["text"]["roles"] == ["user", "assistant"]
    assert done["audio"]["roles"] == ["user", "assistant"]
    assert done["tool"]["roles"][0] == "user" and "function_call" in done["tool"]["roles"]
    assert "晴れ" in done["tool"]["result"]
    assert all(saw["tokens"] > 0 for saw in done.values())
