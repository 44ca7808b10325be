"""The desk in Japanese: its tools, what it says when it must refuse, and the agent's instructions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from kaiwa.apps.rentacar.answers import Answer, Wording
from kaiwa.apps.rentacar.desk import Desk
from kaiwa.apps.rentacar.service import (
    EndsBeforeStart,
    NameMissing,
    NoSuchYear,
    NothingFree,
    Reason,
    RentacarService,
    StartsInPast,
    UnknownLocation,
)
from kaiwa.tools.function import Tool, tool

INSTRUCTIONS: Final = """\
あなたはレンタカーの予約受付のオペレーターです。いつも日本語で、短く丁寧に話してください。
店舗は list_locations、空き状況は get_availability で調べ、予約は create_reservation で行います。
日時は店舗の現地時間です。お客様の希望の店舗、貸出と返却の日時、車種、お名前を順に伺ってください。
予約の前に内容を読み上げて、お客様の確認をもらってください。ツールの結果にないことは言わないでください。
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

    @tool(changes=True)
    async def create_reservation(
        location_id: LocationId,
        start_date: StartDate,
        end_date: EndDate,
        customer_name: CustomerName,
        vehicle_type: VehicleKind = None,
    ) -> Answer:
        """レンタカーを予約します。"""
        return await desk.book(location_id, start_date, end_date, customer_name, vehicle_type)

    return [list_locations, get_availability, create_reservation]


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


WORDING: Final = Wording(terms={}, explain=explain)
