"""Simulation of a policy on past documents, counted by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from itertools import product
from math import prod
from typing import Any, Literal, get_args

import pytest

from services.extraction.domain import PASSES, ExtractedClause, Pass, SearchRecord
from services.extraction.policy_simulation import PastContract, simulate
from shared.events import Kind
from shared.monitoring.policy_simulation import PolicySimulation
from shared.monitoring.sequential_test import STEPS
from shared.monitoring.store import AuditSample
from shared.monitoring.tenant_calibration import SHIPPED_CALIBRATION, TenantCalibration
from shared.policy.escalation_value import NO_ESCALATION, TenantEscalationRules
from shared.policy.prices import Price
from shared.policy.rules import RiskRules
from tests.unit.extraction.builders import KeywordSpecialist, reading
from tests.unit.extraction.test_routes import KEY, specialist

TEXT = "The law of Utah governs. Records may be audited. Nothing else is said here at all."
STATED = RiskRules(max_wrong=0.05, sample_share=0.0)
"""Of the calibration set all from 0.3 on are right, so 0.3 is the threshold."""


def tally_of(*documents: PastContract, rules: RiskRules = STATED, **more: Any) -> PolicySimulation:
    """Simulate one policy on documents without decisions."""
    (tally,) = simulate(documents, silent(rules), expert, {}, KEY, **more)
    return tally


def local_of(calibration: TenantCalibration) -> dict[str, Any]:
    return {"local": lambda _name, _version: calibration}


def silent(*rules: RiskRules) -> list[tuple[RiskRules, TenantEscalationRules]]:
    return [(one, NO_ESCALATION) for one in rules]


def found(number: int, category: str, confidence: float, words: str) -> ExtractedClause:
    start = TEXT.index(words)
    return ExtractedClause(
        f"cl_{number}", "keywords", category, words, start, start + len(words), 1, confidence
    )


LAW = found(1, "Governing Law", 0.9, "The law of Utah governs.")
DOUBTED = found(2, "Governing Law", 0.2, "Nothing else is said here at all.")
AUDIT = found(3, "Audit Rights", 0.6, "Records may be audited.")


def document(
    *clauses: ExtractedClause, warnings: tuple[str, ...] = (), method: str = "text"
) -> PastContract:
    read = reading(TEXT)
    pages = tuple(replace(page, method=method) for page in read.pages)
    name, version = expert().manifest.name, expert().manifest.version
    mine = [replace(clause, adapter=name) for clause in clauses]
    searched = SearchRecord(len(TEXT), 1, (), (), warnings)
    return PastContract([Pass(name, version, searched)], mine, replace(read, pages=pages))


def expert(_name: str = "") -> KeywordSpecialist:
    return specialist()


def test_two_policies_are_counted_side_by_side() -> None:
    verdicts = {"cl_1": "accept", "cl_3": "correct", "cl_2": "reject"}
    now, new = simulate(
        [document(LAW, DOUBTED, AUDIT)], silent(RiskRules(), STATED), expert, verdicts, KEY
    )
    assert (now.results, now.accepted, now.reviewed, now.expected_errors) == (3, 0, 3, 0)
    assert now.words_reviewed == 5 + 7 + 4
    assert now.no_guarantee_reason == {}
    assert (new.results, new.accepted, new.reviewed) == (3, 2, 1)
    assert new.words_reviewed == 7
    # Belief is confidence itself in this calibration set: 0.1 and 0.4 are left.
    assert new.expected_errors == pytest.approx(0.5)
    # People looked at both that it would have accepted, and corrected one.
    assert (new.decided, new.changed) == (2, 1)


def test_expected_errors_are_listed_by_category() -> None:
    tally = tally_of(document(LAW, AUDIT))
    found = tally.errors_by_category()
    assert list(found) == ["Audit Rights", "Governing Law"]
    assert found["Audit Rights"] == pytest.approx((0.4, 1))
    assert found["Governing Law"] == pytest.approx((0.1, 1))


@pytest.mark.parametrize("doubts", [[], [0.0] * 9, [1.0] * 3, [0.1, 0.4], [0.02, 0.3, 0.5] * 4])
def test_the_interval_of_errors_is_that_of_all_ways_in_which_they_can_fall(
    doubts: list[float],
) -> None:
    chance = [0.0] * (len(doubts) + 1)
    for fallen in product((False, True), repeat=len(doubts)):
        ways = zip(fallen, doubts, strict=True)
        chance[sum(fallen)] += prod(doubt if wrong else 1 - doubt for wrong, doubt in ways)
    below = [sum(chance[: n + 1]) for n in range(len(chance))]
    low = next(n for n, share in enumerate(below) if share >= 0.025)
    high = next(n for n, share in enumerate(below) if share >= 0.975)
    assert PolicySimulation(error_chances={"Audit Rights": doubts}).errors_within() == (low, high)


@pytest.mark.parametrize(
    ("doubts", "within"), [([0.02], (0, 1)), ([0.99], (0, 1)), ([0.001] * 8 + [1.0], (1, 2))]
)
def test_the_interval_of_errors_holds_how_many_are_expected(
    doubts: list[float], within: tuple[int, int]
) -> None:
    tally = PolicySimulation(error_chances={"Audit Rights": doubts})
    assert tally.errors_within() == within
    assert within[0] <= tally.expected_errors <= within[1]


def test_many_clauses_have_about_the_normal_interval() -> None:
    low, high = PolicySimulation(error_chances={"Audit Rights": [0.05] * 5000}).errors_within()
    assert (low, high) == pytest.approx((250 - 30.2, 250 + 30.2), abs=1.5)


def test_categories_for_a_person_and_audit_samples_are_reviewed() -> None:
    always = RiskRules(max_wrong=0.05, sample_share=0.0, always_person=("Audit Rights",))
    checked = RiskRules(max_wrong=0.05, sample_share=1.0)
    one, all_ = simulate([document(LAW, AUDIT)], silent(always, checked), expert, {}, KEY)
    assert (one.accepted, one.reviewed, one.sampled) == (1, 1, 0)
    assert (all_.accepted, all_.reviewed, all_.sampled) == (0, 2, 2)


def test_without_a_guarantee_a_clause_is_reviewed_with_a_reason() -> None:
    warned = document(LAW, AUDIT, warnings=("it is in French",))
    recognised = document(LAW, method="tesseract")
    gone = replace(document(LAW), reading=None)
    older = document(LAW)
    older = replace(older, passes=[replace(older.passes[0], version="0.0.9")])
    tally = tally_of(warned, recognised, gone, older)
    assert (tally.accepted, tally.reviewed) == (0, 5)
    reasons = list(tally.no_guarantee_reason)
    assert [tally.no_guarantee_reason[reason] for reason in reasons] == [2, 1, 1]
    for reason, words in zip(reasons, ("warnings", "is gone", "reprocess"), strict=True):
        assert words in reason

    (tally,) = simulate([document(LAW)], silent(STATED), lambda _name: None, {}, KEY)
    assert (tally.accepted, tally.reviewed) == (0, 1)
    assert "not installed" in next(iter(tally.no_guarantee_reason))


def test_routes_of_the_past_do_not_count() -> None:
    was = replace(DOUBTED, route="accept"), replace(LAW, sampled=True)
    tally = tally_of(document(*was))
    assert (tally.accepted, tally.reviewed, tally.sampled) == (1, 1, 0)


def kept(clause: ExtractedClause, wrong: bool, share: float) -> AuditSample:
    return AuditSample(
        clause.id, f"doc of {clause.id}", "keywords", "1", clause.category, clause.confidence,
        0.9, "", share, share < 1, wrong,
    )  # fmt: skip


def test_decisions_estimate_the_number_of_errors() -> None:
    """Two of ten accepted clauses are audit samples, so each counts five times; one is wrong."""
    laws = [replace(LAW, id=f"cl_law_{number}") for number in range(10)]
    known = [kept(laws[0], True, 0.2), kept(laws[1], False, 0.2), kept(laws[2], False, 1.0)]
    decisions = {one.result_id: one for one in (*known, kept(DOUBTED, True, 1.0))}
    half = RiskRules(max_wrong=0.05, sample_share=0.5)
    rules = silent(STATED, half, RiskRules())
    tallies = simulate([document(*laws, DOUBTED)], rules, expert, {}, KEY, decisions=decisions)
    for tally in tallies[:2]:
        assert tally.accepted + tally.sampled == 10
        seen = tally.observed_errors()
        assert seen is not None
        assert (seen.decided, seen.wrong) == (3, 1)
        assert seen.share == pytest.approx(5 / 11)
        low, high = seen.interval
        assert low < 0.1 < 0.9 < high
        errors, within = tally.estimated_errors(seen)
        assert errors == pytest.approx(tally.accepted * 5 / 11)
        assert within[0] <= 1 < 0.9 * tally.accepted <= within[1] <= tally.accepted
    assert tallies[1].sampled > 0
    assert tallies[2].observed_errors() is None


def test_the_simulation_states_what_is_tightened() -> None:
    tight = TenantCalibration(step=1, suspended=frozenset({"Audit Rights"}))
    tally = tally_of(document(LAW), document(AUDIT), **local_of(tight))
    first, second = tally.tightened
    assert first.startswith(f"{expert().manifest.name}: too many checks were wrong: the required")
    assert second.endswith("a person decides Audit Rights")
    assert tally_of(document(LAW)).tightened == {}


ASKS = TenantEscalationRules(
    {"contract": Price(Decimal(1), Decimal(1), "2026-01-31")}, Decimal(100)
)
"""A prevented mistake is worth so much that all that is unsure is asked about."""
UNSURE = replace(AUDIT, confidence=0.55)


def asked_under(
    trust: str,
    local: TenantCalibration = SHIPPED_CALIBRATION,
    usual: float = 0.5,
    method: str = "text",
) -> int:
    one = expert()
    one.manifest = replace(one.manifest, thresholds={"best_f1": usual})
    rules = RiskRules.model_validate(
        {"max_wrong": 0.05, "trust": trust, "always_person": ("Audit Rights",)}
    )
    documents, asking = [document(UNSURE, method=method)], [(rules, ASKS)]
    (tally,) = simulate(documents, asking, lambda _name: one, {}, KEY, **local_of(local))
    assert (tally.accepted, tally.reviewed) == (0, 1)
    return tally.escalated


@pytest.mark.parametrize(
    "changed",
    [
        {"local": TenantCalibration(step=STEPS)},
        {"local": TenantCalibration(suspended=frozenset({"Audit Rights"}))},
        {"usual": 0.6},
        {"method": "tesseract"},
    ],
    ids=["nothing is accepted any more", "checks were wrong", "not usually shown", "recognised"],
)
def test_a_trusted_model_would_not_be_asked_where_a_person_must_answer(
    changed: dict[str, Any],
) -> None:
    assert asked_under("person", **changed) == 1
    assert asked_under("measured", **changed) == 0
    assert asked_under("measured") == 1


def test_a_trusted_model_would_not_be_asked_about_unknown_pages() -> None:
    gone = replace(document(UNSURE), reading=None)
    ways: tuple[Literal["person", "measured"], ...] = ("person", "measured")
    policies = [(RiskRules(trust=trust), ASKS) for trust in ways]
    assert [one.escalated for one in simulate([gone], policies, expert, {}, KEY)] == [1, 0]


def test_drift_raises_the_simulated_sample() -> None:
    many = [replace(LAW, id=f"cl_{number}") for number in range(400)]
    drifted = TenantCalibration(drifted=True)
    rules = [RiskRules(max_wrong=0.05, sample_share=share) for share in (0.05, 0.0)]
    some, none = (tally_of(document(*many), rules=one, **local_of(drifted)) for one in rules)
    assert 50 < some.sampled < 115
    assert none.sampled == 0


def test_an_unsure_kind_is_accepted_under_no_policy() -> None:
    plain = document(LAW, UNSURE)
    (one,) = plain.passes
    assert one.searched
    unsure = replace(one, searched=replace(one.searched, kind_unsure=True))
    stored = json.dumps(PASSES.dump_python((unsure,), mode="json"))
    assert PASSES.validate_python(json.loads(stored)) == (unsure,)
    asking = replace(ASKS, external_kinds=frozenset({"contract"}))
    every = replace(asking, prices=dict.fromkeys(get_args(Kind), ASKS.prices["contract"]))
    every = replace(every, external_kinds=frozenset(get_args(Kind)))
    rules = STATED.model_copy(update={"always_person": ("Audit Rights",)})
    trusting = rules.model_copy(update={"trust": "measured"})
    policies = [(rules, asking), (rules, every), (trusting, every)]
    sure = simulate([plain], policies, expert, {}, KEY)
    assert [(tally.accepted, tally.escalated) for tally in sure] == [(1, 1)] * 3
    held = simulate([replace(plain, passes=[unsure])], policies, expert, {}, KEY)
    assert [tally.accepted for tally in held] == [0, 0, 0]
    assert held[0].escalated == held[2].escalated == 0 < held[1].escalated
    assert "unconfirmed kind" in next(iter(held[0].no_guarantee_reason))
