"""Contracts from their upload to their clauses, through ingest and extraction."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.extraction import bootstrap as extraction
from services.extraction.settings import Settings as ExtractionSettings
from services.ingest import bootstrap as ingest
from services.ingest.settings import Settings as IngestSettings
from shared.inference import AdapterError, Specialists
from shared.settings import load
from tests.support.builders import Chain
from tests.unit.extraction.builders import TERMS, KeywordSpecialists
from tests.unit.ingest.builders import InProcessReader, pdf

CONTRACT = (
    "This Agreement shall be governed by the laws of the State of Utah.",
    "Buyer may inspect the books and records of Seller once a year.",
)


@contextmanager
def chain_of(folder: Path, specialists: Callable[[], Specialists]) -> Iterator[Chain]:
    first = ingest.build(load(IngestSettings, data=folder), reader=InProcessReader())
    settings, keys = load(ExtractionSettings, data=folder), first.app.state.keys
    chain = Chain(first, extraction.build(settings, keys=keys, specialists=specialists))
    yield chain
    chain.close()


def clauses_of(chain: Chain, document: str) -> list[dict[str, Any]]:
    """The clauses of a document that ends complete, each compared with its text."""
    for _ in range(100):
        chain.work()
        state = chain.document(document)
        if state["state"] == "ended":
            break
        time.sleep(0.02)
    assert (state["state"], state["outcome"]) == ("ended", "complete"), state
    text = chain.clients["ingest"].get(f"/v1/documents/{document}/text").content.decode()
    answer = chain.clients["extraction"].get(f"/v1/documents/{document}/clauses")
    assert answer.status_code == 200, answer.text
    clauses: list[dict[str, Any]] = answer.json()["items"]
    for clause in clauses:
        assert clause["text"] == text[clause["start"] : clause["end"]]
    return clauses


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    specialists = KeywordSpecialists()
    with chain_of(tmp_path, lambda: specialists) as chain:
        yield chain


def test_a_pdf_ends_complete_with_boxes_on_its_pages(chain: Chain) -> None:
    clauses = clauses_of(chain, chain.upload("a.pdf", pdf(*CONTRACT), kind="contract"))
    found = [(clause["category"], clause["page"]) for clause in clauses]
    assert found == [("Governing Law", 1), ("Audit Rights", 2)]
    for clause in clauses:
        (box,) = clause["boxes"]
        assert 70 < box["x0"] < box["x1"] < 560
        assert 130 < box["y0"] < box["y1"] < 150


def test_the_requested_adapters_read_each_attempt(chain: Chain, tmp_path: Path) -> None:
    installed = tmp_path / "adapters" / TERMS / "0.0.1"
    installed.mkdir(parents=True)
    (installed / "manifest.json").touch()
    document = chain.upload("a.txt", CONTRACT[0].encode(), kind="contract", adapter=TERMS)
    clauses = clauses_of(chain, document)
    assert [(c["adapter"], c["category"]) for c in clauses] == [(TERMS, "Choice of law")]
    both = {"adapters": [TERMS, "contract-clauses"]}
    chain.clients["ingest"].post(f"/v1/documents/{document}/reprocess", json=both)
    assert {c["adapter"] for c in clauses_of(chain, document)} == {TERMS, "contract-clauses"}


def test_a_contract_waits_for_a_damaged_adapter_to_be_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALLPRINT_RETRY_DELAY", "0.01")
    monkeypatch.setenv("SMALLPRINT_ATTEMPTS", "2")
    repaired = KeywordSpecialists()
    errors = [AdapterError("the adapter is not whole") for _ in range(4)]

    def specialists() -> Specialists:
        if errors:
            raise errors.pop()
        return repaired

    with chain_of(tmp_path, specialists) as chain:
        clauses = clauses_of(chain, chain.upload("a.pdf", pdf(*CONTRACT), kind="contract"))
    assert (errors, len(clauses)) == ([], 2)
