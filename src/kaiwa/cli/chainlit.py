"""`kaiwa chainlit`: the Chainlit page of an installed kaiwa, as scripts/setup-chainlit.sh does it in a clone.

The page's packages and kaiwa's do not agree, so it has an environment of its own. Its sources come with
kaiwa; they are copied out, since Chainlit writes beside them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import typer

from kaiwa.errors import ConfigError

app = typer.Typer(help="The Chainlit page under /chat.", no_args_is_help=True)

LOCK: Final = "chainlit.lock"


@app.callback()
def about() -> None:
    """The Chainlit page under /chat."""


@app.command()
def install() -> None:
    """Install the page and its packages; `KAIWA_CHAINLIT=true kaiwa serve` then shows it under /chat."""
    from kaiwa.cli.serving import read_settings
    from kaiwa.server import chainlit

    home = chainlit.home_of_the_page(read_settings())
    source = Path(chainlit.__file__).parent / "chainlit_page"
    if not source.is_dir():
        raise ConfigError("chainlit", "this is a clone.", "Run scripts/setup-chainlit.sh, or make run.")
    page, environment = home / "ui" / "chainlit", home / ".venv-chainlit"
    shutil.copytree(source, page, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    for step in _steps(environment, page / LOCK):
        if subprocess.call(step) != 0:
            problem = f"the packages could not be installed ({Path(step[0]).name} failed)."
            raise ConfigError("chainlit", problem, "What it said stands above. / 理由は上の行にあります。")
    print(f"The page is in {home}. Start it: KAIWA_CHAINLIT=true kaiwa serve")


def _steps(environment: Path, lock: Path) -> list[list[str]]:
    """Return the commands that make the environment: with uv where it is there, else with pip."""
    python = str(environment / "bin" / "python")
    uv = shutil.which("uv")
    if uv:
        return [
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)],
            [uv, "pip", "sync", "--quiet", "--python", python, "--require-hashes", str(lock)],
        ]
    return [
        [sys.executable, "-m", "venv", "--clear", str(environment)],
        [python, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r", str(lock)],
    ]
