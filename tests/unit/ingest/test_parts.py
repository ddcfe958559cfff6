"""Mails and archives: their parts are documents, none lost, none twice, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from sqlalchemy import text as sql

from services.ingest.commands import delete
from services.ingest.handlers import read_document
from services.ingest.store import Documents
from shared.documents import Limits, Part, RefusedPart
from shared.events import BlobRef, DocumentDeleted, DocumentIngested, DocumentRead
from shared.storage import BlobStore, UnitOfWork
from tests.killed import Killed, KilledAfterCommit, KilledAfterPut
from tests.unit.documents.archives import archive, layers, sharing
from tests.unit.documents.mails import attached, mail, nested, text, whole
from tests.unit.ingest.house import (
    SENTENCE,
    House,
    InProcessReader,
    actor,
    extracted,
    found,
    gave_up,
    pdf,
)

LIMITS = Limits()
LEASE, REPORT = pdf(SENTENCE), b'{"id": "1", "statements": []}'
MAIL = whole([text(), attached(LEASE), attached(REPORT, "report.json", "application/json")])
IMAGE = attached(b"GIF89a\r\n", "scan.gif", "image/gif")


def parts_of(house: House, document: str) -> dict[str, str | None]:
    """What lies in a document: names and ids."""
    return {part["name"]: part["id"] for part in house.state(document)["parts"]}


def listed(house: House, **filters: Any) -> set[str]:
    """The ids of all documents that the filters leave."""
    answer = house.client.get("/v1/documents", params={"limit": 200, **filters})
    assert answer.status_code == 200, answer.text
    return {item["id"] for item in answer.json()["items"]}


def ingested(house: House) -> DocumentIngested:
    """The one event that began the work so far."""
    [event] = house.said(DocumentIngested)
    assert isinstance(event, DocumentIngested)
    return event


def test_a_mail_with_two_attachments_is_three_documents(any_house: House) -> None:
    """Each ends by itself, and each says what it lies in or what lies in it."""
    document = any_house.accepted(MAIL, "lease.eml")
    any_house.work()
    parts = parts_of(any_house, document)
    assert list(parts) == ["lease.pdf", "report.json"]
    lease, report = str(parts["lease.pdf"]), str(parts["report.json"])
    assert listed(any_house) == {document, lease, report}
    assert listed(any_house, parent=document) == {lease, report}
    any_house.say(extracted(document), extracted(lease), found(report))
    for one, kind, name in (
        (document, "contract", "lease.eml"),
        (lease, "contract", "lease.pdf"),
        (report, "report", "report.json"),
    ):
        state = any_house.state(one)
        assert (state["outcome"], state["kind"], state["name"]) == ("complete", kind, name)
        inside = one != document
        assert state["parent"] == (document if inside else None)
        assert state["parents"] == ([{"id": document, "name": "lease.eml"}] if inside else [])
    assert any_house.client.get(f"/v1/documents/{lease}/original").content == LEASE
    shown = any_house.client.get(f"/v1/documents/{document}/text").text
    assert shown.startswith("From: Ann <ann@example.com>\n")
    assert shown.endswith("\n\nSee what is attached.\n")
    said = {event.document_id: event for event in any_house.said(DocumentIngested)}
    assert {one: getattr(event, "parent", "") for one, event in said.items()} == {
        document: None,
        lease: document,
        report: document,
    }


def test_what_is_refused_makes_the_mail_partial(any_house: House) -> None:
    """The reason names the part, and the others are documents all the same."""
    document = any_house.accepted(whole([text(), IMAGE, attached(LEASE)]), "m.eml")
    any_house.work()
    any_house.say(extracted(document))
    state = any_house.state(document)
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


def test_the_same_bytes_are_one_document_wherever_they_lie(any_house: House) -> None:
    """What is there already is linked: uploaded before, in another mail, twice in this one."""
    lease = any_house.accepted(LEASE, "mine.pdf")
    one = any_house.accepted(whole([text(), attached(LEASE), attached(LEASE, "copy.pdf")]))
    any_house.work()
    two = any_house.accepted(whole([text("Again.\n"), attached(LEASE, "again.pdf")]))
    any_house.work()
    assert parts_of(any_house, one) == {"lease.pdf": lease, "copy.pdf": lease}
    assert parts_of(any_house, two) == {"again.pdf": lease}
    assert listed(any_house) == {lease, one, two}
    state = any_house.state(lease)
    assert (state["name"], state["parent"]) == ("mine.pdf", one)
    assert [parent["id"] for parent in state["parents"]] == [one, two]
    assert [event.document_id for event in any_house.said(DocumentRead)].count(lease) == 1


def test_mails_in_mails_are_opened_one_by_one(house: House) -> None:
    """Each mail is a document with its own parts, and the innermost file is found."""
    inner = whole([text(), attached(LEASE)], boundary="inner")
    document = house.accepted(whole([text(), nested(inner)]), "outer.eml")
    house.work()
    [(name, inside)] = parts_of(house, document).items()
    assert name == "The lease.eml"
    [(name, lease)] = parts_of(house, str(inside)).items()
    assert name == "lease.pdf"
    assert house.state(str(lease))["state"] == "processing"
    assert house.upload(inner, "inner.eml").json()["id"] == inside


def test_a_mail_said_to_hold_reports_ends_with_them(house: House) -> None:
    """The uploader's word is about what is attached: nobody looks for sums in a letter."""
    csv = b"Balance Sheet,2023-12-31\nTotal assets,1\nDebt,2\n"
    document = house.accepted(whole([text(), attached(csv, "b.csv")]), "m.eml", kind="report")
    house.work()
    state = house.state(document)
    assert (state["outcome"], state["reasons"], state["pages"]) == ("complete", [], 1)
    [part] = [house.state(one) for one in listed(house, parent=document)]
    assert (part["kind"], part["kind_source"]) == ("report", "uploader")
    said = [event for event in house.said(DocumentRead) if event.document_id == document]
    assert [getattr(event, "kind", "") for event in said] == ["other"]
    alone = house.accepted(mail("Nothing attached."), "n.eml", kind="report")
    house.work()
    assert house.state(alone)["outcome"] == "failed"
    assert house.state(alone)["reasons"][0].startswith("no_parts: ")


