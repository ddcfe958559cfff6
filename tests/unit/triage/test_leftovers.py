"""What a process of an older release leaves of reports, while both work, is removed."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from services.triage.handlers import forget_document, withdraw_findings
from services.triage.judgement import FLAGGED
from services.triage.leftovers import sweeping
from services.triage.past.store import Filings
from services.triage.risk import NAME
from services.triage.store import Reports
from services.triage.watch.store import Watches
from shared.errors import Unavailable
from shared.events import DocumentDeleted, DocumentRekinded
from shared.storage import UnitOfWork
from shared.storage.watches import Drawn
from tests.postgres import Servers
from tests.unit.triage.filings import bent
from tests.unit.triage.house import House

DOCUMENTS = ("doc_1", "doc_2", "doc_3")
OLDER = "0.1"
"""A version of the judge."""


class OneRound(threading.Event):
    """Is set as soon as a loop pauses."""

    def wait(self, timeout: float | None = None) -> bool:
        """The first pause is the end."""
        self.set()
        return super().wait(timeout)


def asked(house: House, document: str, wrong: bool | None = None, tenant: str = "default") -> None:
    """A finding of a company that people are asked about, or have decided about."""
    name = f"{document} {'open' if wrong is None else 'decided'}"
    with house.service.store.write() as session:
        Watches(session, tenant).put(
            Drawn(
                name, document, NAME, OLDER, "totals", 0.9, 0.9, "", 1.0, False, wrong, family="us"
            )
        )


def leave(house: House, document: str, state: str, tenant: str = "default") -> None:
    """An older program notes that a report is gone; it knows findings alone."""
    with house.service.store.write() as session:
        reports = Reports(session, tenant)
        known = reports.get(document)
        assert known
        reports.replace_findings(document, [])
        reports.save(replace(known, state=state))  # type: ignore[arg-type]


def come(house: House, document: str, tenant: str = "default") -> None:
    """A report is judged; of two of its findings people are asked, and one is decided."""
    wrong = {**bent("balance_sheet", "Total current assets", 1, 4509), "id": "one"}
    house.say(house.read(document, wrong, tenant=tenant))
    asked(house, document, tenant=tenant)
    asked(house, document, wrong=True, tenant=tenant)


def sweep(house: House) -> None:
    """One round of all that runs beside the worker."""
    for make in house.service.jobs:
        make(None).run(OneRound())


def kept(house: House, tenant: str = "default") -> tuple[list[str], dict[str, str | None]]:
    """Documents of which filings are noted, and findings with the name of the company."""
    with house.service.store.read() as session:
        noted, watches = Filings(session, tenant), Watches(session, tenant)
        filings = [document for document in DOCUMENTS if noted.of(document, 1)]
        return filings, {one.result_id: one.family for one in watches.asked(NAME, OLDER)}


def test_what_an_older_program_leaves_of_a_report_that_is_gone_is_removed(any_house: House) -> None:
    """Filings, open checks and the company's name; of a report that is there all stays, and so does
    what was decided about a deleted one, which counts. Another tenant's report of the same id is
    another report.
    """
    house = any_house
    for document in DOCUMENTS:
        come(house, document)
    come(house, "doc_1", "rivals")
    come(house, "doc_3", "rivals")
    leave(house, "doc_1", "deleted")
    leave(house, "doc_2", "withdrawn")
    leave(house, "doc_3", "deleted", "rivals")
    sweep(house)
    left = {"doc_1 decided": None, "doc_3 decided": "us", "doc_3 open": "us"}
    assert kept(house) == (["doc_3"], left)
    left = {"doc_1 decided": "us", "doc_1 open": "us", "doc_3 decided": None}
    assert kept(house, "rivals") == (["doc_1"], left)


def test_a_report_that_is_read_anew_by_then_keeps_all(
    any_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was gone when it was looked for, and waits for its filings again."""
    house = any_house
    come(house, "doc_1")
    before = kept(house)
    assert before[0] == ["doc_1"]
    leave(house, "doc_1", "waiting")
    monkeypatch.setattr(sweeping, "left", lambda _: [("default", "doc_1")])
    sweep(house)
    assert kept(house) == before


@pytest.mark.parametrize("error", [Unavailable("a deadlock"), RuntimeError("a mistake")])
def test_a_report_that_is_in_the_way_holds_up_no_other(
    error: Exception,
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Which one it was is logged, and the next round tries again."""
    for document in ("doc_1", "doc_2"):
        come(house, document)
        leave(house, document, "deleted")
    forget = Filings.forget

    def fails(self: Filings, document_id: str) -> None:
        if document_id == "doc_1":
            raise error
        forget(self, document_id)

    monkeypatch.setattr(Filings, "forget", fails)
    with caplog.at_level(logging.WARNING):
        sweep(house)
    assert kept(house)[0] == ["doc_1"]
    (said,) = [record for record in caplog.records if "waits" in record.getMessage()]
    assert said.__dict__["document"] == "doc_1"
    monkeypatch.undo()
    sweep(house)
    assert kept(house)[0] == []


@pytest.mark.parametrize("handler", ["forget_document", "withdraw_findings"])
def test_an_event_that_removes_a_report_waits_for_the_one_that_has_it(
    handler: str, tmp_path: Path, servers: Servers
) -> None:
    """It takes the report first, as the loop does: with its filings in hand each would wait for
    the other, and the database would end one of them.
    """
    house = House(tmp_path, triage_database_url=servers.database())
    come(house, "doc_1")
    store = house.service.store
    failed: list[BaseException] = []

    def handle() -> None:
        uow = UnitOfWork(store)
        try:
            if handler == "forget_document":
                forget_document(
                    DocumentDeleted(document_id="doc_1"), uow, house.service.blobs, FLAGGED
                )
            else:
                event = DocumentRekinded(document_id="doc_1", kind="other", previous="report")
                withdraw_findings(event, uow)
        except Exception as error:  # noqa: BLE001 - what it is, the test says
            failed.append(error)

    other = threading.Thread(target=handle)
    with store.write() as session:
        assert Reports(session, "default").get("doc_1", lock=True)
        other.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        for _ in range(500):
            if session.execute(text(waiting)).scalar_one():
                break
            time.sleep(0.02)
        else:
            pytest.fail("it waited for nothing")
        Filings(session, "default").forget("doc_1")
        Watches(session, "default").forget_open("doc_1")
    other.join(30)
    assert failed == []
    assert kept(house)[0] == []
    house.close()
