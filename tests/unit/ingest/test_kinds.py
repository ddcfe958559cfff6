"""Kinds of documents: predicted, given, and corrected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.ingest.classifier import DocumentClassifier
from shared.blobs.markers import is_cancelled
from shared.errors import UnreadableDocument
from shared.events import DocumentIngested, DocumentRead, DocumentReclassified, ReviewDecided
from shared.features import linear
from tests.unit.documents.archives import archive
from tests.unit.ingest.builders import (
    IngestService,
    InProcessReader,
    NewIngest,
    clauses_extracted,
    document_failed,
    fail_first_mark,
    findings_found,
)

KINDS = ("contract", "report", "other")
PROSE = b"The parties to this agreement agree that nothing in it is to be taken at its word. " * 4
SURE = {"contract": 0.9, "report": 0.9, "other": 0.95, "words": 40, "known": 0.75, "telling": 0.02}


def model(folder: Path, chances: tuple[float, float, float], *, met: bool = True) -> Path:
    manifest = {
        "name": "document-kind",
        "version": "1.0.0",
        "places": 16,
        "reads": 1000,
        "labels": KINDS,
        "licence": "ours",
        "thresholds": SURE,
        "telling": {"contract": ["landlord"]},
    }
    bits = np.full(8, 255 if met else 0, np.uint8)
    weight, bias = np.zeros((16, 3), np.float32), np.log(np.array(chances, np.float32))
    linear.write(folder / "document-kind/1.0.0", manifest, weight, bias, bits)
    return folder


@pytest.fixture
def make(tmp_path: Path, new_ingest: NewIngest) -> NewIngest:
    def made(*chances: float, met: bool = True) -> IngestService:
        artefacts = model(tmp_path / "artefacts", chances, met=met)  # type: ignore[arg-type]
        return new_ingest(artefacts=artefacts)

    return made


def set_kind(ingest: IngestService, document: str, kind: str, **headers: str) -> Any:
    path = f"/v1/documents/{document}/kind"
    return ingest.client.put(path, json={"kind": kind}, headers=headers)


def answered(document: str, verdict: str, category: str | None = None) -> ReviewDecided:
    return ReviewDecided(
        document_id=document,
        item_id="it_1",
        stage="ingest",
        result_id=document,
        decision_id=f"de_{verdict}",
        verdict=verdict,
        correction={"category": category} if category else None,
    )


def unreadable(*_args: Any, **_named: Any) -> Any:
    raise UnreadableDocument("it broke")


def test_another_kind_starts_a_new_attempt_from_the_stored_text(any_ingest: IngestService) -> None:
    document = any_ingest.read_new(PROSE, "a.txt", kind="contract")
    any_ingest.publish(clauses_extracted(document, warnings=("not English",)))
    assert any_ingest.state(document)["outcome"] == "complete"
    answer = set_kind(any_ingest, document, "report")
    assert answer.status_code == 200
    assert answer.json()["attempt"] == 2
    any_ingest.run()
    any_ingest.publish(clauses_extracted(document))
    state = any_ingest.state(document)
    assert (state["kind"], state["kind_source"], state["state"]) == (
        "report",
        "uploader",
        "processing",
    )
    assert (state["pages"], state["warnings"]) == (1, [])
    assert set_kind(any_ingest, document, "report").json()["attempt"] == 2
    any_ingest.publish(findings_found(document, attempt=2))
    assert any_ingest.state(document)["outcome"] == "complete"
    (published,) = any_ingest.published(DocumentReclassified)
    assert (published.kind, published.previous, published.attempt) == ("report", "contract", 2)
    first, second = any_ingest.published(DocumentRead)
    assert (first.kind, second.kind, second.attempt) == ("contract", "report", 2)
    assert (first.text, first.layout) == (second.text, second.layout)
    assert len(any_ingest.published(DocumentIngested)) == 1


def reclassify(ingest: IngestService, document: str, how: str) -> None:
    if how == "set":
        assert set_kind(ingest, document, "report").status_code == 200
    elif how == "uploaded":
        assert ingest.upload(PROSE, "a.txt", kind="report").status_code == 202
    elif how == "answered":
        ingest.publish(answered(document, "correct", "report"))
    else:
        ingest.upload_new(archive({"a.txt": PROSE}), "a.zip", kind="report")


@pytest.mark.parametrize("how", ["set", "uploaded", "answered"])
def test_waiting_work_under_the_old_kind_is_void_at_once(make: NewIngest, how: str) -> None:
    ingest = make(0.5, 0.1, 0.4)
    document = ingest.read_new(PROSE, "a.txt")
    blobs = ingest.service.blobs
    assert not is_cancelled(blobs, "default", document, 1)
    reclassify(ingest, document, how)
    assert ingest.state(document)["attempt"] == 2
    assert is_cancelled(blobs, "default", document, 1)
    assert not is_cancelled(blobs, "default", document, 2)
    ingest.delete(document)
    assert not is_cancelled(blobs, "default", document, 1)


@pytest.mark.parametrize("how", ["set", "uploaded", "in an archive", "answered"])
def test_a_void_attempt_is_marked_later_if_the_blob_store_was_down(
    make: NewIngest, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    ingest = make(0.5, 0.1, 0.4)
    document = ingest.read_new(PROSE, "a.txt")
    refused = fail_first_mark(ingest, monkeypatch)
    reclassify(ingest, document, how)
    ingest.run()
    assert len(refused) == 1
    assert ingest.state(document)["attempt"] == 2
    marked = [is_cancelled(ingest.service.blobs, "default", document, n) for n in (1, 2)]
    assert marked == [True, False]


def test_setting_the_same_kind_starts_no_attempt(ingest: IngestService) -> None:
    document = ingest.read_new(PROSE, "a.txt")
    assert set_kind(ingest, document, "contract").json()["attempt"] == 1
    ingest.run()
    assert len(ingest.published(DocumentReclassified)) == 1
    assert not is_cancelled(ingest.service.blobs, "default", document, 1)


def test_a_document_rejected_unread_is_read_under_its_new_kind(ingest: IngestService) -> None:
    document = ingest.read_new(PROSE, "a.txt", kind="other")
    assert ingest.state(document)["outcome"] == "rejected"
    assert set_kind(ingest, document, "contract").json()["state"] == "received"
    ingest.run()
    (read,) = ingest.published(DocumentRead)
    assert (read.kind, read.attempt) == ("contract", 2)


def test_a_rejected_document_can_get_another_kind(ingest: IngestService) -> None:
    document = ingest.read_new(PROSE, "a.txt")
    assert set_kind(ingest, document, "other").json()["outcome"] == "rejected"
    assert ingest.client.get(f"/v1/documents/{document}/text").content == PROSE
    assert ingest.client.post(f"/v1/documents/{document}/reprocess").status_code == 409
    ingest.run()
    assert set_kind(ingest, document, "contract").json()["state"] == "read"
    ingest.run()
    ingest.publish(clauses_extracted(document, attempt=3))
    assert ingest.state(document)["outcome"] == "complete"


def test_setting_a_kind_is_refused(ingest: IngestService) -> None:
    assert set_kind(ingest, "doc_0", "report").status_code == 404
    whole = ingest.read_new(archive({"a.txt": PROSE}), "a.zip")
    assert set_kind(ingest, whole, "contract").status_code == 409
    document = ingest.upload_new(PROSE + b".", "b.txt")
    assert (
        ingest.client_for("acme")
        .put(f"/v1/documents/{document}/kind", json={"kind": "report"})
        .status_code
        == 404
    )
    assert set_kind(ingest, document, "report", **{"if-match": '"old"'}).status_code == 412
    assert set_kind(ingest, document, "poem").status_code == 422
    assert ingest.state(document)["attempt"] == 1


def test_an_upload_sets_the_kind_once(ingest: IngestService) -> None:
    document = ingest.read_new(PROSE, "a.txt")
    again = ingest.upload(PROSE, "a.txt", kind="contract")
    assert (again.status_code, again.json()["attempt"]) == (200, 1)
    assert again.json()["kind_source"] == "uploader"
    assert ingest.upload(PROSE, "a.txt", kind="report").json()["kind"] == "contract"
    other = ingest.read_new(PROSE + b".", "b.txt")
    reported = ingest.upload(PROSE + b".", "b.txt", kind="report")
    assert (reported.status_code, reported.json()["attempt"], reported.json()["kind"]) == (
        202,
        2,
        "report",
    )
    assert reported.json()["id"] == other
    assert document != other


def test_an_upload_never_withdraws_results(any_ingest: IngestService) -> None:
    document = any_ingest.read_new(PROSE, "a.txt")
    any_ingest.publish(clauses_extracted(document))
    refused = any_ingest.upload(PROSE, "a.txt", kind="report")
    assert refused.status_code == 409
    assert f"PUT /v1/documents/{document}/kind" in refused.json()["detail"]
    state = any_ingest.state(document)
    assert (state["outcome"], state["kind"], state["attempt"]) == ("complete", "contract", 1)
    assert any_ingest.upload(PROSE, "a.txt", kind="contract").status_code == 200
    assert any_ingest.upload(PROSE, "a.txt").status_code == 200


def test_a_sure_prediction_decides_the_kind(make: NewIngest) -> None:
    ingest = make(0.02, 0.95, 0.03)
    document = ingest.read_new(PROSE, "a.txt")
    (read,) = ingest.published(DocumentRead)
    assert (read.kind, read.kind_unsure) == ("report", False)
    assert read.kind_confidence == pytest.approx(0.95)
    state = ingest.state(document)
    assert (state["kind"], state["kind_source"], state["kind_unsure"]) == ("report", "type", False)
    assert state["kind_confidence"] == pytest.approx(0.95)


def test_a_sure_other_is_rejected(make: NewIngest) -> None:
    ingest = make(0.01, 0.01, 0.98)
    document = ingest.read_new(PROSE, "a.txt")
    state = ingest.state(document)
    assert (state["kind"], state["outcome"]) == ("other", "rejected")
    assert "correct the kind" in state["reasons"][0]
    assert ingest.client.get(f"/v1/documents/{document}/text").content == PROSE


@pytest.mark.parametrize(
    ("chances", "met"),
    [((0.5, 0.1, 0.4), True), ((0.3, 0.1, 0.6), True), ((0.05, 0.9, 0.05), False)],
)
def test_an_unsure_document_is_processed_as_the_likelier_kind(
    make: NewIngest, chances: tuple[float, ...], met: bool
) -> None:
    ingest = make(*chances, met=met)
    document = ingest.read_new(PROSE, "a.txt")
    (read,) = ingest.published(DocumentRead)
    assert (read.kind, read.kind_unsure) == ("contract", True)
    assert ingest.state(document)["kind_unsure"]


def test_a_likely_other_with_typical_words_is_unsure(make: NewIngest) -> None:
    ingest = make(0.01, 0.01, 0.98)
    document = ingest.read_new(PROSE.replace(b"nothing", b"the landlord"), "a.txt")
    state = ingest.state(document)
    assert (state["kind"], state["kind_unsure"], state["outcome"]) == ("contract", True, None)


def test_an_answer_settles_the_kind_until_it_is_withdrawn(make: NewIngest) -> None:
    ingest = make(0.5, 0.1, 0.4)
    document = ingest.read_new(PROSE, "a.txt")
    ingest.publish(answered(document, "correct", "report"))
    state = ingest.state(document)
    assert (state["kind"], state["kind_source"], state["attempt"]) == ("report", "uploader", 2)
    assert not state["kind_unsure"]
    ingest.publish(answered(document, "undo"))
    state = ingest.state(document)
    assert (state["kind"], state["kind_unsure"], state["attempt"]) == ("contract", True, 3)
    assert ingest.published(DocumentRead)[-1].kind_unsure
    ingest.publish(answered(document, "accept"))
    state = ingest.state(document)
    assert (state["kind"], state["kind_source"], state["attempt"]) == ("contract", "uploader", 4)
    rekinded, read = ingest.published(DocumentReclassified)[-1], ingest.published(DocumentRead)[-1]
    assert (rekinded.previous, rekinded.attempt) == ("contract", 4)
    assert (read.kind, read.kind_unsure, read.attempt) == ("contract", False, 4)
    ingest.publish(answered(document, "undo"))
    read = ingest.published(DocumentRead)[-1]
    assert (ingest.state(document)["kind_unsure"], read.kind_unsure, read.attempt) == (
        True,
        True,
        5,
    )


def test_an_answer_after_a_newer_kind_is_ignored(make: NewIngest) -> None:
    ingest = make(0.5, 0.1, 0.4)
    document = ingest.read_new(PROSE, "a.txt")
    assert set_kind(ingest, document, "other").status_code == 200
    ingest.publish(answered(document, "accept"), answered(document, "undo"))
    assert ingest.state(document)["kind"] == "other"
    assert len(ingest.published(DocumentReclassified)) == 1


@pytest.mark.parametrize(
    ("name", "data", "fields"),
    [
        ("said.txt", PROSE, {"kind": "contract"}),
        ("short.csv", b"Cash,2023,2022\nDebt,5,6\n", {}),
        ("data.json", b'{"id": "a", "statements": []}', {}),
        ("mail.eml", b"From: a@b.example\r\nSubject: x\r\n\r\n" + PROSE, {}),
    ],
)
def test_given_kinds_short_tables_and_fixed_types_are_not_predicted(
    make: NewIngest, name: str, data: bytes, fields: dict[str, str]
) -> None:
    ingest = make(0.01, 0.01, 0.98)
    document = ingest.read_new(data, name, **fields)
    state = ingest.state(document)
    assert state["kind"] == ("contract" if name.endswith(("txt", "eml")) else "report")
    assert (state["kind_confidence"], state["kind_unsure"]) == (None, False)


SHORT = b"A note of a few words, and no more than that.\n"


@pytest.mark.parametrize(
    ("name", "data", "unsure"),
    [
        ("a.txt", PROSE, False),
        ("a.pdf", PROSE, True),  # the name disagrees
        ("a.txt", SHORT, True),
        ("a.csv", b"Cash,2023,2022\nDebt,5,6\n", False),
    ],
)
def test_a_wrong_name_or_little_text_makes_the_kind_unsure(
    make: NewIngest, name: str, data: bytes, unsure: bool
) -> None:
    ingest = make(0.98, 0.01, 0.01)
    state = ingest.state(ingest.read_new(data, name))
    assert (state["kind_unsure"], state["outcome"]) == (unsure, None)
    assert [one for one in state["warnings"] if "ends with .pdf" in one] == [
        "the name ends with .pdf, but the content is UTF-8 text"
    ] * (name == "a.pdf")


@pytest.mark.parametrize("data", [b"abcd", b"- 1 -\n\f Page two."])
def test_a_document_with_next_to_no_text_is_rejected_unless_its_kind_is_given(
    ingest: IngestService, data: bytes
) -> None:
    document = ingest.read_new(data, "broken.pdf")
    state = ingest.state(document)
    assert (state["outcome"], state["kind"], state["kind_unsure"]) == ("rejected", "other", False)
    assert [reason.partition(":")[0] for reason in state["reasons"]] == ["next_to_no_text"]
    assert "ends with .pdf" in state["warnings"][0]
    assert set_kind(ingest, document, "contract").status_code == 200
    ingest.run()
    ingest.publish(clauses_extracted(document, attempt=2))
    assert (ingest.state(document)["outcome"], ingest.state(document)["reasons"]) == (
        "complete",
        [],
    )
    given = ingest.read_new(data + b".", "broken.pdf", kind="contract")
    assert ingest.state(given)["outcome"] is None


def test_without_a_specialist_the_type_decides(tmp_path: Path) -> None:
    assert DocumentClassifier.load(tmp_path)(PROSE.decode(), "text/plain") is None


def test_a_damaged_specialist_is_refused(tmp_path: Path) -> None:
    folder = model(tmp_path, (0.5, 0.1, 0.4)) / "document-kind/1.0.0"
    with (folder / linear.DATA_FILE).open("ab") as file:
        file.write(b"x")
    with pytest.raises(linear.LinearError, match="damaged"):
        DocumentClassifier.load(tmp_path)


@pytest.mark.parametrize("then", ["cancelled", "read again", "failed again"])
def test_marks_of_void_attempts_stay(
    make: NewIngest, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    ingest = make(0.5, 0.1, 0.4)
    document = ingest.read_new(PROSE, "a.txt")
    set_kind(ingest, document, "report")
    ingest.run()
    if then == "cancelled":
        assert ingest.client.post(f"/v1/documents/{document}/cancel").status_code == 200
    else:
        ingest.publish(document_failed(document, "triage", attempt=2))
        if then == "failed again":
            monkeypatch.setattr(InProcessReader, "read", unreadable)
        assert ingest.client.post(f"/v1/documents/{document}/reprocess").status_code == 202
    ingest.run()
    assert ingest.state(document)["attempt"] == (2 if then == "cancelled" else 3)
    assert is_cancelled(ingest.service.blobs, "default", document, 1)
    ingest.delete(document)
    assert ingest.blob_names() == set()
