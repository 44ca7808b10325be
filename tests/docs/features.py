"""What works over which door, engine, dialect and client: docs/features.md and its Japanese twin, out of what ran.

Nothing here is asserted by hand: doors and engines are the outcomes of `tests/interaction`, clients those of
`tests/clients`, protocols the statements that every run of the tests has to prove (`tests/contract/manifest.py`).
`python -m tests.docs.features` compares the pages with the last run; `--write` renders them anew.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from tests.clients import outcomes as clients
from tests.contract.manifest import MANIFESTS, Manifest
from tests.interaction import outcomes as doors
from tests.interaction.doors import DOORS

Language = Literal["en", "ja"]
PAGES: dict[Language, str] = {"en": "features.md", "ja": "features.ja.md"}
BEGIN, END = "<!-- features: begin -->", "<!-- features: end -->"
YES, NO, SOME = "✓", "–", "◐"


@dataclass(frozen=True)
class Words:
    en: str
    ja: str

    def of(self, language: Language) -> str:
        return self.en if language == "en" else self.ja


FEATURES: dict[str, Words] = {
    "an answer comes whole and the next one knows its place": Words("questions in text", "テキストの質問"),
    "a spoken question is written down and answered aloud": Words("questions aloud", "音声の質問"),
    "who speaks into an answer stops it and is answered": Words("interruption by voice", "声での割り込み"),
    "who says nothing for long is spoken to": Words("a long silence is answered", "沈黙への声かけ"),
    "a tool runs once and its result is told once": Words("tools in the server", "サーバーでのツール実行"),
    "a slow tool holds nobody up and is answered in the end": Words("slow tools", "時間のかかるツール"),
    "what a tool refuses is told and the talk goes on": Words("tools that refuse", "ツールの断り"),
    "an answer that fails says so and the talk goes on": Words("answers that fail", "失敗した応答"),
    "an answer that is stopped is over at once and the talk goes on": Words(
        "stopping an answer in text", "テキスト応答の中断"
    ),
    "who is cut off within a slow tool comes back and misses nothing": Words(
        "coming back after a break", "切断からの復帰"
    ),
    "an answer and a call cost the same at every door": Words("usage", "使用量"),
    "who spends a budget is warned once and taken leave of": Words("budgets", "予算"),
}
"""The scenarios of tests/interaction in the words of who looks for a feature; others are named as they are."""
ENGINES: dict[str, Words] = {
    "local": Words("kaiwa's own models", "kaiwa 内蔵のモデル"),
    "relayed": Words("Azure OpenAI or OpenAI", "Azure OpenAI・OpenAI"),
    "scripted": Words("any other engine", "ほかのエンジン"),
}
_HEADS: dict[str, Words] = {
    "what": Words("what", "機能"),
    "client": Words("client", "クライアント"),
    "version": Words("version", "版"),
    "how": Words("dialect or transport", "方言・接続方式"),
    "behind": Words("answered by", "応答するもの"),
    "protocol": Words("protocol", "プロトコル"),
    "proved": Words("statements proved", "証明した項目"),
    "otherwise": Words("otherwise on purpose", "意図して異なる項目"),
    "doors": Words("Doors", "入口ごと"),
    "engines": Words("Engines", "エンジンごと"),
    "clients": Words("Clients", "クライアントごと"),
    "protocols": Words("Protocols", "プロトコルごと"),
}


def tables(
    went: Iterable[doors.Went],
    ran: Iterable[clients.Outcome],
    language: Language,
    manifests: Sequence[Manifest],
) -> str:
    """Return the page's tables in a language."""
    known = set(went)
    parts = [
        ("doors", _by(known, language, doors_first=True)),
        ("engines", _by(known, language, doors_first=False)),
        ("clients", _clients(list(ran), language)),
        ("protocols", _protocols(manifests, language)),
    ]
    return "\n\n".join(f"## {_HEADS[name].of(language)}\n\n{text}" for name, text in parts)


def _by(went: set[doors.Went], language: Language, *, doors_first: bool) -> str:
    names = list(DOORS) if doors_first else list(ENGINES)
    shown = names if doors_first else [ENGINES[name].of(language) for name in names]
    rows = [_row([_HEADS["what"].of(language), *shown]), _row(["---"] * (len(names) + 1))]
    bodies = {body for body, _, _ in went}
    for body in [*FEATURES, *sorted(bodies - FEATURES.keys())]:
        if body in bodies:
            label = FEATURES[body].of(language) if body in FEATURES else body
            rows.append(_row([label, *(_cell(went, body, name, doors_first) for name in names)]))
    return "\n".join(rows)


def _cell(went: set[doors.Went], body: str, name: str, is_door: bool) -> str:
    """Yes: it went well with every engine (at every door) that has the thing at all. Some: not with each of these."""
    of_it = {(house, door) if is_door else (door, house) for what, house, door in went if what == body}
    able = {other for other, _ in of_it}
    well = [(other, name) in of_it for other in able]
    return YES if all(well) else SOME if any(well) else NO


def _clients(ran: list[clients.Outcome], language: Language) -> str:
    heads = ("client", "version", "how", "behind")
    rows = [_row([_HEADS[name].of(language) for name in heads]), _row(["---"] * len(heads))]
    for client, version in sorted({(one.client, one.version) for one in ran}):
        of_it = [one for one in ran if (one.client, one.version) == (client, version)]
        hubs = all(one.engine == clients.HUB for one in of_it)
        how = sorted({one.surface if hubs else one.dialect for one in of_it})
        behind = (
            ["hub"] if hubs else [name for name in clients.ENGINES if name in {one.engine for one in of_it}]
        )
        rows.append(_row([client, version, "; ".join(how), ", ".join(behind)]))
    return "\n".join(rows)


def _protocols(manifests: Sequence[Manifest], language: Language) -> str:
    heads = ("protocol", "proved", "otherwise")
    rows = [_row([_HEADS[name].of(language) for name in heads]), _row(["---"] * len(heads))]
    for manifest in manifests:
        stated = manifest.requirements().values()
        apart = [one for one in stated if one.diverges]
        proved = sum(1 for one in stated if not one.diverges and not one.awaits)
        rows.append(_row([manifest.title, str(proved), str(len(apart))]))
    return "\n".join(rows)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def rendered(page: str, text: str) -> str:
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}"


def main(arguments: list[str]) -> int:
    stale: list[str] = []
    for language, name in PAGES.items():
        page = doors.ROOT / "docs" / name
        before = page.read_text(encoding="utf-8")
        wanted = rendered(before, tables(doors.read(), clients.read(), language, MANIFESTS))
        if arguments == ["--write"]:
            page.write_text(wanted, encoding="utf-8")
        elif before != wanted:
            stale.append(f"docs/{name}")
    if stale:
        sys.stderr.write(
            f"{' and '.join(stale)} do not show the last run. Run everything (make test, make test-clients), "
            "then: python -m tests.docs.features --write\n"
        )
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
