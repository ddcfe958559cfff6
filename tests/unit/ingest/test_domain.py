"""The state machine: any order and any repetition of what services say ends in a stated outcome."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain import (
    OUTCOMES,
    REASONS_SHOWN,
    STATES,
    Document,
    Fact,
    PagesRead,
    Progress,
    advance,
    begin_again,
    kind_of_type,
    may_begin_again,
)
from shared.documents import FailedPage
from shared.events import Kind
from tests.unit.ingest.house import SOME_BLOB, announced, extracted, found, gave_up

DOC = "doc_1"
BAD_PAGE = FailedPage(2, "no_text_layer", "the page is an image without a text layer")
RESULT: dict[str, Any] = {"contract": extracted, "report": found}


def after(progress: Progress, *facts: Fact) -> Progress:
    """What is known after all of these."""
    for fact in facts:
        progress = advance(progress, fact)
    return progress


stages = st.sampled_from(["ingest", "extraction", "triage", "review", "escalation"])
attempts = st.integers(1, 3)
facts: st.SearchStrategy[Fact] = st.one_of(
    attempts.map(lambda n: PagesRead(n, 2, (BAD_PAGE,) if n == 2 else ())),
    attempts.map(lambda n: announced(DOC, n)),
    attempts.map(lambda n: extracted(DOC, n)),
    attempts.map(lambda n: found(DOC, n, unreadable=n - 1)),
    st.builds(lambda stage, n: gave_up(DOC, stage, n), stages, attempts),
)
kinds: st.SearchStrategy[Kind] = st.sampled_from(["contract", "report", "other"])


@given(kinds, st.lists(facts, max_size=12), st.randoms(use_true_random=False))
def test_order_and_repetition_make_no_difference(kind: Kind, said: list[Fact], random: Any) -> None:
    """The same facts in another order, some of them twice, lead to the same progress."""
    shuffled = [*said, *random.sample(said, random.randint(0, len(said)))]
    random.shuffle(shuffled)
    assert after(Progress(kind), *shuffled) == after(Progress(kind), *said)


@given(kinds, st.lists(facts, max_size=12), st.randoms(use_true_random=False))
def test_an_answer_of_the_specialist_ends_the_document(
    kind: Kind, said: list[Fact], random: Any
) -> None:
    """Once the specialist has answered the newest attempt, well or badly, that is the end."""
    newest = max((fact.attempt for fact in said), default=1)
    specialist: Any = "extraction" if kind == "contract" else "triage"
    answer = random.choice([RESULT.get(kind, found)(DOC, newest), gave_up(DOC, specialist, newest)])
    said.insert(random.randint(0, len(said)), answer)
    end = after(Progress(kind), *said)
    assert end.state == "ended"
    assert end.outcome in OUTCOMES
    assert end.outcome == "complete" or end.reasons


@given(kinds, st.lists(facts, max_size=12))
def test_a_document_never_goes_back_within_an_attempt(kind: Kind, said: list[Fact]) -> None:
    """States only go forward, and an end stays an end, until a new attempt begins."""
    progress = Progress(kind)
    for fact in said:
        later = advance(progress, fact)
        if later.attempt == progress.attempt:
            assert STATES.index(later.state) >= STATES.index(progress.state)
        assert (later.outcome is None) == (later.state != "ended")
        progress = later


@given(kinds, st.lists(facts, max_size=12))
def test_older_attempts_say_nothing(kind: Kind, said: list[Fact]) -> None:
    """Whatever comes late from an attempt that was given up changes nothing in the new one."""
    fresh = Progress(kind, attempt=4)
    assert after(fresh, *said) == fresh


def test_the_plain_road() -> None:
    """Received, read, processing, ended: each by the fact that it is named for."""
    progress = Progress("contract")
    seen = [progress.state]
    for fact in (PagesRead(1, 2), announced(DOC), extracted(DOC)):
        progress = advance(progress, fact)
        seen.append(progress.state)
    assert seen == ["received", "read", "processing", "ended"]
    assert (progress.outcome, progress.reasons) == ("complete", ())


def test_failed_pages_make_it_partial() -> None:
    """A document with a failed page is never quietly called a success."""
    end = after(Progress("contract"), PagesRead(1, 2, (BAD_PAGE,)), extracted(DOC))
    assert end.outcome == "partial"
    assert end.reasons == (f"page 2: no_text_layer: {BAD_PAGE.reason}",)


def test_many_failed_pages_are_counted() -> None:
    """Reasons stay readable when hundreds of pages failed."""
    pages = tuple(FailedPage(n, "x", "y") for n in range(1, 301))
    end = after(Progress("contract"), PagesRead(1, 400, pages), extracted(DOC))
    assert len(end.reasons) == REASONS_SHOWN + 1
    assert end.reasons[-1] == f"{300 - REASONS_SHOWN} more pages failed"


def test_a_late_success_supersedes_a_failure() -> None:
    """A dead letter that was replayed with success counts."""
    failed = after(Progress("contract"), PagesRead(1, 2), gave_up(DOC))
    assert (failed.outcome, failed.reasons) == ("failed", ("internal: it broke",))
    assert advance(failed, extracted(DOC)).outcome == "complete"


def test_review_giving_up_is_told_but_does_not_undo_the_result() -> None:
    """Review goes on apart from the outcome."""
    end = after(Progress("contract"), PagesRead(1, 2), extracted(DOC), gave_up(DOC, "review"))
    assert end.outcome == "complete"
    assert end.reasons == ("review: internal: it broke",)


def test_the_other_specialist_giving_up_does_not_matter() -> None:
    """What triage can't do with a contract is not the contract's end."""
    assert after(Progress("contract"), gave_up(DOC, "triage")).outcome is None
    assert after(Progress("report"), gave_up(DOC, "triage")).outcome == "failed"


def test_ingest_giving_up_an_event_of_its_own_is_an_end() -> None:
    """Even a document whose result can't be noted ends, and its result still counts later."""
    failed = after(Progress("contract"), PagesRead(1, 1), gave_up(DOC, "ingest"))
    assert failed.outcome == "failed"
    assert advance(failed, extracted(DOC)).outcome == "complete"


