"""The list of documents: its search, order and filters, and tags and assignees."""

from __future__ import annotations

from typing import Any

import pytest

from services.ingest.repair import Repairer
from shared.audit import chain
from shared.events import DocumentAssigned, DocumentTitle
from tests.unit.ingest.builders import IngestService, clauses_extracted, titled

TITLE = DocumentTitle(
    title="License Agreement · Array / Ono · 2017-05-31", parties=("Array", "Ono")
)


@pytest.fixture
def listed(any_ingest: IngestService) -> IngestService:
    """A contract with a title, an ended one without, and one that is not read yet."""
    for text, name in (("first one", "b 100%.txt"), ("second one", "Äpfel.txt")):
        document = any_ingest.read_new(text.encode(), name, kind="contract")
        event = clauses_extracted(document)
        any_ingest.publish(titled(any_ingest, document, TITLE) if name[0] == "b" else event)
    any_ingest.upload_new(b"third one", "c.txt", kind="contract")
    return any_ingest


def names(ingest: IngestService, **params: Any) -> list[str]:
    answer = ingest.client.get("/v1/documents", params=params)
    assert answer.status_code == 200, answer.text
    return [one["name"] for one in answer.json()["items"]]


def id_of(ingest: IngestService, name: str) -> str:
    [one] = ingest.client.get("/v1/documents", params={"name": name}).json()["items"]
    return str(one["id"])


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("ono", ["b 100%.txt"]),
        ("AGREEMENT  array", ["b 100%.txt"]),
        ("Array, Inc.", ["b 100%.txt"]),
        ("100%", ["b 100%.txt"]),
        ("1_0", []),
        ("array äpfel", []),
        ("äPFEL", ["Äpfel.txt"]),
        (" ", ["c.txt", "Äpfel.txt", "b 100%.txt"]),
    ],
)
def test_all_words_must_be_in_name_title_or_parties(
    listed: IngestService, words: str, found: list[str]
) -> None:
    assert names(listed, q=words) == found


@pytest.mark.parametrize(
    ("sort", "first"),
    [
        ("received", ["b 100%.txt", "Äpfel.txt", "c.txt"]),
        ("-received", ["c.txt", "Äpfel.txt", "b 100%.txt"]),
        ("name", ["c.txt", "b 100%.txt"]),  # by its title: License
        ("-name", ["b 100%.txt", "c.txt"]),
    ],
)
def test_each_order_is_the_same_page_by_page(
    listed: IngestService, sort: str, first: list[str]
) -> None:
    every = [one["name"] for one in listed.every("/v1/documents", limit=1, sort=sort)]
    assert every == names(listed, sort=sort)
    assert [name for name in every if name in first] == first  # Ä stands anywhere


@pytest.mark.parametrize("sort", ["pages", "-pages", "state", "-state"])
def test_equal_documents_are_listed_once(listed: IngestService, sort: str) -> None:
    whole = names(listed, sort=sort)
    assert [one["name"] for one in listed.every("/v1/documents", limit=1, sort=sort)] == whole
    last = whole[-1 if "-" in sort else 0]
    assert last == "c.txt" if sort.endswith("pages") else len(set(whole)) == 3


@pytest.mark.parametrize("sort", ["name", "pages", "state", "received"])
@pytest.mark.parametrize("cursor", ["!", "eHg", "eHx8", "w7__"])
def test_a_wrong_cursor_is_refused(ingest: IngestService, sort: str, cursor: str) -> None:
    answer = ingest.client.get("/v1/documents", params={"sort": sort, "cursor": cursor})
    assert answer.status_code == 422


def test_tags_are_set_listed_and_searched(listed: IngestService) -> None:
    path = f"/v1/documents/{id_of(listed, 'c.txt')}/tags"
    answer = listed.client.put(path, json={"tags": [" Due diligence ", "q3", "q3"]})
    assert answer.json()["tags"] == ["Due diligence", "q3"]
    assert names(listed, tag="q3") == names(listed, q="diligence due") == ["c.txt"]
    assert names(listed, tag="q") == []
    listed.client.put(path, json={"tags": []})
    assert names(listed, tag="q3") == names(listed, q="diligence") == []


