"""`smallprint calibrate triage-breaks`: what people decided about findings makes a calibration."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from services.cli import cli
from services.triage.domain import Report
from services.triage.guarantee import FINDING, THRESHOLDS, Line, Promise, calibration, promised
from services.triage.risk import NAME, Judge
from services.triage.store import MIGRATIONS, Reports
from services.triage.watch.calibrating import complete, refit
from services.triage.watch.store import Watches
from shared.errors import Conflict, InvalidRequest
from shared.guarantee import read_calibration
from shared.policy import FindingRules, RiskRules
from shared.storage import Store
from shared.storage.watches import Drawn
from shared.watch.local import SHIPPED
from shared.watch.refitting import Decided
from tests.support import artefacts

POLICY = "[tenants.default.findings]\nmax_wrong = 0.1\n"


@pytest.fixture(scope="module")
def version() -> str:
    """Of the judge that is installed."""
    return Judge.load(artefacts()).version


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> Path:
    """Two hundred reports of companies of their own: in each a sure finding that was right, and in
    each second one that of another filing, less sure, that was wrong; one report is begun, and one
    that is decided was deleted since.
    """
    store = Store(f"sqlite:///{tmp_path / 'triage.db'}", "triage", MIGRATIONS)
    store.migrate()
    with store.write() as session:
        reports, watches = Reports(session, "default"), Watches(session, "default")
        for number in range(202):
            name = f"doc_{number:03}"
            state = "deleted" if number == 201 else "triaged"
            reports.save(Report("default", name, "report", 1, state=state))  # type: ignore[arg-type]
            sure = Drawn(
                f"{name}a", name, NAME, version, "totals", 0.99, 0.96, "", 0.25, True, False,
                family=f"company {number}",
            )  # fmt: skip
            unsure = Drawn(
                f"{name}b", name, NAME, version, "totals", 0.6, 0.3, "", 1.0, False,
                None if number == 200 else True, family=f"company {number}",
            )  # fmt: skip
            watches.put(sure)
            if number % 2 == 0:
                watches.put(unsure)
    store.close()
    (tmp_path / "policy.toml").write_text(POLICY, "utf-8")
    monkeypatch.setenv("SMALLPRINT_POLICY", str(tmp_path / "policy.toml"))
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(artefacts()))
    return tmp_path


def run(data: Path, *options: str) -> dict[str, Any]:
    """What the command prints as JSON."""
    arguments = ["calibrate", NAME, "--data", str(data), "--json", *options]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False, standalone_mode=False)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("{")]
    found: dict[str, Any] = json.loads(line)
    return found


def holds(data: Path, version: str) -> tuple[int, int]:
    """The number of the calibration that holds, and how often the threshold was tightened."""
    store = Store(f"sqlite:///{data / 'triage.db'}", "triage", MIGRATIONS)
    with store.read() as session:
        local = Watches(session, "default").local(NAME, version)
    store.close()
    return local.number, local.step


def promise_of(data: Path, version: str) -> Promise:
    """What the calibration that holds promises at a tenth."""
    store = Store(f"sqlite:///{data / 'triage.db'}", "triage", MIGRATIONS)
    with store.read() as session:
        local = Watches(session, "default").local(NAME, version)
    store.close()
    made = promised(None, FindingRules(max_wrong=0.1), 0.95, local)
    assert made
    return made


def notice(data: Path) -> str:
    """The newest one."""
    store = Store(f"sqlite:///{data / 'triage.db'}", "triage", MIGRATIONS)
    with store.read() as session:
        (newest,) = Watches(session, "default").told(1)
    store.close()
    return newest.text


def test_decisions_promise_without_a_stated_share_of_broken_filings(data: Path) -> None:
    """They say themselves how often what comes in is wrong; a check stands for four."""
    line = run(data)
    assert (line["documents"], line["unfinished"], line["decided"]) == (200, 1, 300)
    assert line["before"] is None
    assert line["after"]["shown"] == 200 * 4 + 100
    assert line["after"]["accepted"] == 200 * 4
    assert line["after"]["wrong"] == 0
    assert line["belief_after"] is not None


def test_what_is_in_force_stands_beside_it_where_the_share_is_stated(data: Path) -> None:
    """Half broken, and at most a tenth wrong: what came with the judge accepts the sure ones."""
    (data / "policy.toml").write_text(POLICY + "broken = 0.5\n", "utf-8")
    line = run(data)
    assert line["belief_before"] is not None
    assert line["before"]["accepted"] == line["after"]["accepted"] == 800
    assert line["confidence_before"] == pytest.approx(0.84)
    assert 0.5 < line["confidence_after"] < 0.99
    shown = CliRunner().invoke(cli, ["calibrate", NAME, "--data", str(data)]).stdout
    assert "accepted from confidence" in shown
    assert "84.0%" in shown
    both = run(data, "--with-shipped")
    assert both["belief_after"] is not None


def test_it_is_applied_and_undone(data: Path, version: str) -> None:
    """Who did it is kept."""
    applied = run(data, "--apply", "--by", "ann")
    assert applied["done"] == "applied"
    assert holds(data, version) == (1, 0)
    least = promise_of(data, version).threshold
    assert least == pytest.approx(applied["confidence_after"], abs=1e-4)
    assert f"has a confidence of {least:.1%} or more" in notice(data)
    assert run(data, "--undo", "--by", "ben")["done"] == "undone"
    assert holds(data, version) == (0, 0)


def test_too_few_decisions_promise_nothing(data: Path) -> None:
    """Two hundred companies can't show one in a thousand; that is computed, and not applied."""
    line = run(data, "--max-wrong", "0.001")
    assert "not attainable with this data" in line["why_not"]
    assert "further companies" in line["why_not"] or "State a larger" in line["why_not"]
    (data / "policy.toml").write_text(POLICY.replace("0.1", "0.001"), "utf-8")
    with pytest.raises(Conflict, match="nothing to apply"):
        run(data, "--apply")


