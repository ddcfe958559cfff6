"""At the door: what is accepted, what is refused and why, and the same bytes again."""

from __future__ import annotations

import io
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.ingest.commands import Intake, Upload
from services.ingest.domain import Document
from services.ingest.room import Room
from services.ingest.store import Documents
from shared.documents.passwords import HOW
from shared.errors import Unavailable
from shared.events import DocumentIngested
from tests.unit.ingest.house import (
    SENTENCE,
    House,
    InProcessReader,
    actor,
    encrypted,
    extracted,
    pdf,
)

TEXT = b"This Agreement is made between Alpha Inc. and Beta Ltd.\n"
REPORT = b'{"id": "1", "company": "Alpha", "statements": []}'


def test_an_accepted_document_is_where_location_says(any_house: House) -> None:
    """202 with the place of the document, its hash, its type by content, and who sent it."""
    answer = any_house.upload(pdf())
    assert answer.status_code == 202
    body = answer.json()
    assert answer.headers["location"] == f"/v1/documents/{body['id']}"
    assert any_house.client.get(answer.headers["location"]).json() == body
    assert body["state"] == "received"
    assert body["outcome"] is None
    assert (body["media_type"], body["kind"], body["kind_source"], body["actor"]) == (
        "application/pdf",
        "contract",
        "type",
        "tester",
    )
    assert body["created"].endswith("Z")
    [event] = any_house.said(DocumentIngested)
    assert event.document_id == body["id"]
    assert event.trace is not None
    assert event.actor == "tester"


def test_the_same_bytes_again_are_the_same_document(any_house: House) -> None:
    """200 and the same id, under whatever name; nothing new begins."""
    first = any_house.accepted(pdf(), "a.pdf")
    again = any_house.upload(pdf(), "b.pdf")
    assert again.status_code == 200
    assert again.json()["id"] == first
    assert again.json()["name"] == "a.pdf"
    assert len(any_house.said(DocumentIngested)) == 1


def test_the_same_bytes_in_another_tenant_are_another_document(any_house: House) -> None:
    """Tenants share nothing, not even the knowledge that a document is there."""
    mine = any_house.accepted(pdf())
    other = any_house.upload(pdf(), client=any_house.client_of("acme"))
    assert other.status_code == 202
    assert other.json()["id"] != mine


