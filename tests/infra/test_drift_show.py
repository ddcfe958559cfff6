"""Streams with a planted change: small ones, whose outcome is plain."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from infra.drift_show import CALM, Paper, Run, cells, changes, read_others, stream
from shared.guarantee import Calibration

LABELS = ("Governing Law", "Audit Rights")


def calibration() -> Calibration:
    """Eight hundred contracts of one to five sure clauses, each of a company of its own; one of
    fifty clauses is wrong.
    """
    draw = np.random.default_rng(5)
    document = np.repeat(np.arange(800), draw.integers(1, 6, 800))
    count = len(document)
    return Calibration(
        LABELS,
        800,
        np.array([[0.0, 1.0], [0.0, 1.0]]),
        document,
        (draw.random(count) < 0.3).astype(np.int64),
        draw.uniform(0.9, 0.99, count),
        (draw.random(count) < 0.02).astype(float),
        np.zeros(0, np.int64),
        np.zeros(0),
        document,
    )


@pytest.fixture(scope="module")
def known() -> Calibration:
    """The set."""
    return calibration()


def papers_of(known: Calibration) -> list[Paper]:
    """The contracts of the set, half of them licences."""
    assert known.document is not None
    found = []
    for number in range(800):
        mine = np.flatnonzero(known.document == number)
        clauses = tuple(
            (
                LABELS[known.label[i]],
                float(known.belief[i]),
                float(known.belief[i]),
                bool(known.wrong[i]),
            )
            for i in mine
        )
        found.append(Paper(number, "License" if number % 2 else "Supply", clauses))
    return found


def test_a_stream_without_a_change_is_left_alone_and_one_that_goes_wrong_is_not(
    known: Calibration,
) -> None:
    """All that is accepted is wrong from the 201st document on."""
    papers = papers_of(known)
    quiet = stream(known, papers, None, 0.1, 3)
    assert (quiet.errors, quiet.step) == (None, 0)
    bad = stream(known, papers, 1.0, 0.1, 3)
    assert bad.errors is not None
    assert 0 < bad.errors < 200
    assert bad.wrong_after > bad.wrong_before


def test_other_documents_are_noticed_by_their_inputs(known: Calibration, tmp_path: Path) -> None:
    """Forty clauses where those known have five at most; nobody says whether they are right."""
    path = tmp_path / "others.jsonl"
    lines = [
        {"id": str(n), "sort": "long", "clauses": [["Audit Rights", 0.95]] * 40} for n in range(30)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    others = list(read_others(path, known))
    planted = changes(known, papers_of(known), others, 0.1)
    assert planted["no change"] is None
    run = stream(known, papers_of(known), planted["long"], 0.1, 3)
    assert run.errors is None
    assert run.inputs is not None
    assert 0 < run.inputs <= 20


def test_a_row_says_how_often_and_how_late() -> None:
    """Of four streams two are noticed, one too early and one never."""
    runs = [
        Run(errors=10, checks=5, step=1, wrong_after=0.5),
        Run(errors=30, checks=9, step=4, wrong_after=0.5),
        Run(errors=3 - CALM, wrong_after=0.5),
        Run(wrong_after=0.5),
    ]
    row = list(cells(runs))
    assert row[0] == "50.0%"
    assert row[1] == "2 of 4, after 20 (12 to 28); before it 1"
    assert row[2:4] == ["7", "stricter 1, nothing 1, without a category 0"]
    assert row[4] == "0 of 4; before it 0"


def test_a_row_that_was_not_run_says_so() -> None:
    """Nothing is said about labels or delays of no streams."""
    assert list(cells([])) == ["not run", "", "", "", ""]
    assert next(cells([Run()])) == "no labels"
