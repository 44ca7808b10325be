"""The invented shops and vehicles a fresh database starts with. Telephone numbers are not in use."""

from __future__ import annotations

from typing import Final

from kaiwa.apps.rentacar.fleet import Location, Vehicle, VehicleType


def _vehicles(
    location_id: str, plate: str, first: int, *cars: tuple[VehicleType, str, str]
) -> tuple[Vehicle, ...]:
    return tuple(
        Vehicle(
            vehicle_id=f"v-{location_id}-{index:03d}",
            location_id=location_id,
            vehicle_type=vehicle_type,
            registration=f"{plate} わ {first + index}",
            manufacturer=manufacturer,
            vehicle_model=model,
        )
        for index, (vehicle_type, manufacturer, model) in enumerate(cars, start=1)
    )


SHOPS: Final = (
    Location(
        id="loc1",
        name="東京駅前店",
        address="東京都千代田区丸の内1丁目（東京駅から徒歩3分）",
        phone="+81-3-0000-0001",
        timezone="Asia/Tokyo",
        inventory=_vehicles(
            "loc1",
            "品川 500",
            1000,
            ("コンパクト", "トヨタ", "ヤリス"),
            ("コンパクト", "ホンダ", "フィット"),
            ("ミニバン", "トヨタ", "シエンタ"),
        ),
    ),
    Location(
        id="loc2",
        name="新宿西口店",
        address="東京都新宿区西新宿1丁目（新宿駅から徒歩5分）",
        phone="+81-3-0000-0002",
        timezone="Asia/Tokyo",
        inventory=_vehicles(
            "loc2",
            "練馬 500",
            2000,
            ("コンパクト", "日産", "ノート"),
            ("SUV", "トヨタ", "ヤリスクロス"),
            ("SUV", "マツダ", "CX-5"),
        ),
    ),
    Location(
        id="loc3",
        name="羽田空港店",
        address="東京都大田区羽田空港3丁目（第2ターミナルからバスで5分）",
        phone="+81-3-0000-0003",
        timezone="Asia/Tokyo",
        inventory=_vehicles(
            "loc3",
            "品川 501",
            3000,
            ("コンパクト", "スズキ", "スイフト"),
            ("SUV", "スバル", "フォレスター"),
            ("ミニバン", "ホンダ", "ステップワゴン"),
            ("ミニバン", "日産", "セレナ"),
        ),
    ),
)
