"""Retention rules and tombstones."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from services.ingest.domain import now_utc
from services.ingest.retention.commands import DAY, STALE, Cleanup, RetentionJob
from services.ingest.store import documents
from shared.events import DocumentDeleted
from tests.unit.documents.mails import attached, text, whole
from tests.unit.ingest.builders import IngestService, clauses_extracted, findings_found


def stored(ingest: IngestService, *rules: tuple[str | None, int], client: Any = None) -> None:
    body = {"items": [{"kind": kind, "days": days} for kind, days in rules]}
    answer = (client or ingest.client).put("/v1/retention", json=body)
    assert answer.status_code == 200, answer.text


def set_age(ingest: IngestService, document: str, days: float) -> None:
    then = now_utc() - timedelta(days=days)
    with ingest.service.store.write() as session:
        session.execute(update(documents).where(documents.c.id == document).values(created=then))


def ended(ingest: IngestService, words: str, kind: str = "contract", days: float = 0) -> str:
    document = ingest.read_new(words.encode(), "a.txt", kind=kind)
    if kind != "other":
        ingest.publish(
            clauses_extracted(document) if kind == "contract" else findings_found(document)
        )
    set_age(ingest, document, days)
    return document


def there(ingest: IngestService, document: str) -> bool:
    return bool(ingest.client.get(f"/v1/documents/{document}").status_code == 200)


def keeper(ingest: IngestService) -> RetentionJob:
    return RetentionJob(ingest.service.store)


def test_documents_expire_by_the_rule_of_their_kind(any_ingest: IngestService) -> None:
    old_contract = ended(any_ingest, "old contract", days=31)
    young_contract = ended(any_ingest, "young contract", days=29)
    report = ended(any_ingest, "a report", "report", days=31)
    other = ended(any_ingest, "something else", "other", days=8)
    assert keeper(any_ingest).run_once() == 0, "without rules nothing is deleted"
    stored(any_ingest, ("contract", 30), (None, 7), ("report", 365))
    assert keeper(any_ingest).run_once() == 2
    gone = [
        one for one in (old_contract, young_contract, report, other) if not there(any_ingest, one)
    ]
    assert gone == [old_contract, other]
    assert keeper(any_ingest).run_once() == 0
    listed = any_ingest.client.get("/v1/retention").json()
    assert listed == {
        "items": [
            {"kind": None, "days": 7},
            {"kind": "contract", "days": 30},
            {"kind": "report", "days": 365},
        ],
        "next": None,
    }
    stored(any_ingest)
    assert any_ingest.client.get("/v1/retention").json()["items"] == []


def test_the_tombstone_says_who_and_when(any_ingest: IngestService) -> None:
    before = now_utc()
    by_hand, by_rule = ended(any_ingest, "one"), ended(any_ingest, "two", days=2)
    assert any_ingest.client.get(f"/v1/deletions/{by_hand}").status_code == 404
    any_ingest.client.delete(f"/v1/documents/{by_hand}")
    stored(any_ingest, (None, 1))
    keeper(any_ingest).run_once()
    stone = any_ingest.client.get(f"/v1/deletions/{by_hand}").json()
    assert stone["removed"] is None
    assert stone["deleted_by"] == "tester"
    assert before <= datetime.fromisoformat(stone["deleted"]) <= now_utc()
    any_ingest.run()
    listed = any_ingest.client.get("/v1/deletions").json()
    assert [(s["id"], s["deleted_by"]) for s in listed["items"]] == [
        (by_rule, "retention"),
        (by_hand, "tester"),
    ]
    assert all(stone["removed"] for stone in listed["items"])
    first = any_ingest.client.get("/v1/deletions?limit=1").json()
    rest = any_ingest.client.get(f"/v1/deletions?limit=1&cursor={first['next']}").json()
    assert [s["id"] for s in first["items"] + rest["items"]] == [by_rule, by_hand]
    assert rest["next"] is None
    assert any_ingest.blob_names() == set()
    reported = {event.document_id: event.actor for event in any_ingest.published(DocumentDeleted)}
    assert reported == {by_hand: "tester", by_rule: "retention"}


def test_rules_and_tombstones_are_separate_for_each_tenant(any_ingest: IngestService) -> None:
    mine = ended(any_ingest, "mine", days=100)
    acme = any_ingest.client_for("acme")
    stored(any_ingest, (None, 1), client=acme)
    assert keeper(any_ingest).run_once() == 0
    any_ingest.client.delete(f"/v1/documents/{mine}")
    assert acme.get("/v1/deletions").json()["items"] == []
    assert acme.get(f"/v1/deletions/{mine}").status_code == 404
    assert any_ingest.client.get("/v1/retention").json()["items"] == []


def test_a_document_in_work_does_not_expire(ingest: IngestService) -> None:
    document = ingest.read_new(b"a text that is still being worked on", "a.txt")
    set_age(ingest, document, 100)
    stored(ingest, (None, 1))
    assert keeper(ingest).run_once() == 0
    ingest.publish(clauses_extracted(document))
    assert keeper(ingest).run_once() == 1


def test_a_mail_stays_until_its_parts_expire(ingest: IngestService) -> None:
    table = b"Balance Sheet,2023-12-31\nTotal assets,1\n"
    data = whole([text(), attached(table, "report.csv", "text/csv")])
    letter = ingest.read_new(data, "letter.eml")
    [part] = ingest.client.get(f"/v1/documents?parent={letter}").json()["items"]
    assert part["kind"] == "report"
    ingest.publish(clauses_extracted(letter), findings_found(part["id"]))
    for document in (letter, part["id"]):
        set_age(ingest, document, 50)
    stored(ingest, ("contract", 10), ("report", 100))
    assert keeper(ingest).run_once() == 0
    stored(ingest, ("contract", 10), ("report", 40))
    assert keeper(ingest).run_once() == 1
    assert not there(ingest, letter)
    assert not there(ingest, part["id"])


@pytest.mark.parametrize(
    "items",
    [
        [{"kind": "contract", "days": 0}],
        [{"kind": "contract", "days": "30"}],
        [{"kind": "contract", "days": True}],
        [{"kind": "novel", "days": 30}],
        [{"days": 30}],
        [{"kind": None, "days": 30}, {"kind": None, "days": 40}],
    ],
)
def test_invalid_rules_are_refused(ingest: IngestService, items: list[dict[str, Any]]) -> None:
    assert ingest.client.put("/v1/retention", json={"items": items}).status_code == 422


def test_the_job_repeats_and_stops(ingest: IngestService) -> None:
    document = ended(ingest, "old", days=5)
    stored(ingest, (None, 1))
    stop = threading.Event()
    thread = threading.Thread(target=RetentionJob(ingest.service.store, 0.05).run, args=(stop,))
    thread.start()
    until = time.monotonic() + 30
    while there(ingest, document) and time.monotonic() < until:
        time.sleep(0.05)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    assert not there(ingest, document)


def test_incomplete_blobs_are_removed_every_day(ingest: IngestService) -> None:
    made = [make(None) for make in ingest.service.jobs]
    [job] = [one for one in made if isinstance(one, Cleanup) and one.name == "partial-blobs"]
    assert (job.interval, DAY) == (86_400.0, STALE.total_seconds())
    job.interval = 0.01
    ingest.service.blobs.put("default", b"whole")
    folder = ingest.folder / "blobs" / "default" / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    thread = threading.Thread(target=job.run, args=(stop,))
    thread.start()
    try:
        for half in (folder / "first", folder / "second"):
            half.write_bytes(b"ha")
            end = time.monotonic() + 30
            while half.exists() and time.monotonic() < end:
                time.sleep(0.01)
            assert not half.exists()
    finally:
        stop.set()
        thread.join()
    assert len(list(ingest.service.blobs.listed())) == 1
