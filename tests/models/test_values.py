"""How values are compared with the experts' answers, on a contract of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.clauses.values import (
    date_answer,
    duration_answer,
    law_answer,
    main,
    party_answer,
    score,
)
from models.files import read_json, write_lines
from tests.models.builders import run, toml, write_specialist

TEXTS = {
    "Parties": ["Acme, Inc.", "Seller", "Bolt Ltd."],
    "Agreement Date": ["May 1, 2010"],
    "Expiration Date": ["for a period of one (1) year from the Effective Date"],
    "Renewal Term": ["renews for successive terms of twelve (12) months"],
    "Governing Law": ["the laws of the State of Utah"],
    "Insurance": ["of at least $1,000,000"],
}
ANSWERS = {
    "Parties": 'Acme, Inc. ("Seller"); Bolt Ltd. ("Buyer")',
    "Agreement Date": "5/1/10",
    "Expiration Date": "5/1/11",
    "Renewal Term": "successive 1 year",
    "Governing Law": "Nevada",
    "Insurance": "Yes",
}


def contract(fold: int = 1) -> dict[str, Any]:
    """An annotated contract as the data has it."""
    notes, at = [], 0
    for category, texts in TEXTS.items():
        for text in texts:
            notes.append({"category": category, "start": at, "text": text})
            at += len(text) + 1
    iso = {"Agreement Date": "2010-05-01", "Expiration Date": "2011-05-01"}
    answers = {"answers": ANSWERS, "answers_iso": iso}
    return {"id": f"contract {fold}", "annotations": notes, **answers, "fold": fold}


@pytest.mark.parametrize(
    ("answer", "iso"),
    [
        ("3/1/05", "2005-03-01"),
        ("29/3/18", "2018-03-29"),
        ("04/[]/2013", "2013-04"),
        ("[]/[]/2012", "2012"),
        ("[]/[]/20[]", "redacted"),
        ("Perpetual", "perpetual"),
    ],
)
def test_a_date_answer_is_read_to_the_part_that_is_left(answer: str, iso: str) -> None:
    assert date_answer(answer) == iso


def test_other_answers_are_read_as_clauses_are() -> None:
    assert duration_answer("2 successive 5 years") == ["P5Y"]
    assert duration_answer("60 days; 180 days") == ["P60D", "P180D"]
    assert law_answer("Province of Ontario, Canada") == {"Ontario, Canada"}
    assert law_answer("[]") == {"redacted"}
    answer = 'Acme ("the Seller"); Bolt Ltd.; Acme and Bolt ("Parties")'
    assert party_answer(answer) == {"acme": "seller", "boltltd": ""}


def test_matches_are_counted_by_category() -> None:
    scores = score([contract()])
    assert scores["Agreement Date"]["exact"] == scores["Agreement Date"]["iso_exact"] == 1
    assert scores["Expiration Date"]["right"] == scores["Expiration Date"]["iso_right"] == 1
    assert (scores["Renewal Term"]["right"], scores["Renewal Term"]["repeats_right"]) == (1, 1)
    assert scores["Governing Law"]["exact"] == 0
    parties = scores["Parties"]
    assert (parties["right"], parties["names_right"]) == (1, 2)
    assert (parties["roles_right"], parties["roles_answered"]) == (1, 2)
    assert "exact" not in scores["Insurance"]
    assert scores["Insurance"]["stated"] == 1


def test_fold_0_is_scored_separately(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_specialist(tmp_path, toml(data={"training": "contracts.jsonl.gz"}), [])
    write_lines(tmp_path / "contracts.jsonl.gz", [contract(fold) for fold in (0, 1, 1)])
    run(main, tmp_path, "--data", tmp_path, "--fold", 1)
    assert not (tmp_path / "values.json").exists()
    assert "Governing Law" in capsys.readouterr().out
    run(main, tmp_path, "--data", tmp_path)
    figures = read_json(tmp_path / "values.json")
    assert [part["contracts"] for part in figures.values()] == [2, 1]
