"""`kaiwa faults`: the list of what can go wrong on demand, for people and for programs."""

from __future__ import annotations

import msgspec
from rich.console import Console
from rich.table import Table

from kaiwa.testing.faults import FAULTS

_HOW = """\
In a test house:   kaiwa serve --test-mode --test-faults "tool-slow;for_s=2,upstream-busy"
For one request:   header x-kaiwa-fault: NAME;at=2   or   ?kaiwa_fault=NAME
At the stand-in:   kaiwa emulate --fault upstream-busy,retry_after_s=2   (those of upstream)"""
_HOW_JAPANESE = """\
テスト用サーバー：  kaiwa serve --test-mode --test-faults "tool-slow;for_s=2,upstream-busy"
要求ごと：          ヘッダー x-kaiwa-fault: NAME;at=2 または ?kaiwa_fault=NAME
代役のサービス：    kaiwa emulate --fault upstream-busy,retry_after_s=2（upstream のもの）"""


def print_faults(*, japanese: bool) -> None:
    console = Console(highlight=False)
    table = Table(box=None, padding=(0, 2))
    for heading in ("障害", "内容", "指定") if japanese else ("fault", "what happens", "parameters"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("fault", "障害"))
    for fault in FAULTS:
        told = " ".join(f"{one.name}={one.usual}" for one in fault.parameters)
        table.add_row(fault.name, fault.japanese if japanese else fault.english, told)
    console.print(table)
    console.print(_HOW_JAPANESE if japanese else _HOW, soft_wrap=True)


def faults_as_json() -> str:
    return msgspec.json.format(msgspec.json.encode(FAULTS), indent=1).decode()
