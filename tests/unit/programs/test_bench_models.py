"""The table of what each service runs has every shipped model."""

from __future__ import annotations

from typing import Any

import pytest

from models.files import MODELS
from shared.documents import read
from shared.inference.adapters import TOKENISER_FILE, base_folder
from shared.inference.tokeniser import Tokeniser
from tests.bench.models import BASE, ROWS, first_window, size_of
from tests.unit.triage.filings import read as read_filing
from tests.unit.triage.filings import record

ARTEFACTS = MODELS / "artefacts"


def test_each_shipped_model_has_a_row() -> None:
    shipped = {path.name for path in ARTEFACTS.iterdir()} - {base_folder(ARTEFACTS).name}
    assert {row[1] for row in ROWS} == shipped | {BASE}


@pytest.mark.parametrize(
    ("document", "size"),
    [
        ("a text", (6, "characters")),
        (read(b"a text", name="a.txt"), (6, "characters")),
        (("a text", ["one", "two"]), (2, "clauses")),
        (read_filing(record()), (40, "lines")),
    ],
)
def test_a_document_is_counted_in_its_own_unit(document: Any, size: tuple[int, str]) -> None:
    assert size_of(document) == size


def test_the_first_window_has_as_many_tokens_as_the_base_takes() -> None:
    tokenise = Tokeniser(base_folder(ARTEFACTS) / TOKENISER_FILE)
    text = "Neither party may assign this Agreement. " * 100
    assert len(tokenise(first_window(text, tokenise, 256)).ids) == 254
    assert first_window("A short text.", tokenise, 256) == "A short text."
