"""The library: slow on purpose, tells how far it is, and finds what people ask for."""

from __future__ import annotations

import json

import pytest

from bench import library as bench_library
from kaiwa.apps.library.agent import library_agent, library_tools
from kaiwa.apps.library.documents import read_documents
from kaiwa.apps.library.index import library
from kaiwa.apps.library.words import question_words, words
from kaiwa.events.tools import ToolCall, ToolEvent, ToolProgress, ToolSettled
from kaiwa.tools.toolbox import AgentToolBox

from .rentacar_desk import call


class VirtualTime:
    def __init__(self) -> None:
        self.passed_s = 0.0

    async def sleep(self, seconds: float) -> None:
        self.passed_s += seconds


async def test_a_search_takes_twenty_seconds_and_reports_ten_steps() -> None:
    time = VirtualTime()
    events: list[ToolEvent] = []
    request = ToolCall(
        call_id="call_1", name="search_database", arguments='{"query": "機械学習"}', response_id="resp_1"
    )

    await AgentToolBox(library_agent(sleep=time.sleep)).run(request, events.append)

    reports = [event for event in events if isinstance(event, ToolProgress)]
    assert time.passed_s == pytest.approx(20)
    assert [report.fraction for report in reports] == pytest.approx([step / 10 for step in range(1, 11)])
    assert reports[0].text == "検索中です（1/10）"
    assert isinstance(events[-1], ToolSettled)
    assert json.loads(events[-1].output)["results"][0]["title"] == "機械学習の基礎"


async def test_the_duration_is_a_setting() -> None:
    answer, failed = await call(library_agent("en", 0.05), "search_database", query="data science")

    assert not failed
    assert answer["results"][0]["title"] == "An introduction to data science"


@pytest.mark.parametrize(
    ("asked", "title"),
    [
        ("AIについて調べて", "AIとは何か"),
        ("機械学習の情報を検索して", "機械学習の基礎"),
        ("データサイエンスについて教えて", "データサイエンス入門"),
        ("二重予約を防ぐ方法", "データベースの取引"),
    ],
)
def test_what_people_say_finds_the_right_document_first(asked: str, title: str) -> None:
    assert library().search(asked, "ja")[0].title == title


def test_a_question_about_nothing_in_the_library_finds_nothing() -> None:
    assert library().search("ぬか漬け", "ja") == []
    assert library().search("zzz", "en") == []
    assert library().search("？", "ja") == []
    assert library().search('" * ( AND', "en") == []


def test_results_are_in_the_language_asked_for() -> None:
    japanese = library().search("Apache SSL", "ja", limit=5)
    english = library().search("SSL sockets", "en", limit=5)

    assert {one.language for one in japanese} == {"ja"}
    assert {one.language for one in english} == {"en"}
    assert english[0].title.startswith("ssl")


def test_japanese_is_indexed_in_pairs_and_asking_is_no_content() -> None:
    assert words("仮想化とLVM") == ["仮想", "想化", "化と", "lvm"]
    assert question_words("ＳＳＨについて教えてください") == ["ssh"]
    assert question_words("What is the SSH?") == ["ssh"]


def test_fifty_unseen_questions_mostly_find_their_document_among_five() -> None:
    figures = {figure.name: figure.value for figure in bench_library.measure()}

    assert figures["library.recall_at_5"] >= 0.8
    assert figures["library.recall_at_5.ja"] >= 0.7


def test_the_description_says_that_it_takes_long_and_the_deadline_leaves_room() -> None:
    (japanese,) = library_tools()
    (english,) = library_tools("en")

    assert "時間がかかります" in japanese.description
    assert "20 seconds" in english.description
    assert japanese.timeout_s == 60


def test_over_three_hundred_documents_in_each_language_ship_with_the_package() -> None:
    documents = read_documents()
    ids = [document.id for document in documents]

    assert len(ids) == len(set(ids))
    assert sum(document.language == "ja" for document in documents) > 300
    assert sum(document.language == "en" for document in documents) > 300
    assert all(document.summary and document.title and document.source for document in documents)
    assert max(len(document.summary) for document in documents) <= 241
