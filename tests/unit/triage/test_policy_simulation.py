"""Simulation of policies on stored reports."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from services.triage.analysis import ReportAnalysis
from services.triage.checks.classifier import BreakClassifier
from services.triage.domain import RULES, CheckedFiling, Model
from services.triage.monitoring.store import MonitoringStore
from services.triage.policy_simulation import NOTHING, UNSTATED, PastReport, past_reports, simulate
from services.triage.reading.document import ReadFiling
from services.triage.routing.risk_control import FOLDED, FOREIGN, LEFT_OUT, SCANNED, WARNED
from services.triage.settings import Settings
from services.triage.store import Reports
from shared.blobs import MissingBlob
from shared.documents import ParsedDocument
from shared.documents.model.parsed_document import Page
from shared.documents.pages.tesseract import METHOD
from shared.events import DocumentDeleted, DocumentReclassified
from shared.monitoring.policy_simulation import PolicySimulation
from shared.monitoring.store import AuditSample
from shared.monitoring.tenant_calibration import SHIPPED_CALIBRATION, TenantCalibration
from shared.policy.escalation_value import (
    NO_ESCALATION,
    TenantEscalationRules,
    read_escalation_rules,
)
from shared.policy.rules import KIND_UNSURE, FindingRules, RiskRules, read_risk_policy
from shared.settings import load
from shared.storage.secret import draw_key
from tests.unit.triage.builders import Triage
from tests.unit.triage.filings import bent, read, record, statement_of, wrong
from tests.unit.triage.test_questions import HALF, POLICY
from tests.unit.triage.test_risk_control import GERMAN

STATED = RiskRules(findings=FindingRules(max_wrong=0.2, broken=0.5), sample_share=0.0)
"""20% of the accepted findings may be wrong, if half of the filings have an error."""
LAX = (STATED, NO_ESCALATION)
JUDGE = BreakClassifier.load(load(Settings).artefacts_folder)


def unsure(name: str = "unsure") -> dict[str, Any]:
    return {**bent("income", "Operating income", 1, 1568), "id": name}


def stored_reports(triage: Triage, unsure: Collection[str] = ()) -> list[PastReport | None]:
    every = past_reports(triage.service.store, triage.service.blobs, "default", unsure)
    return [replace(one, filings=list(one.filings)) if one else None for one in every]


def counted(
    triage: Triage,
    *policies: tuple[RiskRules, TenantEscalationRules],
    classifier: BreakClassifier | None = JUDGE,
    verdicts: dict[str, str] | None = None,
    local: TenantCalibration = SHIPPED_CALIBRATION,
    decisions: Mapping[str, AuditSample] = NOTHING,
    unsure: Collection[str] = (),
) -> list[PolicySimulation]:
    with triage.service.store.read() as session:
        key = draw_key(session)
    known = [one for one in stored_reports(triage, unsure) if one]
    return simulate(known, policies, classifier, verdicts or {}, key, local, decisions)


@pytest.mark.parametrize(
    "changed",
    [
        {"rules": ""},
        {"rules": "max_wrong = 0.2\nbroken = 0.5"},
        {"rules": "max_wrong = 0.2\nbroken = 0.5", "share": 0.5},
        {"rules": "max_wrong = 0.2\nbroken = 0.5", "share": 1.0},
        {"rules": HALF},
        {"rules": HALF, "mistake": "0.001"},
        {"rules": f"max_wrong = 0.01\n{HALF}", "trust": "measured"},
        {"rules": HALF, "mask": '"amounts"'},
    ],
    ids=str,
)
def test_the_policy_in_force_would_do_what_it_did(tmp_path: Path, changed: dict[str, Any]) -> None:
    share = changed.pop("share", 0.0)
    values = {
        "external_kinds": '"report"',
        "mask": "",
        "mistake": "100",
        "trust": "person",
        **changed,
    }
    text = POLICY.format(**values).replace("sample_share = 0.0", f"sample_share = {share}")
    triage, policy = Triage.with_policy(tmp_path, text), tmp_path / "policy.toml"
    odd = wrong(id="odd")
    odd["statements"][0]["rows"][1]["values"] = ["a word", 1]
    many = [wrong(id=f"w{number}") for number in range(25)]
    triage.handle(
        triage.read("doc_1", record(), wrong(), unsure()),
        triage.read("doc_2", odd),
        triage.read("doc_3", *many, unsure()),
        triage.read("doc_4", wrong(), unsure(), kind_unsure=True),
    )
    did: Counter[str] = Counter()
    for document in ("doc_1", "doc_2", "doc_3", "doc_4"):
        did.update(item["route"] for item in triage.findings(document, limit=500)["items"])
    mine = read_risk_policy(policy).of("default"), read_escalation_rules(policy).of("default")
    (tally,) = counted(triage, mine, unsure={"doc_4"})
    assert tally.results == sum(did.values()) >= 28
    assert tally.accepted == did["accept"]
    assert tally.escalated == did["escalate"]
    assert tally.reviewed == did["review"] + did["escalate"]
    assert (tally.usd > 0) == (did["escalate"] > 0)
    assert (tally.sampled > 0) == (share > 0)
    triage.close()


def test_two_policies_are_counted_side_by_side(triage: Triage) -> None:
    triage.handle(triage.read("doc_1", record(), wrong()), triage.read("doc_2", wrong()))
    (first,) = triage.findings("doc_1")["items"]
    verdicts = {first["id"]: "reject", "fd_other": "accept"}
    now, new = counted(triage, (RiskRules(), NO_ESCALATION), LAX, verdicts=verdicts)
    assert (now.results, now.results_decided, now.accepted, now.reviewed) == (2, 1, 0, 2)
    assert now.words_reviewed == 2 * len(first["message"].split())
    assert (new.accepted, new.reviewed, new.decided, new.changed) == (2, 0, 1, 1)
    assert list(new.errors_by_category()) == [first["check"]]
    assert 0 < new.expected_errors < 0.4
    rarer = RiskRules(findings=FindingRules(max_wrong=0.9, broken=0.2), sample_share=0.0)
    (fewer,) = counted(triage, (rarer, NO_ESCALATION))
    assert fewer.accepted == 2
    assert fewer.expected_errors > 1.2 * new.expected_errors > 0


def test_what_people_decided_says_how_many_errors_are_expected(triage: Triage) -> None:
    triage.handle(triage.read("doc_1", record(), wrong()), triage.read("doc_2", wrong()))
    (first,) = triage.findings("doc_1")["items"]
    with triage.service.store.write() as session:
        MonitoringStore(session, "default").save_sample(
            AuditSample(
                *(first["id"], "doc_1", "triage-breaks", "1", first["check"], 0.99, 0.9, "", 0.05),
                sampled=True,
                wrong=True,
            )
        )
    with triage.service.store.read() as session:
        decisions = MonitoringStore(session, "default").decisions()
    now, new = counted(triage, (RiskRules(), NO_ESCALATION), LAX, decisions=decisions)
    assert now.observed_errors() is None
    seen = new.observed_errors()
    assert seen is not None
    assert (seen.decided, seen.wrong, seen.share) == (1, 1, 1.0)
    assert new.estimated_errors(seen) == (2.0, (0, 2))
    assert new.tightened == {}
    (tight,) = counted(triage, LAX, local=TenantCalibration(step=1))
    (message,) = tight.tightened
    assert "findings are accepted only from a confidence of" in message


def test_a_report_whose_statements_are_gone_can_not_be_tried(triage: Triage) -> None:
    triage.handle(triage.read("doc_1", wrong()))
    with triage.service.store.read() as session:
        known = Reports(session, "default").get("doc_1")
    assert known
    assert known.statements
    triage.service.blobs.delete("default", known.statements)
    with pytest.raises(MissingBlob):
        triage.service.blobs.get("default", known.statements)
    assert stored_reports(triage) == [None]


def noted(triage: Triage, document: str) -> list[CheckedFiling]:
    with triage.service.store.read() as session:
        return Reports(session, "default").filings(document, 1)


def test_what_is_noted_goes_with_its_document(triage: Triage) -> None:
    for number in (1, 2):
        triage.handle(triage.read(f"doc_{number}", record(), wrong()))
    kept = [CheckedFiling(1, True, False, 0), CheckedFiling(2, True, False, 0)]
    assert noted(triage, "doc_1") == noted(triage, "doc_2") == kept
    triage.handle(DocumentDeleted(document_id="doc_1"))
    triage.handle(DocumentReclassified(document_id="doc_2", kind="contract", previous="report"))
    with triage.service.store.read() as session:
        assert session.execute(text("SELECT count(*) FROM filings")).scalar() == 0


def why(triage: Triage, policy: tuple[RiskRules, TenantEscalationRules] = LAX, **more: Any) -> str:
    (tally,) = counted(triage, policy, **more)
    assert (tally.accepted, tally.reviewed) == (0, tally.results)
    ((reason, count),) = tally.no_guarantee_reason.items()
    assert count == tally.results > 0
    return reason


def test_a_filing_with_warnings_has_no_guarantee(triage: Triage) -> None:
    odd = wrong(id="odd")
    odd["statements"][0]["rows"][1]["values"] = ["a word", 1]
    triage.handle(triage.read("doc_1", odd))
    assert why(triage) == WARNED
    triage.handle(triage.read("doc_1", odd, wrong(id="other"), attempt=2))
    (tally,) = counted(triage, LAX)
    assert (tally.accepted, list(tally.no_guarantee_reason)) == (1, [WARNED])


def test_what_may_be_no_report_is_counted_by_that_reason(triage: Triage) -> None:
    triage.handle(
        triage.read("doc_1", wrong(), unsure("more"), kind_unsure=True),
        triage.read("doc_2", wrong()),
    )
    (tally,) = counted(triage, LAX, unsure={"doc_1"})
    assert (tally.results, tally.accepted, tally.no_guarantee_reason) == (3, 1, {KIND_UNSURE: 2})


def test_lines_in_another_language_have_no_guarantee(triage: Triage) -> None:
    one = wrong()
    for statement in one["statements"]:
        for line in statement["rows"]:
            total = line["label"].startswith("Total") or "Net " in line["label"]
            line["label"] = line["label"] if total else GERMAN.get(line["label"], "Sonstiges Ding")
    triage.handle(triage.read("doc_1", one))
    assert why(triage) == FOREIGN


def test_recognised_and_incomplete_filings_have_no_guarantee(triage: Triage) -> None:
    triage.handle(triage.read("doc_1", wrong()))
    for column, reason in (("recognised", SCANNED), ("complete", LEFT_OUT)):
        with triage.service.store.write() as session:
            session.execute(text(f"UPDATE filings SET {column} = NOT {column}"))
        assert why(triage) == reason


def test_a_scanned_report_is_noted_as_recognised(triage: Triage) -> None:
    words = json.dumps(wrong())
    scan = Page(1, 0, len(words), 612.0, 792.0, method=METHOD)
    reading = ParsedDocument(words, (scan,))
    outcome = ReportAnalysis("default", "doc_1")
    for one in (reading, None):
        outcome.add(ReadFiling(read(wrong()), wrong(), one))
    assert [one.recognised for one in outcome.filings] == [True, False]


def test_a_dismissed_finding_ends_the_guarantee(triage: Triage) -> None:
    triage.handle(triage.read("doc_1", wrong()))
    (item,) = triage.findings("doc_1")["items"]
    triage.decide("doc_1", item["id"], "reject", "ours")
    triage.handle(triage.read("doc_2", wrong(id="second")))
    (tally,) = counted(triage, LAX)
    assert (tally.results, tally.accepted) == (1, 1)
    both = bent("balance_sheet", "Total current assets", 1, 4509)
    lines = statement_of(both, "income")["rows"]
    next(line for line in lines if line["label"] == "Operating income")["values"][1] = 1_568_000_000
    triage.handle(triage.read("doc_3", {**both, "id": "third"}))
    (tally,) = counted(triage, LAX)
    assert (tally.results, tally.accepted, tally.no_guarantee_reason) == (2, 1, {FOLDED: 1})
    triage.decide("doc_1", item["id"], "undo")
    (tally,) = counted(triage, LAX)
    assert (tally.accepted, tally.no_guarantee_reason) == (3, {})


def test_the_verdict_of_another_version_has_no_guarantee(triage: Triage) -> None:
    triage.handle(triage.read("doc_1", wrong()))
    assert "rules" in why(triage, classifier=None) or "calibration" in why(triage, classifier=None)
    with triage.service.store.write() as session:
        session.execute(text('UPDATE reports SET model = \'{"name": "rules", "version": "1"}\''))
    reason = why(triage)
    assert reason.startswith("rules 1 judged it, and triage-breaks ")
    assert reason.endswith("is installed: reprocess it.")
    assert Model("rules", "1") != RULES


def test_a_share_that_is_not_stated_is_named_as_the_policy_has_it(triage: Triage) -> None:
    triage.handle(triage.read("doc_1", wrong()))
    unstated = RiskRules(findings=FindingRules(max_wrong=0.2), sample_share=0.0)
    assert why(triage, (unstated, NO_ESCALATION)) == UNSTATED
    assert "--broken" not in UNSTATED
