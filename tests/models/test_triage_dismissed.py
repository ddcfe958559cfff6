"""Dismissals of analysts are learned as lawful, and nothing else of those filings is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support import library

library("onnx")
library("lightgbm")

from models.files import read_lines
from models.triage_breaks import __main__ as training
from models.triage_breaks.dismissed import companies, lawful, number_of, read_lessons
from models.triage_breaks.filings import FOLDS, fold_of
from services.triage.checks.classifier import BreakClassifier
from services.triage.checks.findings import finding_of
from services.triage.checks.suspect_generation import find_suspects
from services.triage.checks.suspects import COLUMNS
from services.triage.checks.verdict import triage_filing
from services.triage.dismissals import Dismissal, filer_key, relation_key
from services.triage.reading.document import MOST_COLUMNS
from services.triage.relations.learned_sums import LearnedPatterns
from services.triage.relations.relations import statement_views
from services.triage.training_export import DismissalExample
from tests.models.test_triage_training import CONFIG, train
from tests.unit.triage.filings import bent, read

pytestmark = pytest.mark.training
TAUGHT = {fold: LearnedPatterns() for fold in range(FOLDS)}


def odd(number: int, company: str = "Company 3") -> dict[str, Any]:
    """A filing whose operating income is not the sum of its lines, as is usual for its company."""
    return bent("income", "Operating income", 1, 1568) | {"company": company, "id": f"odd{number}"}


def lesson(record: dict[str, Any], which: int | None = None) -> DismissalExample:
    """One that was dismissed: the doubt of this number, all of them without one."""
    pages = statement_views(read(record))
    every = find_suspects(pages, LearnedPatterns())
    chosen = every if which is None else [every[which]]
    found = [finding_of(pages, doubt) for doubt in chosen]
    about = filer_key(record["company"])
    return DismissalExample(
        record,
        [
            Dismissal("", "", "", about, relation_key(one), one.reported, one.expected,
                      "lawful", "", datetime(2026, 1, 1, tzinfo=UTC))
            for one in found
        ],
        found,
    )  # fmt: skip


def test_only_dismissed_suspects_are_learned() -> None:
    pages = statement_views(read(odd(1)))
    every = find_suspects(pages, LearnedPatterns())
    known = [d for d in every if finding_of(pages, d).reported is not None]
    assert len(every) > 1
    which = every.index(known[0])
    example = lawful(lesson(odd(1), which), TAUGHT, {})
    assert 1 <= len(example.rows) < len(every)
    assert example.rows.tolist()[0] == pytest.approx(every[which].vector(), rel=1e-5)
    assert not example.right.any()
    assert (example.truth, example.part, example.id) == (None, "dismissed", "odd1")
    rows, right, weight = training.lesson([example], CONFIG["weights"])
    assert (len(rows), right.any(), set(weight.tolist())) == (len(example.rows), False, {3.0})


def test_a_break_of_another_kind_is_no_lesson() -> None:
    example = lesson(odd(1))
    sound = bent("income", "Operating income", 1, 1508)
    other = DismissalExample(sound | {"company": "Company 3"}, example.dismissed, example.findings)
    more = len(lawful(example, TAUGHT, {}).rows)
    assert len(lawful(other, TAUGHT, {}).rows) < more


def test_a_lesson_is_read_as_the_suite_reads_it() -> None:
    example = lesson(odd(1))
    known = lawful(example, TAUGHT, {})
    equity = {"statement": "equity", "columns": [{}], "rows": [{"label": "x", "values": [1]}]}
    shown = {**example.filing, "statements": [equity, *example.filing["statements"]]}
    other = lawful(DismissalExample(shown, example.dismissed, example.findings), TAUGHT, {})
    assert other.rows.tolist() == known.rows.tolist()

    (one,) = (s for s in example.filing["statements"] if s["statement"] == "income")
    one["columns"] *= 40
    for row in one["rows"]:
        row["values"] *= 40
    widths = lawful(example, TAUGHT, {}).rows[:, COLUMNS.index("width")]
    assert len(widths)
    assert widths.max() == MOST_COLUMNS


def test_a_filer_is_in_the_fold_of_its_company() -> None:
    known = companies([{"company": "Company 3", "cik": 3}, {"company": "ACME Corp.", "cik": 77}])
    assert number_of(filer_key("acme corp"), known) == 77
    assert lawful(lesson(odd(1)), TAUGHT, known).fold == fold_of(3)
    other = number_of("somebody else", known)
    assert other == number_of("somebody else", {})
    assert other not in known.values()
    assert 0 <= fold_of(other) < FOLDS


def test_a_line_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "dismissed.jsonl"
    path.write_text(json.dumps(lesson(odd(1)).to_json()) + "\n{}\n")
    with pytest.raises(ValueError, match=r"dismissed\.jsonl, line 2"):
        list(read_lessons(path))
    path.write_text("no json\n")
    with pytest.raises(ValueError, match="line 1"):
        list(read_lessons(path))


def test_a_break_that_was_dismissed_is_believed_less(tmp_path: Path) -> None:
    """The classifier trained with it gives an unseen filing a lower risk. An error that was not
    dismissed is still flagged. The predictions lack the dismissed filings.
    """
    file = tmp_path / "dismissed.jsonl"
    some = [lesson(odd(number)).to_json() for number in range(20)]
    file.write_text("".join(json.dumps(line) + "\n" for line in some))
    without = train(tmp_path / "without", 10)
    dismissed = train(tmp_path / "with", 10, "--dismissed", file)
    before, after = (BreakClassifier.load(made / "artefacts") for made in (without, dismissed))
    again = read(odd(99, "Company 4"))
    assert triage_filing(again, before).flagged
    assert triage_filing(again, after).risk < triage_filing(again, before).risk / 2
    other = read(bent("balance_sheet", "Inventories", 0, 9881))
    assert triage_filing(other, after).risk > triage_filing(again, after).risk
    predicted = list(read_lines(dismissed / "predictions.jsonl.gz"))
    assert not any(p["id"].startswith("odd") for p in predicted)
    assert "dismissed" not in {p["set"] for p in predicted}
