"""What ingest asks of a frontier model: of what kind a document is, and whether pages are sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.ingest.store import Documents
from shared.documents import Limits, read
from shared.events import BlobRef, DocumentDeleted, DocumentRead, EscalationRequested, ReviewDecided
from shared.events.questions import Question
from shared.storage import MissingBlob
from shared.storage.deletion import mark_cancelled
from tests.unit.documents.samples import scrambled
from tests.unit.ingest.house import House
from tests.unit.ingest.test_kinds import PROSE, answered, model, say

POLICY = """
[providers.p]
protocol = "own"
model = "m"
url = "http://localhost:9"
price = {{ input = "3", output = "15", as_of = 2026-01-31 }}

[tenants.default]
providers = ["p"]
leaves = [{leaves}]
day_usd = "5"
month_usd = "5"
mistake_usd = "{mistake}"
"""
ALL = '"contract", "report", "other"'
LINES = ("This Agreement is made between Acme and Bolt on the first day of May.",) * 8
Make = Callable[..., House]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes a house that may ask, whose specialist says the same of every text."""
    houses: list[House] = []

    def made(*chances: float, leaves: str = ALL, mistake: str = "1") -> House:
        policy = tmp_path / "policy.toml"
        policy.write_text(POLICY.format(leaves=leaves, mistake=mistake))
        artefacts = model(tmp_path / "artefacts", chances)  # type: ignore[arg-type]
        houses.append(House(tmp_path / "data", artefacts=artefacts, policy=policy))
        return houses[-1]

    yield made
    for house in houses:
        house.close()


def asked(house: House) -> dict[str, Question]:
    """What is asked so far, by the result."""
    events: list[Any] = house.said(EscalationRequested)
    refs: dict[str, BlobRef] = {}
    for event in events:
        if isinstance(event, EscalationRequested):
            refs[event.result_id] = event.question
            refs |= {more.result_id: more.question for more in event.further}
    blobs = house.service.blobs
    return {
        name: Question.model_validate_json(blobs.get("default", ref)) for name, ref in refs.items()
    }


def heard(house: House) -> Any:
    """The last reading that was announced."""
    return [e for e in house.said(DocumentRead) if isinstance(e, DocumentRead)][-1]


def test_of_what_kind_a_document_is_is_asked_where_that_is_unsure(make: Make) -> None:
    """About its beginning; it may be of any kind, so words of every kind have to be allowed out."""
    house = make(0.5, 0.1, 0.4)
    text = PROSE * 40
    document = house.accepted(text, "a.txt")
    house.work()
    questions = asked(house)
    assert questions.keys() == {document}
    question = questions[document]
    assert (question.subject, question.kind, question.result) == ("kind", "contract", document)
    assert set(question.may_be) == {"report", "other"}
    assert (question.start, question.category) == (0, "document_kind")
    assert 3_900 < question.end <= 4_000
    assert text[question.end : question.end + 1].isspace()
    assert house.service.blobs.get("default", question.text) == text
    said = heard(house)
    assert (said.escalated, said.kind_unsure) == ((document,), True)


def test_what_is_worked_on_as_what_it_hardly_is_is_asked_about(make: Make) -> None:
    """It stays what it is taken for until somebody says otherwise, so an answer changes most."""
    house = make(0.03, 0.02, 0.95)
    document = house.accepted(PROSE * 40, "a.txt")
    house.work()
    said = heard(house)
    assert (said.kind, said.kind_unsure) == ("contract", True)
    assert said.kind_confidence < 0.1
    assert asked(house).keys() == {document}


@pytest.mark.parametrize(
    ("chances", "changed"),
    [
        ((0.99, 0.005, 0.005), {}),
        ((0.5, 0.1, 0.4), {"leaves": '"contract", "report"'}),
        ((0.5, 0.1, 0.4), {"leaves": '"contract"'}),
        ((0.5, 0.1, 0.4), {"mistake": "0"}),
        ((0.5, 0.1, 0.4), {"mistake": "0.0001"}),
    ],
)
def test_what_is_sure_or_may_not_leave_or_does_not_pay_is_not_asked(
    make: Make, chances: tuple[float, ...], changed: dict[str, Any]
) -> None:
    """It is announced as before."""
    house = make(*chances, **changed)
    house.accepted(PROSE, "a.txt")
    house.work()
    assert asked(house) == {}
    assert heard(house).escalated == ()


