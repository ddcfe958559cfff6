"""From events to state: reading, projection, deletion, and what comes late, twice or between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from services.ingest.commands import delete, reprocess
from services.ingest.handlers import note_progress, read_document
from services.ingest.store import Documents
from shared import metrics
from shared.bus import Message
from shared.documents import Early, Limits, Reading
from shared.errors import UnreadableDocument
from shared.events import DocumentFailed, DocumentIngested, DocumentRead
from shared.storage import UnitOfWork
from shared.storage.deletion import is_deleted
from tests.killed import Killed, KilledAfterPut
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
TEXT = "Das Übereinkommen gilt für 1 € …\r\nSecond line\n".encode()


class Between(InProcessReader):
    """A reader during whose work something else happens, once."""

    def __init__(self) -> None:
        self.happens: Callable[[], object] | None = None

    def read(
        self,
        data: bytes,
        *,
        name: str = "",
        password: str | None = None,
        early: Early | None = None,
    ) -> Reading:
        """See DocumentReader."""
        reading = super().read(data, name=name, password=password, early=early)
        happens, self.happens = self.happens, None
        if happens:
            happens()
        return reading


def ended(outcome: str, kind: str) -> float:
    """How often documents have ended so."""
    return float(metrics.documents_total.labels(outcome, kind)._value.get())


def test_the_whole_road_of_a_contract(any_house: House) -> None:
    """Received, read, processing and complete, with the text stored exactly."""
    before = ended("complete", "contract")
    document = any_house.accepted(pdf(SENTENCE, "Second page."))
    any_house.relay.run_once()
    any_house.worker.run_until_idle()
    assert any_house.state(document)["state"] == "read"
    any_house.work()
    state = any_house.state(document)
    assert (state["state"], state["pages"], state["failed_pages"]) == ("processing", 2, [])
    any_house.say(extracted(document))
    state = any_house.state(document)
    assert (state["state"], state["outcome"], state["reasons"]) == ("ended", "complete", [])
    assert state["ended"]
    assert ended("complete", "contract") == before + 1


def test_what_is_announced_is_what_is_stored(any_house: House) -> None:
    """The event names the text and its layout, and they belong together."""
    document = any_house.accepted(TEXT, "a.txt")
    any_house.work()
    [event] = any_house.said(DocumentRead)
    assert isinstance(event, DocumentRead)
    blobs = any_house.service.blobs
    text = blobs.get("default", event.text)
    assert text == TEXT
    reading = Reading.from_bytes(blobs.get("default", event.layout), text.decode())
    assert (reading.page_count, event.pages, event.failed_pages) == (1, 1, ())
    assert (event.name, event.kind, event.document_id) == ("a.txt", "contract", document)
    assert any_house.client.get(f"/v1/documents/{document}/text").content == TEXT


def test_a_report_waits_for_triage(house: House) -> None:
    """What extraction says about a report is not its end."""
    document = house.accepted(b'{"id": "1", "statements": []}', "a.json")
    house.work()
    house.say(extracted(document))
    assert house.state(document)["state"] == "processing"
    house.say(found(document))
    assert house.state(document)["outcome"] == "complete"


@pytest.mark.usefixtures("no_engine")
def test_failed_pages_are_in_the_ledger(any_house: House) -> None:
    """Pages in are pages read and pages failed with a reason; the document ends as partial."""
    document = any_house.accepted(pdf(SENTENCE, "", SENTENCE))
    any_house.work()
    any_house.say(extracted(document))
    state = any_house.state(document)
    assert (state["outcome"], state["pages"]) == ("partial", 3)
    [page] = state["failed_pages"]
    assert (page["page"], page["code"]) == (2, "no_text_layer")
    assert state["reasons"] == [f"page 2: no_text_layer: {page['reason']}"]
    [event] = any_house.said(DocumentRead)
    assert isinstance(event, DocumentRead)
    assert event.failed_pages == (2,)


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("data", [pdf(""), b"%PDF-1.7\nnothing of the kind", pdf()[:300]])
def test_what_can_not_be_read_fails_with_a_reason(any_house: House, data: bytes) -> None:
    """An unreadable document is an expected end that everybody hears, not a dead letter."""
    before = ended("failed", "contract")
    document = any_house.accepted(data)
    any_house.work()
    state = any_house.state(document)
    assert (state["state"], state["outcome"]) == ("ended", "failed")
    code, _, sentence = state["reasons"][0].partition(": ")
    assert code in ("no_text_layer", "unreadable_document", "empty_document")
    assert len(sentence) > 10
    [event] = any_house.said(DocumentFailed)
    assert isinstance(event, DocumentFailed)
    assert (event.stage, event.code, event.document_id) == ("ingest", code, document)
    assert any_house.service.bus.dead_letters() == []
    assert ended("failed", "contract") == before + 1
    answer = any_house.client.get(f"/v1/documents/{document}/text")
    assert answer.status_code == 409
    assert code in answer.json()["detail"]


def test_an_event_that_comes_twice_is_handled_once(house: House) -> None:
    """The same message again on the bus changes nothing and says nothing."""
    document = house.accepted(pdf())
    [ingested] = house.said(DocumentIngested)
    house.work()
    done = extracted(document)
    house.say(done)
    state = house.state(document)
    count = len(house.said(DocumentRead))
    assert count == 1
    for event in (ingested, done):
        house.service.bus.publish(Message(key=event.key, value=event.to_json("ingest")))
    house.work()
    assert house.state(document) == state
    assert house.said(DocumentRead) == []


def test_news_of_an_old_attempt_changes_nothing(any_house: House) -> None:
    """After reprocessing only the new attempt counts."""
    document = any_house.accepted(pdf())
    any_house.work()
    any_house.say(extracted(document))
    answer = any_house.client.post(f"/v1/documents/{document}/reprocess")
    assert answer.status_code == 202
    assert (answer.json()["state"], answer.json()["attempt"]) == ("received", 2)
    any_house.say(gave_up(document, attempt=1), extracted(document, attempt=1))
    state = any_house.state(document)
    assert (state["state"], state["outcome"]) == ("processing", None)
    any_house.say(extracted(document, attempt=2))
    assert any_house.state(document)["outcome"] == "complete"


def test_a_late_success_supersedes_a_failure(any_house: House) -> None:
    """A replayed dead letter makes the document complete after all."""
    document = any_house.accepted(pdf())
    any_house.work()
    any_house.say(gave_up(document, code="out_of_memory"))
    failed = any_house.state(document)
    assert (failed["outcome"], failed["reasons"]) == ("failed", ["out_of_memory: it broke"])
    any_house.say(extracted(document))
    state = any_house.state(document)
    assert (state["outcome"], state["reasons"]) == ("complete", [])
    any_house.say(gave_up(document))
    now = any_house.state(document)
    assert now == {**state, "updated": now["updated"], "etag": now["etag"]}


def test_reprocessing_waits_for_the_end(house: House) -> None:
    """A document in work or rejected can't be begun anew, and the answer says why."""
    document = house.accepted(pdf())
    assert house.client.post(f"/v1/documents/{document}/reprocess").status_code == 409
    poem = house.accepted(TEXT, "poem.txt", kind="other")
    answer = house.client.post(f"/v1/documents/{poem}/reprocess")
    assert answer.status_code == 409
    assert "kind" in answer.json()["detail"]


