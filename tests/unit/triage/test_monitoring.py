"""Wrong checks tighten the guarantee for findings: fewer are accepted, and a notice says so."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.triage.checks.classifier import NAME, BreakClassifier
from services.triage.domain import Finding, ReportFinding
from services.triage.monitoring import monitor
from services.triage.monitoring.drift_features import FIGURES, MonitoredFiling, reference
from services.triage.monitoring.monitor import COMPARED, confidence_of, note_decision, note_filings
from services.triage.monitoring.store import MonitoringStore
from services.triage.routing.risk_control import (
    BeliefLine,
    Calibration,
    read_calibration,
    tenant_guarantee,
)
from services.triage.routing.routing import Routing
from shared.bus import Message
from shared.events import DocumentDeleted, DocumentReclassified
from shared.metrics import exposition
from shared.monitoring.store import AuditSample
from shared.monitoring.tenant_calibration import TenantCalibration
from shared.policy.rules import FindingRules, RiskRules
from tests.unit.triage.builders import Triage
from tests.unit.triage.filings import wrong

POLICY = """
[tenants.default]
sample_share = {share}

[tenants.default.findings]
max_wrong = 0.2
broken = 0.5
"""


def triage_with(folder: Path, share: float = 1.0) -> Triage:
    return Triage.with_policy(folder, POLICY.format(share=share))


@pytest.fixture
def triage(tmp_path: Path) -> Iterator[Triage]:
    with triage_with(tmp_path) as triage:
        yield triage


@contextmanager
def stored(triage: Triage, tenant: str = "default") -> Iterator[MonitoringStore]:
    with triage.service.store.write() as session:
        yield MonitoringStore(session, tenant)


@pytest.fixture
def watches(triage: Triage) -> Iterator[MonitoringStore]:
    with stored(triage) as watches:
        yield watches


def sample_of(triage: Triage, finding: str) -> AuditSample | None:
    with stored(triage) as watches:
        return watches.find(finding)


def read(triage: Triage, document: str, company: str = "") -> str:
    triage.handle(triage.read(document, wrong(company=company or document)))
    return str(triage.findings(document)["items"][0]["id"])


def read_again(triage: Triage, document: str, company: str = "") -> None:
    again = wrong(company=company or document)
    triage.handle(triage.ingested(document, attempt=2), triage.read(document, again, attempt=2))


def watched(triage: Triage, tenant: str = "default") -> dict[str, Any]:
    answer = triage.client_of(tenant).get("/v1/watch/findings")
    assert answer.status_code == 200
    items = answer.json()["items"]
    return {**(items[0] if items else {}), "notices": answer.json()["notices"]}


def test_right_checks_leave_the_guarantee_as_it_is(triage: Triage) -> None:
    for number in range(3):
        finding = read(triage, f"doc_{number}")
        assert watched(triage)["documents"] == number
        triage.decide(f"doc_{number}", finding, "accept")
    now = watched(triage)
    assert (now["adapter"], now["max_wrong"], now["level"]) == (NAME, 0.2, 0.95)
    assert (now["documents"], now["checks"], now["wrong"]) == (3, 3, 0)
    assert (now["step"], now["suspended"], now["notices"]) == (0, [], [])
    assert now["evidence"] < 1
    assert now["alarm_at"] == 20
    assert now["interval"][0] == 0
    assert now["threshold"] == now["threshold_now"] == pytest.approx(0.6)


def test_rejected_checks_tighten_the_guarantee(
    triage: Triage, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for number in range(6):
            triage.decide(f"doc_{number}", read(triage, f"doc_{number}"), "reject")
    now = watched(triage)
    assert now["step"] == 4
    assert now["belief_now"] is None
    assert (now["threshold"], now["threshold_now"]) == (pytest.approx(0.6), None)
    # Six filings with the same risk also differ from the calibration data: a notice of drift.
    assert sorted(one["kind"] for one in now["notices"]) == ["drift", "risk"]
    (notice,) = [one for one in now["notices"] if one["kind"] == "risk"]
    assert (notice["kind"], notice["adapter"], notice["actor"]) == ("risk", NAME, "")
    assert "3 of 3 checks in 3 filings were wrong" in notice["text"]
    assert "Nothing is accepted any more." in notice["text"]
    assert any("3 of 3 checks" in record.getMessage() for record in caplog.records)
    assert b'smallprint_promise_tightened{adapter="triage-breaks"} 0.0' in exposition()
    with stored(triage) as watches:
        mine = watches.tables.notices.update().where(watches.tables.notices.c.tenant == "default")
        watches.session.execute(mine.values(time=datetime.now(UTC) - timedelta(days=1)))
    assert b'smallprint_promise_tightened{adapter="triage-breaks"} 1.0' in exposition()
    drawn = sample_of(triage, read(triage, "doc_last"))
    assert drawn is not None
    assert not drawn.sampled
    assert watched(triage, "rivals") == {"notices": []}


def test_a_decision_counts_once_and_one_that_is_undone_no_more(triage: Triage) -> None:
    finding = read(triage, "doc_1")
    event = triage.decide("doc_1", finding, "reject")
    triage.service.bus.publish(Message("default/doc_1", event.to_json("review")))
    triage.work()
    triage.decide("doc_1", finding, "reject")
    assert (watched(triage)["checks"], watched(triage)["wrong"]) == (1, 1)
    triage.decide("doc_1", finding, "undo")
    assert (watched(triage)["checks"], watched(triage)["evidence"]) == (0, pytest.approx(1.0))
    triage.decide("doc_1", finding, "accept")
    assert (watched(triage)["checks"], watched(triage)["wrong"]) == (1, 0)


def test_an_unsampled_decision_represents_no_others(tmp_path: Path) -> None:
    with triage_with(tmp_path, share=0.0) as one:
        one.decide("doc_1", read(one, "doc_1"), "reject")
        now = watched(one)
        assert (now["checks"], now["accepted"]) == (0, 1)
        with stored(one) as watches:
            assert watches.samples(NAME, one_version(one)) == []


def one_version(triage: Triage) -> str:
    return str(watched(triage)["version"])


def test_a_deletion_and_another_kind_forget_undecided_samples(triage: Triage) -> None:
    first = read(triage, "doc_1")
    with stored(triage) as watches:
        asked = watches.find(first)
        assert asked
        watches.save_sample(replace(asked, family="company"))
    triage.decide("doc_1", first, "reject")
    second, third = read(triage, "doc_2"), read(triage, "doc_3")
    triage.handle(DocumentDeleted(document_id="doc_1"), DocumentDeleted(document_id="doc_2"))
    triage.handle(DocumentReclassified(document_id="doc_3", kind="other", previous="report"))
    assert watched(triage)["wrong"] == 1
    with stored(triage) as watches:
        assert watches.find(second) is None
        assert watches.find(third) is None
        (kept,) = watches.document_samples("doc_1", NAME)
        assert kept.family is None


def test_what_is_withdrawn_with_the_kind_counts_no_more(triage: Triage) -> None:
    first = read(triage, "doc_1")
    triage.decide("doc_1", first, "reject")
    triage.decide("doc_2", read(triage, "doc_2"), "reject")
    assert (watched(triage)["checks"], watched(triage)["wrong"]) == (2, 2)
    triage.handle(DocumentReclassified(document_id="doc_1", kind="other", previous="report"))
    assert (watched(triage)["checks"], watched(triage)["wrong"]) == (1, 1)
    assert sample_of(triage, first) is None


def test_a_company_has_another_pseudonym_in_each_tenant() -> None:
    ours, same, theirs = (
        monitor.filer_pseudonym(b"key", tenant, "Acme") for tenant in ("ours", "ours", "theirs")
    )
    assert ours == same != theirs


def test_a_filing_that_is_read_twice_counts_once(triage: Triage) -> None:
    triage.decide("doc_1", read(triage, "doc_1"), "accept")
    seen = watched(triage)["drift_documents"]
    read_again(triage, "doc_1")
    assert (watched(triage)["checks"], watched(triage)["drift_documents"]) == (1, seen)


def test_a_decision_counts_for_the_version_that_read_the_report_last(triage: Triage) -> None:
    first = read(triage, "doc_1")
    triage.decide("doc_1", first, "accept")
    with stored(triage) as watches:
        now = watches.find(first)
        assert now
        watches.save_sample(replace(now, version="0.9", confidence=0.5, share=0.1))
    read_again(triage, "doc_1")
    with stored(triage) as watches:
        assert watches.find(first) == now
        assert watches.samples(NAME, "0.9") == []


def as_if_older(triage: Triage, *results: str) -> None:
    with stored(triage) as watches:
        for result in results:
            kept = watches.find(result)
            assert kept
            watches.save_sample(replace(kept, version="0.9"))


def test_rejections_with_a_note_count_for_another_version_like_acceptances(triage: Triage) -> None:
    findings = {f"doc_{n}": read(triage, f"doc_{n}") for n in range(6)}
    for number, (document, finding) in enumerate(findings.items()):
        triage.decide(document, finding, *(("reject", "as they do") if number % 2 else ("accept",)))
    as_if_older(triage, *findings.values())
    for document in findings:
        read_again(triage, document)
    with stored(triage) as watches:
        now = {one.result_id: one.wrong for one in watches.samples(NAME, one_version(triage))}
        assert watches.samples(NAME, "0.9") == []
    assert now == {finding: bool(number % 2) for number, finding in enumerate(findings.values())}
    (item,) = triage.findings("doc_1")["items"]
    assert item["dismissed"]["reason"] == "as they do"


@pytest.mark.parametrize(
    ("before", "after", "version", "stands"),
    [(0.2, 0.05, "9", 0.2), (0.05, 0.2, "9", 0.2), (1.0, 0.05, "9", 1.0), (1.0, 0.05, "10", 0.05)],
)
def test_a_decided_sample_keeps_its_share(
    triage: Triage, before: float, after: float, version: str, stands: float
) -> None:
    asked = AuditSample("fd_1", "doc_1", NAME, "9", "totals", 0.9, 0.9, "", before, True, False)
    again = replace(asked, version=version, share=after, guarantee="new", wrong=None)
    with stored(triage) as watches:
        watches.save_sample(asked)
        watches.add_sample(again)
        assert watches.find("fd_1") == replace(asked, version=version, share=stands)


def test_drift_is_noticed_and_more_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubts = {"doubt": np.linspace(0.0, 0.3, 400)}
    monkeypatch.setattr(monitor, "shipped_reference", lambda *_: doubts)
    with triage_with(tmp_path, share=0.000001) as one:
        for number in range(20):
            one.handle(one.read(f"doc_{number}", wrong()))
        now = watched(one)
        assert now["drifted"]
        assert (now["step"], now["stability_index"] > 0.25) == (0, True)
        (notice,) = now["notices"]
        assert notice["kind"] == "drift"
        assert "is not the stated 50%" in notice["text"]
        assert "People now check 20%" in notice["text"]
        for number in range(40):
            one.handle(one.read(f"wrong_{number}", wrong()))
        with stored(one) as watches:
            drawn = [d for n in range(40) for d in watches.document_samples(f"wrong_{n}", NAME)]
        assert 1 <= len(drawn) <= 20
        assert {check.share for check in drawn} == {0.2}


def found(number: int, route: str, sampled: bool = False) -> ReportFinding:
    finding = Finding(
        "totals", "high", 0.97, "balance_sheet", 0, 1, (1,), "Total", None, None, "it is off"
    )
    return ReportFinding(f"fd_{number}", "f", finding, "acme", route, sampled)  # type: ignore[arg-type]


def judged(number: int, filer: str = "") -> MonitoredFiling:
    figures = {"doubt": 0.97, "lines": 60.0, "words": 0.9}
    return MonitoredFiling(f"fi_{number}", filer, found(number, "review"), figures)


def routing_for(broken: float, risk: float = 0.05, data: bytes | None = None) -> Routing:
    rules = RiskRules(findings=FindingRules(max_wrong=risk, broken=broken))
    return Routing(rules, data or calibration(), b"key")


def calibration() -> bytes:
    broken = np.arange(2000) % 2 == 1
    risk = np.where(broken, 0.995, 0.1)
    return Calibration(np.arange(2000) // 2, broken, broken, risk).to_bytes()


def test_few_filings_of_a_document_are_compared(watches: MonitoringStore) -> None:
    routing = routing_for(0.5)
    mine = [judged(n, f"company {n % 5}") for n in range(50)]
    assert note_filings(watches, "doc_1", mine, routing, "9") == []
    note_filings(watches, "doc_2", [judged(n) for n in range(100, 150)], routing, "9")
    (kept,) = watches.states()
    assert max(kept.drift_test.documents.values()) == 5 + COMPARED
    asked = watches.samples(NAME, "9")
    assert len(asked) == 100
    assert len({one.family for one in asked if one.document_id == "doc_1"}) == 5
    assert not any("company" in (one.family or "") for one in asked)
    assert {one.family for one in asked if one.document_id == "doc_2"} == {None}


def test_another_stated_share_ends_the_alarm(watches: MonitoringStore) -> None:

    def drifted(document: int, broken: float, version: str = "9") -> bool:
        one = [judged(document)]
        note_filings(watches, f"doc_{document}", one, routing_for(broken), version)
        return watches.state(NAME).drifted

    assert not drifted(1, 0.5)
    watches.save(replace(watches.state(NAME, lock=True), drifted=True))
    assert drifted(2, 0.5)
    assert drifted(3, 0.5, "10")
    assert not drifted(4, 0.6, "11")


def test_the_first_check_of_a_company_counts(watches: MonitoringStore) -> None:
    routing = routing_for(0.5)
    figures = {"doubt": 0.97, "lines": 60.0, "words": 0.9}
    for number, filer in enumerate(("acme", "acme", "rival", "", "", "acme")):
        one = MonitoredFiling(f"fi_{number}", filer, found(number, "review", sampled=True), figures)
        note_filings(watches, f"doc_{number}", [one], routing, "9")
    for number in (5, 1, 0, 2, 3, 4):
        note_decision(watches, f"fd_{number}", "accept")
    (kept,) = watches.states()
    decided = watches.decided_samples(NAME, "9")
    assert [one.result_id for one in decided if one.position] == ["fd_0", "fd_2", "fd_3", "fd_4"]
    assert kept.documents == 4
    assert len(decided) == 6
    assert all(one.sampled for one in decided)


def test_a_notice_states_the_threshold_as_confidence(watches: MonitoringStore) -> None:
    routing = routing_for(0.6)
    classifier = BreakClassifier(None, None, 0.5, 0.2, version="9", guarantee=calibration())  # type: ignore[arg-type]
    notices = []
    for number in range(5):
        unsure = found(number, "review", sampled=True)
        unsure = replace(unsure, finding=replace(unsure.finding, confidence=0.6))
        one = MonitoredFiling(f"fi_{number}", "", unsure, dict.fromkeys(FIGURES, 0.5))
        note_filings(watches, f"doc_{number}", [one], routing, "9")
        notices += note_decision(watches, f"fd_{number}", "reject", classifier)
    kept = watches.state(NAME)
    known = confidence_of(watches, kept, classifier)
    assert confidence_of(watches, kept, replace(classifier, version="8")) is None
    (notice,) = notices
    assert notice.text.endswith("from a confidence of 50.0% to 72.7%.")
    assert kept.test
    assert known
    assert known(kept.test.belief) == pytest.approx(0.5)


def test_the_reference_has_as_many_broken_filings_as_are_stated() -> None:
    broken = np.arange(1000) % 5 > 0
    known = Calibration(np.arange(1000), broken, broken, np.where(broken, 0.9, 0.1))
    for share, size in ((0.5, 400), (0.05, 211), (0.9, 889)):
        values = reference(known, share)["doubt"]
        assert len(values) == size
        assert (values > 0.5).mean() == pytest.approx(share, abs=0.005)
        assert (values == reference(known, share)["doubt"]).all()


def test_each_step_accepts_what_is_half_as_likely_to_be_wrong() -> None:
    rules = FindingRules(max_wrong=0.05, broken=0.5)
    made = [
        tenant_guarantee(calibration(), rules, 0.95, TenantCalibration(step=step))
        for step in range(5)
    ]
    known = read_calibration(calibration())
    line = BeliefLine.shipped(known, 0.5)
    doubts = [1 - line.belief_of(one.threshold) for one in made[:4] if one and one.threshold]
    assert doubts == pytest.approx([doubts[0] / 2**step for step in range(4)])
    assert made[4] is not None
    assert (made[4].threshold, "Too many checks were wrong" in made[4].no_guarantee_reason) == (
        None,
        True,
    )


def test_a_report_read_by_another_version_counts_for_no_test(watches: MonitoringStore) -> None:
    routing = routing_for(0.5)

    def counts(number: int, version: str) -> bool:
        one = judged(number)
        assert one.surest
        one = replace(one, surest=replace(one.surest, sampled=True))
        note_filings(watches, f"doc_{number}", [one], routing, version)
        (check,) = watches.document_samples(f"doc_{number}", NAME)
        return bool(check.guarantee)

    assert counts(1, "9")
    assert counts(1, "9")
    assert not counts(1, "10")
    assert not counts(1, "10")
    assert counts(2, "10")
