"""Ten trades, whole dialogues: the right tools, the right arguments, the result spoken."""

from __future__ import annotations

import agents
from scripted_caller import Caller


def talk(tools: agents.Tools, *lines: str) -> tuple[Caller, str]:
    caller = Caller(tools)
    spoken = ""
    for line in lines:
        spoken = caller.say(line)
    return caller, spoken


def test_a_dentist_books_a_checkup_after_looking_for_free_times() -> None:
    lines = (
        "あのう、歯の検診の予約をしたいんですけど",
        "来週の水曜日",
        "14時半でお願いします",
        "鈴木一郎と申します",
        "はい",
    )
    caller, spoken = talk(agents.DENTIST, *lines)
    assert [name for name, _ in caller.calls] == ["find_free_slots", "make_appointment"]
    assert caller.calls[0][1] == {"day": "2026-11-25"}
    assert caller.calls[1][1] == {
        "day": "2026-11-25",
        "time": "14:30",
        "treatment": "checkup",
        "patientName": "鈴木一郎",
    }
    assert "D-15" in spoken


def test_a_homophone_of_the_treatment_is_understood() -> None:
    caller, _ = talk(agents.DENTIST, "歯の健診を予約したい", "来週の水曜日の14時半", "鈴木一郎です", "はい")
    assert caller.calls[-1][1]["treatment"] == "checkup"


def test_a_pizza_is_ordered_in_one_breath() -> None:
    caller, spoken = talk(
        agents.PIZZA, "どんなピザがありますか", "マルゲリータのLを二枚お願いします", "はい、お願いします"
    )
    assert caller.calls == [
        ("show_menu", {}),
        ("place_order", {"pizza": "margherita", "size": "L", "quantity": 2}),
    ]
    assert "P-77" in spoken and "30分" in spoken


def test_a_pizza_is_ordered_word_by_word_with_full_width_digits() -> None:
    caller, _ = talk(agents.PIZZA, "ピザを注文したいです", "ぺぱろに", "Ｍサイズで", "３枚です", "はい")
    assert caller.calls == [("place_order", {"pizza": "pepperoni", "size": "M", "quantity": 3})]


def test_a_stock_is_told_and_asked_again_for_another_thing() -> None:
    caller, spoken = talk(agents.STOCK, "単三電池の在庫はありますか")
    assert caller.calls == [("query_inventory", {"productName": "単三電池"})]
    assert "在庫は12" in spoken and "B-3" in spoken
    caller.say("じゃあ、ノートは？")
    assert caller.calls[-1] == ("query_inventory", {"productName": "ノート"})


def test_a_hotel_speaks_english() -> None:
    lines = (
        "I'd like to book a room from December 10th to December 12th",
        "a twin please",
        "two guests",
        "Jane Doe",
        "yes, please",
    )
    caller, spoken = talk(agents.HOTEL, *lines)
    assert caller.calls[0] == ("search_rooms", {"checkIn": "2026-12-10", "checkOut": "2026-12-12"})
    booked = {
        "checkIn": "2026-12-10",
        "checkOut": "2026-12-12",
        "roomType": "twin",
        "guests": 2,
        "guestName": "Jane Doe",
    }
    assert caller.calls[1] == ("book_stay", booked) and "H99X" in spoken


def test_the_same_english_hotel_tools_serve_a_japanese_guest() -> None:
    caller = Caller(agents.HOTEL)
    assert "ツインが2室、シングルが1室" in caller.say("12月10日から2泊で部屋を予約したいです")
    for line in ("ツインで", "2名です", "高橋健です", "はい"):
        spoken = caller.say(line)
    assert caller.calls[-1][1]["checkOut"] == "2026-12-12" and caller.calls[-1][1]["guestName"] == "高橋健"
    assert "H99X" in spoken


def test_a_library_lends_the_book_it_found() -> None:
    lines = (
        "「こころ」という本を探しています",
        "それを借りたいです",
        "会員番号は12345です",
        "はい、お願いします",
    )
    caller, spoken = talk(agents.LIBRARY, *lines)
    assert caller.calls == [
        ("find_volumes", {"title": "こころ"}),
        ("lend_volume", {"bookId": "b42", "memberNumber": "12345"}),
    ]
    assert "返却期限は12月5日土曜日" in spoken


