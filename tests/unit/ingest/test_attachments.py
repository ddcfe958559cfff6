"""Parts of mails and archives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text as sql

from services.ingest.commands import delete
from services.ingest.handlers import read_document
from services.ingest.store import Documents
from shared.blobs import BlobStore
from shared.documents import Attachment, Limits
from shared.events import BlobRef, DocumentDeleted, DocumentIngested, DocumentRead
from shared.messaging import UnitOfWork
from tests.support.killed import Killed, KilledAfterCommit, KilledAfterPut
from tests.support.queue import dead_letters
from tests.unit.documents.archives import archive, sharing
from tests.unit.documents.mails import attached, mail, nested, text, whole
from tests.unit.ingest.builders import (
    SENTENCE,
    IngestService,
    InProcessReader,
    NewIngest,
    Parts,
    actor,
    clauses_extracted,
    document_failed,
    findings_found,
    pdf,
)

LIMITS = Limits()
LEASE, REPORT = pdf(SENTENCE), b'{"id": "1", "statements": []}'
MAIL = whole([text(), attached(LEASE), attached(REPORT, "report.json", "application/json")])
IMAGE = attached(b"GIF89a\r\n", "scan.gif", "image/gif")


def parts_of(ingest: IngestService, document: str) -> dict[str, str | None]:
    return {part["name"]: part["id"] for part in ingest.state(document)["parts"]}


def listed(ingest: IngestService, **filters: Any) -> set[str]:
    return set(ingest.ids(**filters))


def ingested(ingest: IngestService) -> DocumentIngested:
    [event] = ingest.published(DocumentIngested)
    return event


def test_a_mail_with_two_attachments_is_three_documents(any_ingest: IngestService) -> None:
    document = any_ingest.read_new(MAIL, "lease.eml")
    parts = parts_of(any_ingest, document)
    assert list(parts) == ["lease.pdf", "report.json"]
    lease, report = str(parts["lease.pdf"]), str(parts["report.json"])
    assert listed(any_ingest) == {document, lease, report}
    assert listed(any_ingest, parent=document) == {lease, report}
    any_ingest.publish(
        clauses_extracted(document), clauses_extracted(lease), findings_found(report)
    )
    for one, kind, name in (
        (document, "contract", "lease.eml"),
        (lease, "contract", "lease.pdf"),
        (report, "report", "report.json"),
    ):
        state = any_ingest.state(one)
        assert (state["outcome"], state["kind"], state["name"]) == ("complete", kind, name)
        inside = one != document
        assert state["parent"] == (document if inside else None)
        assert state["parents"] == ([{"id": document, "name": "lease.eml"}] if inside else [])
    assert any_ingest.client.get(f"/v1/documents/{lease}/original").content == LEASE
    shown = any_ingest.client.get(f"/v1/documents/{document}/text").text
    assert shown.startswith("From: Ann <ann@example.com>\n")
    assert shown.endswith("\n\nSee what is attached.\n")
    published = {event.document_id: event for event in any_ingest.published(DocumentIngested)}
    assert {one: getattr(event, "parent", "") for one, event in published.items()} == {
        document: None,
        lease: document,
        report: document,
    }


def test_a_refused_part_makes_the_mail_partial(any_ingest: IngestService) -> None:
    document = any_ingest.complete_new(whole([text(), IMAGE, attached(LEASE)]), "m.eml")
    state = any_ingest.state(document)
    assert state["outcome"] == "partial"
    [reason] = state["reasons"]
    assert reason.startswith("part scan.gif: unsupported_type: this is a GIF image")
    lease, scan = state["parts"]
    assert (lease["name"], lease["code"], scan["id"], scan["code"]) == (
        "lease.pdf",
        None,
        None,
        "unsupported_type",
    )


def test_the_same_bytes_are_one_document_in_any_mail(any_ingest: IngestService) -> None:
    lease = any_ingest.upload_new(LEASE, "mine.pdf")
    one = any_ingest.read_new(whole([text(), attached(LEASE), attached(LEASE, "copy.pdf")]))
    two = any_ingest.read_new(whole([text("Again.\n"), attached(LEASE, "again.pdf")]))
    assert parts_of(any_ingest, one) == {"lease.pdf": lease, "copy.pdf": lease}
    assert parts_of(any_ingest, two) == {"again.pdf": lease}
    assert listed(any_ingest) == {lease, one, two}
    state = any_ingest.state(lease)
    assert (state["name"], state["parent"]) == ("mine.pdf", one)
    assert [parent["id"] for parent in state["parents"]] == [one, two]
    assert [event.document_id for event in any_ingest.published(DocumentRead)].count(lease) == 1


def test_nested_mails_are_documents_with_parts(ingest: IngestService) -> None:
    inner = whole([text(), attached(LEASE)], boundary="inner")
    document = ingest.read_new(whole([text(), nested(inner)]), "outer.eml")
    [(name, inside)] = parts_of(ingest, document).items()
    assert name == "The lease.eml"
    [(name, lease)] = parts_of(ingest, str(inside)).items()
    assert name == "lease.pdf"
    assert ingest.state(str(lease))["state"] == "processing"
    assert ingest.upload(inner, "inner.eml").json()["id"] == inside


def test_a_mail_of_kind_report_ends_with_its_parts(ingest: IngestService) -> None:
    csv = b"Balance Sheet,2023-12-31\nTotal assets,1\nDebt,2\n"
    document = ingest.read_new(whole([text(), attached(csv, "b.csv")]), "m.eml", kind="report")
    state = ingest.state(document)
    assert (state["outcome"], state["reasons"], state["pages"]) == ("complete", [], 1)
    [part] = [ingest.state(one) for one in listed(ingest, parent=document)]
    assert (part["kind"], part["kind_source"]) == ("report", "uploader")
    published = [event for event in ingest.published(DocumentRead) if event.document_id == document]
    assert [getattr(event, "kind", "") for event in published] == ["other"]
    alone = ingest.read_new(mail("Nothing attached."), "n.eml", kind="report")
    assert ingest.state(alone)["outcome"] == "failed"
    assert ingest.state(alone)["reasons"][0].startswith("no_parts: ")


def test_a_mail_does_not_withdraw_the_results_of_its_parts(any_ingest: IngestService) -> None:
    words = b"This Agreement is governed by the laws of Delaware. " * 5
    lease = any_ingest.read_new(words, "lease.txt")
    any_ingest.publish(clauses_extracted(lease))
    mail_with_it = whole([text(), attached(words, "lease.txt")])
    any_ingest.read_new(mail_with_it, "m.eml", kind="report")
    state = any_ingest.state(lease)
    assert (state["outcome"], state["kind"], state["attempt"]) == ("complete", "contract", 1)


def test_a_mail_of_kind_other_is_not_unpacked(ingest: IngestService) -> None:
    document = ingest.read_new(MAIL, "m.eml", kind="other")
    state = ingest.state(document)
    assert (state["outcome"], state["parts"]) == ("rejected", [])
    assert ingest.upload(MAIL, "m.eml", kind="contract").status_code == 202
    ingest.run()
    kinds = {ingest.state(one)["kind"] for one in listed(ingest, parent=document)}
    assert kinds == {"contract"}


def test_tenants_share_no_parts(any_ingest: IngestService) -> None:
    acme = any_ingest.client_for("acme")
    mine = any_ingest.upload_new(LEASE)
    theirs = any_ingest.upload(MAIL, "m.eml", client=acme).json()["id"]
    any_ingest.run()
    assert any_ingest.state(mine)["parents"] == []
    assert acme.get("/v1/documents").json()["items"][0]["id"] != mine
    assert listed(any_ingest, parent=theirs) == set()
    assert len(acme.get("/v1/documents", params={"parent": theirs}).json()["items"]) == 2
    assert any_ingest.client.get("/v1/documents", params={"parent": "../x"}).status_code == 422


# Archives


def test_an_archive_ends_once_its_parts_are_documents(any_ingest: IngestService) -> None:
    data = archive({"leases/a.pdf": LEASE, "reports/r.json": REPORT})
    document = any_ingest.upload_new(data, "all.zip")
    assert any_ingest.state(document)["kind"] == "other"
    any_ingest.run()
    state = any_ingest.state(document)
    assert (state["state"], state["outcome"], state["reasons"]) == ("ended", "complete", [])
    assert (state["media_type"], state["pages"]) == ("application/zip", 0)
    parts = parts_of(any_ingest, document)
    assert list(parts) == ["leases/a.pdf", "reports/r.json"]
    lease, report = (any_ingest.state(str(one)) for one in parts.values())
    assert (lease["name"], lease["kind"], lease["state"]) == ("a.pdf", "contract", "processing")
    assert (report["name"], report["kind"], report["state"]) == ("r.json", "report", "processing")
    read = {event.document_id for event in any_ingest.published(DocumentRead)}
    assert read == set(parts.values())
    answer = any_ingest.client.get(f"/v1/documents/{document}/text")
    assert answer.status_code == 409
    assert "parts" in answer.json()["detail"]


def test_refused_parts_make_an_archive_partial_or_failed(any_ingest: IngestService) -> None:
    some = any_ingest.upload_new(archive({"a.pdf": LEASE, "e.txt": b""}), "some.zip")
    none = any_ingest.upload_new(archive({"p.gif": b"GIF89a", "e.txt": b""}), "none.zip")
    bomb = any_ingest.read_new(sharing(), "bomb.zip")
    state = any_ingest.state(some)
    assert (state["outcome"], state["reasons"]) == (
        "partial",
        ["part e.txt: empty_document: it has no bytes"],
    )
    state = any_ingest.state(none)
    assert state["outcome"] == "failed"
    assert [reason.split(": ")[:2] for reason in state["reasons"]] == [
        ["part p.gif", "unsupported_type"],
        ["part e.txt", "empty_document"],
    ]
    state = any_ingest.state(bomb)
    assert state["outcome"] == "failed"
    assert "share their bytes" in state["reasons"][0]
    assert dead_letters(any_ingest.service) == []


def test_parts_inherit_the_kind_of_an_archive(ingest: IngestService) -> None:
    data = archive({"m.eml": whole([text(), attached(b'{"id": "2", "statements": []}', "r.json")])})
    document = ingest.upload_new(data, "all.zip", kind="report")
    remaining = ingest.read_new(archive({"a.pdf": LEASE}), "left.zip", kind="other")
    [mail] = listed(ingest, parent=document)
    [report] = listed(ingest, parent=mail)
    assert (ingest.state(report)["kind"], ingest.state(mail)["outcome"]) == ("report", "complete")
    assert (ingest.state(remaining)["outcome"], ingest.state(remaining)["parts"]) == (
        "rejected",
        [],
    )
    assert ingest.upload(archive({"a.pdf": LEASE}), kind="contract").json()["state"] == "received"
    ingest.run()
    assert ingest.state(remaining)["outcome"] == "complete"


class SelfContainingReader(InProcessReader):
    def __init__(self, one: bytes, two: bytes) -> None:
        super().__init__()
        self.pair = (one, two)

    def unpack(self, data: bytes, *, name: str = "", depth: int = 0) -> Parts:
        one, two = self.pair
        yield Attachment("itself.zip", "application/zip", data)
        yield Attachment("other.zip", "application/zip", two if data == one else one)


def test_archives_that_contain_themselves_end(tmp_path: Path) -> None:
    one, two = archive({"a.txt": b"one"}), archive({"a.txt": b"two"})
    ingest = IngestService(tmp_path, SelfContainingReader(one, two))
    document = ingest.read_new(one, "one.zip")
    assert len(listed(ingest)) == 2
    itself, other = ingest.state(document)["parts"][::-1]
    assert (itself["code"], other["code"]) == ("contains_itself", None)
    assert ingest.state(document)["outcome"] == "partial"
    inner = ingest.state(other["id"])
    assert inner["outcome"] == "failed"
    assert [part["code"] for part in inner["parts"]] == ["contains_itself"] * 2
    ingest.client.delete(f"/v1/documents/{document}")
    assert listed(ingest) == set()
    ingest.close()


# Killed, late, twice


class KilledAtPut:
    """Blobs whose process dies before it stores so many."""

    def __init__(self, blobs: BlobStore, puts: int) -> None:
        self._blobs, self._puts = blobs, puts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)

    def put(self, tenant: str, data: bytes) -> BlobRef:
        if not self._puts:
            raise Killed
        self._puts -= 1
        return self._blobs.put(tenant, data)


def try_and_die(ingest: IngestService, event: DocumentIngested, puts: int | None) -> None:
    store, blobs = ingest.service.store, ingest.service.blobs
    uow: UnitOfWork = UnitOfWork(store, event) if puts is not None else KilledAfterPut(store, event)
    dying: Any = blobs if puts is None else KilledAtPut(blobs, puts)
    with pytest.raises(Killed):
        read_document(event, uow, dying, InProcessReader(), LIMITS)


@pytest.mark.parametrize("puts", [0, 1, 2, 3, None])
def test_a_worker_killed_between_parts_creates_each_part_once(
    any_ingest: IngestService, puts: int | None
) -> None:
    document = any_ingest.upload_new(MAIL, "m.eml")
    event = ingested(any_ingest)
    try_and_die(any_ingest, event, puts)
    assert listed(any_ingest) == {document}
    assert any_ingest.state(document)["parts"] == []
    any_ingest.run()
    parts = parts_of(any_ingest, document)
    assert listed(any_ingest) == {document, *map(str, parts.values())}
    assert len(any_ingest.published(DocumentRead)) == 3
    assert len(any_ingest.blob_names()) == 3 + 6 - 1  # the text of the report is its very bytes


@pytest.mark.parametrize("puts", [0, 1, 2, 3, None])
def test_parts_stored_by_a_killed_worker_are_deleted_with_the_mail(
    any_ingest: IngestService, puts: int | None
) -> None:
    document = any_ingest.upload_new(MAIL, "m.eml")
    try_and_die(any_ingest, ingested(any_ingest), puts)
    any_ingest.delete(document)
    assert any_ingest.blob_names() == set()
    assert listed(any_ingest) == set()


def test_a_repeated_event_creates_no_part_twice(ingest: IngestService) -> None:
    document = ingest.upload_new(MAIL, "m.eml")
    event = ingested(ingest)
    with pytest.raises(Killed):
        read_document(
            event,
            KilledAfterCommit(ingest.service.store),
            ingest.service.blobs,
            InProcessReader(),
            LIMITS,
        )
    parts = parts_of(ingest, document)
    ingest.run()
    assert parts_of(ingest, document) == parts
    assert len(listed(ingest)) == 3


def with_hook(hook: Callable[[], object]) -> Callable[[Parts], Parts]:
    """Call a hook after the first part."""

    def unpacked(parts: Parts) -> Parts:
        yield next(parts)
        hook()
        yield from parts

    return unpacked


def test_a_mail_deleted_while_it_is_unpacked_leaves_nothing(
    new_ingest: NewIngest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.ingest.attachments.AT_ONCE", 1)
    reader = InProcessReader()
    ingest = new_ingest(reader)
    document = ingest.upload_new(MAIL, "m.eml")
    reader.parts = with_hook(lambda: delete(ingest.service.store, actor(), document))
    ingest.run()
    assert (ingest.blob_names(), listed(ingest)) == (set(), set())


def test_a_part_uploaded_while_its_mail_is_unpacked_is_one_document(tmp_path: Path) -> None:
    reader = InProcessReader()
    ingest = IngestService(tmp_path, reader)
    document = ingest.upload_new(MAIL, "m.eml")
    reader.parts = with_hook(lambda: ingest.upload(LEASE))
    ingest.run()
    assert len(listed(ingest)) == 3
    [lease] = [one for name, one in parts_of(ingest, document).items() if name == "lease.pdf"]
    assert ingest.upload(LEASE).json()["id"] == lease
    ingest.close()


# Deletion


def test_deleting_a_mail_deletes_its_parts(any_ingest: IngestService) -> None:
    inner = whole([text(), attached(LEASE)], boundary="inner")
    document = any_ingest.read_new(whole([text(), nested(inner), attached(REPORT, "r.json")]))
    every = listed(any_ingest)
    assert len(every) == 4
    assert any_ingest.client.delete(f"/v1/documents/{document}").status_code == 204
    assert listed(any_ingest) == set()
    any_ingest.run()
    assert any_ingest.blob_names() == set()
    assert {event.document_id for event in any_ingest.published(DocumentDeleted)} == every
    with any_ingest.service.store.read() as session:
        assert session.execute(sql("SELECT count(*) FROM links")).scalar_one() == 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_separately_uploaded_part_stays(any_ingest: IngestService, when: str) -> None:
    if when == "before":
        any_ingest.upload_new(LEASE)
    document = any_ingest.read_new(MAIL, "m.eml")
    lease = str(parts_of(any_ingest, document)["lease.pdf"])
    if when == "after":
        assert any_ingest.upload(LEASE).status_code == 200
    any_ingest.delete(document)
    assert listed(any_ingest) == {lease}
    assert any_ingest.state(lease)["parent"] is None
    assert any_ingest.client.get(f"/v1/documents/{lease}/text").text.strip() == SENTENCE


def test_a_part_of_two_mails_is_deleted_with_the_last(any_ingest: IngestService) -> None:
    one = any_ingest.upload_new(MAIL, "one.eml")
    two = any_ingest.read_new(whole([text("Again.\n"), attached(LEASE)]), "two.eml")
    lease = str(parts_of(any_ingest, two)["lease.pdf"])
    any_ingest.delete(one)
    assert listed(any_ingest) == {two, lease}
    assert any_ingest.state(lease)["parent"] == two
    any_ingest.delete(two)
    assert (listed(any_ingest), any_ingest.blob_names()) == (set(), set())


def test_a_part_twice_in_one_mail_is_deleted_with_it(any_ingest: IngestService) -> None:
    inner = whole([text(), attached(LEASE)], boundary="inner")
    document = any_ingest.read_new(whole([text(), attached(LEASE), nested(inner)]), "m.eml")
    assert len(listed(any_ingest)) == 3
    any_ingest.delete(document)
    assert (listed(any_ingest), any_ingest.blob_names()) == (set(), set())


def test_a_part_can_be_deleted_separately(any_ingest: IngestService) -> None:
    document = any_ingest.read_new(MAIL, "m.eml")
    any_ingest.delete(str(parts_of(any_ingest, document)["lease.pdf"]))
    lease, report = any_ingest.state(document)["parts"]
    assert (lease["name"], lease["id"], lease["code"]) == ("lease.pdf", None, "deleted")
    assert report["id"]
    assert listed(any_ingest, parent=document) == {report["id"]}


# Again


def test_reprocessing_a_mail_restarts_only_failed_parts(any_ingest: IngestService) -> None:
    document = any_ingest.read_new(MAIL, "m.eml")
    parts = parts_of(any_ingest, document)
    lease, report = str(parts["lease.pdf"]), str(parts["report.json"])
    any_ingest.publish(clauses_extracted(document), findings_found(report), document_failed(lease))
    assert any_ingest.client.post(f"/v1/documents/{document}/reprocess").status_code == 202
    any_ingest.run()
    attempts = [any_ingest.state(one)["attempt"] for one in (document, lease, report)]
    assert attempts == [2, 2, 1]
    assert parts_of(any_ingest, document) == parts
    assert any_ingest.state(lease)["kind_source"] == "type"


def test_a_mail_with_too_many_parts_fails(new_ingest: NewIngest) -> None:
    ingest = new_ingest()
    many = whole([attached(b"%d\n" % n, f"{n}.txt") for n in range(1_001)])
    document = ingest.read_new(many, "many.eml")
    state = ingest.state(document)
    assert (state["outcome"], state["parts"]) == ("failed", [])
    assert "1,001 attachments: the limit is 1,000" in state["reasons"][0]
    assert (listed(ingest), len(ingest.blob_names())) == ({document}, 1)


def test_a_thousand_parts_are_a_thousand_documents(ingest: IngestService) -> None:
    data = whole([attached(b"text %d\n" % n, f"{n}.txt") for n in range(1_000)])
    document = ingest.upload_new(data, "many.eml")
    ingest.worker.run_once()
    ingest.relay.run_once()
    ingest.worker.run_once()
    parts = parts_of(ingest, document)
    assert list(parts) == [f"{n}.txt" for n in range(1_000)]
    assert len(set(parts.values())) == 1_000
    seen = ingest.every("/v1/documents", parent=document, limit=200)
    assert {item["id"] for item in seen} == set(parts.values())
    with ingest.service.store.read() as session:
        assert len(Documents(session, "default").deleted_with(document)) == 1_001


def test_the_limit_of_parts_counts_all_depths(new_ingest: NewIngest) -> None:
    ingest = new_ingest(ingest_max_parts=3)
    inner = whole([attached(b"%d\n" % n, f"{n}.txt") for n in range(3)], boundary="inner")
    document = ingest.read_new(whole([text(), nested(inner), attached(LEASE)]), "m.eml")
    parts = parts_of(ingest, document)
    assert len(listed(ingest)) == 4
    inside = ingest.state(str(parts["The lease.eml"]))
    assert [part["code"] for part in inside["parts"]] == [
        None,
        "document_too_large",
        "document_too_large",
    ]
    assert "SMALLPRINT_INGEST_MAX_PARTS" in inside["reasons"][0]
