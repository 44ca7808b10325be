"""The rental desk's conversation, in three orders and two languages."""

from __future__ import annotations

from typing import Any

from scripted_caller import Caller, Handler, tool

from kaiwa.events.items import FunctionCall, Message
from kaiwa.events.tools import ToolSpec

SHOPS = {
    "loc1": ("東京駅前店", "Tokyo Station Shop"),
    "loc2": ("新宿店", "Shinjuku Shop"),
    "loc3": ("羽田空港店", "Haneda Shop"),
}


def shops(english: bool) -> list[dict[str, Any]]:
    return [
        {
            "id": key,
            "name": names[1] if english else f"中央レンタカー {names[0]}",
            "address": "東京都",
            "phone": "+81-3-1111-2222",
            "timezone": "Asia/Tokyo",
            "inventory": [{"vehicleId": f"v-{key}-1", "vehicleType": "compact" if english else "コンパクト"}],
        }
        for key, names in SHOPS.items()
    ]


def free(arguments: dict[str, Any], english: bool) -> dict[str, Any]:
    kinds = ["compact", "compact", "minivan"] if english else ["コンパクト", "コンパクト", "ミニバン"]
    wanted = arguments.get("vehicleType")
    return {
        "success": True,
        "locationId": arguments["locationId"],
        "period": {"startDate": arguments["startDate"], "endDate": arguments["endDate"]},
        "availableVehicles": [
            {"vehicleId": f"v-{i}", "vehicleType": kind}
            for i, kind in enumerate(kinds)
            if wanted in (None, kind)
        ],
    }


def desk(english: bool = False) -> list[tuple[ToolSpec, Handler]]:
    moment = {"type": "string", "description": "ISO 8601 date-time" if english else "日時 (ISO 8601)"}
    place = {"type": "string", "description": "Location id" if english else "店舗ID"}
    kind = {"type": "string", "description": "Vehicle type" if english else "車種"}
    period = {"locationId": place, "startDate": moment, "endDate": moment}
    return [
        (
            tool(
                "list_locations", "List the rental shops" if english else "レンタカーの店舗一覧を返します。"
            ),
            lambda a: shops(english),
        ),
        (
            tool(
                "get_availability",
                "Check free vehicles at a shop" if english else "店舗と期間から空いている車両を調べます。",
                "locationId startDate endDate",
                vehicleType=kind,
                **period,
            ),
            lambda a: free(a, english),
        ),
        (
            tool(
                "create_reservation",
                "Book a rental car" if english else "レンタカーの予約を作成します。",
                "locationId startDate endDate customerName",
                customerName={
                    "type": "string",
                    "description": "Customer name" if english else "お客様の氏名",
                },
                vehicleType=kind,
                **period,
            ),
            lambda a: {"success": True, "reservationId": "R-001", **a},
        ),
    ]


def test_the_original_conversation_books_a_compact() -> None:
    caller = Caller(desk())
    spoken = caller.say("来週の土曜日に東京でレンタカーを借りたいんですが")
    assert caller.calls == [("list_locations", {})]
    assert (
        "お調べします" in spoken and "東京駅前店" in spoken and "新宿店" in spoken and "羽田空港店" in spoken
    )
    spoken = caller.say("東京駅前店で、10時から18時まで")
    assert "東京駅前店" in spoken and "11月28日土曜日10時から18時" in spoken
    period = {
        "locationId": "loc1",
        "startDate": "2026-11-28T10:00:00+09:00",
        "endDate": "2026-11-28T18:00:00+09:00",
    }
    assert caller.calls[-1] == ("get_availability", period)
    assert "コンパクトが2台、ミニバンが1台" in spoken
    assert "お名前" in caller.say("コンパクトでお願いします")
    read_back = caller.say("山田太郎です")
    for part in (
        "東京駅前店",
        "11月28日土曜日10時から18時",
        "コンパクト",
        "山田太郎様",
        "よろしいでしょうか",
    ):
        assert part in read_back
    assert len(caller.calls) == 2
    spoken = caller.say("はい、お願いします")
    assert caller.calls[-1] == (
        "create_reservation",
        {**period, "customerName": "山田太郎", "vehicleType": "コンパクト"},
    )
    assert "予約番号はR-001です" in spoken


