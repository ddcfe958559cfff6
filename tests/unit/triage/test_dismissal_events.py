"""Dismissals in the running service: remembered, taken back, and gone with their document."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import event as hooks
from sqlalchemy import text

from services.triage.checks.verdict import FLAGGED
from services.triage.handlers import note_decision
from shared.errors import Unavailable
from shared.events import DocumentDeleted, DocumentReclassified, FindingsFound, ReviewDecided
from shared.messaging import Inbox, UnitOfWork
from tests.support.killed import Killed
from tests.support.queue import begin
from tests.unit.triage.builders import Triage, decided
from tests.unit.triage.filings import wrong
from tests.unit.triage.test_dismissals import NEW, OLD, SOUND, balance

WORDS = "a lawful presentation of ours"


def dismissed(triage: Triage, document: str = "doc_1", note: str = WORDS) -> dict[str, Any]:
    triage.handle(triage.read(document, wrong(id=document)))
    item: dict[str, Any] = triage.findings(document)["items"][0]
    triage.decide(document, item["id"], "reject", note)
    return item


def folded(triage: Triage, document: str) -> None:
    triage.handle(triage.read(document, wrong(id=document)))
    body = triage.findings(document)
    (item,) = body["items"]
    assert item["dismissed"]["reason"] == WORDS
    assert not body["flagged"]
    assert body["risk"] < item["confidence"]


def counts_again(triage: Triage, document: str) -> None:
    """Assert that a report is flagged for it, in the answer and in the event."""
    body = triage.findings(document)
    (item,) = body["items"]
    assert (body["flagged"], body["risk"]) == (True, item["confidence"])
    assert item["dismissed"] is None
    event = [one for one in triage.announced(FindingsFound) if one.document_id == document][-1]
    assert (event.flagged, event.risk, event.count) == (True, body["risk"], 1)
    listed = json.loads(triage.service.blobs.get("default", event.findings))
    assert listed == body["items"]


def contents(triage: Triage) -> list[bytes]:
    folder = triage.service.settings.blobs
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


def kept_words(triage: Triage) -> bool:
    with triage.service.store.read() as session:
        rows = session.execute(text("SELECT body FROM findings")).scalars().all()
        reasons = session.execute(text("SELECT reason FROM dismissals")).scalars().all()
    blobs = contents(triage)
    return any(WORDS in one for one in (*rows, *reasons)) or any(WORDS.encode() in b for b in blobs)


def test_a_dismissal_is_remembered_until_it_is_undone(any_triage: Triage) -> None:
    triage = any_triage
    item = dismissed(triage)
    folded(triage, "doc_2")
    (*_, event) = triage.announced(FindingsFound)
    assert (event.flagged, event.count) == (False, 1)
    listed = json.loads(triage.service.blobs.get("default", event.findings))
    assert listed[0]["dismissed"] == {"document": "doc_1", "finding": item["id"]}

    triage.handle(triage.read("doc_3", wrong(id="other", company="Another Corp")))
    assert triage.findings("doc_3")["flagged"]
    triage.handle(triage.read("doc_4", wrong(1200, id="far")))
    assert all(one["dismissed"] is None for one in triage.findings("doc_4")["items"])

    triage.decide("doc_1", item["id"], "undo")
    counts_again(triage, "doc_2")
    assert not kept_words(triage)
    triage.handle(triage.read("doc_5", wrong(id="fifth")))
    assert triage.findings("doc_5")["flagged"]


def test_a_dismissed_figure_is_hidden_in_the_next_report(any_triage: Triage) -> None:
    triage = any_triage
    triage.handle(triage.read("doc_1", balance("20231231", OLD, SOUND)))
    (item,) = triage.findings("doc_1")["items"]
    triage.decide("doc_1", item["id"], "reject", WORDS)
    triage.handle(triage.read("doc_2", balance("20241231", NEW, OLD)))
    body = triage.findings("doc_2")
    words = {one["column"]: one["dismissed"] for one in body["items"]}
    assert body["flagged"]
    assert words[0] is None
    assert words[1]["reason"] == WORDS

    triage.decide("doc_1", item["id"], "undo")
    assert all(one["dismissed"] is None for one in triage.findings("doc_2")["items"])


def listed(triage: Triage) -> dict[str, tuple[int, int, int]]:
    items = triage.client.get("/v1/reports").json()["items"]
    return {i["document_id"]: (i["findings"], i["dismissed"], i["decided"]) for i in items}


def test_the_list_says_what_became_of_findings(any_triage: Triage) -> None:
    triage = any_triage
    item = dismissed(triage)
    triage.handle(triage.read("doc_2", wrong(id="next")))
    triage.handle(triage.read("doc_3", wrong(id="other", company="Another Corp")))
    assert listed(triage) == {"doc_1": (1, 0, 1), "doc_2": (0, 1, 0), "doc_3": (1, 0, 0)}
    (again,) = triage.findings("doc_3")["items"]
    for verdict, count in (("accept", 1), ("undo", 0), ("reject", 1), ("accept", 1)):
        triage.decide("doc_3", again["id"], verdict)
        assert listed(triage)["doc_3"] == (1, 0, count)
    triage.decide("doc_1", item["id"], "undo")
    assert listed(triage) == {"doc_1": (1, 0, 0), "doc_2": (1, 0, 0), "doc_3": (1, 0, 1)}


def test_what_was_decided_stays_so_while_the_report_is_one(triage: Triage) -> None:
    triage.handle(triage.read("doc_1", wrong()))
    (item,) = triage.findings("doc_1")["items"]
    triage.decide("doc_1", item["id"], "accept")
    triage.handle(triage.read("doc_1", wrong(), attempt=2))
    assert listed(triage)["doc_1"] == (1, 0, 1)
    triage.handle(DocumentReclassified(document_id="doc_1", previous="report", kind="contract"))
    triage.handle(triage.read("doc_1", wrong(), attempt=3))
    assert listed(triage)["doc_1"] == (1, 0, 0)
    triage.decide("doc_1", item["id"], "accept")
    triage.handle(DocumentDeleted(document_id="doc_1"))
    triage.decide("doc_1", item["id"], "accept")
    assert listed(triage) == {}
    with triage.service.store.read() as session:
        assert session.execute(text("SELECT count(*) FROM decided")).scalar() == 0


def test_a_reprocessed_report_hides_its_own_finding_until_that_is_undone(triage: Triage) -> None:
    item = dismissed(triage)
    triage.handle(triage.read("doc_1", wrong(id="doc_1"), attempt=2))
    assert not triage.findings("doc_1")["flagged"]
    triage.decide("doc_1", item["id"], "undo")
    counts_again(triage, "doc_1")


def test_a_dismissal_goes_with_its_document(any_triage: Triage) -> None:
    triage = any_triage
    dismissed(triage)
    folded(triage, "doc_2")
    assert kept_words(triage)
    triage.handle(DocumentDeleted(document_id="doc_1"))
    counts_again(triage, "doc_2")
    assert not kept_words(triage)
    triage.handle(DocumentDeleted(document_id="doc_2"))
    assert not [data for data in contents(triage) if b"fd_" in data]


def test_a_finding_that_another_dismissal_covers_stays_hidden(triage: Triage) -> None:
    item = dismissed(triage, note="the first word")
    triage.handle(triage.read("doc_0", wrong(id="doc_0")))
    (again,) = triage.findings("doc_0")["items"]
    triage.decide("doc_0", again["id"], "reject", WORDS)
    folded(triage, "doc_2")
    triage.decide("doc_0", again["id"], "undo")
    body = triage.findings("doc_2")
    assert (body["items"][0]["dismissed"]["reason"], body["flagged"]) == ("the first word", False)
    triage.decide("doc_1", item["id"], "undo")
    counts_again(triage, "doc_2")


def test_an_interrupted_withdrawal_is_repeated(
    triage: Triage, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = dismissed(triage)
    folded(triage, "doc_2")
    undone = decided(item, "undo", None, "doc_1")
    begin(triage.service.store, undone)
    uow = UnitOfWork(triage.service.store, undone)
    monkeypatch.setattr(uow, "publish", killed)
    with pytest.raises(Killed):
        note_decision(undone, uow, triage.service.blobs, FLAGGED)
    assert triage.findings("doc_2")["items"][0]["dismissed"] is None
    Inbox(triage.service.store).release()
    triage.handle(undone)
    counts_again(triage, "doc_2")


def killed(_event: object) -> None:
    raise Killed


def test_a_report_that_is_checked_meanwhile_is_checked_again(
    any_triage: Triage, monkeypatch: pytest.MonkeyPatch
) -> None:
    triage = any_triage
    item = dismissed(triage)
    reading = triage.read("doc_2", wrong(id="doc_2"))
    put, undone = triage.service.blobs.put, list[ReviewDecided]()

    def meanwhile(tenant: str, data: bytes) -> Any:
        if b"dismissed" in data and not undone:
            undone.append(decided(item, "undo", None, "doc_1"))
            begin(triage.service.store, undone[0])
            uow = UnitOfWork(triage.service.store, undone[0])
            note_decision(undone[0], uow, triage.service.blobs, FLAGGED)
        return put(tenant, data)

    monkeypatch.setattr(triage.service.blobs, "put", meanwhile)
    check = triage.service.handlers[type(reading)]
    begin(triage.service.store, reading)
    with pytest.raises(Unavailable, match="changed meanwhile"):
        check(reading, UnitOfWork(triage.service.store, reading))
    Inbox(triage.service.store).release()
    triage.handle(reading)
    counts_again(triage, "doc_2")


def test_dismissals_are_loaded_once_for_a_filer(triage: Triage) -> None:
    dismissed(triage)
    asked = []

    def counted(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append("FROM dismissals" in statement)

    hooks.listen(triage.service.store.engine, "before_cursor_execute", counted)
    triage.handle(triage.read("doc_2", *(wrong(id=f"f{n}") for n in range(20))))
    hooks.remove(triage.service.store.engine, "before_cursor_execute", counted)
    assert not triage.findings("doc_2")["flagged"]
    assert sum(asked) <= 3


@pytest.mark.parametrize(
    ("verdict", "note", "company"),
    [
        ("reject", None, "Acme"),
        ("reject", " ", "Acme"),
        ("accept", "so", "Acme"),
        ("reject", "so", None),
    ],
)
def test_without_a_reason_or_a_company_nothing_is_dismissed(
    triage: Triage, verdict: str, note: str | None, company: str | None
) -> None:
    triage.handle(triage.read("doc_1", wrong(company=company)))
    triage.decide("doc_1", triage.findings()["items"][0]["id"], verdict, note)
    triage.handle(triage.read("doc_2", wrong(company=company, id="next")))
    assert triage.findings("doc_2")["flagged"]