def test_a_reader_that_breaks_is_tried_again(tmp_path: Path) -> None:
    """A defect ends, after some tries, as a failure and a dead letter; the replay succeeds."""

    class Broken(InProcessReader):
        broken = True

        def read(
            self,
            data: bytes,
            *,
            name: str = "",
            password: str | None = None,
            early: Early | None = None,
        ) -> Reading:
            if self.broken:
                raise ZeroDivisionError("a defect of ours")
            return super().read(data, name=name, password=password, early=early)

    reader = Broken()
    house = House(tmp_path, reader, attempts=2, retry_delay=0.01)
    document = house.accepted(pdf())
    for _ in range(50):
        house.work()
        if house.state(document)["state"] == "ended":
            break
        house.worker.run_once(0.05)
    state = house.state(document)
    assert state["outcome"] == "failed"
    assert "internal error in ingest" in state["reasons"][0]
    assert "ZeroDivisionError" not in str(state)
    [letter] = house.service.bus.dead_letters("ingest")
    reader.broken = False
    house.service.bus.replay(letter.id)
    house.work()
    assert house.state(document)["pages"] == 1
    house.say(extracted(document))
    assert house.state(document)["outcome"] == "complete"
    house.close()


def test_a_deletion_removes_everything_but_the_tombstone(any_house: House) -> None:
    """Bytes, text, layout, page images and name are gone; the id stays, with who and when."""
    document = any_house.accepted(pdf(), "Very Private.pdf")
    any_house.work()
    assert any_house.client.get(f"/v1/documents/{document}/pages/1.png").status_code == 200
    assert len(any_house.blobs()) == 4
    assert any_house.client.delete(f"/v1/documents/{document}").status_code == 204
    for path in ("", "/text", "/original", "/pages/1.png"):
        assert any_house.client.get(f"/v1/documents/{document}{path}").status_code == 404
    assert any_house.client.delete(f"/v1/documents/{document}").status_code == 404
    assert any_house.client.get("/v1/documents").json()["items"] == []
    any_house.work()
    assert any_house.blobs() == set()
    any_house.say(extracted(document), gave_up(document))
    assert any_house.client.get(f"/v1/documents/{document}").status_code == 404
    again = any_house.upload(pdf())
    assert again.status_code == 202
    assert again.json()["id"] != document


