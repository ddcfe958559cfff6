"""`smallprint calibrate` for triage-breaks: decisions about findings make a calibration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.triage.checks.classifier import NAME, BreakClassifier
from services.triage.domain import Report
from services.triage.monitoring.recalibration import decided_documents, refit
from services.triage.monitoring.store import MonitoringStore
from services.triage.routing.risk_control import (
    FINDING,
    tenant_guarantee,
)
from services.triage.store import Reports
from shared.errors import Conflict, InvalidRequest
from shared.monitoring.refit import DecidedResult
from shared.monitoring.store import AuditSample
from shared.monitoring.tenant_calibration import SHIPPED_CALIBRATION, TenantCalibration
from shared.policy.risk_control import read_calibration
from shared.policy.rules import FindingRules, RiskRules
from tests.support import artefacts
from tests.unit.cli.builders import calibrate, calibrate_rows, opened

POLICY = "[tenants.default.findings]\nmax_wrong = 0.1\n"


@pytest.fixture(scope="module")
def version() -> str:
    return BreakClassifier.load(artefacts()).version


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> Path:
    """Two hundred reports of different companies. Each has a confident right finding, and every
    second one a less confident wrong one. One report is unfinished, and a decided one was deleted.
    """
    with opened(tmp_path, "triage") as store, store.write() as session:
        reports, monitoring = Reports(session, "default"), MonitoringStore(session, "default")
        for number in range(202):
            name, company = f"doc_{number:03}", f"company {number}"
            state = "deleted" if number == 201 else "done"
            reports.save(Report("default", name, "report", 1, state=state))  # type: ignore[arg-type]
            about = (name, NAME, version, "totals")
            sure = AuditSample(f"{name}a", *about, 0.99, 0.96, "", 0.25, True, False)
            monitoring.save_sample(replace(sure, family=company))
            if number % 2 == 0:
                wrong = None if number == 200 else True
                unsure = AuditSample(f"{name}b", *about, 0.6, 0.3, "", 1.0, False, wrong)
                monitoring.save_sample(replace(unsure, family=company))
    (tmp_path / "policy.toml").write_text(POLICY, "utf-8")
    monkeypatch.setenv("SMALLPRINT_POLICY", str(tmp_path / "policy.toml"))
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(artefacts()))
    return tmp_path


def active(data: Path, version: str) -> tuple[TenantCalibration, list[str]]:
    """The active calibration, and the newest notice."""
    with opened(data, "triage") as store, store.read() as session:
        monitoring = MonitoringStore(session, "default")
        notices = [one.text for one in monitoring.newest_notices(1)]
        return monitoring.tenant_calibration(NAME, version), notices


def test_decisions_promise_without_a_stated_share_of_broken_filings(data: Path) -> None:
    line = calibrate(data, NAME)
    assert (line["documents"], line["unfinished"], line["decided"]) == (200, 1, 300)
    assert line["before"] is None
    assert line["after"]["shown"] == 200 * 4 + 100
    assert line["after"]["accepted"] == 200 * 4
    assert line["after"]["wrong"] == 0
    assert line["belief_after"] is not None


def test_what_is_in_force_stands_beside_it_where_the_share_is_stated(data: Path) -> None:
    (data / "policy.toml").write_text(POLICY + "broken = 0.5\n", "utf-8")
    line = calibrate(data, NAME)
    assert line["belief_before"] is not None
    assert line["before"]["accepted"] == line["after"]["accepted"] == 800
    assert line["confidence_before"] == pytest.approx(0.84)
    assert 0.5 < line["confidence_after"] < 0.99
    shown = calibrate_rows(data, NAME)
    assert "accepted from confidence" in shown
    assert "84.0%" in shown
    both = calibrate(data, NAME, "--with-shipped")
    assert both["belief_after"] is not None


def test_it_is_applied_and_undone(data: Path, version: str) -> None:
    applied = calibrate(data, NAME, "--by", "ann", act="apply")
    local, (notice,) = active(data, version)
    assert (applied["done"], local.number, local.step) == ("applied", 1, 0)
    made = tenant_guarantee(None, FindingRules(max_wrong=0.1), 0.95, local)
    assert made is not None
    assert made.threshold == pytest.approx(applied["confidence_after"], abs=1e-4)
    assert f"a confidence of {made.threshold:.1%}" in notice
    assert calibrate(data, NAME, "--by", "ben", act="undo")["done"] == "undone"
    assert active(data, version)[0].number == 0


def test_too_few_decisions_promise_nothing(data: Path) -> None:
    line = calibrate(data, NAME, "--max-wrong", "0.001")
    assert "State a larger risk" in line["no_guarantee_reason"]
    (data / "policy.toml").write_text(POLICY.replace("0.1", "0.001"), "utf-8")
    with pytest.raises(Conflict, match="nothing to apply"):
        calibrate(data, NAME, act="apply")


def test_missing_data_is_named(data: Path) -> None:
    with pytest.raises(InvalidRequest, match="the share of broken filings"):
        calibrate(data, NAME, "--with-shipped")
    with pytest.raises(InvalidRequest, match="decided completely"):
        calibrate(data, NAME, "--tenant", "rivals", "--max-wrong", "0.2")
    (data / "policy.toml").write_text("", "utf-8")
    with pytest.raises(InvalidRequest, match="--max-wrong"):
        calibrate(data, NAME)


def test_where_surer_findings_are_not_righter_nothing_is_promised() -> None:
    classifier = BreakClassifier(None, None, 0.5, 0.2, version="1")  # type: ignore[arg-type]
    rules = RiskRules(findings=FindingRules(max_wrong=0.2))
    found = [
        DecidedResult(f"company {n}", FINDING, 0.99 if n % 2 else 0.3, bool(n % 2), 1.0)
        for n in range(400)
    ]
    made = refit(classifier, SHIPPED_CALIBRATION, rules, found, 400, 0, with_shipped=False)
    assert made.belief_after is None
    assert "Surer findings are not right more often here" in made.no_guarantee_reason


@pytest.mark.parametrize(("share", "kept"), [(1.0, 2.0), (0.25, 8.0)])
def test_companies_of_one_filing_count_as_those_that_have_one(share: float, kept: float) -> None:
    """Bets sized for forty findings a company prove nothing at 20% from 300 right findings.

    The guarantee that the service applies is tested in the same way.
    """
    classifier = BreakClassifier(None, None, 0.5, 0.2, version="1")  # type: ignore[arg-type]
    rules = RiskRules(findings=FindingRules(max_wrong=0.2))
    found = [DecidedResult(f"company {n}", FINDING, 0.95, False, 1.0 / share) for n in range(300)]
    made = refit(classifier, SHIPPED_CALIBRATION, rules, found, 300, 0, with_shipped=False)
    assert made.belief_after is not None
    assert read_calibration(made.data).most == kept
    holds = tenant_guarantee(
        None, rules.findings, rules.level, replace(SHIPPED_CALIBRATION, data=made.data, number=1)
    )
    assert holds is not None
    assert holds.belief == made.belief_after


@pytest.mark.parametrize(("undecided", "holds"), [(30, True), (150, False)])
def test_where_many_reports_wait_those_decided_promise_nothing(undecided: int, holds: bool) -> None:
    classifier = BreakClassifier(None, None, 0.5, 0.2, version="1")  # type: ignore[arg-type]
    rules = RiskRules(findings=FindingRules(max_wrong=0.2))
    asked = [
        AuditSample(f"f{n}", f"doc_{n}", NAME, "1", "totals", 0.95, 0.9, "", 1.0, False,
              False if n < 300 else None)
        for n in range(300 + undecided)
    ]  # fmt: skip
    found, whole, begun, waiting = decided_documents(asked, {one.document_id for one in asked})
    assert (len(found), whole, begun, waiting) == (300, 300, 0, undecided)
    counts = (found, whole, begun, False, waiting)
    made = refit(classifier, SHIPPED_CALIBRATION, rules, *counts)
    assert (made.belief_after is not None) == holds
    assert made.waiting == undecided
    assert (
        holds or "150 of the 450 reports sent to people are undecided" in made.no_guarantee_reason
    )