def test_a_mail_that_is_not_to_be_worked_on_is_not_opened(house: House) -> None:
    """The word `other` rejects it with all that it holds; another word opens it later."""
    document = house.accepted(MAIL, "m.eml", kind="other")
    house.work()
    state = house.state(document)
    assert (state["outcome"], state["parts"]) == ("rejected", [])
    assert house.upload(MAIL, "m.eml", kind="contract").status_code == 202
    house.work()
    kinds = {house.state(one)["kind"] for one in listed(house, parent=document)}
    assert kinds == {"contract"}


def test_tenants_share_nothing(any_house: House) -> None:
    """The same attachment of another tenant is another document, and nobody sees a link."""
    acme = any_house.client_of("acme")
    mine = any_house.accepted(LEASE)
    theirs = any_house.upload(MAIL, "m.eml", client=acme).json()["id"]
    any_house.work()
    assert any_house.state(mine)["parents"] == []
    assert acme.get("/v1/documents").json()["items"][0]["id"] != mine
    assert listed(any_house, parent=theirs) == set()
    assert len(acme.get("/v1/documents", params={"parent": theirs}).json()["items"]) == 2
    assert any_house.client.get("/v1/documents", params={"parent": "../x"}).status_code == 422


# Archives


def test_an_archive_ends_with_its_files(any_house: House) -> None:
    """Complete once all are documents; no text, no page, nobody works on it."""
    data = archive({"leases/a.pdf": LEASE, "reports/r.json": REPORT})
    document = any_house.accepted(data, "all.zip")
    assert any_house.state(document)["kind"] == "other"
    any_house.work()
    state = any_house.state(document)
    assert (state["state"], state["outcome"], state["reasons"]) == ("ended", "complete", [])
    assert (state["media_type"], state["pages"]) == ("application/zip", 0)
    parts = parts_of(any_house, document)
    assert list(parts) == ["leases/a.pdf", "reports/r.json"]
    lease, report = (any_house.state(str(one)) for one in parts.values())
    assert (lease["name"], lease["kind"], lease["state"]) == ("a.pdf", "contract", "processing")
    assert (report["name"], report["kind"], report["state"]) == ("r.json", "report", "processing")
    read = {event.document_id for event in any_house.said(DocumentRead)}
    assert read == set(parts.values())
    answer = any_house.client.get(f"/v1/documents/{document}/text")
    assert answer.status_code == 409
    assert "parts" in answer.json()["detail"]


