"""Contracts go the whole road: uploaded at one end, clauses at the other, on the SQLite bus."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.extraction import bootstrap as extraction
from services.extraction.settings import Settings as ExtractionSettings
from services.ingest import bootstrap as ingest
from services.ingest.settings import Settings as IngestSettings
from shared.inference import AdapterError, Specialists
from shared.messaging import Relay
from shared.settings import CommonSettings, load
from tests.support import require
from tests.support.queue import HandWorker
from tests.unit.extraction.builders import TERMS, KeywordSpecialists
from tests.unit.ingest.builders import InProcessReader, pdf

CONTRACT = (
    "This Agreement shall be governed by the laws of the State of Utah.",
    "Buyer may inspect the books and records of Seller once a year.",
)


class Road:
    """Ingest and extraction on one bus file and one blob folder; two databases."""

    def __init__(self, folder: Path, specialists: Callable[[], Specialists] | None) -> None:
        first = ingest.build(load(IngestSettings, data=folder), reader=InProcessReader())
        second = extraction.build(
            load(ExtractionSettings, data=folder),
            keys=first.app.state.keys,
            specialists=specialists,
        )
        self.services = [first, second]
        for service in self.services:
            service.store.migrate()
        secret = first.app.state.keys.create("default", "tester").secret
        headers = {"authorization": f"Bearer {secret}"}
        self.ingest, self.extraction = (TestClient(s.app, headers=headers) for s in self.services)
        self.loops = [
            (
                Relay(s.store, s.bus),
                HandWorker(s.name, s.store, s.bus, s.handlers, s.settings),
            )
            for s in self.services
        ]

    def send(self, name: str, data: bytes, *adapters: str) -> str:
        answer: Any = self.ingest.post(
            "/v1/documents",
            files={"file": (name, data)},
            data={"kind": "contract", "adapter": adapters},
        )
        assert answer.status_code == 202, answer.text
        return self.ended(answer)

    def ended(self, answer: Any) -> str:
        """The id of a document once it has ended complete."""
        state: Any = {}
        for _ in range(100):
            while sum(relay.run_once() + worker.run_until_idle() for relay, worker in self.loops):
                pass
            state = self.ingest.get(f"/v1/documents/{answer.json()['id']}").json()
            if state["state"] == "ended":
                break
            time.sleep(0.02)
        assert (state["state"], state["outcome"]) == ("ended", "complete"), state
        return str(state["id"])

    def check(self, document: str) -> list[dict[str, Any]]:
        text = self.ingest.get(f"/v1/documents/{document}/text").content.decode()
        answer: Any = self.extraction.get(f"/v1/documents/{document}/clauses")
        assert answer.status_code == 200, answer.text
        clauses: list[dict[str, Any]] = answer.json()["items"]
        for clause in clauses:
            assert clause["text"] == text[clause["start"] : clause["end"]]
            assert 0 < clause["confidence"] < 1
            assert {box["page"] for box in clause["boxes"]} <= {clause["page"], clause["page"] + 1}
        return clauses

    def close(self) -> None:
        for service in self.services:
            service.close()


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    specialists = KeywordSpecialists()
    road = Road(tmp_path, lambda: specialists)
    yield road
    road.close()


def test_a_pdf_ends_complete_with_boxes_on_its_pages(road: Road) -> None:
    clauses = road.check(road.send("a.pdf", pdf(*CONTRACT)))
    assert [(c["category"], c["page"]) for c in clauses] == [
        ("Governing Law", 1),
        ("Audit Rights", 2),
    ]
    for clause in clauses:
        (box,) = clause["boxes"]
        assert 70 < box["x0"] < box["x1"] < 560
        assert 130 < box["y0"] < box["y1"] < 150


def test_a_text_has_clauses_without_boxes(road: Road) -> None:
    clauses = road.check(road.send("a.txt", "\n".join(CONTRACT).encode()))
    assert [c["page"] for c in clauses] == [1, 1]
    assert all(not c["boxes"] for c in clauses)


def test_what_an_uploader_names_reads_the_contract(road: Road, tmp_path: Path) -> None:
    installed = tmp_path / "adapters" / TERMS / "0.0.1"
    installed.mkdir(parents=True)
    (installed / "manifest.json").touch()
    clauses = road.check(document := road.send("a.txt", CONTRACT[0].encode(), TERMS))
    assert [(c["adapter"], c["category"]) for c in clauses] == [(TERMS, "Choice of law")]
    wish = {"adapters": [TERMS, "contract-clauses"]}
    assert road.ended(road.ingest.post(f"/v1/documents/{document}/reprocess", json=wish))
    assert {c["adapter"] for c in road.check(document)} == {TERMS, "contract-clauses"}


def test_the_shipped_specialist_goes_the_same_road(tmp_path: Path) -> None:
    artefacts = CommonSettings().artefacts_folder
    require(
        any(artefacts.glob("base-*")) and any(artefacts.glob("contract-clauses/*/manifest.json")),
        f"the shipped specialist: nothing in {artefacts}",
    )
    road = Road(tmp_path, None)
    try:
        clauses = road.check(road.send("a.pdf", pdf(*CONTRACT)))
    finally:
        road.close()
    assert "Governing Law" in {clause["category"] for clause in clauses}


def test_a_text_in_another_language_is_warned_of(tmp_path: Path) -> None:
    artefacts = CommonSettings().artefacts_folder
    require(
        any(artefacts.glob("base-*")) and any(artefacts.glob("contract-clauses/*/manifest.json")),
        f"the shipped specialist: nothing in {artefacts}",
    )
    road = Road(tmp_path, None)
    german = "Dieser Vertrag unterliegt dem Recht der Bundesrepublik Deutschland. " * 20
    try:
        document = road.send("vertrag.txt", german.encode())
        warnings = road.ingest.get(f"/v1/documents/{document}").json()["warnings"]
        looked = road.extraction.get(f"/v1/documents/{document}/presence").json()["searched"]
    finally:
        road.close()
    (warning,) = warnings
    assert "of the text is not English" in warning
    assert looked["warnings"] == warnings


def test_a_contract_waits_for_an_adapter_that_is_being_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALLPRINT_RETRY_DELAY", "0.01")
    monkeypatch.setenv("SMALLPRINT_ATTEMPTS", "2")
    mended = KeywordSpecialists()
    answers = [AdapterError("the adapter is not whole") for _ in range(4)]

    def specialists() -> Specialists:
        if answers:
            raise answers.pop()
        return mended

    road = Road(tmp_path, specialists)
    try:
        clauses = road.check(road.send("a.pdf", pdf(*CONTRACT)))
    finally:
        road.close()
    assert not answers
    assert len(clauses) == 2
