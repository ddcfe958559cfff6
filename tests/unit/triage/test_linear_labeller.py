"""Concepts of the lines of statements."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from models.files import folder_of
from services.triage.concepts.linear import (
    MOST_LINES,
    MOST_WORDS,
    NAME,
    PLACES,
    ConceptLabel,
    LinearLabeller,
    LineFeatures,
    write,
)
from services.triage.statements.model import Column, Filing, Row, Statement
from shared.features.linear import place_of
from tests import support
from tests.unit.triage.filings import CONCEPTS, read, record

LABELS = ("own", "Assets", "Cash")


def written(folder: Path, *, offset: float = 0.0, slope: float = 1.0) -> Path:
    """A folder of artefacts with a model that knows one word each of assets and cash."""
    bag = np.zeros((PLACES, 2), np.float32)
    for side, word in enumerate(("total", "money")):
        bag[place_of(word, PLACES), side] = 400
    head = np.array([[0, 1, 0], [0, 0, 1]], np.float32)
    write(
        folder / NAME / "1.2.3", bag, head, np.array([1, 0, 0], np.float32), version="1.2.3",
        labels=LABELS, offset=offset, slope=slope, companies=3, licence="ours",
    )  # fmt: skip
    return folder


def statement(*labels: str, kind: str = "balance_sheet") -> Statement:
    """A statement with one value a line; those in capitals are headings."""
    rows = tuple(
        Row(label, (None,), heading=True) if label.isupper() else Row(label, (Decimal(5),))
        for label in labels
    )
    return Statement(kind, (Column("20231231"),), rows)


def test_each_line_has_a_name_and_headings_have_none(tmp_path: Path) -> None:
    namer = LinearLabeller.load(written(tmp_path))
    found = namer.names(statement("THINGS", "Total", "Money"))
    assert [name and name.name for name in found] == [None, "Assets", "Cash"]
    assert found[1] == ConceptLabel("Assets", 1.0)
    assert namer.model.version == "1.2.3"


def test_a_confidence_is_what_such_chances_came_to(tmp_path: Path) -> None:
    (name,) = LinearLabeller.load(written(tmp_path, offset=-9.21)).names(statement("Total"))
    assert name is not None
    assert name.confidence == pytest.approx(0.5, abs=0.01)


def test_other_statements_and_endless_ones_are_not_named(tmp_path: Path) -> None:
    namer = LinearLabeller.load(written(tmp_path))
    assert namer.names(statement("Total", kind="equity")) == (None,)
    assert namer.names(statement()) == ()
    assert set(namer.names(statement(*["Total"] * (MOST_LINES + 1)))) == {None}


def test_neighbours_headings_and_the_statement_are_features() -> None:
    labels = ["Shares", "Basic", "Basic basic", "Total"]
    lines = LineFeatures("income", labels, [True, False, False, False])
    own = set(lines.places(1).tolist())
    assert len(own) == len(lines.places(1))
    assert own != set(LineFeatures("cash_flow", labels, [True, *[False] * 3]).places(1).tolist())
    assert own != set(LineFeatures("income", labels, [False] * 4).places(1).tolist())
    assert own != set(LineFeatures("income", labels[:2], [True, False]).places(1).tolist())
    assert LineFeatures("income", [""], [False]).places(0).size


def test_a_filing_is_shown_with_the_concept_of_every_line(tmp_path: Path) -> None:
    whole = Filing("f", None, None, None, (statement("THINGS", "Total"),))
    form = whole.to_json()
    shown = LinearLabeller.load(written(tmp_path)).add_concepts(whole, form)
    assert shown["statements"][0]["rows"][1]["concept"] == {"name": "Assets", "confidence": 1.0}
    assert "concept" not in shown["statements"][0]["rows"][0]
    assert "concept" not in form["statements"][0]["rows"][1]


def test_what_ships_names_the_lines_of_a_small_filing() -> None:
    namer = LinearLabeller.load(support.artefacts())
    for sheet in read(record()).statements:
        for row, name in zip(sheet.rows, namer.names(sheet), strict=True):
            if row.heading:
                assert name is None
                continue
            assert name is not None
            assert 0 < name.confidence <= 1
            if row.label in ("Total assets", "Total current assets", "Accounts payable"):
                assert name.name == CONCEPTS[row.label]


def test_the_card_is_of_what_ships() -> None:
    folder = folder_of(NAME)
    manifest = LinearLabeller.load(support.artefacts()).manifest
    card = (folder / "CARD.md").read_text("utf-8")
    figures = json.loads((folder / "scores.json").read_text("utf-8"))
    known, both = figures["calibration"], figures["adapter"]["calibration"]
    assert card.startswith(f"# {NAME} {manifest.version}\n")
    assert known == {"offset": manifest.offset, "slope": manifest.slope}
    assert both == {"offset": manifest.both_offset, "slope": manifest.both_slope}


def test_a_heading_without_end_is_read_in_part() -> None:
    endless = " ".join(f"{letter}x" for letter in "abcdefghij") * 10_000
    lines = LineFeatures("balance_sheet", [endless, "Cash"], [True, False])
    assert len(lines.places(1)) <= 2 * MOST_WORDS + 10
