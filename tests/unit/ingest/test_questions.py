"""Questions to a frontier model about kinds and damaged pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.blobs import MissingBlob
from shared.documents import Limits, read
from shared.events import BlobRef, DocumentDeleted, DocumentRead, EscalationRequested
from shared.events.questions import Question
from tests.unit.documents.samples import scrambled
from tests.unit.ingest.builders import IngestService, NewIngest
from tests.unit.ingest.test_kinds import PROSE, answered, model, set_kind

POLICY = """
[providers.p]
protocol = "own"
model = "m"
url = "http://localhost:9"
price = {{ input = "3", output = "15", as_of = 2026-01-31 }}

[tenants.default]
providers = ["p"]
external_kinds = [{external_kinds}]
day_usd = "5"
month_usd = "5"
mistake_usd = "{mistake}"
"""
ALL = '"contract", "report", "other"'
LINES = ("This Agreement is made between Acme and Bolt on the first day of May.",) * 8


@pytest.fixture
def make(tmp_path: Path, new_ingest: NewIngest) -> NewIngest:
    def made(*chances: float, external_kinds: str = ALL, mistake: str = "1") -> IngestService:
        policy = tmp_path / "policy.toml"
        policy.write_text(POLICY.format(external_kinds=external_kinds, mistake=mistake))
        artefacts = model(tmp_path / "artefacts", chances)  # type: ignore[arg-type]
        return new_ingest(artefacts=artefacts, policy=policy)

    return made


def requested(ingest: IngestService) -> dict[str, Question]:
    refs: dict[str, BlobRef] = {}
    for event in ingest.published(EscalationRequested):
        refs[event.result_id] = event.question
        refs |= {more.result_id: more.question for more in event.further}
    blobs = ingest.service.blobs
    return {
        name: Question.model_validate_json(blobs.get("default", ref)) for name, ref in refs.items()
    }


def last_read(ingest: IngestService) -> DocumentRead:
    return ingest.published(DocumentRead)[-1]


def test_an_unsure_kind_is_asked_about(make: NewIngest) -> None:
    ingest = make(0.5, 0.1, 0.4)
    text = PROSE * 40
    document = ingest.read_new(text, "a.txt")
    questions = requested(ingest)
    assert questions.keys() == {document}
    question = questions[document]
    assert (question.subject, question.kind, question.result) == ("kind", "contract", document)
    assert set(question.may_be) == {"report", "other"}
    assert (question.start, question.category) == (0, "document_kind")
    assert 3_900 < question.end <= 4_000
    assert text[question.end : question.end + 1].isspace()
    assert ingest.service.blobs.get("default", question.text) == text
    published = last_read(ingest)
    assert (published.escalated, published.kind_unsure) == ((document,), True)


def test_an_unlikely_kind_is_asked_about(make: NewIngest) -> None:
    ingest = make(0.03, 0.02, 0.95)
    document = ingest.read_new(PROSE * 40, "a.txt")
    published = last_read(ingest)
    assert (published.kind, published.kind_unsure) == ("contract", True)
    assert (published.kind_confidence or 1.0) < 0.1
    assert requested(ingest).keys() == {document}


@pytest.mark.parametrize(
    ("chances", "changed"),
    [
        ((0.99, 0.005, 0.005), {}),
        ((0.5, 0.1, 0.4), {"external_kinds": '"contract", "report"'}),
        ((0.5, 0.1, 0.4), {"external_kinds": '"contract"'}),
        ((0.5, 0.1, 0.4), {"mistake": "0"}),
        ((0.5, 0.1, 0.4), {"mistake": "0.0001"}),
    ],
)
def test_no_question_if_sure_forbidden_or_too_expensive(
    make: NewIngest, chances: tuple[float, ...], changed: dict[str, Any]
) -> None:
    ingest = make(*chances, **changed)
    ingest.upload_new(PROSE, "a.txt")
    ingest.run()
    assert requested(ingest) == {}
    assert last_read(ingest).escalated == ()


def test_a_given_kind_is_not_asked_about(make: NewIngest) -> None:
    ingest = make(0.5, 0.1, 0.4)
    ingest.upload_new(PROSE, "a.txt", kind="contract")
    ingest.upload_new(PROSE + b"!", "b.txt", kind="other")
    ingest.run()
    assert requested(ingest) == {}


def test_a_damaged_page_is_asked_about(make: NewIngest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.documents.reader.engine", lambda: None)
    monkeypatch.setattr("shared.documents.pages.scanned_pages.engine", lambda: None)
    data = scrambled(*LINES)
    reading = read(data, name="a.pdf", limits=Limits(page_seconds=0.001, scan_seconds=0.001))
    assert reading.unsound == (1,)
    ingest = make(0.99, 0.005, 0.005, external_kinds='"contract"')
    document = ingest.read_new(data, "a.pdf", kind="contract")
    questions = requested(ingest)
    assert questions.keys() == {f"{document}_p1"}
    (question,) = questions.values()
    assert (question.subject, question.kind, question.may_be) == ("page", "contract", ())
    text = ingest.service.blobs.get("default", question.text).decode()
    assert text[question.start : question.end].strip()
    assert "$JUHHPHQW" in text
    assert last_read(ingest).escalated == (f"{document}_p1",)


def test_an_answer_about_a_page_leaves_the_kind_unsure(make: NewIngest) -> None:
    ingest = make(0.5, 0.1, 0.4)
    document = ingest.read_new(PROSE, "a.txt")
    about_page = answered(document, "accept").model_copy(update={"result_id": f"{document}_p1"})
    ingest.publish(about_page)
    state = ingest.state(document)
    assert (state["kind_unsure"], state["attempt"]) == (True, 1)
    ingest.publish(answered(document, "accept"))
    assert ingest.state(document)["kind_unsure"] is False


@pytest.mark.parametrize("how", ["deleted", "set"])
def test_questions_are_deleted_with_their_document_only(make: NewIngest, how: str) -> None:
    ingest = make(0.5, 0.1, 0.4)
    one = ingest.upload_new(PROSE, "a.txt")
    other = ingest.read_new(b"<p>" + PROSE + b"</p>", "b.html")
    refs = {e.result_id: e.question for e in ingest.published(EscalationRequested)}
    assert refs.keys() == {one, other}
    if how == "set":
        set_kind(ingest, one, "report")
        ingest.run()
        assert ingest.service.blobs.get("default", refs[one])
    ingest.delete(one)
    assert ingest.published(DocumentDeleted)
    with pytest.raises(MissingBlob):
        ingest.service.blobs.get("default", refs[one])
    assert ingest.service.blobs.get("default", refs[other])
