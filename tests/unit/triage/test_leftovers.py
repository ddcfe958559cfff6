"""What a process of an older release leaves of reports, while both work, is removed."""

from __future__ import annotations

import threading
from dataclasses import replace

from services.triage.past.store import Filings
from services.triage.risk import NAME
from services.triage.store import Reports
from services.triage.watch.store import Watches
from shared.storage.watches import Drawn
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


def asked(house: House, document: str, wrong: bool | None = None) -> None:
    """A finding of a company that people are asked about, or have decided about."""
    name = f"{document} {'open' if wrong is None else 'decided'}"
    with house.service.store.write() as session:
        Watches(session, "default").put(
            Drawn(
                name, document, NAME, OLDER, "totals", 0.9, 0.9, "", 1.0, False, wrong, family="us"
            )
        )


def leave(house: House, document: str, state: str) -> None:
    """An older program notes that a report is gone; it knows findings alone."""
    with house.service.store.write() as session:
        reports = Reports(session, "default")
        known = reports.get(document)
        assert known
        reports.replace_findings(document, [])
        reports.save(replace(known, state=state))  # type: ignore[arg-type]


def test_what_an_older_program_leaves_of_a_report_that_is_gone_is_removed(any_house: House) -> None:
    """Filings, open checks and the company's name; of a report that is there all stays, and so does
    what was decided about a deleted one, which counts.
    """
    house = any_house
    wrong = {**bent("balance_sheet", "Total current assets", 1, 4509), "id": "one"}
    for document in DOCUMENTS:
        house.say(house.read(document, wrong))
        asked(house, document)
        asked(house, document, wrong=True)
    leave(house, "doc_1", "deleted")
    leave(house, "doc_2", "withdrawn")
    for make in house.service.jobs:
        make(None).run(OneRound())
    with house.service.store.read() as session:
        noted, watches = Filings(session, "default"), Watches(session, "default")
        filings = [document for document in DOCUMENTS if noted.of(document, 1)]
        left = {one.result_id: one.family for one in watches.asked(NAME, OLDER)}
    assert filings == ["doc_3"]
    assert left == {"doc_1 decided": None, "doc_3 decided": "us", "doc_3 open": "us"}
