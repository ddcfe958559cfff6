"""The router accepts the same clauses as the test of a refitted calibration."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from services.extraction.pipeline.search import ClauseSpan, Search
from services.extraction.routing.routes import route_clauses, stated_risk
from shared.monitoring.recalibration import RefitSubject, TargetRisk, compare_refit
from shared.monitoring.refit import FOLDS, DecidedResult, refit_calibration
from shared.monitoring.tenant_calibration import SHIPPED_CALIBRATION, TenantCalibration
from shared.policy.risk_control import NEVER, Calibration, control_risk, read_calibration
from shared.policy.rules import RiskRules
from tests.unit.extraction.builders import PAGES, KeywordSpecialist, reading

SURE, FALLS, LEVEL, RARE = "Governing Law", "Insurance", "Audit Rights", "Exclusivity"
OTHERS = ("Anti-Assignment", "Cap On Liability", "License Grant", "Document Name")
LABELS = (SURE, FALLS, LEVEL, RARE, *OTHERS)
RISK = 0.1


def fold_of(group: str) -> int:
    return int(hashlib.sha256(group.encode()).hexdigest(), 16) % FOLDS


def decisions(seed: int, documents: int = 400) -> list[DecidedResult]:
    """Decide clauses whose error rate depends on the confidence in five ways.

    Errors fall with the confidence (SURE), rise with it (FALLS), or do not depend on it (LEVEL).
    RARE has few decisions, at random. OTHERS are all confident. Half of the confident are checked.
    """
    draw = np.random.default_rng(seed)
    found = []
    wrong = draw.uniform(0.2, 0.6)
    for number in range(documents):
        name = f"doc_{seed}_{number}"
        found.append(
            DecidedResult(name, SURE, float(draw.uniform(0.4, 0.6)), draw.random() < 0.4, 1.0)
        )
        found.append(
            DecidedResult(name, FALLS, float(draw.uniform(0.3, 0.6)), draw.random() < 0.05, 1.0)
        )
        if draw.random() < 0.5:
            found += [DecidedResult(name, one, 0.97, draw.random() < 0.01, 2.0) for one in OTHERS]
            high = float(draw.uniform(0.9, 0.99))
            found.append(DecidedResult(name, SURE, high, draw.random() < 0.01, 2.0))
            found.append(DecidedResult(name, FALLS, high, draw.random() < wrong, 2.0))
        found.append(
            DecidedResult(name, LEVEL, float(draw.uniform(0.3, 0.99)), draw.random() < 0.1, 1.0)
        )
        if draw.random() < 0.03:
            found.append(
                DecidedResult(name, RARE, float(draw.uniform(0.3, 0.99)), bool(number % 2), 1.0)
            )
    return found


def router(known: Calibration, found: Sequence[DecidedResult]) -> list[bool]:
    """Say which clauses the service accepts with a calibration of the tenant."""
    expert = KeywordSpecialist()
    expert.manifest = replace(expert.manifest, thresholds={"best_f1": 0.29})
    local = TenantCalibration(data=known.to_bytes(), number=1)
    stated = stated_risk(expert, Search([], []), RiskRules(max_wrong=RISK), local)
    clauses = [ClauseSpan(one.category, "x", 0, 1, one.confidence) for one in found]
    return [way == "accept" for way in route_clauses(clauses, reading(*PAGES), stated)]


@pytest.mark.parametrize("seed", range(12))
def test_the_router_accepts_clause_by_clause_what_the_test_accepted(seed: int) -> None:
    found = decisions(seed)
    new = refit_calibration(LABELS, None, found)
    lines = new.lines.copy()
    lines[2] = np.random.default_rng(seed).uniform(-0.02, 0.02, 2) + np.array([2.0, 0.0])
    for known in (new, replace(new, lines=lines)):
        beliefs = [known.belief_of(one.category, one.confidence) for one in found]
        kept = read_calibration(replace(known, belief=np.array(beliefs)).to_bytes())
        belief = control_risk(kept, RISK, 0.95).belief
        assert belief is not None
        accepted = router(kept, found)
        assert accepted == (kept.served >= belief).tolist()
        counted = kept.counts(np.array([belief]))[0].sum()
        weights = [one.weight for one, taken in zip(found, accepted, strict=True) if taken]
        assert counted == pytest.approx(sum(weights))
        assert not any(accepted[i] for i, one in enumerate(found) if one.category == FALLS)


@pytest.mark.parametrize("seed", range(12))
def test_each_fold_is_tested_by_what_the_lines_of_the_others_accept(seed: int) -> None:
    """Where all lines of a category rise; else nothing of it is accepted at all."""
    found = decisions(seed)
    new = refit_calibration(LABELS, None, found)
    belief = control_risk(new, RISK, 0.95).belief
    assert belief is not None
    assert FALLS in new.flat
    assert not new.served[new.label == LABELS.index(FALLS)].any()
    for fold in range(FOLDS):
        rest = refit_calibration(LABELS, None, [one for one in found if fold_of(one.group) != fold])
        for one, sure in zip(found, new.served, strict=True):
            if fold_of(one.group) == fold and one.category not in {*new.flat, *rest.flat}:
                assert (one.confidence >= rest.confidence_of(one.category, belief)) == (
                    sure >= belief
                )


def test_named_is_what_is_flat_or_asks_for_more_than_any_confidence() -> None:
    found = decisions(1)
    new = refit_calibration(LABELS, None, found)
    lines = np.array([[0.0, 1.0], [2.0, -0.5], [0.0, 0.02], [0.0, 1.0]] * 2)
    lines[4:] = 0.0, 1.0
    known = replace(new, lines=lines)
    assert known.never_accepted(None) == known.flat == (FALLS,)
    assert known.never_accepted(0.9) == (FALLS, LEVEL)
    was = control_risk(new, RISK, 0.95)
    whose = RefitSubject("contract-clauses", "0.0.1", new.families, 0)
    risk, doubted = (
        TargetRisk(RISK, 0.95, (LEVEL,)),
        TenantCalibration(known.to_bytes(), 1, suspended=frozenset({SURE, LEVEL})),
    )
    made = compare_refit(whose, risk, doubted, found, new, known, was, None, False)
    assert made.never_before == (SURE, FALLS)
    assert LEVEL not in made.never_after
    assert (made.to_json()["never_after"], made.categories) == (made.never_after, len(LABELS))


@pytest.mark.parametrize("seed", range(5))
def test_what_is_shown_before_it_is_applied_is_what_will_be_served(seed: int) -> None:
    """The preview matches the router's accepted weight and error rate, to a hundredth.

    No clause of a category with a falling line is accepted, also from an older release.
    """
    found = decisions(seed)
    new = refit_calibration(LABELS, None, found)
    whose = RefitSubject("contract-clauses", "0.0.1", new.families, 0)
    made = compare_refit(
        whose, TargetRisk(RISK, 0.95), SHIPPED_CALIBRATION, found, new, None, None, None, False
    )
    taken = np.array(router(read_calibration(made.data), found))
    weight, wrong = new.weight, new.wrong
    assert weight is not None
    assert made.after.accepted == pytest.approx((weight * taken).sum(), rel=0.02)
    assert made.never_before is None
    assert FALLS in made.never_after
    assert {
        one.category for one, accepted in zip(found, taken, strict=True) if accepted
    }.isdisjoint(made.never_after)
    rate = (weight * taken * wrong).sum() / (weight * taken).sum()
    assert made.after.rate == pytest.approx(rate, abs=0.01)
    assert rate <= RISK
    lines = new.lines.copy()
    lines[1] = 2.33, -0.47
    old = replace(new, lines=lines)
    was = control_risk(old, RISK, 0.95)
    again = compare_refit(
        whose,
        TargetRisk(RISK, 0.95),
        TenantCalibration(old.to_bytes(), 1),
        found,
        new,
        old,
        was,
        None,
        False,
    )
    assert again.before is not None
    assert FALLS in (again.never_before or ())
    served = np.array(router(old, found))
    assert not served[new.label == LABELS.index(FALLS)].any()
    assert again.before.accepted == pytest.approx((weight * served).sum())


@pytest.mark.parametrize("doubted", [(), (OTHERS[0],), (SURE,), (*OTHERS, SURE)])
@pytest.mark.parametrize("step", [0, 1, 4])
def test_what_is_in_force_is_what_is_served_while_categories_are_in_doubt(
    step: int, doubted: tuple[str, ...]
) -> None:
    found = decisions(2)
    known = refit_calibration(LABELS, None, found)
    beliefs = np.array([known.belief_of(one.category, one.confidence) for one in found])
    local = TenantCalibration(known.to_bytes(), 1, step, frozenset(doubted))
    was = control_risk(known, RISK, 0.95)
    assert was.belief is not None
    whose = RefitSubject("contract-clauses", "0.0.1", known.families, 0)
    made = compare_refit(
        whose, TargetRisk(RISK, 0.95), local, found, known, known, was, None, with_shipped=False
    )
    expert = KeywordSpecialist()
    expert.manifest = replace(expert.manifest, thresholds={"best_f1": 0.001})
    stated = stated_risk(expert, Search([], []), RiskRules(max_wrong=RISK), local)
    assert stated is not None
    alone = control_risk(known, RISK, 0.95, doubted).belief
    if made.belief_before is None:
        assert stated.thresholds == {}
        assert step == 4 or alone is None
        return
    assert made.belief_before >= was.belief
    assert alone is not None
    assert made.belief_before >= alone
    open_ = [one.category not in (*doubted, *known.flat) for one in found]
    served = [stated.accepts(one.category, one.confidence) for one in found]
    assert served == (np.array(open_) & (beliefs >= made.belief_before)).tolist()


def test_of_a_line_that_does_not_rise_no_confidence_is_sure_enough() -> None:
    known = refit_calibration(LABELS, None, decisions(1))
    assert known.belief_of(FALLS, 0.4) > known.belief_of(FALLS, 0.99)
    assert known.confidence_of(FALLS, 0.3) == NEVER
    assert known.confidence_of(SURE, 0.9) < 1 < known.confidence_of(SURE, 1.0)
    tiny = replace(known, lines=np.array([[2.0, 1e-9], [0.0, 0.0], [-40.0, 1.0], [3.0, 0.01]] * 2))
    assert [tiny.confidence_of(name, 0.5) for name in LABELS[:4]] == [
        NEVER, NEVER, NEVER, pytest.approx(0.0)
    ]  # fmt: skip
