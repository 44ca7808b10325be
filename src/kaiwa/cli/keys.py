"""`kaiwa keys create | list | revoke`: API keys in one file. A key is shown once, when it is made."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from kaiwa.errors import ConfigError

if TYPE_CHECKING:
    from kaiwa.policy.caller import Scope
    from kaiwa.policy.keys import KeyRecord, KeyStore

app = typer.Typer(help="API keys of this server (鍵の管理).", no_args_is_help=True)

USUAL_FILE: Final = "kaiwa-keys.json"
_UNIT_S: Final = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
File = Annotated[Path | None, typer.Option("--file", help=f"The file of keys; KAIWA_KEYS, or {USUAL_FILE}.")]


@app.command()
def create(
    label: Annotated[str, typer.Argument(help="What the key is for, as listings show it.")] = "",
    scope: Annotated[
        list[str] | None, typer.Option(help="What it is good for; may be repeated. Without: everything.")
    ] = None,
    policy: Annotated[str | None, typer.Option(help="Its policy in KAIWA_POLICY.")] = None,
    expires: Annotated[str | None, typer.Option(help="How long it lives: 30m, 12h, 90d.")] = None,
    file: File = None,
) -> None:
    """Make a key and show it, this once (鍵を作り、一度だけ表示)."""
    from rich.console import Console

    store, path, is_set = _store(file)
    key, record = store.create(
        time.time(),
        label=label,
        policy=_policy(policy),
        scopes=_scopes(scope),
        lifetime_s=None if expires is None else _seconds(expires),
    )
    said = Console(stderr=True, highlight=False, soft_wrap=True)
    said.print(f"Key [bold]{record.id}[/bold] in {path}. It is shown only now; keep it well.")
    said.print("この鍵は二度と表示されません。安全な場所に保管してください。")
    print(key)
    if not is_set:
        said.print(f"Let the server know the file: KAIWA_KEYS={path}")


@app.command("list")
def list_keys(
    file: File = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document, nothing else.")] = False,
) -> None:
    """Show the keys there are, never what they are (鍵の一覧)."""
    store, path, _ = _store(file)
    records = store.all()
    if as_json:
        _print_json(records)
    elif not records:
        print(f"No keys in {path}. Make one: kaiwa keys create   鍵はまだありません。")
    else:
        _print_table(records)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The id that `kaiwa keys list` shows.")], file: File = None
) -> None:
    """End a key at once; running servers notice by themselves (鍵を無効にする)."""
    store, path, _ = _store(file)
    record = store.revoke(key_id, time.time())
    if record is None:
        raise ConfigError(key_id[:64], f"is no key in {path}.", "See `kaiwa keys list`.")
    print(f"Revoked {record.id}. 無効にしました。")


def _store(file: Path | None) -> tuple[KeyStore, Path, bool]:
    """Return the keys, their file, and whether servers started here know it."""
    from kaiwa.cli.serving import read_settings
    from kaiwa.policy.keys import KeyStore

    known = read_settings().keys
    path = file or known or Path(USUAL_FILE)
    return KeyStore(path), path, known is not None


def _scopes(given: list[str] | None) -> tuple[Scope, ...] | None:
    from kaiwa.policy.caller import SCOPES

    if not given:
        return None
    found: tuple[Scope, ...] = tuple(scope for scope in SCOPES if given.count(scope))
    unknown = sorted(set(given) - set(found))
    if unknown:
        raise ConfigError("--scope", f"'{unknown[0]}' is none.", f"Scopes: {', '.join(sorted(SCOPES))}.")
    return found


def _policy(name: str | None) -> str | None:
    """Return the name when the policy file has it. Raises ConfigError: a key of no policy opens nothing."""
    from kaiwa.cli.serving import read_settings
    from kaiwa.policy.document import SETTING, read_document
    from kaiwa.policy.watched import Watched

    path = read_settings().policy
    if name is None or path is None:
        return name
    known = Watched(path, read_document, setting=SETTING).value.policies
    if name not in known:
        raise ConfigError(
            "--policy", f"'{name}' is not in {path}.", f"Policies: {', '.join(known) or 'none'}."
        )
    return name


def _seconds(written: str) -> float:
    found = re.fullmatch(r"([1-9]\d{0,5})([mhdw])", written)
    if found is None:
        raise ConfigError("--expires", f"'{written}' is no time.", "Write 30m, 12h, 90d or 4w.")
    return int(found[1]) * _UNIT_S[found[2]]


def _print_json(records: tuple[KeyRecord, ...]) -> None:
    import json

    now = time.time()
    told = [
        {
            "id": record.id,
            "label": record.label,
            "state": _state(record, now),
            "policy": record.policy,
            "scopes": list(record.scopes),
            "created_at": record.created_at,
            "expires_at": record.expires_at,
        }
        for record in records
    ]
    print(json.dumps(told, ensure_ascii=False, indent=2))


def _print_table(records: tuple[KeyRecord, ...]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from kaiwa.policy.caller import SCOPES

    table = Table("id", "label", "state 状態", "policy", "scopes", "created 作成", "expires 期限", box=None)
    now = time.time()
    for record in records:
        scopes = "all" if set(record.scopes) >= SCOPES else ", ".join(record.scopes)
        table.add_row(
            record.id,
            Text(record.label),
            _state(record, now),
            record.policy or "",
            scopes,
            _day(record.created_at),
            _day(record.expires_at),
        )
    Console(highlight=False).print(table)


def _state(record: KeyRecord, now: float) -> str:
    if record.revoked_at is not None:
        return "revoked"
    return "good" if record.is_good(now) else "expired"


def _day(moment: int | None) -> str:
    return "never" if moment is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))
