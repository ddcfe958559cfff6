"""Uploads: what is accepted and refused, and repeated bytes."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from services.ingest.commands import DocumentCommands, Upload
from services.ingest.domain import Document
from services.ingest.limits import QueueLimit
from services.ingest.store import Documents
from shared.documents.model.passwords import HOW
from shared.errors import Unavailable
from shared.events import DocumentIngested
from shared.web.admission import ConcurrencyLimit
from tests.unit.documents.archives import archive
from tests.unit.ingest.builders import (
    SENTENCE,
    IngestService,
    InProcessReader,
    NewIngest,
    actor,
    clauses_extracted,
    encrypted,
    parallel,
    pdf,
)

TEXT = b"This Agreement is made between Alpha Inc. and Beta Ltd.\n"
REPORT = b'{"id": "1", "company": "Alpha", "statements": []}'


def test_location_leads_to_the_accepted_document(any_ingest: IngestService) -> None:
    answer = any_ingest.upload(pdf())
    assert answer.status_code == 202
    body = answer.json()
    assert answer.headers["location"] == f"/v1/documents/{body['id']}"
    assert any_ingest.client.get(answer.headers["location"]).json() == body
    assert body["state"] == "received"
    assert body["outcome"] is None
    assert (body["media_type"], body["kind"], body["kind_source"], body["actor"]) == (
        "application/pdf",
        "contract",
        "type",
        "tester",
    )
    assert body["created"].endswith("Z")
    [event] = any_ingest.published(DocumentIngested)
    assert event.document_id == body["id"]
    assert event.trace is not None
    assert event.actor == "tester"


def test_the_same_bytes_again_are_the_same_document(any_ingest: IngestService) -> None:
    first = any_ingest.upload_new(pdf(), "a.pdf")
    again = any_ingest.upload(pdf(), "b.pdf")
    assert again.status_code == 200
    assert again.json()["id"] == first
    assert again.json()["name"] == "a.pdf"
    assert len(any_ingest.published(DocumentIngested)) == 1


def test_the_same_bytes_in_another_tenant_are_another_document(any_ingest: IngestService) -> None:
    mine = any_ingest.upload_new(pdf())
    other = any_ingest.upload(pdf(), client=any_ingest.client_for("acme"))
    assert other.status_code == 202
    assert other.json()["id"] != mine


def test_fifty_parallel_uploads_create_one_document(any_ingest: IngestService) -> None:
    answers: list[tuple[int, str]] = []

    def send() -> None:
        answer = any_ingest.upload(pdf())
        answers.append((answer.status_code, answer.json().get("id", answer.text)))

    parallel(send, 50)
    assert len(answers) == 50
    assert len({document for _, document in answers}) == 1
    assert sorted(status for status, _ in answers) == [200] * 49 + [202]
    assert len(any_ingest.published(DocumentIngested)) == 1


def test_an_encrypted_pdf_with_its_password_is_read(any_ingest: IngestService) -> None:
    secret = encrypted(pdf(), "Zauberwort")
    document = any_ingest.read_new(secret, password="Zauberwort")
    assert any_ingest.state(document)["state"] == "processing"
    text = any_ingest.client.get(f"/v1/documents/{document}/text")
    assert text.text.strip() == SENTENCE
    assert any_ingest.client.get(f"/v1/documents/{document}/pages/1.png").status_code == 200
    assert any_ingest.client.get(f"/v1/documents/{document}/original").content == secret
    assert len(any_ingest.blob_names()) == 5  # original, decrypted, text, layout, page
    for event in any_ingest.published():
        assert b"Zauberwort" not in event.to_json("ingest")
    any_ingest.service.store.close()
    stored = [path.read_bytes() for path in any_ingest.folder.rglob("*") if path.is_file()]
    assert stored
    assert not any(b"Zauberwort" in data for data in stored)


def test_a_wrong_password_is_refused_at_the_upload(ingest: IngestService) -> None:
    answer = ingest.upload(encrypted(pdf(), "open"), password="shut")
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:smallprint:problem:encrypted_document"
    assert "wrong" in answer.json()["detail"]
    assert HOW in answer.json()["detail"]
    assert ingest.blob_names() == set()


def test_an_encrypted_pdf_fails_until_it_is_uploaded_with_its_password(
    any_ingest: IngestService,
) -> None:
    secret = encrypted(pdf(), "open")
    document = any_ingest.read_new(secret)
    state = any_ingest.state(document)
    assert (state["state"], state["outcome"]) == ("ended", "failed")
    assert "encrypted_document" in state["reasons"][0]
    assert HOW in state["reasons"][0]
    again = any_ingest.upload(secret, password="open")
    assert (again.status_code, again.json()["id"]) == (202, document)
    assert (again.json()["attempt"], again.json()["state"]) == (2, "received")
    any_ingest.run()
    any_ingest.publish(clauses_extracted(document, attempt=2))
    assert any_ingest.state(document)["outcome"] == "complete"


def test_a_password_for_a_plain_pdf_is_ignored(ingest: IngestService) -> None:
    document = ingest.upload_new(pdf(), password="open")
    text = ingest.read_new(TEXT, "a.txt", password="open")
    assert ingest.state(document)["state"] == ingest.state(text)["state"] == "processing"


@pytest.mark.parametrize(
    ("data", "name", "status", "code"),
    [
        (b"", "empty.pdf", 422, "empty_document"),
        (b" \n\t ", "blank.txt", 422, "empty_document"),
        (b"PK\x03\x04" + b"\0" * 50, "lies.pdf", 422, "unreadable_document"),
        (b"GIF89a" + b"\0" * 50, "lies.pdf", 415, "unsupported_type"),
        (b"\x1f\x8b hello", "page.txt", 415, "unsupported_type"),
        (b"a\0b", "binary.txt", 422, "unreadable_document"),
        (b"x" * 5001, "big.txt", 413, "document_too_large"),
    ],
)
def test_size_emptiness_and_type_are_refused_at_the_upload(
    new_ingest: NewIngest, data: bytes, name: str, status: int, code: str
) -> None:
    ingest = new_ingest(ingest_max_bytes=5000)
    answer = ingest.upload(data, name)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"urn:smallprint:problem:{code}"
    assert problem["document"] == name
    if status == 413:
        assert answer.headers["upload-limit"] == "max-size=5000"
        assert "5,000" in problem["detail"]
        assert "SMALLPRINT_INGEST_MAX_BYTES" in problem["detail"]
    assert ingest.blob_names() == set()
    ingest.run()
    assert ingest.client.get("/v1/documents").json() == {"items": [], "next": None}


def test_every_response_to_an_upload_has_the_limits(new_ingest: NewIngest) -> None:
    ingest = new_ingest(ingest_max_bytes=5000, ingest_max_upload=20_000, ingest_max_files=3)
    for _ in range(2):
        answer = ingest.client.post(
            "/v1/documents", files={"file": ("a.txt", TEXT)}, headers={"idempotency-key": "k"}
        )
        assert answer.status_code == 202
        published = "max-size=20000, max-document-size=5000, max-documents=3"
        assert answer.headers["upload-limit"] == published


def test_a_too_large_upload_is_refused_before_it_is_read(new_ingest: NewIngest) -> None:
    ingest = new_ingest(ingest_max_upload=20_000)
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(1000):
            read += 1000
            yield b"x" * 1000

    headers = {"content-type": "multipart/form-data; boundary=b"}
    for more in ({}, {"content-length": "1000000"}):
        answer = ingest.client.post("/v1/documents", content=endless(), headers={**headers, **more})
        assert answer.status_code == 413
        assert answer.headers["upload-limit"] == "max-size=20000"
        assert "20,000" in answer.json()["detail"]


def test_without_a_key_no_form_is_parsed(ingest: IngestService) -> None:
    headers = {"authorization": "Bearer sp_no", "content-type": "multipart/form-data; boundary=b"}
    answer = ingest.client.post("/v1/documents", content=b"not a form at all", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("request_parts", "says"),
    [
        ({"json": {"file": "x"}}, "multipart"),
        ({"data": {"kind": "contract"}}, "multipart"),
        ({"files": {"other": ("a.pdf", b"x")}}, "Unknown field 'other'"),
        ({"files": {"file": ("a.txt", TEXT)}, "data": {"knid": "report"}}, "'knid'"),
        ({"files": {"file": (None, b"x")}}, "file name"),
        ({"files": {"file": ("a.txt", TEXT)}, "data": {"kind": "poem"}}, "`kind` must be one of"),
    ],
)
def test_an_invalid_form_is_refused(
    ingest: IngestService, request_parts: dict[str, object], says: str
) -> None:
    answer = ingest.client.post("/v1/documents", **request_parts)  # type: ignore[arg-type]
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


def test_several_files_are_answered_separately(any_ingest: IngestService) -> None:
    files = [
        ("file", ("a.txt", TEXT)),
        ("file", ("gif.pdf", b"GIF89a...")),
        ("file", ("b.json", REPORT)),
        ("file", ("again.txt", TEXT)),
    ]
    answer = any_ingest.client.post("/v1/documents", files=files)
    assert answer.status_code == 202
    first, refused, report, again = answer.json()["items"]
    assert first["id"] == again["id"]
    assert report["kind"] == "report"
    assert refused["name"] == "gif.pdf"
    assert refused["error"]["status"] == 415
    assert any_ingest.client.post("/v1/documents", files=files[:1] * 2).status_code == 200


def test_several_invalid_files_are_one_problem(ingest: IngestService) -> None:
    files = [("file", ("a.gif", b"GIF89a...")), ("file", ("b.gif", b"GIF89a!!!"))]
    answer = ingest.client.post("/v1/documents", files=files)
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/problem+json"
    assert [item["error"]["status"] for item in answer.json()["items"]] == [415, 415]
    files.append(("file", ("empty", b"")))
    assert ingest.client.post("/v1/documents", files=files).status_code == 422


def test_too_many_files_are_refused(new_ingest: NewIngest) -> None:
    ingest = new_ingest(ingest_max_files=2)
    files = [("file", (f"{n}.txt", TEXT)) for n in range(3)]
    assert ingest.client.post("/v1/documents", files=files).status_code == 400


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\docs\\a.pdf", "a.pdf"),
        ("in\u202efdp.exe", "infdp.exe"),
        ("Vertrag Müller.pdf", "Vertrag Müller.pdf"),
    ],
)
def test_a_file_name_is_a_safe_label(ingest: IngestService, given: str, stored: str) -> None:
    assert ingest.upload(pdf(), given).json()["name"] == stored


@pytest.mark.parametrize(
    ("data", "name", "word", "kind", "source"),
    [
        (TEXT, "a.txt", "", "contract", "type"),
        (REPORT, "a.json", "", "report", "type"),
        (REPORT + b"\n" + REPORT, "a.jsonl", "", "report", "type"),
        (b"a,b,c\n1,2,3\n4,5,6\n", "a.csv", "", "report", "type"),
        (REPORT, "a.json", "contract", "contract", "uploader"),
        (TEXT, "a.txt", "report", "report", "uploader"),
    ],
)
def test_the_uploaders_kind_outweighs_the_type(
    ingest: IngestService, data: bytes, name: str, word: str, kind: str, source: str
) -> None:
    fields: dict[str, Any] = {"kind": word} if word else {}
    body = ingest.upload(data, name, **fields).json()
    assert (body["kind"], body["kind_source"]) == (kind, source)


def test_kind_other_is_accepted_and_rejected(any_ingest: IngestService) -> None:
    document = any_ingest.read_new(TEXT, "poem.txt", kind="other")
    state = any_ingest.state(document)
    assert (state["state"], state["outcome"]) == ("ended", "rejected")
    assert state["reasons"]
    assert state["ended"]
    assert any_ingest.upload(TEXT, "poem.txt", kind="other").status_code == 200
    again = any_ingest.upload(TEXT, "poem.txt", kind="contract")
    assert again.status_code == 202
    assert again.json()["id"] == document
    any_ingest.run()
    assert any_ingest.state(document)["state"] == "processing"


def test_a_failed_database_write_can_be_retried(
    ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise Unavailable("the database does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(Documents, "add", away)
        answer = ingest.upload(pdf())
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert ingest.client.get("/v1/documents").json()["items"] == []
    assert ingest.published() == []
    ingest.upload_new(pdf())


def test_bytes_deleted_during_the_upload_are_stored_again(
    ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, deletions = Documents.get_by_hash, 0

    def raced(self: Documents, sha256: str) -> Document | None:
        nonlocal deletions
        if not deletions:
            deletions += 1
            for path in ingest.service.settings.blobs.rglob(sha256):
                path.unlink()
        return keep(self, sha256)

    monkeypatch.setattr(Documents, "get_by_hash", raced)
    document = ingest.upload_new(pdf())
    assert deletions == 1
    assert ingest.client.get(f"/v1/documents/{document}/original").content == pdf()


def test_an_incomplete_upload_is_refused(ingest: IngestService) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhalf'
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = ingest.client.post("/v1/documents", content=body, headers=headers)
    assert 400 <= answer.status_code < 500
    assert ingest.blob_names() == set()


def test_a_large_upload_needs_little_memory(ingest: IngestService) -> None:
    big = b"%PDF-1.7\n" + b"%" + b"0123456789abcdef" * 2_500_000
    tracemalloc.start()
    try:
        intake = DocumentCommands(
            ingest.service.store,
            ingest.service.blobs,
            InProcessReader(),
            ingest.service.settings.limits,  # type: ignore[attr-defined]
            QueueLimit(1, 1),
            ConcurrencyLimit(1, "a password"),
        )
        stream = io.BytesIO(big)
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        intake.accept(actor(), Upload(stream, len(big), "big.pdf"))
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


# Passwords given after the upload

WORD = "Zauberwort"


def again(ingest: IngestService, document: str, body: Any, **headers: str) -> Any:
    return ingest.client.post(f"/v1/documents/{document}/reprocess", json=body, headers=headers)


def test_a_later_password_opens_an_encrypted_document(any_ingest: IngestService) -> None:
    secret = encrypted(pdf(), WORD)
    box = any_ingest.read_new(archive({"lease.pdf": secret}), "box.zip")
    [part] = any_ingest.state(box)["parts"]
    document = part["id"]
    before = any_ingest.state(document)
    assert (before["outcome"], before["attempt"]) == ("failed", 1)
    wrong = again(any_ingest, document, {"password": "shut"})
    assert (wrong.status_code, wrong.json()["document"]) == (422, document)
    assert wrong.json()["type"] == "urn:smallprint:problem:encrypted_document"
    assert any_ingest.state(document) == before
    right = again(any_ingest, document, {"password": WORD}, **{"idempotency-key": "k"})
    assert (right.status_code, right.json()["attempt"]) == (202, 2)
    any_ingest.run()
    any_ingest.publish(clauses_extracted(document, attempt=2))
    assert any_ingest.state(document)["outcome"] == "complete"
    assert any_ingest.client.get(f"/v1/documents/{document}/text").text.strip() == SENTENCE
    assert any_ingest.client.get(f"/v1/documents/{document}/original").content == secret
    replayed = again(any_ingest, document, {"password": WORD}, **{"idempotency-key": "k"})
    assert replayed.json() == right.json()
    other = again(any_ingest, document, {"password": "shut"}, **{"idempotency-key": "k"})
    assert other.status_code == 409
    assert again(any_ingest, document, None).json()["attempt"] == 3, "without asking for it again"
    any_ingest.run()
    any_ingest.service.store.close()
    stored = [path.read_bytes() for path in any_ingest.folder.rglob("*") if path.is_file()]
    assert stored
    assert not any(WORD.encode() in data for data in stored)


def test_decrypted_bytes_are_deleted_with_the_document(ingest: IngestService) -> None:
    document = ingest.read_new(encrypted(pdf(), WORD))
    for attempt in (2, 3):
        assert again(ingest, document, {"password": WORD}).json()["attempt"] == attempt
        ingest.run()
        ingest.publish(clauses_extracted(document, attempt=attempt))
    assert len(ingest.blob_names()) == 4, "original, decrypted, text and layout"
    ingest.delete(document)
    assert ingest.blob_names() == set()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        *((None, 202), ({}, 202), ({"password": None}, 202), ({"password": ""}, 202)),
        *(({"pass": "x"}, 422), ({"password": 1}, 422), ({"password": "x" * 1001}, 422), ([], 422)),
    ],
)
def test_only_a_valid_body_starts_an_attempt(ingest: IngestService, body: Any, status: int) -> None:
    document = ingest.complete_new(pdf())
    assert again(ingest, document, body).status_code == status
    assert ingest.stored(document).progress.attempt == (2 if status == 202 else 1)


def test_a_password_for_a_document_in_work_is_refused(ingest: IngestService) -> None:
    document = ingest.upload_new(encrypted(pdf(), WORD))
    assert again(ingest, document, {"password": WORD}).status_code == 409
    assert len(ingest.blob_names()) == 1