@pytest.mark.parametrize("tags", [["x" * 41], ["a\nb"], [" "], ["x"] * 21, None])
def test_bad_tags_are_refused(ingest: IngestService, tags: list[str] | None) -> None:
    document = ingest.upload_new(b"first one", "a.txt")
    answer = ingest.client.put(f"/v1/documents/{document}/tags", json={"tags": tags})
    assert answer.status_code == 422


def test_a_document_is_assigned_to_a_known_person(listed: IngestService) -> None:
    document = id_of(listed, "c.txt")
    path = f"/v1/documents/{document}/assignee"
    assert listed.client.put(path, json={"assignee": "nobody known"}).status_code == 422
    assert listed.client.put(path, json={"assignee": "tester"}).json()["assignee"] == "tester"
    assert names(listed, assignee="me") == names(listed, assignee="tester") == ["c.txt"]
    listed.client.post(f"/v1/documents/{document}/cancel")
    listed.client.post(f"/v1/documents/{document}/reprocess")
    assert names(listed, assignee="me") == ["c.txt"]
    listed.client.put(path, json={"assignee": None})
    assert names(listed, assignee="me") == []


def test_an_assignment_is_announced(ingest: IngestService) -> None:
    document = ingest.upload_new(b"first one", "a.txt")
    for assignee in ("tester", None):
        ingest.client.put(f"/v1/documents/{document}/assignee", json={"assignee": assignee})
    events = ingest.published(DocumentAssigned)
    assert [(one.document_id, one.actor, one.assignee) for one in events] == [
        (document, "tester", "tester"),
        (document, "tester", None),
    ]


def test_a_repair_announces_the_assignee_again(ingest: IngestService) -> None:
    document = ingest.read_new(b"first one", "a.txt")
    ingest.client.put(f"/v1/documents/{document}/assignee", json={"assignee": "tester"})
    ingest.published(DocumentAssigned)
    repairer = Repairer(ingest.service.store, ingest.service.blobs)
    for repair in (repairer.announce, repairer.read_again):
        assert repair("default", document)
        assert [one.assignee for one in ingest.published(DocumentAssigned)] == ["tester"]


def test_a_change_needs_the_state_that_the_client_saw(ingest: IngestService) -> None:
    document = ingest.read_new(b"first one", "a.txt")
    seen = ingest.state(document)["etag"]
    path, headers = f"/v1/documents/{document}", {"if-match": seen}
    first = ingest.client.put(f"{path}/tags", json={"tags": ["a"]}, headers=headers)
    late = ingest.client.put(f"{path}/assignee", json={"assignee": "tester"}, headers=headers)
    assert (first.status_code, late.status_code) == (200, 412)


def test_another_tenant_cannot_tag_or_assign(ingest: IngestService) -> None:
    document = ingest.upload_new(b"first one", "a.txt")
    other = ingest.client_for("rivals")
    for part, body in (("tags", {"tags": ["a"]}), ("assignee", {"assignee": None})):
        assert other.put(f"/v1/documents/{document}/{part}", json=body).status_code == 404


def test_tags_and_assignees_are_in_the_audit_trail(ingest: IngestService) -> None:
    document = ingest.upload_new(b"first one", "a.txt")
    ingest.client.put(f"/v1/documents/{document}/tags", json={"tags": ["a"]})
    ingest.client.put(f"/v1/documents/{document}/assignee", json={"assignee": "tester"})
    with ingest.service.store.read() as session:
        lines = list(chain.lines(session, subject=document))
    made = [(line["action"], line["details"]) for line in lines[-2:]]
    assert made == [
        ("document.tags", {"tags": ["a"]}),
        ("document.assign", {"assignee": "tester"}),
    ]


def test_a_deletion_removes_tags_and_words(ingest: IngestService) -> None:
    document = ingest.upload_new(b"first one", "secret.txt")
    ingest.client.put(f"/v1/documents/{document}/tags", json={"tags": ["secret"]})
    ingest.delete(document)
    assert b"secret" not in (ingest.folder / "ingest.db").read_bytes()