def test_an_archive_is_partial_or_failed_by_what_was_refused(any_house: House) -> None:
    """It names every file that became no document; failed if none did."""
    some = any_house.accepted(archive({"a.pdf": LEASE, "e.txt": b""}), "some.zip")
    none = any_house.accepted(archive({"p.gif": b"GIF89a", "e.txt": b""}), "none.zip")
    bomb = any_house.accepted(sharing(), "bomb.zip")
    any_house.work()
    state = any_house.state(some)
    assert (state["outcome"], state["reasons"]) == (
        "partial",
        ["part e.txt: empty_document: it has no bytes"],
    )
    state = any_house.state(none)
    assert state["outcome"] == "failed"
    assert [reason.split(": ")[:2] for reason in state["reasons"]] == [
        ["part p.gif", "unsupported_type"],
        ["part e.txt", "empty_document"],
    ]
    state = any_house.state(bomb)
    assert state["outcome"] == "failed"
    assert "share their bytes" in state["reasons"][0]
    assert any_house.service.bus.dead_letters() == []


def test_what_is_said_of_an_archive_is_said_of_its_files(house: House) -> None:
    """The word goes down through mails and archives; `other` leaves all of it alone."""
    data = archive({"m.eml": whole([text(), attached(b'{"id": "2", "statements": []}', "r.json")])})
    document = house.accepted(data, "all.zip", kind="report")
    left = house.accepted(archive({"a.pdf": LEASE}), "left.zip", kind="other")
    house.work()
    [mail] = listed(house, parent=document)
    [report] = listed(house, parent=mail)
    assert (house.state(report)["kind"], house.state(mail)["outcome"]) == ("report", "complete")
    assert (house.state(left)["outcome"], house.state(left)["parts"]) == ("rejected", [])
    assert house.upload(archive({"a.pdf": LEASE}), kind="contract").json()["state"] == "received"
    house.work()
    assert house.state(left)["outcome"] == "complete"


def test_layers_of_archives_bring_so_much_and_no_more(tmp_path: Path) -> None:
    """As 42.zip is made: sixteen in each of sixteen, and so on; what is refused says why."""
    house = House(tmp_path, ingest_max_parts=40)
    document = house.accepted(layers(3, 16, b"text "), "42.zip")
    house.work()
    every = listed(house)
    assert len(every) == 41
    assert all(house.state(one)["state"] == "ended" for one in listed(house, kind="other"))
    refused = [
        part["code"] for one in every for part in house.state(one)["parts"] if part["id"] is None
    ]
    assert set(refused) == {"document_too_large"}
    house.client.delete(f"/v1/documents/{document}")
    house.work()
    assert (listed(house), house.blobs()) == (set(), set())
    house.close()


class Quine(InProcessReader):
    """A reader of archives that hold one another, as can be made: each of these is in the other."""

    def __init__(self, one: bytes, two: bytes) -> None:
        self.pair = (one, two)

    def unpack(
        self, data: bytes, *, name: str = "", depth: int = 0
    ) -> Iterator[Part | RefusedPart]:
        """See DocumentReader."""
        one, two = self.pair
        yield Part("itself.zip", "application/zip", data)
        yield Part("other.zip", "application/zip", two if data == one else one)


