"""Two reports of the same figures in other bytes: what is deleted with one is not the other's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text, update

from services.triage import handlers
from services.triage.domain import Report
from services.triage.results import write_line
from services.triage.store import holdings, reports
from shared.events import DocumentDeleted, DocumentRead, EscalationRequested
from shared.events.questions import Question
from shared.storage import BlobStore, UnitOfWork, begin_try
from shared.storage.deletion import mark_deleted
from tests.killed import blobs_below
from tests.postgres import Servers
from tests.unit.triage.filings import record
from tests.unit.triage.house import House
from tests.unit.triage.test_questions import house_with, wrong

WAIT = 20
"""Seconds that one thread waits for another at the most."""


@pytest.fixture(params=["sqlite", "postgresql"])
def asking(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[House]:
    """Triage that asks about what it finds, on either database."""
    url = servers.database() if request.param == "postgresql" else ""
    house = house_with(tmp_path, triage_database_url=url)
    yield house
    house.close()


@pytest.fixture
def on_postgres(servers: Servers, tmp_path: Path) -> Iterator[House]:
    """Triage that asks, where two may write at a time."""
    house = house_with(tmp_path, triage_database_url=servers.database())
    yield house
    house.close()


def likes(house: House, *names: str) -> list[DocumentRead]:
    """Reports of the same two filings, each with an empty line more."""
    blank = [b""] * len(names)
    return [house.read(n, record(), wrong(), *blank[:i]) for i, n in enumerate(names)]


def store_as_before(patch: pytest.MonkeyPatch) -> None:
    """Blobs do not say whose they are, and rows not that no other has them, as before."""
    dump, noting = Question.model_dump_json, Report.noting

    def bare(file: Any, form: dict[str, Any]) -> None:
        write_line(file, {name: value for name, value in form.items() if name != "document_id"})

    def unmarked(report: Report, refs: Any) -> Report:
        return replace(noting(report, refs), own=report.own)

    patch.setattr(handlers, "write_line", bare)
    patch.setattr(Report, "noting", unmarked)
    patch.setattr(
        Question,
        "model_dump_json",
        lambda question: dump(question.model_copy(update={"result": ""})),
    )


def mine(house: House) -> set[str]:
    """The blobs of triage, and what the test has put for ingest."""
    return blobs_below(house.service.settings.blobs)


def noted(house: House, document: str) -> set[str]:
    """Hashes of what is noted of a report."""
    with house.service.store.read() as session:
        rows = session.execute(select(reports.c.blobs).where(reports.c.document_id == document))
        return {ref["sha256"] for ref in rows.scalar_one()}


def all_open(house: House, document: str) -> bool:
    """Whether every blob of a report is there, and has the bytes that it should have."""
    with house.service.store.read() as session:
        held = {one.id: one for one in holdings(session)}
    assert len(held[document].required) > 0
    for _, blob in held[document].required:
        assert house.service.blobs.get("default", blob.ref)
    return noted(house, document) <= mine(house)


def handle(house: House, event: Any) -> None:
    """Call the handler, as a worker does."""
    begin_try(house.service.store, event)
    house.service.handlers[type(event)](event, UnitOfWork(house.service.store, event))


@pytest.mark.parametrize("old", [False, True], ids=["new", "old"])
def test_each_report_goes_by_itself(
    asking: House, monkeypatch: pytest.MonkeyPatch, old: bool
) -> None:
    """The one that stays has all that it needs, and the last takes all with it."""
    if old:
        store_as_before(monkeypatch)
    said = likes(asking, "doc_1", "doc_2")
    before = mine(asking)
    asking.say(*said)
    assert len(asking.heard(EscalationRequested)) == 2
    asking.say(DocumentDeleted(document_id="doc_1"))
    assert all_open(asking, "doc_2")
    items = asking.client.get("/v1/documents/doc_2/statements").json()["items"]
    assert [one["id"] for one in items] == ["f1", "wrong"]
    asking.say(DocumentDeleted(document_id="doc_2"))
    assert mine(asking) == before


def test_a_report_that_is_checked_while_its_like_is_deleted_keeps_its_blobs(
    on_postgres: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noted, put and kept between the look of the deletion and its first removal."""
    house = on_postgres
    first, second = likes(house, "doc_1", "doc_2")
    house.say(first)
    delete: Callable[..., None] = house.service.blobs.delete
    checking: list[threading.Thread] = []

    def deleting(*arguments: Any) -> None:
        if not checking:
            checking.append(threading.Thread(target=handle, args=(house, second)))
            checking[0].start()
            checking[0].join(WAIT)
        delete(*arguments)

    monkeypatch.setattr(house.service.blobs, "delete", deleting)
    house.say(DocumentDeleted(document_id="doc_1"))
    assert checking
    assert not checking[0].is_alive()
    assert all_open(house, "doc_2")
    assert house.client.get("/v1/documents/doc_2/statements").status_code == 200


def test_of_two_that_are_deleted_at_once_the_last_takes_what_an_older_program_shared(
    on_postgres: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither leaves it to the other."""
    house = on_postgres
    store_as_before(monkeypatch)
    said = likes(house, "doc_1", "doc_2")
    before = mine(house)
    house.say(*said)
    both = threading.Barrier(2, timeout=WAIT)

    def marking(blobs: BlobStore, tenant: str, document: str) -> None:
        mark_deleted(blobs, tenant, document)
        both.wait()

    monkeypatch.setattr(handlers, "mark_deleted", marking)
    events = [DocumentDeleted(document_id=name) for name in ("doc_1", "doc_2")]
    with ThreadPoolExecutor(2) as threads:
        assert len([*threads.map(lambda event: handle(house, event), events)]) == 2
    assert mine(house) == before


@pytest.mark.parametrize("old", [False, True], ids=["new", "old"])
def test_a_deletion_reads_no_row_of_reports_that_share_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, old: bool
) -> None:
    """Those of new reports are not looked at, and of others, which can't be read at all here, no
    more than whether they have a blob.
    """
    house.say(house.read("doc_3", record()))
    with house.service.store.write() as session:
        session.execute(
            update(reports).where(reports.c.document_id == "doc_3").values(blobs=text("'no JSON'"))
        )
    if old:
        store_as_before(monkeypatch)
    house.say(*likes(house, "doc_1", "doc_2"), DocumentDeleted(document_id="doc_1"))
    assert not house.service.bus.dead_letters()
    assert house.client.get("/v1/documents/doc_1/statements").status_code == 404
    assert noted(house, "doc_2") <= mine(house)
