"""Starts the Chainlit page: on a port, or on a Unix socket behind kaiwa. Exit code 2: a setting is wrong.

Chainlit reads its place from the environment when it is imported, so this comes first. It also keeps the page
at home: Chainlit's own page asks two foreign hosts for fonts and a style.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from dotenv import load_dotenv
from environment import HERE, Place, SettingError, place_from

FOREIGN_LINK = re.compile(r"<link\b[^>]*\bhref=\"https?://[^>]*>")
FOREIGN_META = re.compile(r"<meta property=\"og:(?:image|url)\"[^>]*>")


def main() -> None:
    load_dotenv(Path.cwd() / ".env")  # what stands in the environment wins
    try:
        place = place_from(os.environ)
    except SettingError as error:
        sys.stderr.write(f"chainlit: {error}\n")
        raise SystemExit(2) from error
    _prepare(place)
    if place.socket:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    _serve(place)


def _end_with_parent() -> None:
    """Behind kaiwa standard input is a pipe that nobody writes to: it closes when kaiwa is gone."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def _prepare(place: Place) -> None:
    os.environ["CHAINLIT_APP_ROOT"] = str(HERE)
    os.environ["CHAINLIT_ROOT_PATH"] = place.root_path
    os.environ.setdefault("CHAINLIT_AUTH_SECRET", _secret(place))
    os.environ.pop("DATABASE_URL", None)  # of some other program; Chainlit would take it for its own
    os.environ["DO_NOT_TRACK"] = "1"


def _secret(place: Place) -> str:
    """What logins are signed with: kept beside the threads; logins by key end with the process."""
    if place.keyed:
        return secrets.token_urlsafe(48)
    path = place.database.parent / "auth-secret"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
    return path.read_text()


def _serve(place: Place) -> None:
    import uvicorn
    from chainlit.config import config

    config.run.host, config.run.port = place.host, place.port
    config.run.root_path, config.run.headless = place.root_path, True
    from chainlit import server

    _keep_at_home(server)
    _reword()
    import app  # noqa: F401  its hooks register themselves

    where = {"uds": str(place.socket)} if place.socket else {"host": place.host, "port": place.port}
    if not place.socket:
        here = f"http://{place.host}:{place.port}{place.root_path}"
        sys.stdout.write(f"kaiwa Chainlit  {here}   → {place.kaiwa}\n")
        sys.stdout.flush()
    uvicorn.run(server.app, log_level="warning", ws_per_message_deflate=False, **where)


def _reword() -> None:
    """Name a call the same while it runs and afterwards: Chainlit says "used" of one that has only begun."""
    from chainlit.config import ChainlitConfig

    chainlits = ChainlitConfig.load_translation

    def reworded(self: ChainlitConfig, language: str) -> dict[str, Any]:
        translation: dict[str, Any] = chainlits(self, language)
        word = "ツール：" if language.startswith("ja") else "Tool:"
        translation["chat"]["messages"]["status"] = {"using": word, "used": word}
        return translation

    ChainlitConfig.load_translation = reworded  # type: ignore[method-assign]


def _keep_at_home(server: object) -> None:
    chainlits: object = server.get_html_template  # type: ignore[attr-defined]

    def at_home(root_path: str) -> str:
        page: str = chainlits(root_path)  # type: ignore[operator]
        return FOREIGN_META.sub("", FOREIGN_LINK.sub("", page))

    server.get_html_template = at_home  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