def test_archives_that_hold_themselves_end(tmp_path: Path) -> None:
    """At once or over another one: each is one document, and the circle is refused by name."""
    one, two = archive({"a.txt": b"one"}), archive({"a.txt": b"two"})
    house = House(tmp_path, Quine(one, two))
    document = house.accepted(one, "one.zip")
    house.work()
    assert len(listed(house)) == 2
    itself, other = house.state(document)["parts"][::-1]
    assert (itself["code"], other["code"]) == ("contains_itself", None)
    assert house.state(document)["outcome"] == "partial"
    inner = house.state(other["id"])
    assert inner["outcome"] == "failed"
    assert [part["code"] for part in inner["parts"]] == ["contains_itself"] * 2
    house.client.delete(f"/v1/documents/{document}")
    assert listed(house) == set()
    house.close()


# Killed, late, twice


class KilledAtPut:
    """Blobs whose process dies before it stores so many."""

    def __init__(self, blobs: BlobStore, left: int) -> None:
        self._blobs, self._left = blobs, left

    def put(self, tenant: str, data: bytes) -> BlobRef:
        """See BlobStore."""
        if not self._left:
            raise Killed
        self._left -= 1
        return self._blobs.put(tenant, data)

    def put_stream(self, tenant: str, stream: BinaryIO) -> BlobRef:
        """See BlobStore."""
        return self._blobs.put_stream(tenant, stream)

    def get(self, tenant: str, ref: BlobRef) -> bytes:
        """See BlobStore."""
        return self._blobs.get(tenant, ref)

    def open(self, tenant: str, ref: BlobRef) -> BinaryIO:
        """See BlobStore."""
        return self._blobs.open(tenant, ref)

    def delete(self, tenant: str, ref: BlobRef) -> None:
        """See BlobStore."""
        self._blobs.delete(tenant, ref)

    def delete_older(self, tenant: str, ref: BlobRef, before: datetime) -> bool:
        """See BlobStore."""
        return self._blobs.delete_older(tenant, ref, before)

    def listed(self) -> Iterator[tuple[str, BlobRef]]:
        """See BlobStore."""
        return self._blobs.listed()

    def aged(self) -> Iterator[tuple[str, BlobRef, float]]:
        """See BlobStore."""
        return self._blobs.aged()

    def sweep(self, older: timedelta) -> int:
        """See BlobStore."""
        return self._blobs.sweep(older)

    def holding(self) -> AbstractContextManager[None]:
        """See BlobStore."""
        return self._blobs.holding()

    def held(self) -> Iterator[tuple[str, BlobRef]]:
        """See BlobStore."""
        return self._blobs.held()

    def open_held(self, tenant: str, ref: BlobRef) -> BinaryIO:
        """See BlobStore."""
        return self._blobs.open_held(tenant, ref)


def try_and_die(house: House, event: DocumentIngested, puts: int | None) -> None:
    """Work on a mail and be killed before a put, or else before the commit."""
    store, blobs = house.service.store, house.service.blobs
    uow: UnitOfWork = UnitOfWork(store, event) if puts is not None else KilledAfterPut(store, event)
    dying: BlobStore = blobs if puts is None else KilledAtPut(blobs, puts)
    with pytest.raises(Killed):
        read_document(event, uow, dying, InProcessReader(), LIMITS)


@pytest.mark.parametrize("puts", [0, 1, 2, 3, None])
def test_a_worker_killed_between_parts_loses_none_and_makes_none_twice(
    any_house: House, puts: int | None
) -> None:
    """Wherever it dies there is no part at all before everything is there; the next try has all."""
    document = any_house.accepted(MAIL, "m.eml")
    event = ingested(any_house)
    try_and_die(any_house, event, puts)
    assert listed(any_house) == {document}
    assert any_house.state(document)["parts"] == []
    any_house.work()
    parts = parts_of(any_house, document)
    assert listed(any_house) == {document, *map(str, parts.values())}
    assert len(any_house.said(DocumentRead)) == 3
    assert len(any_house.blobs()) == 3 + 6 - 1  # the text of the report is its very bytes