def test_fifty_uploads_at_once_are_one_document(any_house: House) -> None:
    """However many send the same bytes at the same time, one document is accepted, once."""
    answers: list[tuple[int, str]] = []

    def send() -> None:
        answer = any_house.upload(pdf())
        answers.append((answer.status_code, answer.json().get("id", answer.text)))

    threads = [threading.Thread(target=send) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 50
    assert len({document for _, document in answers}) == 1
    assert sorted(status for status, _ in answers) == [200] * 49 + [202]
    assert len(any_house.said(DocumentIngested)) == 1


def test_the_unique_index_holds_without_the_lock(any_house: House) -> None:
    """Even if two inserts met, the database keeps one living document of the same bytes."""
    document_id = any_house.accepted(pdf())
    with any_house.service.store.read() as session:
        document = Documents(session, "default").get(document_id)
    assert document is not None
    twin = Document(**{**vars(document), "id": "doc_twin"})
    with pytest.raises(Exception, match=r"(?i)unique"), any_house.service.store.write() as session:
        Documents(session, "default").add(twin)


def test_after_a_failure_the_same_bytes_are_a_new_attempt(any_house: House) -> None:
    """An uploader who tries again gets a new try at the same document."""
    secret = encrypted(pdf(), "open")
    document = any_house.accepted(secret)
    any_house.work()
    assert any_house.state(document)["outcome"] == "failed"
    again = any_house.upload(secret)
    assert again.status_code == 202
    assert (again.json()["id"], again.json()["attempt"]) == (document, 2)
    assert again.json()["state"] == "received"


def test_an_encrypted_pdf_with_its_password_is_read(any_house: House) -> None:
    """What the password opens is kept, the password nowhere; the original stays as sent."""
    secret = encrypted(pdf(), "Zauberwort")
    document = any_house.accepted(secret, password="Zauberwort")
    any_house.work()
    assert any_house.state(document)["state"] == "processing"
    text = any_house.client.get(f"/v1/documents/{document}/text")
    assert text.text.strip() == SENTENCE
    assert any_house.client.get(f"/v1/documents/{document}/pages/1.png").status_code == 200
    assert any_house.client.get(f"/v1/documents/{document}/original").content == secret
    assert len(any_house.blobs()) == 5  # original, decrypted, text, layout, page
    for event in any_house.said():
        assert b"Zauberwort" not in event.to_json("ingest")
    any_house.service.store.close()
    kept = [path.read_bytes() for path in any_house.folder.rglob("*") if path.is_file()]
    assert kept
    assert not any(b"Zauberwort" in data for data in kept)


def test_a_wrong_password_is_refused_at_the_door(house: House) -> None:
    """422 at once, so that the uploader can try another; nothing is kept."""
    answer = house.upload(encrypted(pdf(), "open"), password="shut")
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:smallprint:problem:encrypted_document"
    assert "wrong" in answer.json()["detail"]
    assert HOW in answer.json()["detail"]
    assert house.blobs() == set()


def test_an_encrypted_pdf_without_password_ends_with_that_reason(any_house: House) -> None:
    """It is accepted, ends as failed, and with the password the same bytes succeed."""
    secret = encrypted(pdf(), "open")
    document = any_house.accepted(secret)
    any_house.work()
    state = any_house.state(document)
    assert (state["state"], state["outcome"]) == ("ended", "failed")
    assert "encrypted_document" in state["reasons"][0]
    assert HOW in state["reasons"][0]
    assert any_house.upload(secret, password="open").json()["id"] == document
    any_house.work()
    any_house.say(extracted(document, attempt=2))
    assert any_house.state(document)["outcome"] == "complete"


def test_a_password_for_what_is_not_encrypted_does_no_harm(house: House) -> None:
    """A folder with one password for all its files can be sent as it is."""
    document = house.accepted(pdf(), password="open")
    text = house.accepted(TEXT, "a.txt", password="open")
    house.work()
    assert house.state(document)["state"] == house.state(text)["state"] == "processing"


@pytest.mark.parametrize(
    ("data", "name", "status", "code"),
    [
        (b"", "empty.pdf", 422, "empty_document"),
        (b" \n\t ", "blank.txt", 422, "empty_document"),
        (b"PK\x03\x04" + b"\0" * 50, "lies.pdf", 422, "unreadable_document"),
        (b"GIF89a" + b"\0" * 50, "lies.pdf", 415, "unsupported_type"),
        (b"\x1f\x8b hello", "page.txt", 415, "unsupported_type"),
        (b"caf\xe9 latin-1 " * 200, "latin.txt", 422, "unreadable_document"),
        (b"a\0b", "binary.txt", 422, "unreadable_document"),
        (b"x" * 5001, "big.txt", 413, "document_too_large"),
    ],
)
def test_what_is_refused_at_the_door(
    tmp_path: Path, data: bytes, name: str, status: int, code: str
) -> None:
    """Size, emptiness and type are refused with a problem that names the file; nothing stays."""
    house = House(tmp_path, ingest_max_bytes=5000)
    answer = house.upload(data, name)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"urn:smallprint:problem:{code}"
    assert problem["document"] == name
    if status == 413:
        assert answer.headers["upload-limit"] == "max-size=5000"
        assert "5,000" in problem["detail"]
        assert "SMALLPRINT_INGEST_MAX_BYTES" in problem["detail"]
    assert house.blobs() == set()
    house.work()
    assert house.client.get("/v1/documents").json() == {"items": [], "next": None}
    house.close()


def test_every_upload_is_told_the_limits(tmp_path: Path) -> None:
    """What one upload may have, its documents, and how many: in the answer, also to a replay."""
    house = House(tmp_path, ingest_max_bytes=5000, ingest_max_upload=20_000, ingest_max_files=3)
    for _ in range(2):
        answer = house.client.post(
            "/v1/documents",
            files={"file": ("a.txt", TEXT)},
            headers={"idempotency-key": "k"},
        )
        assert answer.status_code == 202
        said = "max-size=20000, max-document-size=5000, max-documents=3"
        assert answer.headers["upload-limit"] == said
    house.close()


def test_an_upload_beyond_all_bounds_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """A declared length is believed at once; an undeclared one is counted as it comes."""
    house = House(tmp_path, ingest_max_upload=20_000)
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(1000):
            read += 1000
            yield b"x" * 1000

    headers = {"content-type": "multipart/form-data; boundary=b"}
    for more in ({}, {"content-length": "1000000"}):
        answer = house.client.post("/v1/documents", content=endless(), headers={**headers, **more})
        assert answer.status_code == 413
        assert answer.headers["upload-limit"] == "max-size=20000"
        assert "20,000" in answer.json()["detail"]
    house.close()


def test_nobody_reads_a_body_of_a_stranger(house: House) -> None:
    """Without a good key the form is not even parsed."""
    headers = {"authorization": "Bearer sp_no", "content-type": "multipart/form-data; boundary=b"}
    answer = house.client.post("/v1/documents", content=b"not a form at all", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("request_parts", "says"),
    [
        ({"json": {"file": "x"}}, "multipart"),
        ({"data": {"kind": "contract"}}, "multipart"),
        ({"files": {"other": ("a.pdf", b"x")}}, "multipart"),
        ({"files": {"file": (None, b"x")}}, "file name"),
        ({"files": {"file": ("a.txt", TEXT)}, "data": {"kind": "poem"}}, "kind is one of"),
    ],
)
def test_a_form_that_is_not_understood(
    house: House, request_parts: dict[str, object], says: str
) -> None:
    """The answer tells what to send instead."""
    answer = house.client.post("/v1/documents", **request_parts)  # type: ignore[arg-type]
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


def test_several_files_are_answered_one_by_one(any_house: House) -> None:
    """One bad file does not cost the others; each item says what became of it, in order."""
    files = [
        ("file", ("a.txt", TEXT)),
        ("file", ("gif.pdf", b"GIF89a...")),
        ("file", ("b.json", REPORT)),
        ("file", ("again.txt", TEXT)),
    ]
    answer = any_house.client.post("/v1/documents", files=files)
    assert answer.status_code == 202
    first, refused, report, again = answer.json()["items"]
    assert first["id"] == again["id"]
    assert report["kind"] == "report"
    assert refused["name"] == "gif.pdf"
    assert refused["error"]["status"] == 415
    assert any_house.client.post("/v1/documents", files=files[:1] * 2).status_code == 200


def test_several_files_of_which_none_is_good(house: House) -> None:
    """When nothing was accepted the whole answer is a problem, with every reason."""
    files = [("file", ("a.gif", b"GIF89a...")), ("file", ("b.gif", b"GIF89a!!!"))]
    answer = house.client.post("/v1/documents", files=files)
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/problem+json"
    assert [item["error"]["status"] for item in answer.json()["items"]] == [415, 415]
    files.append(("file", ("empty", b"")))
    assert house.client.post("/v1/documents", files=files).status_code == 422


def test_too_many_files_in_one_upload(tmp_path: Path) -> None:
    """The number of files is bounded, too."""
    house = House(tmp_path, ingest_max_files=2)
    files = [("file", (f"{n}.txt", TEXT)) for n in range(3)]
    assert house.client.post("/v1/documents", files=files).status_code == 400
    house.close()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\docs\\a.pdf", "a.pdf"),
        ("in\u202efdp.exe", "infdp.exe"),
        ("Vertrag Müller.pdf", "Vertrag Müller.pdf"),
    ],
)
def test_a_file_name_is_only_a_label(house: House, given: str, kept: str) -> None:
    """No folder, control or direction character of a name survives."""
    assert house.upload(pdf(), given).json()["name"] == kept


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
def test_the_uploader_knows_the_kind_better_than_the_type(
    house: House, data: bytes, name: str, word: str, kind: str, source: str
) -> None:
    """The uploader's word wins; without one the type decides, and the document says who did."""
    fields: dict[str, Any] = {"kind": word} if word else {}
    body = house.upload(data, name, **fields).json()
    assert (body["kind"], body["kind_source"]) == (kind, source)


