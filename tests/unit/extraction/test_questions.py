"""Questions to frontier models about uncertain results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.escalation.gateway import LARGEST_WINDOW
from services.extraction.domain import CategoryResult, ExtractedClause, Nearest, SearchRecord
from services.extraction.monitoring.store import MonitoringStore
from services.extraction.questions import (
    BATCH_CHARACTERS,
    BATCH_QUESTIONS,
    CONTEXT,
    MAX_QUESTIONS,
    MAX_WINDOW,
    UncertainResult,
    needs_person,
    question_batches,
    uncertain_results,
    worth_asking,
)
from shared.blobs import MissingBlob
from shared.events import BlobRef, ClausesExtracted, DocumentDeleted, EscalationRequested
from shared.events.questions import Question
from shared.events.types import MAX_FURTHER
from shared.monitoring.sequential_test import STEPS
from shared.monitoring.tenant_calibration import TenantCalibration
from shared.policy.escalation_value import ASSUMED_ACCURACY, NO_ESCALATION, read_escalation_rules
from shared.policy.rules import RiskRules
from tests.unit.extraction.builders import (
    ASKING,
    PAGES,
    TEXT,
    ExtractionService,
    reading,
    unsure,
    write_policy,
)
from tests.unit.extraction.conftest import Start

TRUSTED = {"trust": "measured", "max_wrong": 0.05}


def read(start: Start, belief: float = 0.6, /, **rules: Any) -> ExtractionService:
    extraction = start(unsure(belief), **{**ASKING, **rules})
    extraction.extract()
    return extraction


def question_of(extraction: ExtractionService, ref: BlobRef) -> Question:
    return Question.model_validate_json(extraction.service.blobs.get("default", ref))


def refs_of(request: EscalationRequested) -> list[BlobRef]:
    return [request.question, *(more.question for more in request.further)]


def escalated(extraction: ExtractionService) -> set[str]:
    return {one["category"] for one in extraction.clauses() if one["route"] == "escalate"}


def test_uncertain_clauses_are_asked_in_one_request(start: Start) -> None:
    extraction = read(start)
    events = extraction.announced((ClausesExtracted, EscalationRequested))  # type: ignore[arg-type]
    assert [type(event) for event in events] == [ClausesExtracted, EscalationRequested]
    items = extraction.clauses()
    assert {item["category"]: item["route"] for item in items} == {
        "Governing Law": "escalate",
        "Audit Rights": "escalate",
    }
    request = events[1]
    asked = {request.result_id: request.question}
    asked |= {more.result_id: more.question for more in request.further}
    assert asked.keys() == {item["id"] for item in items}
    for item in items:
        question = question_of(extraction, asked[item["id"]])
        assert (question.category, question.subject) == (item["category"], "clause")
        assert question.result == item["id"]
        assert (question.start, question.end) == (0, len(TEXT))
        assert question.definition not in ("", item["category"])
        assert [(c.start, c.end) for c in question.candidates] == [(item["start"], item["end"])]


def test_questions_go_with_their_document(start: Start) -> None:
    extraction = read(start)
    (request,) = extraction.announced(EscalationRequested)
    extraction.handle(DocumentDeleted(document_id="doc_1"))
    for ref in refs_of(request):
        with pytest.raises(MissingBlob):
            extraction.service.blobs.get("default", ref)


@pytest.mark.parametrize(
    "rules",
    [
        *({"external_kinds": []}, {"external_kinds": ["report"]}, {"day_usd": "0"}),
        *({"mistake_usd": "0"}, {"mistake_usd": "0.01"}),
    ],
)
def test_nothing_is_asked_that_may_not_leave_or_has_no_value(
    start: Start, rules: dict[str, Any]
) -> None:
    extraction = read(start, 0.6, **rules)
    assert extraction.announced(EscalationRequested) == []
    items = extraction.clauses()
    assert {item["route"] for item in items} == {"review"}


@pytest.mark.parametrize(
    ("external_kinds", "asked"),
    [
        (["contract"], False),
        (["contract", "report"], False),
        (["contract", "report", "other"], True),
    ],
)
def test_an_unsure_kind_may_leave_only_if_every_possible_kind_may(
    start: Start, external_kinds: list[str], asked: bool
) -> None:
    extraction = read(start, 0.6, external_kinds=external_kinds)
    assert len(extraction.announced(EscalationRequested)) == 1
    extraction.extract("doc_2", kind_confidence=0.4, kind_unsure=True)
    requests = extraction.announced(EscalationRequested)
    items = extraction.clauses("doc_2")
    assert {item["route"] for item in items} == {"escalate" if asked else "review"}
    assert bool(requests) is asked
    for request in requests:
        for ref in refs_of(request):
            question = Question.model_validate_json(extraction.service.blobs.get("default", ref))
            assert (question.kind, question.may_be) == ("contract", ("report", "other"))
    extraction.handle(extraction.read("doc_2", attempt=2))
    again = extraction.announced(EscalationRequested)[-1]
    question = question_of(extraction, again.question)
    assert (again.document_id, again.attempt, question.may_be) == ("doc_2", 2, ())


def test_a_trusted_model_is_not_asked_while_the_kind_is_unsure(start: Start) -> None:
    external_kinds = ["contract", "report", "other"]
    extraction = start(unsure(0.6), **{**ASKING, **TRUSTED, "external_kinds": external_kinds})
    extraction.extract(kind_confidence=0.4, kind_unsure=True)
    assert extraction.announced(EscalationRequested) == []
    extraction.handle(extraction.read("doc_1", attempt=2))
    assert len(extraction.announced(EscalationRequested)) == 1


@pytest.mark.parametrize("belief", [0.97, 0.03])
def test_very_likely_and_very_unlikely_clauses_are_not_asked_about(
    start: Start, belief: float
) -> None:
    assert read(start, belief).announced(EscalationRequested) == []


def test_a_gain_is_what_an_answer_changes() -> None:
    belief, shown = np.array([0.6, 0.6]), np.array([True, False])
    yes = 0.6 * 0.603 + 0.4 * 0.164
    after = yes * (1 - 0.6 * 0.603 / yes) + (1 - yes) * (0.6 * 0.397 / (1 - yes))
    assert ASSUMED_ACCURACY.gain(belief, shown) == pytest.approx([0.4 - after, 0.6 - after])


def clause(category: str, **changed: Any) -> ExtractedClause:
    return replace(
        ExtractedClause("cl_1", "contract-clauses", category, "words", 10, 15, 1, 0.6), **changed
    )


def looked(*near: tuple[str, float], warnings: tuple[str, ...] = ()) -> SearchRecord:
    lines = tuple(CategoryResult(name, p, Nearest("words", 10, 15, 1, p)) for name, p in near)
    return SearchRecord(1_000, 1, (), lines, warnings)


def test_accepted_and_sampled_clauses_are_not_asked_about() -> None:
    found = [
        clause("Insurance"),
        clause("Audit Rights", route="accept"),
        clause("Parties", sampled=True),
    ]
    search = looked(("Insurance", 0.6), ("Parties", 0.6), ("Governing Law", 0.4))
    named = ("default", "doc_1", "contract-clauses")
    results = uncertain_results(found, search, lambda _category, confidence: confidence / 2, named)
    assert [(one.category, one.subject, one.belief) for one in results] == [
        ("Insurance", "clause", 0.3),
        ("Governing Law", "category", 0.4),
    ]
    strange = replace(search, warnings=("it is in another language",))
    assert uncertain_results(found, strange, lambda _c, p: p, named) == []


BOTH = {"Governing Law", "Audit Rights"}


@pytest.mark.parametrize(("trust", "asked"), [("person", BOTH), ("measured", set())])
def test_a_trusted_model_is_not_asked_where_a_person_must_answer(
    start: Start, trust: str, asked: set[str]
) -> None:
    extraction = start(unsure(0.6), **{**ASKING, **TRUSTED, "trust": trust})
    with extraction.service.store.write() as session:
        watches = MonitoringStore(session, "default")
        kept = watches.state("contract-clauses", lock=True)
        watches.save(replace(kept, suspended=tuple(BOTH)))
    extraction.extract()
    assert escalated(extraction) == asked


def doubt(
    number: int, start: int, length: int, category: str = "Insurance", belief: float = 0.5
) -> UncertainResult:
    return UncertainResult(f"cl_{number}", "clause", category, start, start + length, 0.5, belief)


def batches(asked: list[UncertainResult], text: str) -> list[list[Question]]:
    return list(question_batches(asked, text, BlobRef(sha256="0" * 64, size=1), []))


def test_suspended_categories_and_ocr_pages_need_a_person() -> None:
    pages = reading(*PAGES)
    end = pages.pages[0].end
    scan = replace(pages, pages=(pages.pages[0], replace(pages.pages[1], method="tesseract")))
    one = doubt(1, end - 9, 8)
    calm = TenantCalibration(step=STEPS - 1, suspended=frozenset({"Parties"}))
    assert not needs_person(one, scan, calm, 0.4)
    assert needs_person(one, scan, TenantCalibration(step=STEPS), 0.4)
    assert needs_person(one, scan, TenantCalibration(suspended=frozenset({"Insurance"})), 0.4)
    assert needs_person(replace(one, end=end + 1), scan, TenantCalibration(), 0.4)


@pytest.mark.parametrize(("trust", "asked"), [("person", BOTH), ("measured", set())])
def test_a_trusted_model_is_not_asked_about_clauses_shown_for_recall(
    start: Start, trust: str, asked: set[str]
) -> None:
    extraction = start(unsure(0.6), **{**ASKING, **TRUSTED, "trust": trust, "max_missed": 0.1})
    expert = extraction.specialists.specialist
    expert.manifest = replace(expert.manifest, thresholds={"best_f1": 0.95})
    assert {item["category"] for item in extraction.extract()} > BOTH
    assert escalated(extraction) == asked


def test_the_worthiest_come_first_and_weights_count(tmp_path: Path) -> None:
    asks = read_escalation_rules(write_policy(tmp_path, **{**ASKING, "mistake_usd": "0.018"})).of(
        "default"
    )
    many = [doubt(n, 100 * n, 50, belief=0.35 + n / 400) for n in range(100)]
    plain = worth_asking(many, asks, RiskRules(), 50_000)
    weighed = worth_asking(many, asks, RiskRules(weights={"Insurance": 9.0}), 50_000)
    assert len(plain) < len(weighed) == MAX_QUESTIONS
    gains = ASSUMED_ACCURACY.gain(
        np.array([one.belief for one in weighed]), np.ones(len(weighed), bool)
    ).tolist()
    assert gains == sorted(gains, reverse=True)
    assert all(one.usd > 0 for one in weighed)
    assert worth_asking(many, NO_ESCALATION, RiskRules(), 50_000) == []


def test_windows_have_their_passages_and_prompts_are_bounded() -> None:
    chance = np.random.default_rng(4)
    text = " ".join("words" for _ in range(40_000))
    starts = sorted(6 * int(n) for n in chance.integers(0, 39_000, 30))
    names = ("Insurance", "Audit Rights", "Governing Law")
    asked = [doubt(n, start, 605, names[n % 3]) for n, start in enumerate(starts)]
    found = batches(asked, text)
    ids = [one.result for batch in found for one in batch]
    assert sorted(ids) == sorted(one.result_id for one in asked)
    assert len(found) < len(asked) / 3
    for batch in found:
        windows = {(one.start, one.end) for one in batch}
        assert sum(end - start for start, end in windows) <= BATCH_CHARACTERS
        same = {(one.start, one.category) for one in batch}
        assert 1 <= len(same) <= BATCH_QUESTIONS
        for question in batch:
            (candidate,) = question.candidates
            assert question.start <= candidate.start < candidate.end <= question.end
            assert question.end - question.start <= MAX_WINDOW
            assert question.start == 0 or candidate.start - question.start > CONTEXT - 10
            assert question.end == len(text) or question.end - candidate.end > CONTEXT - 10


def test_a_repeated_window_takes_no_room_in_a_prompt() -> None:
    """The second large window has seven questions, two of them equal: one batch."""
    text = "w " * 2 * BATCH_CHARACTERS
    names = sorted(("Insurance", "Audit Rights", "Governing Law", "Parties", "Exclusivity"))
    asked = enumerate([*names, names[0], names[-1]], 1)
    others = [doubt(n, 30_000 + 10 * n, 900, name) for n, name in asked]
    (batch,) = batches([doubt(0, 2_000, 12_000), *others], text)
    assert len(batch) == 8
    assert len({(one.start, one.end) for one in batch}) == 2
    many = [doubt(n, 30_000 + n, 900) for n in range(25)]
    assert list(map(len, batches(many, text))) == [1 + MAX_FURTHER, 5], "an event has no more"


@pytest.mark.parametrize(
    ("length", "around"),
    [
        (50, CONTEXT),
        (BATCH_CHARACTERS - 600, 300),
        (BATCH_CHARACTERS - 2, 0),
        (BATCH_CHARACTERS, 0),
    ],
)
def test_a_long_passage_is_sent_with_what_there_is_room_for(length: int, around: int) -> None:
    text = "w " * 2 * BATCH_CHARACTERS
    ((asked,),) = batches([doubt(1, BATCH_CHARACTERS, length)], text)
    start, end = asked.start, asked.end
    assert [BATCH_CHARACTERS - start, end - BATCH_CHARACTERS - length] == pytest.approx(
        [around, around], abs=1
    )
    assert end - start <= BATCH_CHARACTERS == LARGEST_WINDOW