@pytest.mark.parametrize("puts", [0, 1, 2, 3, None])
def test_a_worker_killed_between_parts_leaves_nothing_behind_a_deletion(
    any_house: House, puts: int | None
) -> None:
    """Bytes of parts that nobody has accepted go with their mail."""
    document = any_house.accepted(MAIL, "m.eml")
    try_and_die(any_house, ingested(any_house), puts)
    assert any_house.client.delete(f"/v1/documents/{document}").status_code == 204
    any_house.work()
    assert any_house.blobs() == set()
    assert listed(any_house) == set()


def test_a_worker_killed_after_the_commit_does_nothing_again(house: House) -> None:
    """The event comes again, and every part is there once."""
    document = house.accepted(MAIL, "m.eml")
    event = ingested(house)
    with pytest.raises(Killed):
        read_document(
            event,
            KilledAfterCommit(house.service.store),
            house.service.blobs,
            InProcessReader(),
            LIMITS,
        )
    parts = parts_of(house, document)
    house.work()
    assert parts_of(house, document) == parts
    assert len(listed(house)) == 3


class Between(InProcessReader):
    """A reader after whose first part something happens."""

    def __init__(self, happens: Any = None) -> None:
        self.happens = happens

    def unpack(
        self, data: bytes, *, name: str = "", depth: int = 0
    ) -> Iterator[Part | RefusedPart]:
        """See DocumentReader."""
        for part in super().unpack(data, name=name, depth=depth):
            yield part
            happens, self.happens = self.happens, None
            if happens:
                happens()