def test_another_kind_is_accepted_and_rejected(any_house: House) -> None:
    """It is not a document we serve: it ends unprocessed, and a better word gives it a new try."""
    document = any_house.accepted(TEXT, "poem.txt", kind="other")
    any_house.work()
    state = any_house.state(document)
    assert (state["state"], state["outcome"]) == ("ended", "rejected")
    assert state["reasons"]
    assert state["ended"]
    assert any_house.upload(TEXT, "poem.txt", kind="other").status_code == 200
    again = any_house.upload(TEXT, "poem.txt", kind="contract")
    assert again.status_code == 202
    assert again.json()["id"] == document
    any_house.work()
    assert any_house.state(document)["state"] == "processing"


def test_an_upload_is_durable_before_it_is_known(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the database fails after the bytes are kept, the client hears it and may try again."""

    def away(*_: object) -> None:
        raise Unavailable("the database does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(Documents, "add", away)
        answer = house.upload(pdf())
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert house.client.get("/v1/documents").json()["items"] == []
    assert house.said() == []
    house.accepted(pdf())


def test_bytes_that_are_deleted_at_the_same_moment_are_kept_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deletion between the bytes and their row makes the upload keep them once more."""
    keep, deletions = Documents.of_bytes, 0

    def raced(self: Documents, sha256: str) -> Document | None:
        nonlocal deletions
        if not deletions:
            deletions += 1
            for path in house.service.settings.blobs.rglob(sha256):
                path.unlink()
        return keep(self, sha256)

    monkeypatch.setattr(Documents, "of_bytes", raced)
    document = house.accepted(pdf())
    assert deletions == 1
    assert house.client.get(f"/v1/documents/{document}/original").content == pdf()


def test_an_upload_that_breaks_off_leaves_nothing(house: House) -> None:
    """A body that ends before its last boundary is no upload."""
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhalf'
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = house.client.post("/v1/documents", content=body, headers=headers)
    assert 400 <= answer.status_code < 500
    assert house.blobs() == set()


def test_a_large_upload_is_not_held_in_memory(house: House) -> None:
    """Forty megabytes of PDF are spooled and copied in pieces, never read as a whole."""
    big = b"%PDF-1.7\n" + b"%" + b"0123456789abcdef" * 2_500_000
    tracemalloc.start()
    try:
        intake = Intake(
            house.service.store,
            house.service.blobs,
            InProcessReader(),
            house.service.settings.limits,  # type: ignore[attr-defined]
            Room(1, 1),
        )
        stream = io.BytesIO(big)
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        intake.accept(actor(), Upload(stream, len(big), "big.pdf"))
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000