def test_nobody_is_asked_of_what_kind_a_document_is_that_somebody_has_said(make: Make) -> None:
    """Nor about one that nobody works on."""
    house = make(0.5, 0.1, 0.4)
    house.accepted(PROSE, "a.txt", kind="contract")
    house.accepted(PROSE + b"!", "b.txt", kind="other")
    house.work()
    assert asked(house) == {}


def test_a_page_that_seems_to_be_read_badly_is_asked_about(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """About its text alone; where the kind is said, words of that kind have to be allowed out."""
    monkeypatch.setattr("shared.documents.reader.engine", lambda: None)
    monkeypatch.setattr("shared.documents.ocr.engine", lambda: None)
    data = scrambled(*LINES)
    reading = read(data, name="a.pdf", limits=Limits(page_seconds=0.001, scan_seconds=0.001))
    assert reading.unsound == (1,)
    house = make(0.99, 0.005, 0.005, leaves='"contract"')
    document = house.accepted(data, "a.pdf", kind="contract")
    house.work()
    questions = asked(house)
    assert questions.keys() == {f"{document}_p1"}
    (question,) = questions.values()
    assert (question.subject, question.kind, question.may_be) == ("page", "contract", ())
    text = house.service.blobs.get("default", question.text).decode()
    assert text[question.start : question.end].strip()
    assert "$JUHHPHQW" in text
    assert heard(house).escalated == (f"{document}_p1",)


def test_a_person_s_word_about_a_page_says_nothing_of_the_kind(make: Make) -> None:
    """It stays unsure, and its attempt goes on."""
    house = make(0.5, 0.1, 0.4)
    document = house.accepted(PROSE, "a.txt")
    house.work()
    about_page = answered(document, "accept").model_copy(update={"result_id": f"{document}_p1"})
    assert isinstance(about_page, ReviewDecided)
    house.say(about_page)
    state = house.state(document)
    assert (state["kind_unsure"], state["attempt"]) == (True, 1)
    house.say(answered(document, "accept"))
    assert house.state(document)["kind_unsure"] is False


@pytest.mark.parametrize("how", ["deleted", "said"])
def test_a_question_goes_with_its_document_alone(make: Make, how: str) -> None:
    """Another document with the same words has one of its own."""
    house = make(0.5, 0.1, 0.4)
    one = house.accepted(PROSE, "a.txt")
    other = house.accepted(b"<p>" + PROSE + b"</p>", "b.html")
    house.work()
    refs = {e.result_id: e.question for e in house.said(EscalationRequested)
            if isinstance(e, EscalationRequested)}  # fmt: skip
    assert refs.keys() == {one, other}
    if how == "said":
        say(house, one, "report")
        house.work()
        assert house.service.blobs.get("default", refs[one])
    house.client.delete(f"/v1/documents/{one}")
    house.work()
    assert any(isinstance(e, DocumentDeleted) for e in house.said(DocumentDeleted))
    with pytest.raises(MissingBlob):
        house.service.blobs.get("default", refs[one])
    assert house.service.blobs.get("default", refs[other])


def test_what_is_begun_again_while_it_is_cancelled_keeps_its_question(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same words are asked again by the next attempt, while the first is still cleaned up."""
    house = make(0.5, 0.1, 0.4)
    document = house.accepted(PROSE * 40, "a.txt")
    house.work()
    assert asked(house)

    def begun_again(*marked: Any) -> None:
        mark_cancelled(*marked)
        monkeypatch.setattr("services.ingest.marking.mark_cancelled", mark_cancelled)
        assert house.client.post(f"/v1/documents/{document}/reprocess").status_code == 202
        house.work()

    monkeypatch.setattr("services.ingest.marking.mark_cancelled", begun_again)
    assert house.client.post(f"/v1/documents/{document}/cancel").status_code == 200
    (again,) = house.said(EscalationRequested)
    assert isinstance(again, EscalationRequested)
    assert again.attempt == 2
    assert house.state(document)["state"] == "processing"
    with house.service.store.read() as session:
        kept = Documents(session, "default").get(document)
    assert kept is not None
    assert kept.noted
    for ref in kept.noted:
        assert house.service.blobs.get("default", ref)