def test_a_blob_that_another_document_uses_stays(any_house: House) -> None:
    """Two documents of the same text share it; deleting one leaves the other whole."""
    one, two = pdf(), pdf() + b"\n% the same text in other bytes\n"
    first, second = any_house.accepted(one), any_house.accepted(two)
    any_house.work()
    assert len(any_house.blobs()) == 4  # two originals, one text, one layout
    any_house.client.delete(f"/v1/documents/{first}")
    any_house.work()
    assert len(any_house.blobs()) == 3
    assert any_house.client.get(f"/v1/documents/{second}/text").text.strip() == SENTENCE
    any_house.client.delete(f"/v1/documents/{second}")
    any_house.work()
    assert any_house.blobs() == set()


def test_the_blobs_of_another_tenant_stay(any_house: House) -> None:
    """The same bytes of another tenant are its own."""
    acme = any_house.client_of("acme")
    mine = any_house.accepted(pdf())
    theirs = any_house.upload(pdf(), client=acme).json()["id"]
    any_house.work()
    any_house.client.delete(f"/v1/documents/{mine}")
    any_house.work()
    assert any_house.blobs() == set()
    assert acme.get(f"/v1/documents/{theirs}/text").text.strip() == SENTENCE


def test_a_document_deleted_while_it_is_read_leaves_nothing(tmp_path: Path) -> None:
    """The text that was just made of it goes as well, and nobody is told to work on it."""
    reader = Between()
    house = House(tmp_path, reader)
    document = house.accepted(pdf())
    reader.happens = lambda: delete(house.service.store, actor(), document)
    house.work()
    assert house.blobs() == set()
    assert house.said(DocumentRead) == []
    house.close()


def test_a_document_begun_anew_while_it_is_read_is_read_anew(tmp_path: Path) -> None:
    """What the old attempt read does not count; the new attempt ends properly."""
    reader = Between()
    house = House(tmp_path, reader)
    document = house.accepted(pdf())

    def fail_and_begin_again() -> None:
        note_progress(gave_up(document, "ingest"), UnitOfWork(house.service.store))
        reprocess(house.service.app.state.resumables.intake, actor(), document)

    reader.happens = fail_and_begin_again
    house.work()
    state = house.state(document)
    assert (state["attempt"], state["state"], state["pages"]) == (2, "processing", 1)
    [event] = house.said(DocumentRead)
    assert isinstance(event, DocumentRead)
    assert event.attempt == 2
    house.close()