def test_other_kinds_are_rejected_at_once() -> None:
    """A document that nobody works on says so and does not wait."""
    progress = Progress("other")
    assert (progress.state, progress.outcome) == ("ended", "rejected")
    assert "other" in progress.reasons[0]


@pytest.mark.parametrize(
    ("kind", "known", "again"),
    [
        (None, Progress("contract"), False),
        (None, after(Progress("contract"), extracted(DOC)), False),
        ("report", after(Progress("contract"), extracted(DOC)), False),
        (None, after(Progress("contract"), gave_up(DOC)), True),
        (None, Progress("other"), False),
        ("other", Progress("other"), False),
        ("contract", Progress("other"), True),
    ],
)
def test_when_the_same_bytes_are_a_new_attempt(
    kind: Kind | None, known: Progress, again: bool
) -> None:
    """After a failure, and after a rejection if the uploader names another kind."""
    assert may_begin_again(known, kind) is again


def test_a_new_attempt_knows_nothing() -> None:
    """Pages, results and failures of the old attempt are gone."""
    failed = after(Progress("contract"), PagesRead(1, 2, (BAD_PAGE,)), gave_up(DOC))
    assert begin_again(failed) == Progress("contract", attempt=2)
    assert begin_again(failed, "report") == Progress("report", attempt=2)


def test_when_a_document_ended() -> None:
    """The moment of the end stays while the outcome stays, and goes with a new attempt."""
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
    failed = document.after(advance(document.progress, gave_up(DOC)), start + timedelta(1))
    told = failed.after(advance(failed.progress, gave_up(DOC, "review")), start + timedelta(2))
    done = told.after(advance(told.progress, extracted(DOC)), start + timedelta(3))
    assert failed.ended == told.ended == start + timedelta(1)
    assert done.ended == start + timedelta(3)
    assert done.after(begin_again(done.progress), start + timedelta(4)).ended is None


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        ("application/pdf", "contract"),
        ("text/plain", "contract"),
        ("application/json", "report"),
        ("application/x-ndjson", "report"),
        ("text/csv", "report"),
        ("image/png", "contract"),
        ("application/zip", "other"),
    ],
)
def test_the_type_suggests_the_kind(media_type: str, kind: Kind) -> None:
    """Text and pictures of it are most likely a contract, data a report, the rest neither."""
    assert kind_of_type(media_type) == kind


def test_filings_that_could_not_be_read_make_a_report_partial() -> None:
    """The findings of the others stand, and the reason says how many are missing."""
    read = after(Progress("report"), PagesRead(1, 1), announced(DOC))
    end = advance(read, found(DOC, unreadable=2))
    assert (end.state, end.outcome) == ("ended", "partial")
    (reason,) = end.reasons
    assert reason.startswith("unreadable_filings: 2 filings of the report could not be read")
    assert advance(read, found(DOC)).outcome == "complete"
    again = after(begin_again(end), found(DOC, 2))
    assert (again.outcome, again.reasons) == ("complete", ())
    assert after(Progress("contract"), found(DOC, unreadable=2)).outcome is None


def test_a_report_of_which_only_words_were_read_is_partial() -> None:
    """The reason says that its figures are not checked, and why."""
    read = after(Progress("report"), PagesRead(1, 1), announced(DOC))
    words = found(DOC, unreadable=1).model_copy(update={"missing": "no balance sheet was found"})
    end = advance(read, words)
    assert (end.state, end.outcome) == ("ended", "partial")
    (reason,) = end.reasons
    assert reason.startswith("no_statements: its figures are not checked, its sentences were read")
    assert reason.endswith("no balance sheet was found")