def test_the_same_conversation_in_english() -> None:
    caller = Caller(desk(english=True))
    assert "Haneda Shop" in caller.say("I'd like to rent a car in Tokyo next Saturday")
    spoken = caller.say("Tokyo station, from ten to six please")
    assert "2 compact and 1 minivan" in spoken and "November 28 from 10 a.m. to 6 p.m." in spoken
    assert "name" in caller.say("A compact, please")
    assert "Shall I go ahead" in caller.say("My name is John Smith")
    assert "R-001" in caller.say("Yes, please.")
    assert caller.calls[-1][1] == {
        "locationId": "loc1",
        "startDate": "2026-11-28T10:00:00+09:00",
        "endDate": "2026-11-28T18:00:00+09:00",
        "customerName": "John Smith",
        "vehicleType": "compact",
    }


def test_another_order_of_answers_with_a_correction_books_the_corrected_day() -> None:
    caller = Caller(desk())
    caller.say("レンタカーを予約したいのですが、佐藤花子と申します")
    caller.say("車はミニバンがいいです")
    caller.say("12月5日の朝9時から夕方5時まで")
    read_back = caller.say("二番目の店で")
    assert "新宿店" in read_back and "12月5日土曜日9時から17時" in read_back and "佐藤花子様" in read_back
    read_back = caller.say("いや、日曜日で")
    assert "12月6日日曜日9時から17時" in read_back and "よろしいでしょうか" in read_back
    assert all(name != "create_reservation" for name, _ in caller.calls)
    assert "R-001" in caller.say("はい、それでお願いします")
    name, arguments = caller.calls[-1]
    assert name == "create_reservation"
    assert (
        arguments["startDate"] == "2026-12-06T09:00:00+09:00"
        and arguments["endDate"] == "2026-12-06T17:00:00+09:00"
    )
    assert (
        arguments["customerName"] == "佐藤花子"
        and arguments["vehicleType"] == "ミニバン"
        and arguments["locationId"] == "loc2"
    )


def test_words_misheard_and_badly_written_lead_to_the_same_booking() -> None:
    caller = Caller(desk())
    caller.say("えーとらいしゅうの土用日 東京でレンタカー借りたいんですが")
    caller.say("とうきょうえきまえてん、１０時から６時まで")
    caller.say("こんぱくとで")
    caller.say("やまだたろうです")
    caller.say("はい。")
    name, arguments = caller.calls[-1]
    assert (name, arguments["locationId"], arguments["vehicleType"]) == (
        "create_reservation",
        "loc1",
        "コンパクト",
    )
    assert (
        arguments["startDate"] == "2026-11-28T10:00:00+09:00"
        and arguments["endDate"] == "2026-11-28T18:00:00+09:00"
    )
    assert arguments["customerName"] == "やまだたろう"


def test_no_booking_is_made_without_a_plain_yes() -> None:
    caller = Caller(desk())
    for line in (
        "来週の土曜日の10時から18時まで東京駅前店でレンタカーを予約したい",
        "コンパクト",
        "山田太郎です",
    ):
        caller.say(line)
    for doubtful in ("うーん、ちょっと待ってください", "はい？", "はい、でも日曜日でお願いします"):
        caller.say(doubtful)
        assert caller.calls[-1][0] != "create_reservation", doubtful
    assert "11月29日" in caller.history[-1].content[0].transcript  # type: ignore[union-attr]
    caller.say("はい")
    assert caller.calls[-1][0] == "create_reservation" and caller.calls[-1][1]["startDate"].startswith(
        "2026-11-29"
    )


def test_a_yes_to_a_read_back_that_was_cut_off_books_nothing() -> None:
    caller = Caller(desk())
    for line in (
        "来週の土曜日の10時から18時まで東京駅前店でレンタカーを予約したい",
        "コンパクト",
        "山田太郎です",
    ):
        caller.say(line)
    last = caller.history[-1]
    assert isinstance(last, Message)
    heard = type(last.content[0])(transcript="中央レンタカー 東京駅前店、11月")
    caller.history[-1] = Message(role="assistant", content=(heard,))
    spoken = caller.say("はい")
    assert caller.calls[-1][0] != "create_reservation" and "よろしいでしょうか" in spoken


