"""The state machine of documents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain import (
    REASONS_SHOWN,
    Document,
    Fact,
    Outcome,
    PagesRead,
    Progress,
    State,
    advance,
    next_attempt,
    starts_new_attempt,
)
from shared.documents import FailedPage
from shared.events import Kind
from tests.unit.ingest.builders import (
    SOME_BLOB,
    clauses_extracted,
    document_failed,
    document_read,
    findings_found,
)

DOC = "doc_1"
BAD_PAGE = FailedPage(2, "no_text_layer", "the page is an image without a text layer")
RESULT: dict[str, Any] = {"contract": clauses_extracted, "report": findings_found}


def after(progress: Progress, *facts: Fact) -> Progress:
    for fact in facts:
        progress = advance(progress, fact)
    return progress


stages = st.sampled_from(["ingest", "extraction", "triage", "review", "escalation"])
attempts = st.integers(1, 3)
facts: st.SearchStrategy[Fact] = st.one_of(
    attempts.map(lambda n: PagesRead(n, 2, (BAD_PAGE,) if n == 2 else ())),
    attempts.map(lambda n: document_read(DOC, n)),
    attempts.map(lambda n: clauses_extracted(DOC, n)),
    attempts.map(lambda n: findings_found(DOC, n, unreadable=n - 1)),
    st.builds(lambda stage, n: document_failed(DOC, stage, n), stages, attempts),
)
kinds: st.SearchStrategy[Kind] = st.sampled_from(["contract", "report", "other"])


@given(kinds, st.lists(facts, max_size=12), st.randoms(use_true_random=False))
def test_order_and_repetition_make_no_difference(
    kind: Kind, published: list[Fact], random: Any
) -> None:
    shuffled = [*published, *random.sample(published, random.randint(0, len(published)))]
    random.shuffle(shuffled)
    assert after(Progress(kind), *shuffled) == after(Progress(kind), *published)


@given(kinds, st.lists(facts, max_size=12), st.randoms(use_true_random=False))
def test_the_specialists_result_ends_the_document(
    kind: Kind, published: list[Fact], random: Any
) -> None:
    newest = max((fact.attempt for fact in published), default=1)
    specialist: Any = "extraction" if kind == "contract" else "triage"
    answer = random.choice(
        [RESULT.get(kind, findings_found)(DOC, newest), document_failed(DOC, specialist, newest)]
    )
    published.insert(random.randint(0, len(published)), answer)
    end = after(Progress(kind), *published)
    assert end.state == "ended"
    assert end.outcome in get_args(Outcome)
    assert end.outcome == "complete" or end.reasons


@given(kinds, st.lists(facts, max_size=12))
def test_a_document_never_goes_back_within_an_attempt(kind: Kind, published: list[Fact]) -> None:
    progress, states = Progress(kind), get_args(State)
    for fact in published:
        later = advance(progress, fact)
        if later.attempt == progress.attempt:
            assert states.index(later.state) >= states.index(progress.state)
        assert (later.outcome is None) == (later.state != "ended")
        progress = later


@given(kinds, st.lists(facts, max_size=12))
def test_facts_of_older_attempts_are_ignored(kind: Kind, published: list[Fact]) -> None:
    fresh = Progress(kind, attempt=4)
    assert after(fresh, *published) == fresh


def test_each_fact_reaches_its_state() -> None:
    progress = Progress("contract")
    seen = [progress.state]
    for fact in (PagesRead(1, 2), document_read(DOC), clauses_extracted(DOC)):
        progress = advance(progress, fact)
        seen.append(progress.state)
    assert seen == ["received", "read", "processing", "ended"]
    assert (progress.outcome, progress.reasons) == ("complete", ())


def test_many_failed_pages_are_counted() -> None:
    pages = tuple(FailedPage(n, "x", "y") for n in range(1, 301))
    end = after(Progress("contract"), PagesRead(1, 400, pages), clauses_extracted(DOC))
    assert len(end.reasons) == REASONS_SHOWN + 1
    assert end.reasons[-1] == f"{300 - REASONS_SHOWN} more pages failed"


@pytest.mark.parametrize(
    ("kind", "facts", "outcome", "reasons"),
    [
        ("contract", [PagesRead(1, 2, (BAD_PAGE,)), clauses_extracted(DOC)], "partial",
         (f"page 2: no_text_layer: {BAD_PAGE.reason}",)),
        ("contract", [document_failed(DOC)], "failed", ("internal: it broke",)),
        ("contract", [document_failed(DOC, "ingest")], "failed", ("internal: it broke",)),
        ("contract", [clauses_extracted(DOC), document_failed(DOC, "review")], "complete",
         ("review: internal: it broke",)),
        ("contract", [document_failed(DOC), clauses_extracted(DOC)], "complete", None),
        ("contract", [document_failed(DOC, "ingest"), clauses_extracted(DOC)], "complete", None),
        ("contract", [document_failed(DOC, "triage")], None, None),
        ("report", [document_failed(DOC, "triage")], "failed", None),
        ("other", [], "rejected", None),
    ],
)  # fmt: skip
def test_outcome_and_reasons_follow_from_the_facts(
    kind: Kind, facts: list[Fact], outcome: str | None, reasons: tuple[str, ...] | None
) -> None:
    end = after(Progress(kind), PagesRead(1, 2), *facts)
    assert (end.outcome, end.state == "ended") == (outcome, outcome is not None)
    if reasons is not None:
        assert end.reasons == reasons


@pytest.mark.parametrize(
    ("kind", "known", "again"),
    [
        (None, Progress("contract"), False),
        (None, after(Progress("contract"), clauses_extracted(DOC)), False),
        ("report", after(Progress("contract"), clauses_extracted(DOC)), False),
        (None, after(Progress("contract"), document_failed(DOC)), True),
        (None, Progress("other"), False),
        ("other", Progress("other"), False),
        ("contract", Progress("other"), True),
    ],
)
def test_the_same_bytes_start_a_new_attempt_after_a_failure(
    kind: Kind | None, known: Progress, again: bool
) -> None:
    assert starts_new_attempt(known, kind) is again


def test_a_new_attempt_starts_empty() -> None:
    failed = after(Progress("contract"), PagesRead(1, 2, (BAD_PAGE,)), document_failed(DOC))
    assert next_attempt(failed) == Progress("contract", attempt=2)
    assert next_attempt(failed, "report") == Progress("report", attempt=2)


def test_ended_keeps_its_time_within_an_attempt() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    document = Document(
        id=DOC,
        tenant="default",
        name="a.pdf",
        media_type="application/pdf",
        original=SOME_BLOB,
        readable=SOME_BLOB,
        actor="tester",
        kind_source="type",
        progress=Progress("contract"),
        created=start,
        updated=start,
    )
    failed = document.after(advance(document.progress, document_failed(DOC)), start + timedelta(1))
    reported = failed.after(
        advance(failed.progress, document_failed(DOC, "review")), start + timedelta(2)
    )
    done = reported.after(advance(reported.progress, clauses_extracted(DOC)), start + timedelta(3))
    assert failed.ended == reported.ended == start + timedelta(1)
    assert done.ended == start + timedelta(3)
    assert done.after(next_attempt(done.progress), start + timedelta(4)).ended is None


def test_unread_filings_make_a_report_partial() -> None:
    read = after(Progress("report"), PagesRead(1, 1), document_read(DOC))
    end = advance(read, findings_found(DOC, unreadable=2))
    assert (end.state, end.outcome) == ("ended", "partial")
    (reason,) = end.reasons
    assert reason.startswith("unreadable_filings: 2 filings of the report could not be read")
    assert advance(read, findings_found(DOC)).outcome == "complete"
    again = after(next_attempt(end), findings_found(DOC, 2))
    assert (again.outcome, again.reasons) == ("complete", ())
    assert after(Progress("contract"), findings_found(DOC, unreadable=2)).outcome is None


def test_a_report_with_sentences_only_is_partial() -> None:
    read = after(Progress("report"), PagesRead(1, 1), document_read(DOC))
    words = findings_found(DOC, unreadable=1).model_copy(
        update={"missing": "no balance sheet was found"}
    )
    end = advance(read, words)
    assert (end.state, end.outcome) == ("ended", "partial")
    (reason,) = end.reasons
    assert reason.startswith("no_statements: only its sentences were checked, not its figures")
    assert reason.endswith("no balance sheet was found")
