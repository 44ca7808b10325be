"""The desk in Japanese: its tools, what it says when it must refuse, and the agent's instructions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from kaiwa.apps.rentacar.answers import Answer, Wording
from kaiwa.apps.rentacar.desk import Desk
from kaiwa.apps.rentacar.fleet import Reservation
from kaiwa.apps.rentacar.reasons import (
    EndsBeforeStart,
    HasBegun,
    NameMissing,
    NoSuchYear,
    NothingFound,
    NothingFree,
    NothingToChange,
    Reason,
    StartsInPast,
    UnknownLocation,
    UnknownReservation,
)
from kaiwa.apps.rentacar.service import RentacarService
from kaiwa.tools.context import ToolContext
from kaiwa.tools.function import Tool, tool

INSTRUCTIONS: Final = """\
あなたはレンタカーの予約受付のオペレーターです。いつも日本語で、短く丁寧に話してください。
店舗は list_locations、空き状況は get_availability で調べ、予約は create_reservation で行います。
予約の確認は find_reservation、変更は change_reservation、取り消しは cancel_reservation です。
日時は店舗の現地時間です。お客様の希望の店舗、貸出と返却の日時、車種、お名前を順に伺ってください。
予約、変更、取り消しの前に内容を読み上げて、お客様の確認をもらってください。ツールの結果にないことは言わないでください。
"""

_TYPES: Final = {
    "compact": "コンパクト",
    "コンパクトカー": "コンパクト",
    "suv": "SUV",
    "エスユーブイ": "SUV",
    "minivan": "ミニバン",
}


def _canonical_type(value: Any) -> Any:
    return _TYPES.get(value.strip().lower(), value.strip()) if isinstance(value, str) else value


LocationId = Annotated[str, Field(alias="locationId", description="店舗のID（例: loc1）")]
StartDate = Annotated[
    datetime, Field(alias="startDate", description="貸出の日時（ISO 8601、店舗の現地時間）")
]
EndDate = Annotated[datetime, Field(alias="endDate", description="返却の日時（ISO 8601、店舗の現地時間）")]
CustomerName = Annotated[
    str, Field(alias="customerName", description="お客様のお名前", min_length=1, max_length=100)
]
VehicleKind = Annotated[
    Literal["コンパクト", "SUV", "ミニバン"] | None,
    BeforeValidator(_canonical_type),
    Field(alias="vehicleType", description="車種。指定がなければ省略"),
]

_NUMBER: Final = Field(
    alias="reservationNumber", description="予約番号（例: R-001）", min_length=1, max_length=40
)
ReservationNumber = Annotated[str, _NUMBER]
MaybeNumber = Annotated[str | None, _NUMBER]
NewStart = Annotated[
    datetime | None, Field(alias="startDate", description="新しい貸出の日時。変えなければ省略")
]
NewEnd = Annotated[datetime | None, Field(alias="endDate", description="新しい返却の日時。変えなければ省略")]
NewLocation = Annotated[str | None, Field(alias="locationId", description="新しい店舗のID。変えなければ省略")]


def tools(service: RentacarService) -> list[Tool[..., Any]]:
    desk = Desk(service, WORDING)

    @tool(changes=False)
    async def list_locations() -> Answer:
        """レンタカーの店舗の一覧を調べます。"""
        return await desk.locations()

    @tool(changes=False)
    async def get_availability(
        location_id: LocationId,
        start_date: StartDate,
        end_date: EndDate,
        vehicle_type: VehicleKind = None,
    ) -> Answer:
        """店舗と期間を指定して、レンタカーの空き状況を調べます。"""
        return await desk.availability(location_id, start_date, end_date, vehicle_type)

    @tool(changes=True, confirm=True)
    async def create_reservation(
        context: ToolContext,
        location_id: LocationId,
        start_date: StartDate,
        end_date: EndDate,
        customer_name: CustomerName,
        vehicle_type: VehicleKind = None,
    ) -> Answer:
        """レンタカーを予約します。"""
        key = context.idempotency_key or None
        return await desk.book(location_id, start_date, end_date, customer_name, vehicle_type, key)

    @tool(changes=False)
    async def find_reservation(customer_name: CustomerName, reservation_number: MaybeNumber = None) -> Answer:
        """お名前で予約の番号と内容を調べます。"""
        return await desk.find(customer_name, reservation_number)

    @tool(changes=True, confirm=True)
    async def change_reservation(
        reservation_number: ReservationNumber,
        start_date: NewStart = None,
        end_date: NewEnd = None,
        vehicle_type: VehicleKind = None,
        location_id: NewLocation = None,
    ) -> Answer:
        """レンタカーの予約の日時、車種、店舗を変更します。"""
        return await desk.change(reservation_number, location_id, start_date, end_date, vehicle_type)

    @tool(changes=True, confirm=True)
    async def cancel_reservation(reservation_number: ReservationNumber) -> Answer:
        """レンタカーの予約を取り消します（キャンセル）。"""
        return await desk.cancel(reservation_number)

    booking = [list_locations, get_availability, create_reservation]
    return [*booking, find_reservation, change_reservation, cancel_reservation]


def explain(reason: Reason) -> str:
    match reason:
        case UnknownLocation(known=known):
            shops = "、".join(f"{shop.name}（{shop.id}）" for shop in known)
            return f"その店舗はありません。店舗は{shops}です。"
        case EndsBeforeStart():
            return "返却の日時が貸出の日時より後になっていません。もう一度お知らせください。"
        case StartsInPast(start=start):
            return f"貸出の日時（{_moment(start)}）はもう過ぎています。これからの日時をお知らせください。"
        case NoSuchYear(year=year):
            return f"{year}年の予約は受け付けていません。"
        case NameMissing():
            return "予約にはお客様のお名前が必要です。"
        case NothingFree():
            return _nothing_free(reason)
        case UnknownReservation(number=number):
            return f"予約番号{number}のご予約は見つかりません。番号をもう一度お知らせください。"
        case NothingFound(customer_name=name):
            return f"{name}様のお名前では、これからのご予約が見つかりません。"
        case HasBegun(number=number):
            return f"予約番号{number}の貸出はもう始まっているので、承れません。返却の日時は変更できます。"
        case NothingToChange(number=number):
            return f"予約番号{number}のどこを変更するか、お知らせください。日時、車種、店舗を変更できます。"


def _nothing_free(reason: NothingFree) -> str:
    wanted = reason.wanted or "車"
    sentences = [f"{reason.location.name}では、その期間に空いている{wanted}がありません。"]
    if reason.here:
        sentences.append(f"同じ店舗では{'と'.join(reason.here)}が空いています。")
    if reason.elsewhere:
        sentences.append(f"{wanted}は{'と'.join(shop.name for shop in reason.elsewhere)}で空いています。")
    if not (reason.here or reason.elsewhere):
        sentences.append("ほかの店舗にもありません。別の日時をお知らせください。")
    return "".join(sentences)


def _moment(moment: datetime) -> str:
    minutes = f"{moment.minute}分" if moment.minute else ""
    return f"{moment.year}年{moment.month}月{moment.day}日{moment.hour}時{minutes}"


def _describe(booked: Reservation, kind: str) -> str:
    start, end = _moment(booked.period.start), _moment(booked.period.end)
    return f"予約番号{booked.number}、{start}から{end}まで、{kind}です。"


WORDING: Final = Wording(
    terms={},
    explain=explain,
    changed="予約番号{number}の変更が完了しました。",
    cancelled="予約番号{number}の取り消しが完了しました。",
    describe=_describe,
)