def test_a_no_asks_what_to_change_and_a_second_no_gives_up() -> None:
    caller = Caller(desk())
    for line in (
        "来週の土曜日の10時から18時まで東京駅前店でレンタカーを予約したい",
        "コンパクト",
        "山田太郎です",
    ):
        caller.say(line)
    assert "変更" in caller.say("いいえ")
    assert "取りやめ" in caller.say("やっぱりやめます")
    assert all(name != "create_reservation" for name, _ in caller.calls)


def test_nothing_free_and_a_failing_tool_get_an_apology_and_the_talk_goes_on() -> None:
    tools = desk()
    tools[1] = (tools[1][0], lambda a: {"success": True, "availableVehicles": []})
    caller = Caller(tools)
    assert "空きがございません" in caller.say("来週の土曜日の10時から18時まで新宿店でレンタカーを予約したい")
    tools[2] = (tools[2][0], lambda a: {"error": "Function execution failed"})
    failing = Caller([tools[0], desk()[1], tools[2]])
    for line in (
        "来週の土曜日の10時から18時まで東京駅前店でレンタカーを予約したい",
        "コンパクト",
        "山田太郎です",
    ):
        failing.say(line)
    spoken = failing.say("はい")
    assert "申し訳ございません" in spoken and "Function" not in spoken
    assert "よろしいでしょうか" in failing.say("12月5日の10時から18時でお願いします")


def test_text_comes_before_a_call_and_calls_are_the_last_of_a_response() -> None:
    caller = Caller(desk())
    caller.say("レンタカーを借りたい")
    kinds = [type(item).__name__ for item in caller.history]
    assert kinds == ["Message", "Message", "FunctionCall", "FunctionCallOutput", "Message"]
    assert isinstance(caller.history[2], FunctionCall)


def test_the_expectation_names_what_is_asked_for() -> None:
    caller = Caller(desk())
    caller.say("レンタカーを借りたい")
    expected = caller.model.expect(caller.request())
    assert expected.kind == "id" and "中央レンタカー 新宿店" in expected.vocabulary
    caller.say("東京駅前店で")
    assert caller.model.expect(caller.request()).kind == "date"
    caller.say("来週の土曜日")
    assert caller.model.expect(caller.request()).kind == "time"
    caller.say("10時から18時")
    expected = caller.model.expect(caller.request())
    assert expected.kind == "choice" and "コンパクト" in expected.vocabulary
    caller.say("コンパクト")
    assert caller.model.expect(caller.request()).kind == "name"
    caller.say("山田太郎です")
    assert caller.model.expect(caller.request()).kind == "confirm"


def test_a_question_about_free_cars_leads_to_an_offer_and_a_booking() -> None:
    caller = Caller(desk())
    spoken = caller.say("来週の土曜日の10時から18時まで、新宿店は開いてますか")
    assert [name for name, _ in caller.calls] == ["list_locations", "get_availability"]
    assert (
        "コンパクトが2台、ミニバンが1台" in spoken and "羽田" not in spoken and "ご予約なさいますか" in spoken
    )
    for line in ("はい", "どちらでもいいです", "田中です", "いや、月曜日で", "はい"):
        caller.say(line)
    name, arguments = caller.calls[-1]
    assert name == "create_reservation" and arguments["vehicleType"] == "コンパクト"
    assert arguments["startDate"] == "2026-11-23T10:00:00+09:00"


def test_shops_are_listed_once_when_the_answer_names_one_of_them() -> None:
    caller = Caller(desk(english=True))
    caller.say("Hello, I'd like to rent a car in Tokyo next Saturday.")
    caller.say("The Tokyo Station shop, from 10 a.m. to 6 p.m., please.")
    assert [name for name, _ in caller.calls] == ["list_locations", "get_availability"]
    caller.say("Which shops do you have again?")
    assert caller.calls[-1][0] == "list_locations"


def test_asking_where_the_shops_are_lists_them() -> None:
    for question in ("お店はどこですか", "店舗はどちらにありますか"):
        caller = Caller(desk())
        assert "新宿店" in caller.say(question), question
        assert caller.calls == [("list_locations", {})]