def test_a_parcel_is_traced_by_its_number() -> None:
    caller, spoken = talk(agents.PARCEL, "荷物がいつ届くか知りたいのですが", "1234-5678-9012です")
    assert caller.calls == [("trace_shipment", {"trackingNumber": "1234-5678-9012"})]
    assert "配達中" in spoken and "14時" in spoken


def test_money_is_converted_the_way_it_was_said() -> None:
    caller, spoken = talk(agents.EXCHANGE, "100ドルは円でいくらですか")
    assert (
        caller.calls == [("quote_exchange", {"amount": 100, "from": "USD", "to": "JPY"})]
        and "15250" in spoken
    )
    caller, _ = talk(agents.EXCHANGE, "How much is 5,000 yen in dollars?")
    assert caller.calls == [("quote_exchange", {"amount": 5000, "from": "JPY", "to": "USD"})]


def test_a_meeting_room_has_a_number_for_an_id() -> None:
    caller, _ = talk(agents.ROOMS, "明日の午後1時から3時まで会議室を予約したい", "富士でお願いします", "はい")
    period = {"start": "2026-11-22T13:00:00+09:00", "end": "2026-11-22T15:00:00+09:00"}
    assert caller.calls == [("listMeetingRooms", {}), ("bookMeetingRoom", {"roomId": 7, **period})]


def test_a_table_is_reserved_and_cancelled_again() -> None:
    lines = ("I'd like to book a table for two tomorrow at 7 pm", "My name is Ken Sato", "yes please")
    caller, spoken = talk(agents.RESTAURANT, *lines)
    assert (
        caller.calls[0][1] == {"date": "2026-11-22", "time": "19:00", "partySize": 2, "name": "Ken Sato"}
        and "T-8" in spoken
    )
    assert "T-8" in caller.say("Actually, please cancel that reservation")
    caller.say("yes")
    assert caller.calls[-1] == ("cancel_table", {"reservationNumber": "T-8"})


def test_a_taxi_goes_from_here_to_there() -> None:
    caller, spoken = talk(agents.TAXI, "渋谷駅から羽田空港までタクシーをお願いします", "はい")
    assert (
        caller.calls == [("call_taxi", {"pickup": "渋谷駅", "destination": "羽田空港"})] and "X-1" in spoken
    )
    caller, _ = talk(agents.TAXI, "タクシーを呼んでください", "東京駅です", "品川です", "はい")
    assert caller.calls == [("call_taxi", {"pickup": "東京駅", "destination": "品川"})]


def test_weather_answers_at_once_and_follows_the_city() -> None:
    caller, spoken = talk(agents.WEATHER, "東京の天気は？")
    assert (
        caller.calls == [("tell_sky", {"city": "東京"})]
        and "東京" in spoken
        and "晴れ" in spoken
        and "18度" in spoken
    )
    caller.say("明日の大阪の天気を教えて")
    assert caller.calls[-1] == ("tell_sky", {"city": "大阪", "date": "2026-11-22"})
    caller.say("じゃあ札幌は？")
    assert caller.calls[-1] == ("tell_sky", {"city": "札幌"})


def test_searches_take_the_words_that_were_meant() -> None:
    for line, query in (
        ("AIについて調べて", "AI"),
        ("機械学習の情報を検索して", "機械学習"),
        ("データサイエンスについて教えて", "データサイエンス"),
    ):
        caller, spoken = talk(agents.WEATHER, line)
        assert caller.calls == [("dig_archive", {"query": query})]
        assert "検索を開始しました" in spoken and f"{query}入門" in spoken


def test_two_requests_in_one_breath_are_called_together() -> None:
    caller, _ = talk(agents.WEATHER, "東京の天気と、AIについて調べて")
    assert caller.calls == [("tell_sky", {"city": "東京"}), ("dig_archive", {"query": "AI"})]
    caller, _ = talk(agents.WEATHER, "東京と大阪の天気")
    assert caller.calls == [("tell_sky", {"city": "東京"}), ("tell_sky", {"city": "大阪"})]


def test_talk_goes_on_while_a_search_runs_and_the_search_is_named_when_asked() -> None:
    caller = Caller(agents.WEATHER)
    caller.history.append(agents.user("AIについて調べて"))
    text, calls = caller.respond()
    assert "検索を開始しました" in text and calls[0][0].name == "dig_archive"
    assert "晴れ" in caller.say("東京の天気は？")
    assert "検索" in caller.say("いま何をしていますか？")
    caller.answer(*calls[0])
    assert "AI入門" in caller.listen()
