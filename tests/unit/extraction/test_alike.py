"""Two documents with the same text: a deletion keeps the blobs of the other one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from services.escalation.ledger.store import ledger
from services.extraction.store import Extractions
from shared.events import DocumentDeleted, EscalationRequested, Event
from tests.fakes.provider import Labels, StandIn
from tests.support.killed import blobs_below
from tests.support.postgres import Servers
from tests.support.queue import dead_letters
from tests.unit.escalation.builders import EscalationService
from tests.unit.extraction.builders import ASKING, ExtractionService, unsure, write_policy


@pytest.fixture(params=["sqlite", "postgresql"])
def extraction(
    request: pytest.FixtureRequest, servers: Servers, tmp_path: Path
) -> Iterator[ExtractionService]:
    url = servers.database() if request.param == "postgresql" else ""
    (tmp_path / "rules").mkdir()
    extraction = ExtractionService(
        tmp_path, policy=write_policy(tmp_path / "rules", **ASKING), extraction_database_url=url
    )
    extraction.specialists.specialist.guarantee = unsure(0.6)
    yield extraction
    extraction.close()


def likes(extraction: ExtractionService) -> list[Event]:
    events: list[Event] = []
    for name in ("doc_1", "doc_2"):
        original = extraction.service.blobs.put("default", f"the bytes of {name}".encode())
        read = extraction.read(name).model_copy(update={"original": original})
        events += [extraction.ingested(name), read]
    return events


def requests(extraction: ExtractionService) -> Sequence[EscalationRequested]:
    first, second = extraction.announced(EscalationRequested)
    assert (first.document_id, second.document_id) == ("doc_1", "doc_2")
    return first, second


def mine(extraction: ExtractionService) -> set[str]:
    return blobs_below(extraction.service.settings.blobs)


def test_a_question_stays_when_an_equal_document_is_deleted(
    extraction: ExtractionService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_FRONTIER_KEY", "k")
    extraction.handle(*likes(extraction))
    first, second = requests(extraction)
    refs = [{r.question, *(more.question for more in r.further)} for r in (first, second)]
    assert not refs[0] & refs[1]
    with StandIn(Labels([]), hang_seconds=30) as stand_in:
        frontier = EscalationService(tmp_path, stand_in)
        assert len(frontier.say(first)) == 1 + len(first.further) > 1
        extraction.handle(DocumentDeleted(document_id="doc_1"))
        with extraction.service.store.read() as session:
            held = {one.id: one for one in Extractions.blob_references(session)}
        assert held["doc_2"].required
        for _, blob in held["doc_2"].required:
            assert extraction.service.blobs.get("default", blob.ref)
        answers = frontier.say(second)
        assert [one.question for one in answers] == [
            second.question, *(more.question for more in second.further)
        ]  # fmt: skip
        assert all(one.answer for one in answers)
        assert not dead_letters(frontier.service)
        assert len(frontier.rows(ledger)) == 1
        frontier.service.close()


def test_the_last_of_them_takes_all_with_it(extraction: ExtractionService) -> None:
    events = likes(extraction)
    before = mine(extraction)
    extraction.handle(*events)
    requests(extraction)
    extraction.handle(DocumentDeleted(document_id="doc_1"))
    assert mine(extraction) > before
    extraction.handle(DocumentDeleted(document_id="doc_2"))
    assert mine(extraction) == before
