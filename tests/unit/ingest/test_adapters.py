"""Requested adapters: at the upload, later, and in events."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path
from typing import Any

import pytest

from shared.events import ClausesExtracted, DocumentIngested, DocumentRead
from tests.unit.documents.archives import archive
from tests.unit.ingest.builders import IngestService, clauses_extracted, document_failed

PROSE = b"The parties to this agreement agree that nothing in it is to be taken at its word."
SHIPPED, TAUGHT = ("contract-clauses", "unfair-terms"), "data-retention"
INSTALLED = "contract-clauses, data-retention, unfair-terms"


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    for folder, names in (("artefacts", SHIPPED), ("adapters", (TAUGHT,))):
        for name in names:
            (tmp_path / folder / name / "1.0.0").mkdir(parents=True)
            (tmp_path / folder / name / "1.0.0" / "manifest.json").touch()
    return {name: tmp_path / name for name in ("artefacts", "adapters")}


def requested(
    ingest: IngestService, kind: type[DocumentIngested | DocumentRead]
) -> list[tuple[str, ...]]:
    return [event.adapters for event in ingest.published(kind)]


def test_requested_adapters_are_stored_and_announced(any_ingest: IngestService) -> None:
    names = [TAUGHT, "contract-clauses", TAUGHT, ""]
    document = any_ingest.upload_new(PROSE, "a.txt", adapter=names)
    assert any_ingest.state(document)["adapters"] == [TAUGHT, "contract-clauses"]
    any_ingest.run()
    assert requested(any_ingest, DocumentIngested) == [(TAUGHT, "contract-clauses")]
    assert requested(any_ingest, DocumentRead) == [(TAUGHT, "contract-clauses")]


def test_without_requested_adapters_none_are_announced(ingest: IngestService) -> None:
    document = ingest.read_new(PROSE, "a.txt")
    assert ingest.state(document)["adapters"] == []
    assert requested(ingest, DocumentRead) == [()]


def test_a_missing_adapter_is_refused_by_name(ingest: IngestService) -> None:
    answer = ingest.upload(PROSE, "a.txt", adapter=["contract-clauses", "unfair-term"])
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:smallprint:problem:unknown_adapter"
    assert problem["detail"] == f"There is no specialist 'unfair-term'. Installed: {INSTALLED}."
    files = [("file", ("a.txt", PROSE)), ("file", ("b.txt", PROSE + b"!"))]
    several: Any = ingest.client.post("/v1/documents", files=files, data={"adapter": "x"})
    assert several.status_code == 422
    assert {item["error"]["title"] for item in several.json()["items"]} == {"unknown adapter"}
    assert ingest.client.get("/v1/documents").json()["items"] == []
    assert ingest.blob_names() == set()


def test_a_resumable_upload_can_request_adapters(any_ingest: IngestService) -> None:
    answer = started(any_ingest, "data-retention, nobody")
    assert (answer.status_code, INSTALLED in answer.json()["detail"]) == (422, True)
    answer = started(any_ingest, "data-retention, unfair-terms")
    assert answer.status_code == 201, answer.text
    headers = {
        "tus-resumable": "1.0.0",
        "content-type": "application/offset+octet-stream",
        "upload-offset": "0",
    }
    ended: Any = any_ingest.client.patch(answer.headers["location"], content=PROSE, headers=headers)
    document = any_ingest.state(ended.headers["smallprint-document"])
    assert document["adapters"] == ["data-retention", "unfair-terms"]


def started(ingest: IngestService, adapters: str) -> Any:
    encoded = base64.b64encode(adapters.encode()).decode()
    headers = {
        "tus-resumable": "1.0.0",
        "upload-length": str(len(PROSE)),
        "upload-metadata": f"filename YS50eHQ=,adapter {encoded}",
    }
    return ingest.client.post("/v1/uploads", headers=headers)


def test_parts_inherit_the_adapters(ingest: IngestService) -> None:
    data = archive({"a.txt": PROSE})
    ingest.upload_new(data, "a.zip", adapter="unfair-terms")
    ingest.run()
    assert requested(ingest, DocumentRead) == [("unfair-terms",)]
    ingest.upload_new(data, "a.zip", adapter=TAUGHT)
    ingest.run()
    assert requested(ingest, DocumentRead) == [(TAUGHT,)]


def test_the_same_bytes_for_other_adapters_start_a_new_attempt(any_ingest: IngestService) -> None:
    document = any_ingest.complete_new(PROSE, "a.txt", adapter="contract-clauses")
    for names in ([], ["contract-clauses"]):
        answer = any_ingest.upload(PROSE, "a.txt", adapter=names)
        assert (answer.status_code, answer.json()["attempt"]) == (200, 1)
    answer = any_ingest.upload(PROSE, "a.txt", adapter=["contract-clauses", "unfair-terms"])
    assert (answer.status_code, answer.json()["id"]) == (202, document)
    assert answer.json()["attempt"] == 2
    any_ingest.run()
    any_ingest.publish(clauses_extracted(document))
    assert any_ingest.state(document)["state"] == "processing"
    any_ingest.publish(clauses_extracted(document, attempt=2))
    assert any_ingest.state(document)["outcome"] == "complete"
    answer = any_ingest.upload(PROSE, "a.txt", adapter=["unfair-terms", "contract-clauses"])
    assert (answer.status_code, answer.json()["attempt"]) == (200, 2)


def test_naming_the_default_adapter_starts_no_attempt(any_ingest: IngestService) -> None:
    document = any_ingest.complete_new(PROSE, "a.txt")
    answer = any_ingest.upload(PROSE, "a.txt", adapter="contract-clauses")
    assert (answer.status_code, answer.json()["attempt"]) == (200, 1)
    assert any_ingest.state(document)["adapters"] == []
    other = any_ingest.upload(PROSE, "a.txt", adapter="unfair-terms")
    assert (other.status_code, other.json()["attempt"]) == (202, 2)


def test_kind_and_adapters_can_be_set_by_one_upload(ingest: IngestService) -> None:
    for number, kind in enumerate(("contract", "report")):
        data = PROSE + bytes(str(number), "ascii")
        document = ingest.read_new(data, "a.txt", adapter="contract-clauses")
        answer = ingest.upload(data, "a.txt", kind=kind, adapter=TAUGHT)
        assert answer.status_code == 202
        assert (answer.json()["kind"], answer.json()["adapters"]) == (kind, [TAUGHT])
        assert (answer.json()["attempt"], answer.json()["id"]) == (2, document)


def test_reprocess_can_change_the_adapters(any_ingest: IngestService) -> None:
    document = any_ingest.read_new(PROSE, "a.txt", adapter=TAUGHT)
    any_ingest.publish(document_failed(document))
    path = f"/v1/documents/{document}/reprocess"
    wrong = any_ingest.client.post(path, json={"adapters": ["nobody"]})
    assert (wrong.status_code, wrong.json()["title"]) == (422, "unknown adapter")
    assert any_ingest.client.post(path).json()["adapters"] == [TAUGHT]
    any_ingest.run()
    any_ingest.publish(clauses_extracted(document, attempt=2))
    again = any_ingest.client.post(path, json={"adapters": ["unfair-terms", "unfair-terms"]})
    assert (again.status_code, again.json()["adapters"]) == (202, ["unfair-terms"])
    any_ingest.run()
    assert requested(any_ingest, DocumentRead)[-1] == ("unfair-terms",)


def test_reprocess_refuses_an_uninstalled_adapter(ingest: IngestService, tmp_path: Path) -> None:
    document = ingest.read_new(PROSE, "a.txt", adapter=TAUGHT)
    ingest.publish(document_failed(document))
    shutil.rmtree(tmp_path / "adapters" / TAUGHT)
    path = f"/v1/documents/{document}/reprocess"
    refused: Any = ingest.client.post(path)
    assert (refused.status_code, refused.json()["title"]) == (422, "unknown adapter")
    assert ", ".join(SHIPPED) in refused.json()["detail"]
    assert ingest.state(document)["attempt"] == 1
    again = ingest.client.post(path, json={"adapters": ["unfair-terms"]})
    assert (again.status_code, again.json()["adapters"]) == (202, ["unfair-terms"])


def test_an_upload_after_a_failure_resets_the_adapters(ingest: IngestService) -> None:
    document = ingest.read_new(PROSE, "a.txt", adapter=TAUGHT)
    ingest.publish(document_failed(document))
    again = ingest.upload(PROSE, "a.txt")
    assert (again.status_code, again.json()["id"]) == (202, document)
    assert (again.json()["attempt"], again.json()["adapters"]) == (2, [])
    ingest.run()
    assert requested(ingest, DocumentRead)[-1] == ()


def test_adapters_are_part_of_the_idempotent_request(ingest: IngestService) -> None:
    headers = {"idempotency-key": '"k1"'}
    answers: list[Any] = [
        ingest.client.post(
            "/v1/documents", files={"file": ("a.txt", PROSE)}, data=data, headers=headers
        )
        for data in ({"adapter": TAUGHT}, {"adapter": TAUGHT}, {"adapter": "unfair-terms"})
    ]
    assert [answer.status_code for answer in answers] == [202, 202, 409]


def test_adapters_survive_a_change_of_kind(ingest: IngestService) -> None:
    document = ingest.read_new(PROSE, "a.txt", kind="report", adapter=TAUGHT)
    ingest.client.put(f"/v1/documents/{document}/kind", json={"kind": "contract"})
    ingest.run()
    assert requested(ingest, DocumentRead)[-1] == (TAUGHT,)


def test_webhook_messages_list_every_adapter(ingest: IngestService) -> None:
    from services.ingest.webhooks.messages import result_found

    old = clauses_extracted("doc_1")
    assert isinstance(old, ClausesExtracted)
    (message,) = result_found(old)
    (adapter,) = message.data["adapters"]
    assert (adapter.pop("name"), adapter.pop("version")) == ("contract-clauses", "1")
    assert set(adapter.values()) == {None}, "nothing was measured then"
