"""The check of the manifest can fail: each kind of gap is named."""

from __future__ import annotations

from tests.contract import proof_page
from tests.contract.manifest import REALTIME, SIGNALR, Proofs, Requirement, complaints, requirements


def listed(**fields: str) -> dict[str, Requirement]:
    return {"K-1": Requirement("K-1", "It works.", **fields)}


def run(*outcomes: tuple[str, bool, bool]) -> Proofs:
    proofs = Proofs()
    for test, planted, passed in outcomes:
        proofs.note(["K-1"], test, planted=planted, passed=passed)
    return proofs


def test_a_statement_is_proved_by_a_test_that_held_and_noticed_the_breakage() -> None:
    assert complaints(listed(), run(("a", False, True), ("a", True, True))) == []


def test_a_test_that_only_held_proves_nothing() -> None:
    assert complaints(listed(), run(("a", False, True), ("b", True, True))) == [
        "K-1 is not proved: It works."
    ]
    assert complaints(listed(), run(("a", False, True), ("a", True, False))) == [
        "K-1 is not proved: It works."
    ]
    assert complaints(listed(), Proofs()) == ["K-1 is not proved: It works."]


def test_an_excuse_ends_with_the_proof() -> None:
    proofs = run(("a", False, True), ("a", True, True))
    assert complaints(listed(awaits="WebRTC"), Proofs()) == []
    assert complaints(listed(awaits="WebRTC"), proofs) == ["K-1 is proved now; remove its excuse (WebRTC)"]


def test_an_unknown_id_and_a_sixth_divergence_are_named() -> None:
    many = {f"K-{n}": Requirement(f"K-{n}", "", diverges="reason") for n in range(1, 7)}
    assert "6 divergences" in complaints(many, Proofs())[0]
    assert complaints({}, run(("a", False, True))) == ["K-1 is not in requirements.toml"]


def test_the_lists_are_whole_and_keep_their_ids_apart() -> None:
    assert list(REALTIME.requirements()) == [f"K-{n}" for n in range(1, 313)]
    assert list(SIGNALR.requirements()) == [f"S-{n}" for n in range(1, 63)]
    assert len(requirements()) == 312 + 62


def test_a_run_is_held_only_against_the_protocol_it_proves() -> None:
    proofs = run(("a", False, True))
    proofs.note(["S-99"], "b", planted=False, passed=True)
    assert complaints(listed(awaits="WebRTC"), proofs, prefix="K-") == []
    assert complaints({}, proofs, prefix="S-") == ["S-99 is not in requirements.toml"]


def test_the_page_of_a_hubs_rules_shows_each_with_the_tests_that_prove_it() -> None:
    told = proof_page.PAGE.read_text(encoding="utf-8")
    assert set(proof_page.proofs(SIGNALR.prefix)) == set(SIGNALR.requirements())
    assert proof_page.rendered(told) == told, "run: python -m tests.contract.proof_page --write"
