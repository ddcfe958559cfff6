"""Routes of findings in a running suite, with and without a stated risk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from services.triage.checks.classifier import NAME, BreakClassifier
from services.triage.monitoring.store import MonitoringStore
from services.triage.store import Reports
from shared.events import FindingsFound
from tests.support import artefacts
from tests.unit.triage.builders import Triage
from tests.unit.triage.filings import record, restricted, wrong

POLICY = """
[tenants.default]
sample_share = {share}

[tenants.default.findings]
{rules}
"""


def triage_with(folder: Path, rules: str, share: float = 0.0) -> Triage:
    return Triage.with_policy(folder, POLICY.format(rules=rules, share=share))


def counted(route: str) -> float:
    return REGISTRY.get_sample_value("smallprint_findings_total", {"route": route}) or 0.0


@pytest.mark.parametrize(
    ("rules", "share", "route", "sampled"),
    [
        ("", 0.0, "review", False),
        ("max_wrong = 0.2", 0.0, "review", False),
        ("broken = 0.5", 0.0, "review", False),
        ("max_wrong = 0.2\nbroken = 0.01", 0.0, "review", False),
        ("max_wrong = 0.2\nbroken = 0.5", 0.0, "accept", False),
        ("max_wrong = 0.2\nbroken = 0.5", 1.0, "review", True),
    ],
)
def test_a_finding_is_accepted_only_for_a_stated_risk_and_share(
    tmp_path: Path, rules: str, share: float, route: str, sampled: bool
) -> None:
    triage = triage_with(tmp_path, rules, share)
    before = counted(route)
    triage.handle(triage.read("doc_1", record(), wrong()))
    (found,) = triage.findings("doc_1")["items"]
    assert found["route"] == route
    (event,) = triage.announced(FindingsFound)
    (finding,) = json.loads(triage.service.blobs.get("default", event.findings))
    assert finding["route"] == route
    assert (event.count, event.accepted) == (1, int(route == "accept"))
    assert event.sampled == ((found["id"],) if sampled else ())
    assert counted(route) == before + 1
    triage.close()


def test_findings_say_what_was_checked(tmp_path: Path) -> None:
    alone = {**record(), "id": "alone", "statements": record()["statements"][1:2]}
    with Triage(tmp_path) as triage:
        triage.handle(triage.read("doc_1", restricted(), alone))
        triage.handle(triage.read("doc_2", *[restricted()] * 40))
        coverage, many = (triage.findings(name)["coverage"] for name in ("doc_1", "doc_2"))
        with triage.service.store.write() as session:
            reports = Reports(session, "default")
            before = reports.get("doc_1")
            assert before
            reports.save(replace(before, coverage=None))
        assert triage.findings("doc_1")["coverage"] is None
    assert coverage["statements"] == ["balance_sheet", "income", "cash_flow"]
    assert coverage["missing"] == ["balance_sheet", "cash_flow"]
    assert "not found in every filing" in coverage["summary"]
    assert coverage["relations"] > coverage["not_closing"] == len(coverage["items"]) == 3
    assert {item["check"] for item in coverage["items"]} == {"cash_agrees"}
    assert {item["filing"] for item in coverage["items"]} == {"f1"}
    assert (many["not_closing"], len(many["items"])) == (120, 100)


def test_another_tenant_s_policy_is_another_s(tmp_path: Path) -> None:
    triage = triage_with(tmp_path, "max_wrong = 0.2\nbroken = 0.5")
    triage.handle(triage.read("doc_1", wrong(), tenant="other"))
    (found,) = triage.client_of("other").get("/v1/documents/doc_1/findings").json()["items"]
    assert found["route"] == "review"
    triage.close()


def test_nothing_is_accepted_while_it_is_not_sure_that_it_is_a_report(tmp_path: Path) -> None:
    triage = triage_with(tmp_path, "max_wrong = 0.2\nbroken = 0.5")
    triage.handle(triage.read("doc_1", wrong(), kind_confidence=0.4, kind_unsure=True))
    answer = triage.findings("doc_1")
    assert [found["route"] for found in answer["items"]] == ["review"]
    assert "does not cover documents of an unconfirmed kind" in answer["warnings"][-1]
    with triage.service.store.read() as session:
        version = BreakClassifier.load(artefacts()).version
        assert MonitoringStore(session, "default").samples(NAME, version) == []
    triage.handle(triage.read("doc_1", wrong(), attempt=2))
    answer = triage.findings("doc_1")
    assert [found["route"] for found in answer["items"]] == ["accept"]
    assert answer["warnings"] == []
    triage.close()
