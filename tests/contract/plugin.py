"""Runs every `@rule` test as it is and once more for each planted breakage; reports what is proved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.breakages import Breakage
from tests.contract.desk import Desk
from tests.contract.manifest import MANIFESTS, Manifest, Proofs, complaints, requirements
from tests.sharing_out import is_worker

_PROOFS = pytest.StashKey[Proofs]()
_COMPLAINTS = pytest.StashKey[list[str]]()


class _Notes:
    """Notes what reports say about proofs: those of this process, and those that its workers send."""

    def __init__(self, proofs: Proofs) -> None:
        self._proofs = proofs

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, value in report.user_properties:
            if name == "proof":
                ids, test, planted = value  # type: ignore[misc]
                self._proofs.note(ids, test, planted=planted, passed=report.passed)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "rule(*ids, broken_by): the proof of statements of the protocol")
    config.stash[_PROOFS] = Proofs()
    config.pluginmanager.register(_Notes(config.stash[_PROOFS]))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marks = list(metafunc.definition.iter_markers("rule"))
    if not marks:
        return
    known = requirements()
    for mark in marks:
        unknown = [name for name in mark.args if name not in known]
        assert not unknown, f"{metafunc.definition.nodeid} proves {unknown}, which nobody requires"
    cases = [pytest.param(None, id="kept")]
    cases += [pytest.param(mark, id=f"{'+'.join(mark.args)}-broken") for mark in marks]
    if "planted" not in metafunc.fixturenames:
        metafunc.fixturenames.append("planted")
    metafunc.parametrize("planted", cases, indirect=True)


@pytest.fixture
def planted(request: pytest.FixtureRequest) -> Breakage | None:
    """The breakage that this run of the test has to notice; None in the run that has to pass."""
    mark = getattr(request, "param", None)
    return None if mark is None else mark.kwargs["broken_by"]()


@pytest.fixture
def desk(planted: Breakage | None) -> Desk:
    """A GA session in virtual time, as its peer sees it: JSON frames."""
    return Desk(planted)


@pytest.fixture
def preview_desk(planted: Breakage | None) -> Desk:
    return Desk(planted, dialect="preview")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    params = getattr(pyfuncitem, "callspec", None)
    mark = params.params.get("planted") if params is not None else None
    if mark is None:
        return (yield)
    try:
        yield
    except (AssertionError, pytest.fail.Exception):
        return True
    pytest.fail(f"with its rule broken, this test of {', '.join(mark.args)} still passes")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    marks = list(item.iter_markers("rule"))
    if marks and (report.when == "call" or not report.passed):
        mark = item.callspec.params.get("planted")  # type: ignore[attr-defined]
        ids = mark.args if mark is not None else [name for one in marks for name in one.args]
        test = item.nodeid.partition("[")[0]
        report.user_properties.append(("proof", (list(ids), test, mark is not None)))
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if is_worker(session.config):
        return
    proofs = session.config.stash[_PROOFS]
    _keep(session.config.rootpath / "build" / "contract.json", proofs)
    if session.testsfailed:
        return
    where = "clients" if session.config.option.clients else "tests"
    found: list[str] = []
    for one in MANIFESTS:
        if _is_whole(session.config, one):
            found += complaints(one.requirements(), proofs, where=where, prefix=one.prefix)
    session.config.stash[_COMPLAINTS] = found
    if found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _is_whole(config: pytest.Config, manifest: Manifest) -> bool:
    chosen = {argument.rstrip("/") for argument in config.args}
    narrowed = config.option.keyword or config.option.markexpr or config.option.collectonly
    return not narrowed and chosen <= manifest.whole | {str(config.rootpath)}


def _keep(path: Path, proofs: Proofs) -> None:
    path.parent.mkdir(exist_ok=True)
    proved = {name: sorted(proofs.held[name]) for name in requirements() if proofs.proved(name)}
    path.write_text(json.dumps(proved, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    proofs = config.stash[_PROOFS]
    for one in MANIFESTS:
        if any(name.startswith(one.prefix) for name in proofs.held):
            terminalreporter.write_line(_told(one, proofs))
    for line in config.stash.get(_COMPLAINTS, []):
        terminalreporter.write_line(f"  {line}", red=True)


def _told(manifest: Manifest, proofs: Proofs) -> str:
    listed = manifest.requirements()
    counts = {
        "proved": sum(proofs.proved(name) for name in listed),
        "awaiting": sum(bool(one.awaits) for one in listed.values()),
        "diverging": sum(bool(one.diverges) for one in listed.values()),
    }
    told = ", ".join(f"{count} {what}" for what, count in counts.items())
    return f"{manifest.title}: {len(listed)} statements, {told}"
