"""Ten agents of ten trades. Their tools appear nowhere in the engine's code."""

from __future__ import annotations

from typing import Any

from scripted_caller import Handler, tool

from kaiwa.events.items import InputText, Message
from kaiwa.events.tools import ToolSpec

Tools = list[tuple[ToolSpec, Handler]]
TEXT: dict[str, Any] = {"type": "string"}


def text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


def whole(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "integer", "description": description, **more}


DENTIST: Tools = [
    (
        tool(
            "find_free_slots",
            "歯科の空いている診察時間を調べます。",
            "day",
            day=text("希望日 YYYY-MM-DD", format="date"),
        ),
        lambda a: {"date": a["day"], "slots": ["10:00", "14:30", "16:00"]},
    ),
    (
        tool(
            "make_appointment",
            "歯科の診察を予約します。",
            "day time patientName treatment",
            day=text("希望日 YYYY-MM-DD", format="date"),
            time=text("開始時刻 HH:MM"),
            treatment=text("診療内容", enum=["checkup", "cleaning", "filling"]),
            patientName=text("患者の氏名"),
        ),
        lambda a: {"appointmentNumber": "D-15"},
    ),
]
PIZZA: Tools = [
    (
        tool("show_menu", "ピザのメニューを返します。"),
        lambda a: {"pizzas": [{"name": "マルゲリータ", "price": 1200}, {"name": "ペパロニ", "price": 1400}]},
    ),
    (
        tool(
            "place_order",
            "ピザを注文します。",
            "pizza size quantity",
            pizza=text("ピザの種類", enum=["margherita", "pepperoni", "quattro_formaggi"]),
            size=text("サイズ", enum=["S", "M", "L"]),
            quantity=whole("枚数", minimum=1, maximum=20),
        ),
        lambda a: {"orderNumber": "P-77", "minutes": 30},
    ),
]
STOCK: Tools = [
    (
        tool("query_inventory", "商品の在庫数を調べます。", "productName", productName=text("商品名")),
        lambda a: {"productName": a["productName"], "stock": 12, "shelf": "B-3"},
    )
]
HOTEL: Tools = [
    (
        tool(
            "search_rooms",
            "Check room availability in the hotel",
            "checkIn checkOut",
            checkIn=text("Check-in date", format="date"),
            checkOut=text("Check-out date", format="date"),
        ),
        lambda a: {"rooms": [{"roomType": "single"}, {"roomType": "twin"}, {"roomType": "twin"}]},
    ),
    (
        tool(
            "book_stay",
            "Book a hotel room",
            "checkIn checkOut guestName roomType guests",
            checkIn=text("Check-in date", format="date"),
            checkOut=text("Check-out date", format="date"),
            roomType=text("Room type", enum=["single", "twin", "double"]),
            guests=whole("Number of guests", minimum=1),
            guestName=text("Name of the guest"),
        ),
        lambda a: {"confirmationCode": "H99X"},
    ),
]
LIBRARY: Tools = [
    (
        tool("find_volumes", "図書館の蔵書を題名で検索します。", "title", title=text("本のタイトル")),
        lambda a: [{"bookId": "b42", "title": a["title"], "author": "夏目漱石"}],
    ),
    (
        tool(
            "lend_volume",
            "本の貸出を登録します。",
            "bookId memberNumber",
            True,
            bookId=text("本のID"),
            memberNumber=text("会員番号"),
        ),
        lambda a: {"loanId": "L-3", "dueDate": "2026-12-05"},
    ),
]
PARCEL: Tools = [
    (
        tool(
            "trace_shipment",
            "荷物の配送状況を追跡します。",
            "trackingNumber",
            trackingNumber=text("追跡番号"),
        ),
        lambda a: {
            "trackingNumber": a["trackingNumber"],
            "status": "out_for_delivery",
            "eta": "2026-11-21T14:00:00+09:00",
        },
    )
]
EXCHANGE: Tools = [
    (
        tool(
            "quote_exchange",
            "Convert an amount of money from one currency to another",
            "amount from to",
            amount={"type": "number", "description": "Amount of money"},
            **{
                "from": text("Source currency", enum=["JPY", "USD", "EUR"]),
                "to": text("Target currency", enum=["JPY", "USD", "EUR"]),
            },
        ),
        lambda a: {"converted": 15250, "rate": 152.5},
    )
]
ROOMS: Tools = [
    (
        tool("listMeetingRooms", "会議室の一覧を返す"),
        lambda a: {"rooms": [{"id": 7, "name": "富士", "seats": 8}, {"id": 8, "name": "さくら", "seats": 4}]},
    ),
    (
        tool(
            "bookMeetingRoom",
            "会議室を予約する",
            "roomId start end",
            roomId=whole("会議室のID"),
            start=text("開始日時", format="date-time"),
            end=text("終了日時", format="date-time"),
        ),
        lambda a: {"ok": True, "bookingId": 501},
    ),
]
RESTAURANT: Tools = [
    (
        tool(
            "reserve_table",
            "Reserve a table at the restaurant",
            "date time partySize name",
            date=text("Date", format="date"),
            time=text("Time, HH:MM"),
            partySize=whole("Number of people", minimum=1, maximum=12),
            name=text("Name for the reservation"),
        ),
        lambda a: {"reservationNumber": "T-8"},
    ),
    (
        tool(
            "cancel_table",
            "Cancel a table reservation",
            "reservationNumber",
            reservationNumber=text("Reservation number"),
        ),
        lambda a: {"cancelled": True},
    ),
]
TAXI: Tools = [
    (
        tool(
            "call_taxi",
            "タクシーを配車します",
            "pickup destination",
            pickup=text("お迎え場所"),
            destination=text("目的地"),
            passengers=whole("人数"),
        ),
        lambda a: {"rideId": "X-1", "minutes": 5},
    )
]
WEATHER: Tools = [
    (
        tool(
            "tell_sky",
            "指定した都市の天気を取得する",
            "city",
            city=text("都市名"),
            date=text("日付", format="date"),
        ),
        lambda a: {"city": a["city"], "weather": "晴れ", "temperature": 18},
    ),
    (
        tool(
            "dig_archive", "データベースを検索する。時間がかかります。", "query", query=text("検索キーワード")
        ),
        lambda a: {"results": [{"title": f"{a['query']}入門"}, {"title": f"{a['query']}の歴史"}]},
    ),
]


def user(said: str) -> Message:
    return Message(role="user", content=(InputText(text=said),))
