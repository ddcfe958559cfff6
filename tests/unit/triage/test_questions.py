"""Questions about findings, and the tables that they send."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.triage.checks.classifier import NAME, BreakClassifier
from services.triage.monitoring.recalibration import decided_documents
from services.triage.monitoring.store import MonitoringStore
from services.triage.routing.questions import TOGETHER
from services.triage.routing.risk_control import BeliefLine, Calibration
from shared.blobs import MissingBlob
from shared.events import DocumentDeleted, EscalationRequested
from shared.events.questions import Question
from shared.events.tables import find_cell, render_tables
from shared.policy.escalation_value import ASSUMED_ACCURACY
from tests.support import artefacts
from tests.unit.triage.builders import Triage
from tests.unit.triage.filings import record, statement_of, wrong

POLICY = """
[providers.p]
protocol = "own"
model = "m"
url = "http://localhost:9"
price = {{ input = "3", output = "15", as_of = 2026-01-31 }}

[tenants.default]
providers = ["p"]
external_kinds = [{external_kinds}]
mask = [{mask}]
day_usd = "5"
month_usd = "5"
mistake_usd = "{mistake}"
sample_share = 0.0
trust = "{trust}"

[tenants.default.findings]
{rules}
"""
HALF = "broken = 0.005"
"""So rare are broken filings that the finding below is right in about every second case."""


def triage_with(
    folder: Path,
    rules: str = HALF,
    external_kinds: str = '"report"',
    mask: str = "",
    mistake: str = "100",
    trust: str = "person",
    **settings: Any,
) -> Triage:
    terms = {
        "rules": rules,
        "external_kinds": external_kinds,
        "mask": mask,
        "mistake": mistake,
        "trust": trust,
    }
    return Triage.with_policy(folder, POLICY.format(**terms), **settings)


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Triage]:
    with triage_with(tmp_path) as triage:
        yield triage


def questions(triage: Triage, events: list[EscalationRequested]) -> dict[str, Question]:
    refs = {event.result_id: event.question for event in events}
    refs |= {more.result_id: more.question for event in events for more in event.further}
    blobs = triage.service.blobs
    return {
        name: Question.model_validate_json(blobs.get("default", ref)) for name, ref in refs.items()
    }


def test_a_finding_that_an_answer_may_settle_is_asked_about(asking: Triage) -> None:
    asking.handle(asking.read("doc_1", record(), wrong()))
    (item,) = asking.findings("doc_1")["items"]
    assert item["route"] == "escalate"
    heard = asking.announced(EscalationRequested)
    asked = questions(asking, heard)[item["id"]]
    (event,) = heard
    assert (event.stage, event.attempt, event.further) == ("triage", 1, ())
    assert (asked.subject, asked.kind, asked.category) == ("finding", "report", item["check"])
    text = asking.service.blobs.get("default", asked.text).decode()
    assert text[asked.start : asked.end] == render_tables(asked.tables)
    assert text[asked.end :].strip() == asked.result == item["id"], "no other document has it"
    assert asked.cell is not None
    label, value = find_cell(asked.tables, asked.cell) or ("", Decimal(0))
    assert (label, value) == (item["label"], item["reported"]) == (
        "Total current assets", 4_509_000_000
    )  # fmt: skip
    assert asked.expected == item["expected"]
    rows = {row.row for row in asked.tables[0].rows}
    assert set(item["rows"]) <= rows
    whole = statement_of(record(), "balance_sheet")
    assert len(rows) < len(whole["rows"])
    assert asked.tables[0].unit == 1_000_000


@pytest.mark.parametrize(
    "changed",
    [
        {"external_kinds": '"contract"'},
        {"external_kinds": ""},
        {"mask": '"amounts"'},
        {"mistake": "0"},
        {"mistake": "0.001"},
        {"rules": "broken = 0.9"},
        {"rules": "broken = 0.0001"},
        {"rules": "max_wrong = 0.2\nbroken = 0.5"},
    ],
)
def test_unprofitable_questions_are_not_asked(tmp_path: Path, changed: dict[str, Any]) -> None:
    triage = triage_with(tmp_path, **changed)
    triage.handle(triage.read("doc_1", wrong()))
    assert triage.announced(EscalationRequested) == []
    (item,) = triage.findings("doc_1")["items"]
    assert item["route"] == ("accept" if "max_wrong" in changed.get("rules", "") else "review")
    triage.close()


def test_a_trusted_model_is_not_asked_about_excluded_filings(tmp_path: Path) -> None:
    rules = f"max_wrong = 0.01\n{HALF}"
    triage = triage_with(tmp_path, rules=rules, trust="measured")
    triage.handle(triage.read("doc_1", wrong()))
    assert len(triage.announced(EscalationRequested)) == 1
    odd = wrong()
    odd["statements"][0]["rows"][1]["values"] = ["a word", 1]
    triage.handle(triage.read("doc_2", odd))
    assert triage.findings("doc_2")["warnings"]
    assert triage.announced(EscalationRequested) == []
    triage.close()


@pytest.mark.parametrize(
    ("external_kinds", "trust", "asked"),
    [
        ('"report"', "person", False),
        ('"contract", "report", "other"', "person", True),
        ('"contract", "report", "other"', "measured", False),
    ],
)
def test_an_unsure_kind_needs_permission_for_all_kinds(
    tmp_path: Path, external_kinds: str, trust: str, asked: bool
) -> None:
    triage = triage_with(
        tmp_path, rules=f"max_wrong = 0.01\n{HALF}", external_kinds=external_kinds, trust=trust
    )
    triage.handle(triage.read("doc_1", wrong(), kind_confidence=0.4, kind_unsure=True))
    known = questions(triage, triage.announced(EscalationRequested))
    assert [(one.kind, one.may_be) for one in known.values()] == (
        [("report", ("contract", "other"))] if asked else []
    )
    triage.handle(triage.read("doc_1", wrong(), attempt=2))
    known = questions(triage, triage.announced(EscalationRequested))
    assert [(one.kind, one.may_be) for one in known.values()] == [("report", ())]
    triage.close()


def test_many_filings_ask_about_the_worthiest_alone(asking: Triage) -> None:
    asking.handle(asking.read("doc_1", *(wrong(id=f"w{number}") for number in range(30))))
    events = asking.announced(EscalationRequested)
    assert [1 + len(event.further) for event in events] == [TOGETHER, TOGETHER]
    items = asking.findings("doc_1")["items"]
    ways = [item["route"] for item in items]
    assert (ways.count("escalate"), ways.count("review")) == (2 * TOGETHER, 10)


def test_a_trusted_answer_is_no_decision_of_a_person(tmp_path: Path) -> None:
    triage = triage_with(tmp_path, rules=f"max_wrong = 0.01\n{HALF}", trust="measured")
    triage.handle(triage.read("doc_1", wrong()))
    (item,) = triage.findings("doc_1")["items"]
    (asks,) = triage.announced(EscalationRequested)
    assert (item["route"], asks.result_id) == ("escalate", item["id"])

    def counted() -> tuple[int, int, int, int]:
        with triage.service.store.read() as session:
            version = BreakClassifier.load(artefacts()).version
            asked = MonitoringStore(session, "default").samples(NAME, version)
        answered, whole, begun, waiting = decided_documents(asked, {"doc_1"})
        return len(answered), whole, begun, waiting

    assert counted() == (0, 0, 0, 1)
    triage.decide("doc_1", item["id"], "accept")
    assert counted() == (1, 1, 0, 0)
    triage.close()


def test_questions_go_with_their_document(asking: Triage) -> None:
    asking.handle(asking.read("doc_1", wrong()))
    (event,) = asking.announced(EscalationRequested)
    (asked,) = questions(asking, [event]).values()
    asking.handle(DocumentDeleted(document_id="doc_1"))
    for ref in (event.question, asked.text):
        with pytest.raises(MissingBlob):
            asking.service.blobs.get("default", ref)


def test_how_likely_a_finding_is_right_hangs_on_the_share_of_broken_filings() -> None:
    broken = np.arange(100) < 80
    known = Calibration(np.arange(100), broken, broken, np.full(100, 0.5))
    assert BeliefLine.shipped(known, 0.8).belief_of(0.9) == pytest.approx(0.9)
    assert BeliefLine.shipped(known, 0.5).belief_of(0.9) == pytest.approx(9 / 4 / (1 + 9 / 4))
    for line in (BeliefLine.shipped(known, None), BeliefLine.shipped(None, 0.5)):
        assert line.belief_of(0.9) == pytest.approx(0.9)
    low, high = (BeliefLine.shipped(known, one).belief_of(0.9) for one in (0.01, 0.99))
    assert low < 0.1 < 0.99 < high
    unsure = np.array([0.5])
    assert ASSUMED_ACCURACY.gain(unsure, np.array([True]))[0] > 0
