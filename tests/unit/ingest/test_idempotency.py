"""Requests with an Idempotency-Key take effect once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.ingest.idempotency import commands
from services.ingest.idempotency import store as idempotency
from services.ingest.idempotency.commands import IdempotentRequests
from services.ingest.idempotency.store import fingerprint, slow_hash
from services.ingest.resumable.store import Uploads
from services.ingest.store import Documents
from services.ingest.uploads.responses import answer_upload
from services.ingest.webhooks.store import Webhooks
from shared.errors import Unavailable
from shared.events import DocumentIngested
from tests.support.samples import mail
from tests.unit.ingest.builders import IngestService, clauses_extracted, encrypted, parallel, pdf

TEXT = b"This Agreement is made between Alpha Inc. and Beta Ltd."
HOOK = {"url": "https://hooks.example.com/x"}


def send(
    ingest: IngestService, key: str, data: bytes = TEXT, name: str = "a.txt", **fields: Any
) -> Any:
    return ingest.client.post(
        "/v1/documents", files={"file": (name, data)}, data=fields, headers={"idempotency-key": key}
    )


def code(answer: Any) -> str:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return str(answer.json()["type"]).rpartition(":")[2]


def test_a_replay_gives_the_first_answer(any_ingest: IngestService) -> None:
    first = send(any_ingest, "k-1")
    assert first.status_code == 202
    any_ingest.run()
    any_ingest.publish(clauses_extracted(first.json()["id"]))
    again = send(any_ingest, "k-1")
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["location"] == first.headers["location"]
    assert send(any_ingest, '"k-1"').json() == first.json(), "quoted, as the draft writes it"
    assert send(any_ingest, "k-2").status_code == 200, "another key is another request"
    assert len(any_ingest.published(DocumentIngested)) == 1


def test_several_files_are_one_idempotent_request(any_ingest: IngestService) -> None:
    files = [
        ("file", ("a.txt", TEXT)),
        ("file", ("b.gif", b"GIF89a..")),
        ("file", ("c.pdf", pdf())),
    ]

    def post(some: list[Any]) -> Any:
        headers = {"idempotency-key": "k"}
        return any_ingest.client.post("/v1/documents", files=some, headers=headers)

    first = post(files)
    assert (first.status_code, post(files).json()) == (202, first.json())
    assert code(post(files[:2])) == "idempotency_key_reused"
    assert code(post(files[::-1])) == "idempotency_key_reused"


@pytest.mark.parametrize(
    "other", [{"data": TEXT + b"!"}, {"name": "b.txt"}, {"kind": "report"}, {"password": "open"}]
)
def test_a_key_belongs_to_one_request(any_ingest: IngestService, other: dict[str, Any]) -> None:
    first = send(any_ingest, "k")
    refused = send(any_ingest, "k", **other)
    assert refused.status_code == 409
    assert code(refused) == "idempotency_key_reused"
    assert "retry-after" not in refused.headers
    listed = any_ingest.client.get("/v1/documents").json()["items"]
    assert [one["id"] for one in listed] == [first.json()["id"]]
    hook = any_ingest.client.post("/v1/webhooks", json=HOOK, headers={"idempotency-key": "k"})
    assert code(hook) == "idempotency_key_reused"


def test_keys_are_separate_for_each_tenant(any_ingest: IngestService) -> None:
    mine = send(any_ingest, "k").json()["id"]
    for tenant, same in (("acme", False), ("default", True)):
        client = any_ingest.client_for(tenant, "somebody else")
        answer = client.post(
            "/v1/documents", files={"file": ("a.txt", TEXT)}, headers={"idempotency-key": "k"}
        )
        assert answer.status_code == 202
        assert (answer.json()["id"] == mine) is same


def test_fifty_parallel_requests_with_one_key_create_one_document(
    any_ingest: IngestService,
) -> None:
    answers: list[Any] = []

    def upload() -> None:
        answer = send(any_ingest, "k")
        while answer.status_code == 409:
            assert code(answer) == "idempotency_in_flight"
            assert answer.headers["retry-after"] == "1"
            time.sleep(0.2)
            answer = send(any_ingest, "k")
        answers.append(answer)

    parallel(upload, 50)
    assert [answer.status_code for answer in answers] == [202] * 50
    assert len({answer.text for answer in answers}) == 1
    assert len(any_ingest.published(DocumentIngested)) == 1


@contextmanager
def first_request(
    ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[httpx.Response]]:
    """A request that is at work within the block; its answer is there afterwards."""
    there, go_on = threading.Event(), threading.Event()
    answers: list[httpx.Response] = []

    def slow(*arguments: Any) -> Any:
        there.set()
        assert go_on.wait(30)
        return answer_upload(*arguments)

    monkeypatch.setattr("services.ingest.api.documents.answer_upload", slow)
    thread = threading.Thread(target=lambda: answers.append(send(ingest, "k")))
    thread.start()
    assert there.wait(30)
    yield answers
    go_on.set()
    thread.join()


def test_a_repetition_during_the_first_request_is_refused(
    any_ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    with first_request(any_ingest, monkeypatch) as first:
        second = send(any_ingest, "k")
        other = send(any_ingest, "k", TEXT + b"!")
    assert (second.status_code, code(second)) == (409, "idempotency_in_flight")
    assert second.headers["retry-after"] == "1"
    assert code(other) == "idempotency_key_reused"
    assert send(any_ingest, "k").json() == first[0].json()


def test_a_claim_is_renewed_during_the_work(
    any_ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "CLAIM_LIFETIME", timedelta(seconds=1))
    monkeypatch.setattr(commands, "RENEW_EVERY", timedelta(seconds=0.1))
    with first_request(any_ingest, monkeypatch) as first:
        time.sleep(1.5)
        second = send(any_ingest, "k")
    assert (second.status_code, code(second)) == (409, "idempotency_in_flight")
    assert first[0].status_code == 202


def test_the_next_request_takes_over_after_a_crash(
    any_ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "CLAIM_LIFETIME", timedelta(0))
    with first_request(any_ingest, monkeypatch) as first:
        monkeypatch.setattr("services.ingest.api.documents.answer_upload", answer_upload)
        second = send(any_ingest, "k")
    assert second.status_code == 202
    assert (first[0].status_code, code(first[0])) == (409, "idempotency_in_flight")
    assert send(any_ingest, "k").json() == second.json()
    assert len(any_ingest.published(DocumentIngested)) == 1


def test_a_refused_request_can_be_repeated(
    any_ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        assert send(any_ingest, "gif", b"GIF89a..").status_code == 415
    assert code(send(any_ingest, "gif")) == "idempotency_key_reused"

    def away(*_: object) -> None:
        raise Unavailable("the database does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(Documents, "add", away)
        assert send(any_ingest, "k").status_code == 503
    assert send(any_ingest, "k").status_code == 202


def test_deleting_a_document_deletes_its_answers(any_ingest: IngestService) -> None:
    lease = mail("Lease", {"Quokka.pdf": pdf()})
    first = send(any_ingest, "k", lease, "Wombat.eml")
    any_ingest.run()
    part = any_ingest.client.get("/v1/documents", params={"parent": first.json()["id"]}).json()
    assert "Wombat" in send(any_ingest, "part", pdf(), "Quokka.pdf").text, "what it lies in"
    any_ingest.client.delete(first.headers["location"])
    for key, data, name in (("k", lease, "Wombat.eml"), ("part", pdf(), "Quokka.pdf")):
        late = send(any_ingest, key, data, name)
        assert (late.status_code, code(late)) == (409, "idempotency_key_spent")
    assert [one["id"] for one in part["items"]] == [
        one["id"] for one in any_ingest.client.get("/v1/documents").json()["items"]
    ]
    with any_ingest.service.store.read() as session:
        stored = session.execute(idempotency.keys.select()).mappings().all()
        assert session.execute(idempotency.subjects.select()).all() == []
    assert len(stored) == 2
    assert "Wombat" not in str(stored)
    assert all(row["fingerprint"] is row["body"] is row["headers"] is None for row in stored)


def test_the_answer_about_a_deleted_document_is_not_stored(
    any_ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deleted_at_once(*arguments: Any) -> Any:
        answer = answer_upload(*arguments)
        any_ingest.client.delete(answer.headers["location"])
        return answer

    monkeypatch.setattr("services.ingest.api.documents.answer_upload", deleted_at_once)
    assert send(any_ingest, "k").status_code == 202
    assert code(send(any_ingest, "k")) == "idempotency_key_spent"


def test_expired_keys_are_removed(tmp_path: Path) -> None:
    ingest = IngestService(tmp_path, ingest_idempotency_hours=1e-9)
    once = IdempotentRequests(ingest.service.store, 1e-9)
    assert send(ingest, "k").status_code == 202
    assert send(ingest, "k", TEXT + b"!").status_code == 202, "the key is free again"
    send(ingest, "k-2", pdf())
    assert [once.sweep(), once.sweep()] == [2, 0]
    with ingest.service.store.read() as session:
        assert session.execute(idempotency.subjects.select()).all() == []
    ingest.close()
    lasting = IngestService(tmp_path / "lasting")
    send(lasting, "k-3")
    assert IdempotentRequests(lasting.service.store, 24).sweep() == 0
    lasting.close()


def test_stored_requests_reveal_nothing(ingest: IngestService) -> None:
    answer = send(
        ingest, "Zauberschluessel", encrypted(pdf(), "open"), "a.pdf", password="Zauberwort"
    )
    assert answer.status_code == 422
    ingest.service.store.close()
    stored = b"".join(path.read_bytes() for path in ingest.folder.rglob("*") if path.is_file())
    assert b"Zauber" not in stored
    assert fingerprint("k", "POST", ["a"]) != fingerprint("l", "POST", ["a"])
    assert slow_hash("k", "word") != slow_hash("l", "word")
    assert slow_hash("k", None) is None


def crash(*_: object) -> None:
    raise Unavailable("no more")


def test_a_webhook_is_registered_once(
    any_ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def post(path: str = "/v1/webhooks", key: str = "k", **request_body: Any) -> Any:
        return any_ingest.client.post(path, json=request_body, headers={"idempotency-key": key})

    with monkeypatch.context() as patch:
        patch.setattr(idempotency.KeyClaim, "store", crash)
        assert post(**HOOK).status_code == 503
    assert any_ingest.client.get("/v1/webhooks").json()["items"] == []
    first = post(**HOOK)
    again = post(**HOOK)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["location"] == first.headers["location"]
    assert len(any_ingest.client.get("/v1/webhooks").json()["items"]) == 1
    rotate = f"{first.headers['location']}/rotate"
    second = post(rotate, "r", overlap=60)
    assert second.json()["secret"] != first.json()["secret"]
    assert post(rotate, "r", overlap=60).json() == second.json()
    with any_ingest.service.store.read() as session:
        webhook = Webhooks(session, "default").require(first.json()["id"])
    assert webhook.old_secret == first.json()["secret"], "it was rotated once"
    other = any_ingest.client_for("default", "colleague")
    requested = other.post("/v1/webhooks", json=HOOK, headers={"idempotency-key": "k"})
    assert code(requested) == "idempotency_key_reused", (
        "secrets are shown only to the key that made them"
    )
    any_ingest.client.delete(first.headers["location"])
    assert code(post(**HOOK)) == "idempotency_key_spent"


def test_reprocess_takes_effect_once(
    any_ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = any_ingest.upload_new(TEXT, "a.txt")
    path = f"/v1/documents/{document}/reprocess"

    def again(key: str) -> Any:
        return any_ingest.client.post(path, headers={"idempotency-key": key})

    any_ingest.run()
    assert again("early").status_code == 409, "it has not ended"
    any_ingest.publish(clauses_extracted(document))
    with monkeypatch.context() as patch:
        patch.setattr(idempotency.KeyClaim, "store", crash)
        assert again("k").status_code == 503
    assert any_ingest.state(document)["attempt"] == 1, "the attempt and its answer, or neither"
    first = again("k")
    any_ingest.run()
    any_ingest.publish(clauses_extracted(document, attempt=2))
    assert again("k").json() == first.json()
    assert any_ingest.state(document)["attempt"] == 2
    assert again("early").json()["attempt"] == 3, "nothing was done with it before"


def test_a_resumable_upload_is_created_once(
    any_ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    tus = {"tus-resumable": "1.0.0", "upload-length": "1000", "idempotency-key": "k"}

    def begin(**more: str) -> Any:
        return any_ingest.client.post("/v1/uploads", headers={**tus, **more})

    with monkeypatch.context() as patch:
        patch.setattr(idempotency.KeyClaim, "store", crash)
        assert begin().status_code == 503
    with any_ingest.service.store.read() as session:
        assert Uploads(session, "default").open() == (0, 0), "upload and answer, or neither"
    first, again = begin(), begin()
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["tus-resumable"] == "1.0.0"
    assert code(begin(**{"upload-length": "1001"})) == "idempotency_key_reused"
    any_ingest.client.delete(first.headers["location"], headers=tus)
    assert code(begin()) == "idempotency_key_spent"


@pytest.mark.parametrize("key", ["", " ", "two words", '"half', "ä", "x" * 256, '"'])
def test_an_invalid_key_is_refused(ingest: IngestService, key: str) -> None:
    answer = send(ingest, key.encode("latin-1"))  # type: ignore[arg-type]
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.json()["detail"]
    assert ingest.client.get("/v1/documents").json()["items"] == []
