"""What a wheel carries besides the tracked files of the package, and what must have been built before it.

A hook of hatchling, run when a wheel is built and never when kaiwa is installed. The pages under `src` are
built from `web/` by `make console`, which needs Node; the wheel takes them as they are, so that nobody who
installs kaiwa needs Node. The Chainlit page is a program beside the package; in a wheel it lies inside, and
`kaiwa chainlit install` takes it from there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SERVER = Path("src/kaiwa/server")
BUILT = ("static", "signalr_page")  # by `make console`; the other pages are as they were written
CHAINLIT = Path("ui/chainlit")
CHAINLIT_FILES = ("*.py", "*.md", "*.lock", "public/*", ".chainlit/config.toml")
IN_THE_PACKAGE = Path("kaiwa/server/chainlit_page")
_NAMED_BY_PAGE = re.compile(r"""(?:src|href)=["']\./([^"']+\.(?:js|css|svg))["']""")
_NAMED_BY_SCRIPT = re.compile(r"""["'`](?:\./)?([\w-]+\.js)["'`]""")
NOT_BUILT = (
    "kaiwa: the pages are not built, missing: {}. Run `make console` (it needs Node 20) and build again. / "
    "画面がビルドされていません。Node 20 で make console を実行してください。"
)


class WheelContents(BuildHookInterface):  # type: ignore[type-arg]
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or version == "editable":
            return
        root = Path(self.root)
        missing = missing_files(root)
        if missing:
            raise SystemExit(NOT_BUILT.format(", ".join(missing)))
        for path in chainlit_files(root):
            build_data["force_include"][str(path)] = str(IN_THE_PACKAGE / path.relative_to(root / CHAINLIT))


def chainlit_files(root: Path) -> list[Path]:
    """Return the files of the Chainlit page: what is written here, not what it leaves behind when it runs."""
    return sorted(
        path for pattern in CHAINLIT_FILES for path in (root / CHAINLIT).glob(pattern) if path.is_file()
    )


def missing_files(root: Path) -> list[str]:
    """Return what the built pages and their scripts name and is not there, and the pages themselves."""
    missing: list[Path] = []
    for name in BUILT:
        page = root / SERVER / name / "index.html"
        named = [page, *_named_by(page)]
        named += [path for script in named if script.suffix == ".js" for path in _named_by(script)]
        missing += [path for path in named if not path.is_file()]
    return sorted({str(path.relative_to(root)) for path in missing})


def _named_by(path: Path) -> list[Path]:
    if not path.is_file():
        return []
    pattern = _NAMED_BY_SCRIPT if path.suffix == ".js" else _NAMED_BY_PAGE
    return [path.parent / name for name in pattern.findall(path.read_text("utf-8"))]