def test_what_is_missing_is_said(data: Path) -> None:
    """No risk, no share to count what was shipped by, another risk than the policy's."""
    with pytest.raises(InvalidRequest, match="which share of the filings is broken"):
        run(data, "--with-shipped")
    with pytest.raises(InvalidRequest, match=r"max_wrong 0\.1 for findings of tenant default"):
        run(data, "--apply", "--max-wrong", "0.2")
    with pytest.raises(InvalidRequest, match="decided as a whole"):
        run(data, "--tenant", "rivals", "--max-wrong", "0.2")
    (data / "policy.toml").write_text("", "utf-8")
    with pytest.raises(InvalidRequest, match="--max-wrong"):
        run(data)


def test_where_surer_findings_are_not_righter_nothing_is_promised() -> None:
    """The surest were all wrong, the others right: no confidence tells them apart."""
    judge = Judge(None, None, 0.5, 0.2, version="1")  # type: ignore[arg-type]
    rules = RiskRules(findings=FindingRules(max_wrong=0.2))
    found = [
        Decided(f"company {n}", FINDING, 0.99 if n % 2 else 0.3, bool(n % 2), 1.0)
        for n in range(400)
    ]
    made = refit(judge, SHIPPED, rules, found, 400, 0, with_shipped=False)
    assert made.belief_after is None
    assert "surer findings are not right more often here" in made.why_not


@pytest.mark.parametrize(("size", "every"), [(20, 99), (200, 10)])
def test_no_rule_holds_that_the_shipped_filings_refute(size: int, every: int) -> None:
    """Decisions that went better here than any before, one in `every` wrong, lift the line, not
    what was shipped.
    """
    judge = Judge.load(artefacts())
    assert judge.guarantee
    rules = RiskRules(findings=FindingRules(max_wrong=0.1, broken=0.5))
    found = [
        Decided(f"company {n}", FINDING, float(sure), n % every == every - 1, 1.0)
        for n, sure in enumerate(np.linspace(0.83, 0.45, size))
    ]
    made = refit(judge, SHIPPED, rules, found, size, 0, with_shipped=True)
    line = Line.local(read_calibration(made.data))
    least = line.confidence_of(1.0 if made.belief_after is None else made.belief_after)
    accepted, wrong = (one.sum(1) for one in calibration(judge.guarantee).counts(0.5))
    place = int(np.searchsorted(-THRESHOLDS, -least, side="right")) - 1  # the last one above it
    assert made.belief_after is None or wrong[place] / accepted[place] < 0.1


@pytest.mark.parametrize(("share", "kept"), [(1.0, 2.0), (0.25, 8.0)])
def test_companies_of_one_filing_count_as_those_that_have_one(share: float, kept: float) -> None:
    """Bets that are sized for forty findings of each show nothing at 20% from 300 right ones; what
    is promised when the machine decides is tested in the same way.
    """
    judge = Judge(None, None, 0.5, 0.2, version="1")  # type: ignore[arg-type]
    rules = RiskRules(findings=FindingRules(max_wrong=0.2))
    found = [Decided(f"company {n}", FINDING, 0.95, False, 1.0 / share) for n in range(300)]
    made = refit(judge, SHIPPED, rules, found, 300, 0, with_shipped=False)
    assert made.belief_after is not None
    assert read_calibration(made.data).most == kept
    holds = promised(None, rules.findings, rules.level, replace(SHIPPED, data=made.data, number=1))
    assert holds is not None
    assert holds.belief == made.belief_after


@pytest.mark.parametrize(("undecided", "holds"), [(30, True), (150, False)])
def test_where_many_reports_wait_those_decided_promise_nothing(undecided: int, holds: bool) -> None:
    """They may be the obvious ones; each report has one filing, so that none is ever half done."""
    judge = Judge(None, None, 0.5, 0.2, version="1")  # type: ignore[arg-type]
    rules = RiskRules(findings=FindingRules(max_wrong=0.2))
    asked = [
        Drawn(f"f{n}", f"doc_{n}", NAME, "1", "totals", 0.95, 0.9, "", 1.0, False,
              False if n < 300 else None)
        for n in range(300 + undecided)
    ]  # fmt: skip
    found, whole, begun, waiting = complete(asked, {one.document_id for one in asked})
    assert (len(found), whole, begun, waiting) == (300, 300, 0, undecided)
    made = refit(judge, SHIPPED, rules, found, whole, begun, with_shipped=False, waiting=waiting)
    assert (made.belief_after is not None) == holds
    assert made.waiting == undecided
    assert holds or "have not decided 150 of the 450 reports" in made.why_not
