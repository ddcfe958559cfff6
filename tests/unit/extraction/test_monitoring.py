"""Monitoring: wrong audit samples tighten the guarantee, and this is reported everywhere."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from services.extraction.domain import ExtractedClause, Pass, SearchRecord
from services.extraction.monitoring.recalibration import complete
from services.extraction.monitoring.store import MonitoringStore
from services.extraction.pipeline import search
from services.extraction.store import Extractions
from shared.events import DocumentDeleted, Origin, ReviewDecided
from shared.metrics import exposition
from shared.monitoring.recalibration import loosen
from shared.monitoring.store import AuditSample
from shared.monitoring.tenant_calibration import guarantee_name, version_and_level
from shared.policy.intervals import interval
from shared.policy.risk_control import read_calibration
from tests.unit.extraction.builders import TERMS, ExtractionService, calibration, of_two
from tests.unit.extraction.conftest import Start

STATED = {"max_wrong": 0.05}


@pytest.fixture
def extraction(start: Start) -> ExtractionService:
    return start(calibration(), **STATED, sample_share=1.0)


def decide(
    extraction: ExtractionService,
    document: str,
    clause: str,
    wrong: bool | None,
    origin: Origin = "model",
) -> None:
    verdict = "undo" if wrong is None else "reject" if wrong else "accept"
    extraction.handle(
        ReviewDecided(
            document_id=document,
            item_id="it_1",
            stage="extraction",
            result_id=clause,
            decision_id="de_1",
            verdict=verdict,
            wrong=wrong,
            origin=origin,
        )
    )


def extract_and_decide(
    extraction: ExtractionService, document: str, wrong: bool, *pages: str
) -> None:
    for clause in extraction.extract(document, *pages):
        decide(extraction, document, clause["id"], wrong)


def watched(extraction: ExtractionService) -> dict[str, Any]:
    answer = extraction.client.get("/v1/watch")
    assert answer.status_code == 200
    (item,) = answer.json()["items"]
    return {**item, "notices": answer.json()["notices"]}


def test_right_checks_leave_the_guarantee_unchanged(extraction: ExtractionService) -> None:
    for number in range(3):
        clauses = extraction.extract(f"doc_{number}")
        for clause in clauses:
            assert watched(extraction)["documents"] == number
            decide(extraction, f"doc_{number}", clause["id"], False)
    now = watched(extraction)
    assert (now["documents"], now["checks"], now["wrong"]) == (3, 6, 0)
    assert now["evidence"] < 1
    assert (now["step"], now["suspended"], now["notices"]) == (0, [], [])


def test_a_clause_that_a_person_added_counts_in_no_guarantee_and_no_calibration(
    extraction: ExtractionService,
) -> None:
    first, second = extraction.extract("doc_1")
    decide(extraction, "doc_1", "it_1", False, "person")
    for clause in (first, second):
        decide(extraction, "doc_1", clause["id"], False, "person")
    assert watched(extraction)["documents"] == 0
    with extraction.service.store.read() as session:
        assert MonitoringStore(session, "default").decisions() == {}


def test_wrong_checks_tighten_the_guarantee_and_are_reported(
    extraction: ExtractionService, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for number in range(8):
            extract_and_decide(extraction, f"doc_{number}", True)
    now = watched(extraction)
    assert now["step"] > 0
    assert now["belief_now"] == pytest.approx(0.9125)
    notice = next(one for one in now["notices"] if one["kind"] == "risk")
    assert "were wrong" in notice["text"]
    assert notice["actor"] == ""
    assert any("were wrong" in record.getMessage() for record in caplog.records)
    assert b'smallprint_promise_tightened{adapter="contract-clauses"} 0.0' in exposition()
    with extraction.service.store.write() as session:
        notices = MonitoringStore.tables.notices
        mine = notices.update().where(notices.c.tenant == "default")
        session.execute(mine.values(time=datetime.now(UTC) - timedelta(days=1)))
    assert b'smallprint_promise_tightened{adapter="contract-clauses"} 1.0' in exposition()
    extraction.extract("doc_last")
    (risk,) = extraction.get(document="doc_last").json()["risks"]
    assert min(risk["thresholds"].values()) == pytest.approx(0.9125)
    assert "raised from 30.0% to 91.2%" in risk["tightened"][0]
    with extraction.service.store.read() as session:
        assert (
            MonitoringStore(session, "default").document_samples("doc_last", "contract-clauses")
            == []
        )


PAGE = "It may be {} here.\n"
LEFT = {
    "The other categories need a probability of": of_two(600, 0.01, 0.02, 0.12),
    "No threshold keeps the risk for the other categories": of_two(600, 0.01, 0.11),
}
"""The message about a suspended category, with the clauses of it and the others."""


@pytest.mark.parametrize("message", LEFT)
def test_a_suspension_states_the_thresholds_of_the_other_categories(
    start: Start, message: str
) -> None:
    one = start(LEFT[message], **STATED, sample_share=1.0)
    for number in range(40):
        extract_and_decide(one, f"doc_{number}", False, PAGE.format("inspect"))
    number = 200
    while not watched(one)["suspended"]:
        extract_and_decide(one, f"doc_{number}", True, PAGE.format("governed"))
        number += 1
    now = watched(one)
    assert (now["step"], now["suspended"]) == (0, ["Governing Law"])
    assert now["belief"] < 0.9
    (notice,) = now["notices"]
    assert (notice["kind"], notice["about"]) == ("category", "Governing Law")
    assert message in notice["text"]
    one.extract("doc_last", PAGE.format("inspect"))
    (risk,) = one.get(document="doc_last").json()["risks"]
    if message.startswith("No threshold"):
        assert now["belief_now"] is None
        assert risk["thresholds"] == {}
        assert "Governing Law in doubt" in risk["no_guarantee_reason"]
    else:
        assert now["belief_now"] == pytest.approx(0.88, abs=0.005)
        assert f"probability of {now['belief_now']:.1%} instead of" in notice["text"]
        assert risk["thresholds"] == {"Audit Rights": pytest.approx(now["belief_now"])}
    assert watched(one)["belief_now"] == now["belief_now"]
    with one.service.store.write() as session:
        loosen(MonitoringStore(session, "default"), "contract-clauses", "they were right", "ann")
    assert watched(one)["belief_now"] == now["belief"]


def test_the_watch_shows_version_level_and_interval(
    extraction: ExtractionService,
) -> None:
    for number in range(2):
        for clause in extraction.extract(f"doc_{number}"):
            assert watched(extraction)["interval"] is None or number
            decide(extraction, f"doc_{number}", clause["id"], False)
    now = watched(extraction)
    assert (now["version"], now["level"], now["max_wrong"]) == ("0.0.1", 0.95, 0.05)
    assert now["interval"] == pytest.approx([0, 1 - 0.025 ** (1 / 4)])
    assert now["checks_needed"] == 72
    assert interval(0, 72)[1] <= 0.05 < interval(0, 71)[1]
    assert now["accepted"] == 0


def test_accepted_clauses_are_counted_by_tenant(start: Start) -> None:
    one = start(calibration(), **STATED, sample_share=0.0)
    clauses = [*one.extract("doc_1"), *one.extract("doc_2")]
    accepted = [clause for clause in clauses if clause["route"] == "accept"]
    assert watched(one)["accepted"] == len(accepted) > 0
    with one.service.store.read() as session:
        assert MonitoringStore(session, "rivals").count_accepted() == {}
    one.handle(DocumentDeleted(document_id="doc_1"))
    assert 0 < watched(one)["accepted"] < len(accepted)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (guarantee_name("1.4.0+2", 0.1, 0.9, 0.87), ("1.4.0", 0.9)),
        (guarantee_name("1.4.0+local+0", 0.1, 0.95, 0.5), ("1.4.0+local", 0.95)),
        ("", None),
        ("what was promised", None),
    ],
)
def test_a_guarantee_name_holds_version_and_level(
    name: str, expected: tuple[str, float] | None
) -> None:
    assert version_and_level(name) == expected


def test_decisions_of_a_tenant_do_not_reach_another(extraction: ExtractionService) -> None:
    extract_and_decide(extraction, "doc_1", True)
    assert extraction.client_of("rivals").get("/v1/watch").json()["items"] == []


def test_an_undone_decision_no_longer_counts(extraction: ExtractionService) -> None:
    first, second = (clause["id"] for clause in extraction.extract("doc_1"))
    decide(extraction, "doc_1", first, True)
    decide(extraction, "doc_1", second, False)
    assert watched(extraction)["wrong"] == 1
    decide(extraction, "doc_1", first, None)
    assert (watched(extraction)["checks"], watched(extraction)["evidence"]) == (
        0,
        pytest.approx(1.0),
    )
    decide(extraction, "doc_1", first, False)
    assert (watched(extraction)["checks"], watched(extraction)["wrong"]) == (2, 0)


def test_a_repeated_guarantee_starts_again(extraction: ExtractionService) -> None:
    expert = extraction.specialists.specialist
    for number, version in enumerate(("0.0.1", "0.0.2", "0.0.1")):
        expert.manifest = replace(expert.manifest, version=version)
        for clause in extraction.extract(f"doc_{number}"):
            decide(extraction, f"doc_{number}", clause["id"], number == 0)
    assert (watched(extraction)["documents"], watched(extraction)["wrong"]) == (1, 0)
    decide(extraction, "doc_2", clause["id"], None)
    assert (watched(extraction)["documents"], watched(extraction)["wrong"]) == (0, 0)
    decide(extraction, "doc_2", clause["id"], False)
    assert (watched(extraction)["documents"], watched(extraction)["wrong"]) == (1, 0)


def test_decisions_outside_the_sample_count_for_no_test(start: Start) -> None:
    one = start(calibration(), **STATED, sample_share=0.0)
    extract_and_decide(one, "doc_1", True)
    assert watched(one)["checks"] == 0
    with one.service.store.read() as session:
        assert (
            MonitoringStore(session, "default").decided_samples("contract-clauses", "0.0.1") == []
        )


def test_a_deletion_forgets_undecided_samples_and_keeps_the_counts(
    extraction: ExtractionService,
) -> None:
    extract_and_decide(extraction, "doc_1", True)
    extraction.extract("doc_2")
    extraction.handle(DocumentDeleted(document_id="doc_1"), DocumentDeleted(document_id="doc_2"))
    assert watched(extraction)["wrong"] == 2
    with extraction.service.store.read() as session:
        watches = MonitoringStore(session, "default")
        assert watches.document_samples("doc_2", "contract-clauses") == []
        assert len(watches.document_samples("doc_1", "contract-clauses")) == 2


def test_a_document_read_again_counts_once(extraction: ExtractionService) -> None:
    extract_and_decide(extraction, "doc_1", False)
    extraction.extract("doc_1", attempt=2)
    assert watched(extraction)["checks"] == 2


def read_again(extraction: ExtractionService, document: str, version: str) -> None:
    expert = extraction.specialists.specialist
    expert.manifest = replace(expert.manifest, version=version)
    extraction.extract(document, attempt=2)


def drawn(extraction: ExtractionService, document: str) -> list[tuple[str, str, str]]:
    with extraction.service.store.read() as session:
        found = MonitoringStore(session, "default").document_samples(document, "contract-clauses")
    return [(one.result_id, one.guarantee, one.version) for one in found]


def test_the_sample_does_not_depend_on_the_version(start: Start) -> None:
    one = start(calibration(), **STATED, sample_share=0.5)
    names = [f"doc_{number}" for number in range(12)]
    for name in names:
        one.extract(name)
    before = [[clause for clause, *_ in drawn(one, name)] for name in names]
    for name in names:
        read_again(one, name, "0.0.2")
    assert [[clause for clause, *_ in drawn(one, name)] for name in names] == before
    assert 4 < sum(map(len, before)) < 20


def test_a_document_read_again_by_another_version_counts_for_no_test(
    extraction: ExtractionService,
) -> None:
    extraction.specialists.specialist.guarantee = calibration(by_contract=True)
    names = [f"doc_{number}" for number in range(8)]
    clauses = {name: extraction.extract(name) for name in names}
    decide(extraction, names[0], clauses[names[0]][0]["id"], True)
    for name in names:
        read_again(extraction, name, "0.0.2")
    for name in names:
        for clause in clauses[name]:
            decide(extraction, name, clause["id"], True)
    now = watched(extraction)
    assert (now["version"], now["documents"], now["checks"]) == ("0.0.2", 0, 0)
    assert (now["step"], now["suspended"]) == (0, [])
    new = extraction.extract("doc_new")
    read_again(extraction, "doc_new", "0.0.2")
    for clause in new:
        decide(extraction, "doc_new", clause["id"], False)
    assert (watched(extraction)["documents"], watched(extraction)["checks"]) == (1, 2)


def test_decisions_move_to_the_version_that_reads_the_document_again(
    extraction: ExtractionService,
) -> None:
    extract_and_decide(extraction, "doc_1", False)
    read_again(extraction, "doc_1", "0.0.2")
    with extraction.service.store.read() as session:
        watches = MonitoringStore(session, "default")
        assert watches.decided_samples("contract-clauses", "0.0.1") == []
        decided = watches.decided_samples("contract-clauses", "0.0.2")
        kept = Extractions(session, "default")
        known = kept.get("doc_1")
        assert known
        every = [("doc_1", known.passes, kept.all_clauses("doc_1"))]
    found, unfinished = complete(every, decided, "contract-clauses", "0.0.2", 0.1)
    assert ([one.weight for one in found], unfinished) == ([1.0, 1.0], 0)


def test_watches_are_locked_in_one_order(
    extraction: ExtractionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    extraction.specialists.terms.guarantee = calibration()
    names = [TERMS, "contract-clauses"]
    locked: list[str] = []
    state = MonitoringStore.state

    def logged(self: MonitoringStore, adapter: str, *, lock: bool = False) -> Any:
        locked.extend([adapter] * lock)
        return state(self, adapter, lock=lock)

    monkeypatch.setattr(MonitoringStore, "state", logged)
    for number, order in enumerate((names, names[::-1])):
        event = extraction.read(f"doc_{number}").model_copy(update={"adapters": tuple(order)})
        extraction.handle(extraction.ingested(f"doc_{number}"), event)
    assert locked == sorted(names) * 2


def unlike(start: Start, share: float) -> dict[str, Any]:
    one = start(calibration(by_contract=True), **STATED, sample_share=share)
    for number in range(30):
        one.extract(f"doc_{number}")
    return watched(one)


@pytest.mark.parametrize(
    ("share", "message"),
    [
        (0.0, "Nobody checks accepted results, because the policy states a sample_share of 0."),
        (0.000001, "People now check 20% of acceptable results."),
        (0.5, "People now check 50% of acceptable results."),
    ],
)
def test_the_drift_notice_states_the_sample(start: Start, share: float, message: str) -> None:
    (notice,) = unlike(start, share)["notices"]
    assert message in notice["text"]


def test_documents_without_a_guarantee_do_not_count_as_drift(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        search, "language_warnings", lambda *_: ("the text is in another language",)
    )
    now = unlike(start, 1.0)
    assert (now["drifted"], now["drift_documents"], now["notices"]) == (False, 0, [])


def test_drift_is_noticed_and_raises_the_sample(start: Start) -> None:
    one = start(calibration(by_contract=True), **STATED, sample_share=0.000001)
    for number in range(30):
        one.extract(f"doc_{number}")
    now = watched(one)
    assert now["drifted"]
    assert now["stability_index"] > 0.25
    assert [notice["kind"] for notice in now["notices"]] == ["drift"]
    assert b'smallprint_calibration_drift{adapter="contract-clauses"}' in exposition()
    with one.service.store.read() as session:
        local = MonitoringStore(session, "default").tenant_calibration("contract-clauses", "0.0.1")
    assert local.drifted
    for number in range(30, 60):
        one.extract(f"doc_{number}")
    with one.service.store.read() as session:
        watches = MonitoringStore(session, "default")
        drawn = [watches.document_samples(f"doc_{n}", "contract-clauses") for n in range(30, 60)]
    assert 3 <= sum(map(len, drawn)) <= 30
    assert {check.share for checks in drawn for check in checks} == {0.2}


def test_clauses_shown_for_recall_are_no_drift(start: Start) -> None:
    extraction = start(**STATED, max_missed=0.3)
    known = replace(
        read_calibration(calibration(by_contract=True)), answer_confidence=np.full(800, 0.6)
    )
    expert = extraction.specialists.specialist
    expert.guarantee = known.to_bytes()
    expert.manifest = replace(expert.manifest, thresholds={"best_f1": 0.95})
    found = extraction.extract("doc_1")
    assert [clause["confidence"] for clause in found] == pytest.approx([0.9, 0.9])
    (missed,) = extraction.get().json()["missed"]
    assert missed["above"] < 0.9
    assert watched(extraction)["drift_documents"] == 0


def test_clauses_not_usually_shown_are_not_learned_from() -> None:
    sure = ExtractedClause("cl_1", "contract-clauses", "Insurance", "words", 10, 15, 1, 0.9)
    more = replace(sure, id="cl_2", confidence=0.2)
    read_by = (Pass("contract-clauses", "0.0.1", SearchRecord(10, 1, (), ())),)
    decided = [
        AuditSample(
            one.id, "doc_1", "contract-clauses", "0.0.1", "Insurance", one.confidence, 0.0, "",
            1.0, False, wrong=False,
        )
        for one in (sure, more)
    ]  # fmt: skip
    for known in (decided, decided[:1]):
        found, unfinished = complete(
            [("doc_1", read_by, [sure, more])], known, "contract-clauses", "0.0.1", 0.5
        )
        assert ([one.confidence for one in found], unfinished) == ([0.9], 0)


def test_decisions_under_an_unsure_kind_keep_their_sampling_weight(
    start: Start,
) -> None:
    """People chose what they left undecided, so it counts for no test."""
    one = start(calibration(), **STATED, sample_share=0.5)
    names = [f"doc_{number}" for number in range(12)]
    for name in names:
        first, *_ = one.extract(name, kind_unsure=True)
        assert first["route"] == "review"
        decide(one, name, first["id"], False)
        one.extract(name, attempt=2)
    with one.service.store.read() as session:
        watches = MonitoringStore(session, "default")
        clauses = [c for name in names for c in Extractions(session, "default").all_clauses(name)]
        decided = watches.decisions()
        left = [watches.find(c.id) for c in clauses if c.sampled and c.id not in decided]
    shares = {c.id: 0.5 if c.sampled else 1.0 for c in clauses if c.id in decided}
    assert {key: known.share for key, known in decided.items()} == shares
    assert set(shares.values()) == {0.5, 1.0}
    assert left
    assert [known.guarantee for known in left if known] == [""] * len(left)
