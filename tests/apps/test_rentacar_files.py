"""`kaiwa rentacar import` and `export`: shops and vehicles go through JSON and CSV unharmed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from kaiwa.apps.rentacar.exchange import read_shops, write_shops
from kaiwa.apps.rentacar.shops import SHOPS
from kaiwa.cli import app
from kaiwa.errors import ConfigError

ORIGINAL: list[dict[str, Any]] = [
    {
        "id": "loc9",
        "name": "中央レンタカー",
        "address": "東京都中央区",
        "phone": "+81-3-0000-0009",
        "timezone": "Asia/Tokyo",
        "inventory": [
            {
                "vehicleId": "v-loc9-001",
                "vehicleType": "コンパクト",
                "registration": "品川 500 あ 1001",
                "manufacturer": "トヨタ",
                "vehicleModel": "ヤリス",
            }
        ],
        "_etag": "what a database adds",
    }
]


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "desk.db")


def run(*arguments: str, given: bytes | None = None) -> Result:
    result = CliRunner().invoke(app, ["rentacar", *arguments], input=given)
    if isinstance(result.exception, ConfigError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def test_the_originals_documents_are_taken_in_and_exported_again(tmp_path: Path, database: str) -> None:
    file = tmp_path / "shops.json"
    file.write_text(json.dumps(ORIGINAL), "utf-8")

    said = run("import", str(file), "--database", database, "--replace").output
    exported = json.loads(run("export", "--database", database).output)

    assert said == "1 shops and 1 vehicles are in the database.\n"
    assert exported == [{key: value for key, value in ORIGINAL[0].items() if key != "_etag"}]


@pytest.mark.parametrize("name", ["shops.csv", "shops.json"])
def test_a_file_that_was_exported_makes_the_same_database(tmp_path: Path, name: str) -> None:
    file = tmp_path / name

    run("export", str(file), "--database", str(tmp_path / "one.db"))
    run("import", str(file), "--database", str(tmp_path / "two.db"), "--replace")

    again = run("export", "--database", str(tmp_path / "two.db"), "--format", "csv").output
    assert read_shops(again.encode(), "csv") == SHOPS
    assert file.read_bytes().startswith(b"\xef\xbb\xbf") is (name == "shops.csv")


def test_a_spreadsheet_of_japanese_windows_is_read() -> None:
    assert read_shops(write_shops(SHOPS, "csv").encode("cp932"), "csv") == SHOPS


def test_standard_input_needs_to_be_told_the_format(database: str) -> None:
    given = json.dumps(ORIGINAL).encode()

    assert "1 shops" in run("import", "-", "--format", "json", "--database", database, given=given).output
    with pytest.raises(ConfigError, match=r"neither \.json nor \.csv"):
        run("import", "-", "--database", database, given=given)


HEAD = "locationId,name,timezone,vehicleId,vehicleType\n"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.json", "{", "no JSON"),
        ("a.json", "{}", "must be a list of shops"),
        ("a.json", '[{"id": "a"}]', "shop 1: Object missing required field `name`"),
        ("a.json", '[{"id": "a", "name": "A", "timezone": "Tokyo"}]', "shop 1: timezone 'Tokyo' is unknown"),
        ("a.json", '[{"id": "a", "name": "A"}, {"id": "a", "name": "B"}]', "the id a stands for two"),
        ("a.csv", "id,name\n", "the first row lacks locationId, vehicleId, vehicleType"),
        ("a.csv", HEAD + "a,A,,v1,トラック\n", "shop 1: Invalid enum value 'トラック'"),
        ("a.csv", HEAD + "a,A,,v1,SUV\na,B,,v2,SUV\n", "line 3: shop a is described otherwise above"),
        ("a.csv", HEAD + "a,A,,v1,SUV\na,A,,v1,SUV\n", "the id v1 stands for two"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place_and_changes_nothing(
    tmp_path: Path, database: str, name: str, content: str, sentence: str
) -> None:
    file = tmp_path / name
    file.write_text(content, "utf-8")

    with pytest.raises(ConfigError) as refused:
        run("import", str(file), "--database", database, "--replace")

    assert sentence in str(refused.value)
    assert refused.value.setting == str(file)
    assert not Path(database).exists()
