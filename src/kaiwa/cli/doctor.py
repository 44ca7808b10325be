"""`kaiwa doctor`: runs every check at once, each for a bounded time, and shows what they found.

Knows how checks are run and shown; what is checked stands in `doctor_checks`, how in the rooms that know it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Final, cast

import msgspec
from rich.console import Console
from rich.markup import escape

from kaiwa.errors import ConfigError, UpstreamError
from kaiwa.events.examined import Examined, State, Words, failure

MARKS: Final[dict[State, str]] = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "failure": "[red]✗[/]"}
PATIENCE_S: Final = 10.0
VERSION: Final = 1

Look = Callable[[], Examined] | Callable[[], Awaitable[Examined]]


@dataclass(frozen=True)
class Check:
    """`id` names the check for programs, `subject` what of several it is about. `last`: after all others."""

    id: str
    name: Words
    look: Look
    subject: str = ""
    last: bool = False


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One check and what came of it: what `--json` shows, whose fields stay."""

    check: str
    subject: str
    name: str
    name_ja: str
    state: State
    detail: str
    detail_ja: str
    remedy: str
    remedy_ja: str
    elapsed_ms: int


async def examine(checks: Sequence[Check], *, patience_s: float = PATIENCE_S) -> list[Finding]:
    """Run the checks beside each other; none of them raises for what it looks for, or holds up the rest."""
    logging.disable(logging.CRITICAL)  # what went wrong is a finding, not a line between them
    try:
        first = await asyncio.gather(*(_run(check, patience_s) for check in checks if not check.last))
        then = [await _run(check, patience_s) for check in checks if check.last]
    finally:
        logging.disable(logging.NOTSET)
    order = [check for check in checks if not check.last] + [check for check in checks if check.last]
    found = dict(zip((id(check) for check in order), [*first, *then], strict=True))
    return [found[id(check)] for check in checks]


async def _run(check: Check, patience_s: float) -> Finding:
    began = time.monotonic()
    try:
        async with asyncio.timeout(patience_s):
            found = await _looked(check.look)
    except TimeoutError:
        found = _no_answer(patience_s)
    except ConfigError as wrong:
        found = failure((f"{wrong.setting}: {wrong.problem}", ""), (wrong.remedy, ""))
    except UpstreamError as error:
        found = failure((error.message, ""), ("See docs/doctor.md.", "docs/doctor.md を参照してください。"))
    except Exception as bug:  # noqa: BLE001 - one check that breaks must not hide what the others found
        found = failure((f"the check itself failed ({type(bug).__name__})", "検査に失敗しました"), _REPORT)
    return _finding(check, found, round((time.monotonic() - began) * 1000))


async def _looked(look: Look) -> Examined:
    """Await what is asynchronous; what blocks gets a thread that is waited for no longer than the check."""
    if iscoroutinefunction(look):
        return await look()
    blocking = cast(Callable[[], Examined], look)
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Examined] = loop.create_future()

    def settle(found: Examined | None, error: Exception | None) -> None:
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        elif found is not None:
            outcome.set_result(found)

    def work() -> None:
        try:
            found = blocking()
        except Exception as error:  # noqa: BLE001 - carried to whoever awaits
            _hand_over(loop, settle, None, error)
        else:
            _hand_over(loop, settle, found, None)

    threading.Thread(target=work, daemon=True).start()
    return await outcome


def _hand_over(loop: asyncio.AbstractEventLoop, settle: Callable[..., None], *given: object) -> None:
    try:
        loop.call_soon_threadsafe(settle, *given)
    except RuntimeError:  # the loop is over: nobody waits any more
        return


def _no_answer(patience_s: float) -> Examined:
    return failure(
        (f"no answer within {patience_s:g} s", f"{patience_s:g} 秒以内に応答がありません"),
        ("Check address and network.", "アドレスとネットワークを確認してください。"),
    )


def _finding(check: Check, found: Examined, elapsed_ms: int) -> Finding:
    return Finding(
        check=check.id,
        subject=check.subject,
        name=check.name.english,
        name_ja=check.name.japanese,
        state=found.state,
        detail=found.detail.english,
        detail_ja=found.detail.japanese,
        remedy=found.remedy.english,
        remedy_ja=found.remedy.japanese,
        elapsed_ms=elapsed_ms,
    )


def print_findings(findings: Sequence[Finding], *, as_json: bool) -> int:
    """Show the findings; return the exit code: 1 when something failed."""
    failed = any(finding.state == "failure" for finding in findings)
    if as_json:
        print(json.dumps(_document(findings, failed), ensure_ascii=False, indent=1))
        return int(failed)
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        _print(console, finding)
    counts = _counts(findings)
    console.print(
        f"\n{counts['ok']} ok, {counts['warning']} warnings, {counts['failure']} failures   "
        f"正常 {counts['ok']}、警告 {counts['warning']}、異常 {counts['failure']}"
    )
    return int(failed)


def _print(console: Console, finding: Finding) -> None:
    title = f"{finding.name} {finding.name_ja}".strip()
    subject = f" ({escape(finding.subject)})" if finding.subject else ""
    console.print(f"{MARKS[finding.state]} [bold]{escape(title)}[/]{subject}  {escape(finding.detail)}")
    if finding.state == "ok":
        return
    if finding.detail_ja:
        console.print(f"    {escape(finding.detail_ja)}")
    if finding.remedy:
        console.print(f"    → {escape(finding.remedy)}")
    if finding.remedy_ja and finding.remedy_ja != finding.remedy:
        console.print(f"    → {escape(finding.remedy_ja)}")


def _document(findings: Sequence[Finding], failed: bool) -> dict[str, object]:
    return {
        "version": VERSION,
        "ok": not failed,
        "counts": _counts(findings),
        "findings": msgspec.to_builtins(list(findings)),
    }


def _counts(findings: Sequence[Finding]) -> dict[State, int]:
    states: tuple[State, ...] = ("ok", "warning", "failure")
    return {state: sum(finding.state == state for finding in findings) for state in states}


_REPORT: Final = (
    "Please report it, with the output of `kaiwa doctor --json`.",
    "`kaiwa doctor --json` の出力を添えて報告してください。",
)
