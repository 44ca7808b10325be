"""`kaiwa config show | check | init`: what a server started here would be told, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kaiwa.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from kaiwa.server.configuration import Configuration, Finding

app = typer.Typer(help="The settings of this server (設定の確認).", no_args_is_help=True)

File = Annotated[
    Path | None, typer.Option("--config", help="The configuration file; KAIWA_CONFIG, or kaiwa.toml.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document, nothing else.")]


@app.command()
def show(
    file: File = None,
    everything: Annotated[bool, typer.Option("--all", help="Settings with their defaults too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show every setting in effect and where it came from, secrets masked (有効な設定の表示)."""
    import json

    import msgspec

    from kaiwa.server.configuration import read_configuration
    from kaiwa.server.configuration.showing import shown

    read = read_configuration(file=file)
    settings = shown(read, defaults=everything)
    if as_json:
        document = {"version": 1, "settings": msgspec.to_builtins(settings)}
        print(json.dumps(document, ensure_ascii=False, indent=1))
    elif not settings:
        print("Nothing is set; see `kaiwa config show --all`. 設定は既定値のままです。")
    else:
        _print_settings(settings)
    _print_findings(read.warnings)


@app.command()
def check(file: File = None, as_json: AsJson = False) -> None:
    """Say everything that is wrong with the settings, where, and how to mend it (設定の検査)."""
    import json

    from kaiwa.server.configuration import read_configuration
    from kaiwa.server.configuration.checking import checked

    read = checked(read_configuration(file=file))
    if as_json:
        print(json.dumps(_document(read), ensure_ascii=False, indent=1))
    else:
        _print_findings(read.findings)
        where = f" ({read.file})" if read.file else ""
        if not read.failures:
            print(f"The settings can be used{where}. 設定に問題はありません。")
    raise typer.Exit(int(bool(read.failures)))


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("kaiwa.toml"),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a kaiwa.toml with every setting in it, commented out (設定ファイルの雛形を作成)."""
    from kaiwa.server.configuration.example import example

    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(example())
    except FileExistsError:
        raise ConfigError(str(path), "is there already.", "Name another file, or add --force.") from None
    except OSError as error:
        raise ConfigError(str(path), f"cannot be written ({error.strerror}).", "Name another file.") from None
    print(f"Wrote {path}. {path} を作成しました。")


def _print_settings(settings: list[Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 1000
    table = Table("setting 設定", "value 値", "from 出所", box=None, pad_edge=False)
    for one in settings:
        value = "" if one.value is None else _plain(one.value)
        also = f" (over {', '.join(one.hidden)})" if one.hidden else ""
        table.add_row(Text(one.name), Text(value), Text(f"{one.origin}{also}"))
    console.print(table)


def _plain(value: object) -> str:
    import json

    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _print_findings(findings: Sequence[Finding]) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True, stderr=True)
    for finding in findings:
        mark = "[red]✗[/]" if finding.weight == "failure" else "[yellow]![/]"
        console.print(f"{mark} [bold]{escape(finding.where)}[/]: {escape(finding.problem.english)}")
        if finding.japanese:
            console.print(f"    {escape(finding.japanese)}")
        console.print(f"    → {escape(finding.remedy.english)}")


def _document(read: Configuration) -> dict[str, object]:
    findings = [
        {
            "setting": one.setting,
            "weight": one.weight,
            "where": str(one.origin) if one.origin else None,
            "path": one.origin.path or None if one.origin else None,
            "line": one.origin.line or None if one.origin else None,
            "problem": one.problem.english,
            "remedy": one.remedy.english,
            "japanese": one.japanese,
        }
        for one in read.findings
    ]
    return {"version": 1, "ok": not read.failures, "findings": findings}