def test_a_mail_deleted_while_it_is_unpacked_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither documents nor bytes, also where some are stored already."""
    monkeypatch.setattr("services.ingest.unpacking.AT_ONCE", 1)
    reader = Between()
    house = House(tmp_path, reader)
    document = house.accepted(MAIL, "m.eml")
    reader.happens = lambda: delete(house.service.store, actor(), document)
    house.work()
    assert (house.blobs(), listed(house)) == (set(), set())
    house.close()


def test_a_part_uploaded_while_its_mail_is_unpacked_is_one_document(tmp_path: Path) -> None:
    """Whoever comes first makes it, and the other finds it."""
    reader = Between()
    house = House(tmp_path, reader)
    document = house.accepted(MAIL, "m.eml")
    reader.happens = lambda: house.accepted(LEASE)
    house.work()
    assert len(listed(house)) == 3
    [lease] = [one for name, one in parts_of(house, document).items() if name == "lease.pdf"]
    assert house.upload(LEASE).json()["id"] == lease
    house.close()


# Deletion


def test_a_mail_takes_its_parts_along(any_house: House) -> None:
    """However deep they lie; every service is told of each."""
    inner = whole([text(), attached(LEASE)], boundary="inner")
    document = any_house.accepted(whole([text(), nested(inner), attached(REPORT, "r.json")]))
    any_house.work()
    every = listed(any_house)
    assert len(every) == 4
    assert any_house.client.delete(f"/v1/documents/{document}").status_code == 204
    assert listed(any_house) == set()
    any_house.work()
    assert any_house.blobs() == set()
    assert {event.document_id for event in any_house.said(DocumentDeleted)} == every
    with any_house.service.store.read() as session:
        assert session.execute(sql("SELECT count(*) FROM links")).scalar_one() == 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_was_uploaded_by_itself_stays(any_house: House, when: str) -> None:
    """Its uploader has not deleted it, whatever mail it lay in as well."""
    if when == "before":
        any_house.accepted(LEASE)
    document = any_house.accepted(MAIL, "m.eml")
    any_house.work()
    lease = str(parts_of(any_house, document)["lease.pdf"])
    if when == "after":
        assert any_house.upload(LEASE).status_code == 200
    any_house.client.delete(f"/v1/documents/{document}")
    any_house.work()
    assert listed(any_house) == {lease}
    assert any_house.state(lease)["parent"] is None
    assert any_house.client.get(f"/v1/documents/{lease}/text").text.strip() == SENTENCE


def test_what_lies_in_another_mail_stays_until_that_goes(any_house: House) -> None:
    """The last mail takes it along."""
    one = any_house.accepted(MAIL, "one.eml")
    two = any_house.accepted(whole([text("Again.\n"), attached(LEASE)]), "two.eml")
    any_house.work()
    lease = str(parts_of(any_house, two)["lease.pdf"])
    any_house.client.delete(f"/v1/documents/{one}")
    any_house.work()
    assert listed(any_house) == {two, lease}
    assert any_house.state(lease)["parent"] == two
    any_house.client.delete(f"/v1/documents/{two}")
    any_house.work()
    assert (listed(any_house), any_house.blobs()) == (set(), set())


def test_what_lies_twice_in_one_mail_goes_with_it(any_house: House) -> None:
    """At two depths: both of what it lies in go, so it goes."""
    inner = whole([text(), attached(LEASE)], boundary="inner")
    document = any_house.accepted(whole([text(), attached(LEASE), nested(inner)]), "m.eml")
    any_house.work()
    assert len(listed(any_house)) == 3
    any_house.client.delete(f"/v1/documents/{document}")
    any_house.work()
    assert (listed(any_house), any_house.blobs()) == (set(), set())


def test_a_part_can_be_deleted_alone(any_house: House) -> None:
    """Its mail says that it was, and stays as it is."""
    document = any_house.accepted(MAIL, "m.eml")
    any_house.work()
    any_house.client.delete(f"/v1/documents/{parts_of(any_house, document)['lease.pdf']}")
    any_house.work()
    lease, report = any_house.state(document)["parts"]
    assert (lease["name"], lease["id"], lease["code"]) == ("lease.pdf", None, "deleted")
    assert report["id"]
    assert listed(any_house, parent=document) == {report["id"]}


# Again


def test_a_mail_worked_on_again_begins_only_what_failed(any_house: House) -> None:
    """As with an upload of the same bytes: a failed part is tried again, a good one is not."""
    document = any_house.accepted(MAIL, "m.eml")
    any_house.work()
    parts = parts_of(any_house, document)
    lease, report = str(parts["lease.pdf"]), str(parts["report.json"])
    any_house.say(extracted(document), found(report), gave_up(lease))
    assert any_house.client.post(f"/v1/documents/{document}/reprocess").status_code == 202
    any_house.work()
    attempts = [any_house.state(one)["attempt"] for one in (document, lease, report)]
    assert attempts == [2, 2, 1]
    assert parts_of(any_house, document) == parts
    assert any_house.state(lease)["kind_source"] == "type"


def test_a_part_that_another_version_does_not_find_stays(tmp_path: Path) -> None:
    """Reading a mail differently deletes nothing: what lay in it stays linked to it."""

    class Forgetful(InProcessReader):
        forgets = False

        def unpack(
            self, data: bytes, *, name: str = "", depth: int = 0
        ) -> Iterator[Part | RefusedPart]:
            found = super().unpack(data, name=name, depth=depth)
            return (one for one in found if not self.forgets or one.name != "lease.pdf")

    reader = Forgetful()
    house = House(tmp_path, reader)
    document = house.accepted(MAIL, "m.eml")
    house.work()
    house.say(extracted(document))
    reader.forgets = True
    house.client.post(f"/v1/documents/{document}/reprocess")
    house.work()
    assert list(parts_of(house, document)) == ["report.json", "lease.pdf"]
    house.client.delete(f"/v1/documents/{document}")
    house.work()
    assert (house.blobs(), listed(house)) == (set(), set())
    house.close()


def test_a_mail_that_can_not_be_unpacked_fails_and_leaves_nothing(tmp_path: Path) -> None:
    """Too many parts: the reason says how many there may be."""
    house = House(tmp_path)
    many = whole([attached(b"%d\n" % n, f"{n}.txt") for n in range(1_001)])
    document = house.accepted(many, "many.eml")
    house.work()
    state = house.state(document)
    assert (state["outcome"], state["parts"]) == ("failed", [])
    assert "1,001 attachments: at most 1,000" in state["reasons"][0]
    assert (listed(house), len(house.blobs())) == ({document}, 1)
    house.close()


def test_a_thousand_parts_are_a_thousand_documents(house: House) -> None:
    """As many as are allowed, each linked and listed, page by page."""
    data = whole([attached(b"text %d\n" % n, f"{n}.txt") for n in range(1_000)])
    document = house.accepted(data, "many.eml")
    house.worker.run_once()
    house.relay.run_once()
    house.worker.run_once()
    parts = parts_of(house, document)
    assert list(parts) == [f"{n}.txt" for n in range(1_000)]
    assert len(set(parts.values())) == 1_000
    seen: set[str] = set()
    cursor = None
    while True:
        filters: dict[str, Any] = {"parent": document, "limit": 200, "cursor": cursor or None}
        known = {name: value for name, value in filters.items() if value is not None}
        page = house.client.get("/v1/documents", params=known).json()
        seen |= {item["id"] for item in page["items"]}
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == set(parts.values())
    with house.service.store.read() as session:
        assert len(Documents(session, "default").goes_with(document)) == 1_001


def test_one_upload_brings_so_much_and_no_more(tmp_path: Path) -> None:
    """Counted over all depths, so that mails in mails don't multiply; the rest is refused."""
    house = House(tmp_path, ingest_max_parts=3)
    inner = whole([attached(b"%d\n" % n, f"{n}.txt") for n in range(3)], boundary="inner")
    document = house.accepted(whole([text(), nested(inner), attached(LEASE)]), "m.eml")
    house.work()
    parts = parts_of(house, document)
    assert len(listed(house)) == 4
    inside = house.state(str(parts["The lease.eml"]))
    assert [part["code"] for part in inside["parts"]] == [
        None,
        "document_too_large",
        "document_too_large",
    ]
    assert "SMALLPRINT_INGEST_MAX_PARTS" in inside["reasons"][0]
    house.close()


