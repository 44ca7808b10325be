"""Make the demo's call once and draw its terminal as docs/images/demo.svg.

A developer's tool, not part of the package. Open the picture in a browser before you commit it.

    python scripts/demo_picture.py
"""

from __future__ import annotations

import asyncio
import html
import io
import re
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console

from kaiwa.apps.demo.script import bundled_script
from kaiwa.cli.demo import DemoOptions, run_demo
from kaiwa.cli.demo_view import TerminalView, print_result

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "demo.svg"
COLUMNS = 112
CELL_PX = 12.2  # rich draws its letters in a grid of this width
FONTS = "'Noto Sans Mono CJK JP', 'BIZ UDGothic', 'MS Gothic', 'Osaka-Mono', 'IPAGothic', Menlo, monospace"
_TEXT = re.compile(r'textLength="[\d.]+"([^>]*)>([^<]*)<')


def main() -> None:
    console = Console(
        record=True,
        width=COLUMNS,
        highlight=False,
        force_terminal=True,
        file=io.StringIO(),
        color_system="truecolor",
    )
    console.print("[dim]$[/dim] [bold]make demo[/bold]")
    options = DemoOptions(script=bundled_script("ja"), wav=None)
    result = asyncio.run(run_demo(options, TerminalView(console)))
    print_result(console, result, "kaiwa-demo.wav")
    if not result.ok:
        raise SystemExit("a turn was misunderstood; no picture")
    svg = console.export_svg(title="kaiwa demo", unique_id="demo")
    PICTURE.write_text(with_wide_letters(without_remote_fonts(svg)), encoding="utf-8")


def with_wide_letters(svg: str) -> str:
    """Give every run of text the width of its cells: rich counts a Japanese letter as one, it takes two."""

    def widened(match: re.Match[str]) -> str:
        width = cell_len(html.unescape(match[2])) * CELL_PX
        return f'textLength="{width:.1f}"{match[1]}>{match[2]}<'

    return _TEXT.sub(widened, svg)


def without_remote_fonts(svg: str) -> str:
    """Take out the fonts that rich would fetch from elsewhere."""
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return svg.replace("Fira Code, monospace", FONTS)


if __name__ == "__main__":
    main()
