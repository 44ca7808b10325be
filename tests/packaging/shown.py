"""Commands that pages show and that need an installation, a container or an account: which test runs each.

`tests/docs` takes these blocks as known. Named by page and first line, as there.
"""

from __future__ import annotations

INSTALLED = "tests/packaging/test_installed.py"
STEPS = "tests/packaging/test_container.py"
UNIT = "tests/packaging/test_systemd.py"
NEVER = "docs/deployment.md says that it was not run"

SHOWN = {
    "docs/install.md: pip install 'kaiwa[local]'": INSTALLED,
    "docs/install.md: uvx --from 'kaiwa[local]' kaiwa serve": INSTALLED,
    "docs/install.md: $ KAIWA_REDIS_URL=redis://127.0.0.1:6379": INSTALLED,
    "docs/install.md: kaiwa chainlit install": INSTALLED,
    "docs/deployment.md: docker build --tag kaiwa:0.1.0 .": STEPS,
    "docs/deployment.md: python3.11 -m venv /opt/kaiwa && /opt/ka": UNIT,
    "docs/deployment.md: cp .env.example .env": NEVER,
    "docs/deployment.md: cd deploy/azd": NEVER,
}