def test_what_is_uploaded_by_itself_has_its_own_depth(tmp_path: Path) -> None:
    """A mail that lay too deep is opened once somebody sends it alone and asks again."""
    reader = InProcessReader()
    reader.limits = Limits(max_depth=2)
    house = House(tmp_path, reader, ingest_max_depth=2)
    deepest = whole([text(), attached(LEASE)], boundary="c")
    middle = whole([text(), nested(deepest)], boundary="b")
    house.accepted(whole([text(), attached(REPORT), attached(middle, "b.txt")]), "a.eml")
    house.work()
    answer = house.upload(middle, "b.eml").json()
    assert [part["code"] for part in answer["parts"]] == ["nested_too_deep"]
    house.say(extracted(answer["id"]))
    house.client.post(f"/v1/documents/{answer['id']}/reprocess")
    house.work()
    [part] = house.state(answer["id"])["parts"]
    assert (part["name"], part["code"]) == ("The lease.eml", None)
    house.close()


def test_documents_of_before_were_uploaded_by_themselves(any_house: House) -> None:
    """The migration keeps them, and a mail that is uploaded later does not take them along."""
    store = any_house.service.store
    lease = any_house.accepted(LEASE)
    store.migrate("0003")
    store.migrate()
    document = any_house.accepted(MAIL, "m.eml")
    any_house.work()
    assert parts_of(any_house, document)["lease.pdf"] == lease
    any_house.client.delete(f"/v1/documents/{document}")
    any_house.work()
    assert listed(any_house) == {lease}
