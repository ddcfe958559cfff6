"""The limit of documents in work."""

from __future__ import annotations

import itertools
import threading
from functools import partial
from typing import Any

import pytest

from services.ingest.commands import DocumentCommands, reprocess
from services.ingest.limits import QueueLimit
from tests.unit.documents.mails import attached, text, whole
from tests.unit.ingest.builders import (
    IngestService,
    NewIngest,
    actor,
    clauses_extracted,
    document_failed,
    encrypted,
    parallel,
    pdf,
)

MAIL = whole(
    [
        text(),
        attached(b"This is the first agreement.", "a.txt"),
        attached(b"And this is the second.", "b.txt"),
    ]
)


@pytest.fixture
def made(new_ingest: NewIngest, database_url: str) -> NewIngest:
    return partial(new_ingest, ingest_database_url=database_url)


def refused(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 429, answer.text
    assert answer.headers["retry-after"] == "10"
    problem: dict[str, Any] = answer.json()
    return problem


def intake_of(ingest: IngestService) -> DocumentCommands:
    intake = ingest.service.app.state.resumables.commands
    assert isinstance(intake, DocumentCommands)
    return intake


def end(ingest: IngestService, document_id: str) -> None:
    ingest.run()
    ingest.publish(clauses_extracted(document_id))
    assert ingest.state(document_id)["state"] == "ended"


def test_an_upload_above_the_limit_is_refused(made: NewIngest) -> None:
    ingest = made(ingest_max_in_work=2)
    first = ingest.upload_new(pdf("This is the agreement One."))
    ingest.upload_new(pdf("This is the agreement Two."))
    before = ingest.blob_names()
    problem = refused(ingest.upload(pdf("This is the agreement Three."), "three.pdf"))
    assert problem["type"].endswith(":queue_full")
    assert problem["document"] == "three.pdf"
    assert "SMALLPRINT_INGEST_MAX_IN_WORK" in problem["detail"]
    assert ingest.blob_names() == before
    assert len(ingest.client.get("/v1/documents").json()["items"]) == 2
    known = ingest.upload(pdf("This is the agreement One."))
    assert (known.status_code, known.json()["id"]) == (200, first)


def test_an_ended_document_frees_a_slot(made: NewIngest) -> None:
    ingest = made(ingest_max_in_work=1)
    first = ingest.upload_new(pdf("This is the agreement One."))
    files = {"file": ("two.pdf", pdf("This is the agreement Two."))}
    headers = {"idempotency-key": '"k1"'}
    refused(ingest.client.post("/v1/documents", files=files, headers=headers))
    end(ingest, first)
    assert ingest.client.post("/v1/documents", files=files, headers=headers).status_code == 202


def test_each_tenant_has_a_limit_below_the_total(made: NewIngest) -> None:
    ingest = made(ingest_max_in_work=2, ingest_max_in_work_together=3)
    other = ingest.client_for("other")
    ingest.upload_new(pdf("This is the agreement One."))
    ingest.upload_new(pdf("This is the agreement Two."))
    refused(ingest.upload(pdf("This is the agreement Three.")))
    assert ingest.upload(pdf("This is the agreement Three."), client=other).status_code == 202
    problem = refused(ingest.upload(pdf("Four."), client=other))
    assert "SMALLPRINT_INGEST_MAX_IN_WORK_TOGETHER" in problem["detail"]


def test_parallel_uploads_do_not_exceed_the_limit(made: NewIngest) -> None:
    ingest = made(ingest_max_in_work=3)
    start, numbers = threading.Barrier(12), itertools.count()
    statuses = []

    def send() -> None:
        start.wait()
        statuses.append(ingest.upload(pdf(f"Number {next(numbers)}.")).status_code)

    parallel(send, 12)
    assert sorted(statuses) == [202] * 3 + [429] * 9
    assert len(ingest.blob_names()) == 3


def test_several_files_are_accepted_up_to_the_limit(made: NewIngest) -> None:
    ingest = made(ingest_max_in_work=1)
    some = ingest.client.post(
        "/v1/documents", files=[("file", ("1.pdf", pdf("1"))), ("file", ("2.pdf", pdf("2")))]
    )
    assert some.status_code == 202
    assert [item.get("error", {}).get("status") for item in some.json()["items"]] == [None, 429]
    assert some.headers["retry-after"] == "10"
    none = ingest.client.post(
        "/v1/documents", files=[("file", ("3.pdf", pdf("3"))), ("file", ("4.pdf", pdf("4")))]
    )
    refused(none)


def test_a_refused_attempt_keeps_the_text(made: NewIngest) -> None:
    ingest = made(ingest_max_in_work=1)
    failed = ingest.read_new(pdf("This is the agreement Failed."))
    ingest.publish(document_failed(failed))
    assert ingest.state(failed)["outcome"] == "failed"
    ingest.upload_new(pdf("In work."))
    before, words = ingest.blob_names(), ingest.client.get(f"/v1/documents/{failed}/text").text
    refused(ingest.upload(pdf("This is the agreement Failed.")))
    assert ingest.blob_names() == before
    assert ingest.client.get(f"/v1/documents/{failed}/text").text == words
    assert "Failed." in words


def test_setting_a_kind_ignores_the_limit(made: NewIngest) -> None:
    ingest = made(ingest_max_in_work=1)
    document = ingest.upload_new(b"Words of a kind that nobody said.", "a.txt")
    intake_of(ingest).limit = QueueLimit(0, 0)
    answer = ingest.upload(b"Words of a kind that nobody said.", "a.txt", kind="report")
    assert (answer.status_code, answer.json()["id"]) == (202, document)
    assert ingest.state(document)["kind"] == "report"


def test_a_resumable_upload_is_refused_only_at_its_beginning(made: NewIngest) -> None:
    ingest = made(ingest_max_in_work=1)
    data = pdf("In pieces.")
    tus = {"tus-resumable": "1.0.0", "upload-length": str(len(data))}
    started = ingest.client.post("/v1/uploads", headers=tus)
    assert started.status_code == 201, started.text
    ingest.upload_new(pdf("Meanwhile."))
    refused(ingest.client.post("/v1/uploads", headers=tus))
    piece = {"upload-offset": "0", "content-type": "application/offset+octet-stream"}
    done = ingest.client.patch(started.headers["location"], content=data, headers={**tus, **piece})
    assert done.status_code == 204, done.text
    assert ingest.state(done.headers["smallprint-document"])["state"] == "received"


def test_parts_of_an_accepted_mail_are_never_refused(made: NewIngest) -> None:
    ingest = made(ingest_max_in_work=1)
    parent = ingest.read_new(MAIL, "mail.eml")
    parts = [str(part["id"]) for part in ingest.state(parent)["parts"]]
    assert len(parts) == 2
    refused(ingest.upload(pdf("This is the agreement After.")))
    for part in (parent, *parts):
        end(ingest, part)
    assert ingest.upload(pdf("This is the agreement After.")).status_code == 202


def test_reprocess_respects_the_limit(made: NewIngest) -> None:
    ingest = made(ingest_max_in_work=1)
    first = ingest.upload_new(pdf("This is the agreement One."))
    end(ingest, first)
    second = ingest.upload_new(pdf("This is the agreement Two."))
    answer = ingest.client.post(f"/v1/documents/{first}/reprocess")
    refused(answer)
    assert ingest.state(first)["state"] == "ended"
    end(ingest, second)
    assert reprocess(intake_of(ingest), actor(), first).progress.attempt == 2


def test_a_password_above_the_limit_is_not_used(made: NewIngest) -> None:
    ingest = made(ingest_max_in_work=1)
    locked = ingest.upload_new(encrypted(pdf("Locked."), "secret"))
    ingest.run()
    assert ingest.state(locked)["state"] == "ended"
    ingest.upload_new(pdf("In work."))
    before = ingest.blob_names()
    for _ in range(3):
        refused(
            ingest.client.post(f"/v1/documents/{locked}/reprocess", json={"password": "secret"})
        )
    assert ingest.blob_names() == before