def test_a_new_text_replaces_the_old_one(tmp_path: Path) -> None:
    """When a better reader finds another text, the old one does not stay behind."""

    class Better(InProcessReader):
        extra = ""

        def read(
            self,
            data: bytes,
            *,
            name: str = "",
            password: str | None = None,
            early: Early | None = None,
        ) -> Reading:
            if self.extra == "fail":
                raise UnreadableDocument("not any more")
            return super().read(
                data + self.extra.encode(), name=name, password=password, early=early
            )

    reader = Better()
    house = House(tmp_path, reader)
    document = house.accepted(b"one", "a.txt")
    house.work()
    house.say(extracted(document))
    assert len(house.blobs()) == 2  # the text of a text file is its very bytes
    reader.extra = " and two"
    house.client.post(f"/v1/documents/{document}/reprocess")
    house.work()
    assert house.client.get(f"/v1/documents/{document}/text").text == "one and two"
    assert len(house.blobs()) == 3
    house.say(extracted(document, attempt=2))
    reader.extra = "fail"
    house.client.post(f"/v1/documents/{document}/reprocess")
    house.work()
    assert house.state(document)["reasons"] == ["unreadable_document: not any more"]
    assert len(house.blobs()) == 1
    house.close()


def test_events_about_unknown_documents_are_passed_over(house: House) -> None:
    """What is said about a document that was never here, or of another tenant, changes nothing."""
    mine = house.accepted(pdf())
    house.work()
    house.say(extracted("doc_unknown"), extracted(mine, tenant="acme"))
    assert house.state(mine)["state"] == "processing"
    assert house.service.bus.dead_letters() == []


def test_a_rejected_document_is_not_read(house: House) -> None:
    """An event that was sent before the word `other` does not make anybody read it."""
    document = house.accepted(TEXT, "poem.txt", kind="other")
    [event] = house.said(DocumentIngested)
    assert isinstance(event, DocumentIngested)
    read_document(event, UnitOfWork(house.service.store), house.service.blobs, Refusing(), LIMITS)
    assert house.state(document)["pages"] is None


class Refusing(InProcessReader):
    """A reader that must not be asked."""

    def read(
        self,
        data: bytes,
        *,
        name: str = "",
        password: str | None = None,
        early: Early | None = None,
    ) -> Reading:
        """See DocumentReader."""
        raise AssertionError("nobody should read this")


def test_a_reader_that_was_killed_leaves_nothing_behind_a_deletion(any_house: House) -> None:
    """Text and layout that were written, but never announced, go with the document."""
    document = any_house.accepted(pdf())
    [event] = any_house.said(DocumentIngested)
    assert isinstance(event, DocumentIngested)
    store, blobs = any_house.service.store, any_house.service.blobs
    with pytest.raises(Killed):
        read_document(event, KilledAfterPut(store, event), blobs, InProcessReader(), LIMITS)
    assert len(any_house.blobs()) == 3
    any_house.client.delete(f"/v1/documents/{document}")
    any_house.work()
    assert any_house.blobs() == set()


def test_a_text_that_is_noted_but_not_written_is_not_read_yet(house: House) -> None:
    """Between the note and the bytes the answer is that of a document that waits."""
    document = house.accepted(pdf())
    [event] = house.said(DocumentIngested)
    assert isinstance(event, DocumentIngested)
    with pytest.raises(Killed):
        read_document(
            event,
            KilledAfterPut(house.service.store, event),
            house.service.blobs,
            InProcessReader(),
            LIMITS,
        )
    with house.service.store.read() as session:
        kept = Documents(session, "default").get(document)
    assert kept is not None
    assert kept.text is not None
    house.service.blobs.delete("default", kept.text)
    answer = house.client.get(f"/v1/documents/{document}/text")
    assert answer.status_code == 409
    assert "not read yet" in answer.json()["detail"]


def test_other_services_can_see_that_a_document_is_deleted(house: House) -> None:
    """Before its blobs go, a mark is left where those who still work on it look."""
    document = house.accepted(pdf())
    house.work()
    assert not is_deleted(house.service.blobs, "default", document)
    house.client.delete(f"/v1/documents/{document}")
    house.work()
    assert is_deleted(house.service.blobs, "default", document)


def test_a_report_with_unreadable_filings_ends_partial(any_house: House) -> None:
    """What triage could not read is kept as the document's reason."""
    document = any_house.accepted(b'{"id": 1}\ntorn\n', "f.jsonl")
    any_house.work()
    any_house.say(found(document, unreadable=1))
    state = any_house.state(document)
    assert (state["kind"], state["outcome"]) == ("report", "partial")
    assert state["reasons"][0].startswith("unreadable_filings: 1 filing of the report")
